package optin

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// reject counts a row that cannot be used, and hands it back with the reason.
func (imp *importer) reject(no Reject, cells []string) error {
	imp.Rejected++
	if imp.Reasons == nil {
		imp.Reasons = map[string]int{}
	}
	imp.Reasons[no.Reason]++
	if len(imp.Rejects) < shownRejects {
		imp.Rejects = append(imp.Rejects, no)
	}
	if imp.opt.Rejects == nil {
		return nil
	}
	if imp.rejects == nil {
		if _, err := io.WriteString(imp.opt.Rejects, "\ufeff"); err != nil {
			return fmt.Errorf("write the rejected rows: %w", err)
		}
		imp.rejects = csv.NewWriter(imp.opt.Rejects)
		imp.rejects.Comma = imp.table.Separator
		if err := imp.rejects.Write(append([]string{"line", "reason", "detail"}, defused(imp.table.Header)...)); err != nil {
			return fmt.Errorf("write the rejected rows: %w", err)
		}
	}
	if err := imp.rejects.Write(append([]string{fmt.Sprint(no.Line), no.Reason, no.Detail}, defused(cells)...)); err != nil {
		return fmt.Errorf("write the rejected rows: %w", err)
	}
	return nil
}

// defuse keeps a spreadsheet from running a cell as a formula. Numbers and
// phones keep their sign.
func defuse(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return cell
	}
	if strings.ContainsRune("+-", rune(cell[0])) && strings.Trim(cell[1:], "0123456789 .,()-") == "" {
		return cell
	}
	return "'" + cell
}

func defused(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = defuse(c)
	}
	return out
}
