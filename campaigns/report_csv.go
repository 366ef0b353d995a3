package campaigns

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"janela/internal/csvfile"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var reportColumns = []string{"message", "line", "external_id", "phone", "state", "reason", "code", "explanation", "do",
	"created", "accepted", "sent", "delivered", "read", "failed", "replied", "answers"}

// ReportCSV writes a report with a header, separated by semicolons. Times are
// RFC 3339 in UTC.
func (c *Campaigns) ReportCSV(ctx context.Context, req ReportRequest, w io.Writer) error {
	_, run, err := c.reported(ctx, req)
	if err != nil {
		return err
	}
	return c.reportRunCSV(ctx, run.ID, req, w)
}

func (c *Campaigns) reportRunCSV(ctx context.Context, run int64, req ReportRequest, to io.Writer) error {
	w := csv.NewWriter(to)
	w.Comma = ';'
	if err := w.Write(reportColumns); err != nil {
		return err
	}
	err := c.reportRun(ctx, run, req, func(r ReportRow) error { return w.Write(r.cells(req.Masked)) })
	w.Flush()
	return errors.Join(err, w.Error())
}

func (r *ReportRow) cells(masked bool) []string {
	phone := r.Phone.E164()
	if masked {
		phone = whatsapp.Mask(phone)
	}
	out := []string{number(r.Message), strconv.Itoa(r.Line), cell(r.ExternalID), cell(phone), r.State, r.Reason, number(int64(r.Code)),
		cell(r.Explanation), cell(r.Do)}
	for _, ms := range []int64{r.CreatedAt, r.AcceptedAt, r.SentAt, r.DeliveredAt, r.ReadAt, r.FailedAt} {
		at := ""
		if ms > 0 {
			at = store.Time(ms).Format(time.RFC3339)
		}
		out = append(out, at)
	}
	return append(out, strconv.FormatBool(r.Replied), strconv.FormatInt(r.Answers, 10))
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

var plainNumber = regexp.MustCompile(`^\+[0-9]{1,15}$`)

// cell keeps a spreadsheet from taking what somebody wrote for a formula. A
// plain number with its plus is none.
func cell(s string) string {
	if s == "" || plainNumber.MatchString(s) {
		return s
	}
	switch s[0] {
	case '=', '+', '-', '@', '\t', '\r':
		return "'" + s
	default:
		return s
	}
}

// NextAudience writes the original rows, all columns, of those whose message
// (or rejected row) the request takes: a file that can be the audience of the
// next campaign. It is CSV in UTF-8 with semicolons, whatever the original was.
// Rows whose quotes are wrong cannot be written and are left out.
func (c *Campaigns) NextAudience(ctx context.Context, req ReportRequest, to io.Writer) error {
	camp, run, err := c.reported(ctx, req)
	if err != nil {
		return err
	}
	a, err := c.openFrozen(ctx, camp, run)
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	lines := &rowSet{}
	err = c.reportRun(ctx, run.ID, req, func(r ReportRow) error {
		if need := r.Line/64 + 1; need > len(lines.bits) {
			lines.bits = slices.Grow(lines.bits, need-len(lines.bits))[:need]
		}
		lines.add(uint64(r.Line))
		return nil
	})
	if err != nil {
		return err
	}
	w := csv.NewWriter(to)
	w.Comma = ';'
	if err := w.Write(a.Header); err != nil {
		return err
	}
	var row csvfile.Row
	for {
		err := a.Next(&row)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && row.Fields != nil && lines.has(row.Line) {
			err = w.Write(row.Fields)
		}
		if err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// openFrozen opens the audience as a run had it: the spool's copy, or the file
// of a cron run if that is still the same.
func (c *Campaigns) openFrozen(ctx context.Context, camp Campaign, run RunRecord) (*Audience, error) {
	if run.AudienceHash == "" {
		return nil, refuse(RefusedNoAudience, "the run of %s never had an audience: %s", run.Civil, run.Note)
	}
	for _, name := range []string{run.AudienceHash, runCopy(run.ID)} {
		if a, err := OpenAudience(c.spooled(name)); err == nil {
			return a, ctx.Err()
		}
	}
	f, err := OpenFile(filepath.Dir(camp.Path), run.Audience)
	if err != nil {
		return nil, refuse(RefusedNoAudience, "the rows of the run of %s are not kept, and its file cannot be read any more: %v", run.Civil, err)
	}
	a, err := OpenAudienceFile(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", run.Audience, err)
	}
	if a.SHA256() != run.AudienceHash {
		return nil, errors.Join(refuse(RefusedNoAudience, "the rows of the run of %s are not kept, and %s is another file by now; put the one it had back, or take the people from the report", run.Civil, run.Audience), a.Close())
	}
	return a, nil
}
