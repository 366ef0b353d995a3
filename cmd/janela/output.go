package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Output formats.
const (
	asTable = "table"
	asCSV   = "csv"
	asJSON  = "json"
)

// format is a flag that takes one of some words.
type format struct {
	value   string
	allowed []string
}

func (f *format) String() string { return f.value }
func (f *format) Type() string   { return strings.Join(f.allowed, "|") }

// Set refuses what is not allowed.
func (f *format) Set(v string) error {
	if !slices.Contains(f.allowed, v) {
		return fmt.Errorf("write %s", strings.Join(f.allowed, ", "))
	}
	f.value = v
	return nil
}

// outputFlag adds -o to a command; the first word is the default.
func outputFlag(cmd *cobra.Command, allowed ...string) *format {
	f := &format{allowed[0], allowed}
	cmd.Flags().VarP(f, "output", "o", "output format")
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was made above
	}
	return f
}

// onTerminal reports whether w is a terminal.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// coloured reports whether w may have colours.
func coloured(w io.Writer) bool { return onTerminal(w) && os.Getenv("NO_COLOR") == "" }

// printJSON writes a value for programs, or for people who read JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printRows writes rows under a header, in a format; v is what JSON shows.
func printRows(w io.Writer, as *format, header []string, rows [][]string, v any) error {
	switch as.value {
	case asJSON:
		return printJSON(w, v)
	case asCSV:
		return printCSV(w, header, rows)
	default:
		return printTable(w, header, rows)
	}
}

// printCSV separates by semicolons, as every CSV file that janela writes, and
// defuses formulas.
func printCSV(w io.Writer, header []string, rows [][]string) error {
	c := csv.NewWriter(w)
	c.Comma = ';'
	if err := c.Write(header); err != nil {
		return err
	}
	for _, row := range rows {
		out := make([]string, len(row))
		for i, cell := range row {
			out[i] = defuse(cell)
		}
		if err := c.Write(out); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
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

// printTable draws a table on a terminal, and writes plain columns elsewhere.
func printTable(w io.Writer, header []string, rows [][]string) error {
	if !onTerminal(w) {
		return printColumns(w, header, rows)
	}
	width := 0
	if f, ok := w.(*os.File); ok {
		width, _, _ = term.GetSize(int(f.Fd()))
	}
	_, err := fmt.Fprintln(w, drawTable(header, rows, width, coloured(w)))
	return err
}

// drawTable draws at most width columns; 0 for no limit.
func drawTable(header []string, rows [][]string, width int, colours bool) string {
	text.DisableColors()
	if colours {
		text.EnableColors()
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.DrawBorder = false
	t.Style().Format.Header = text.FormatDefault
	t.Style().Color.Header = text.Colors{text.Bold}
	t.Style().Size.WidthMax = max(width, 0)
	head := table.Row{}
	for _, h := range header {
		head = append(head, h)
	}
	t.AppendHeader(head)
	for _, row := range rows {
		line := table.Row{}
		for i, cell := range row {
			line = append(line, paint(header[i], clean(cell)))
		}
		t.AppendRow(line)
	}
	return t.Render()
}

func printColumns(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = clean(cell); cells[i] == "" {
				cells[i] = "-"
			}
		}
		if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// paint colours the words that somebody looks for.
func paint(column, cell string) string {
	if column != "state" && column != "verdict" && column != "status" && column != "severity" {
		return cell
	}
	switch cell {
	case "read", "delivered", "sent", "go", "granted", "APPROVED", "finished":
		return text.FgGreen.Sprint(cell)
	case "failed", "refused", "refuse", "opted_out", "REJECTED", "DISABLED", "error":
		return text.FgRed.Sprint(cell)
	case "unknown", "wait", "paused", "standing", "no_opt_in", "PAUSED", "PENDING", "warning", "expired", "cancelled":
		return text.FgYellow.Sprint(cell)
	default:
		return cell
	}
}

// clean takes out what could steer a terminal: texts come from files, people
// and Meta.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return '\uFFFD'
		default:
			return r
		}
	}, s)
}

// stamp writes a time with its offset, in the local zone; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 -07:00")
}

// say writes a line for people.
func say(w io.Writer, text string, args ...any) error {
	_, err := fmt.Fprintln(w, clean(fmt.Sprintf(text, args...)))
	return err
}
