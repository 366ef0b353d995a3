package campaigns

import (
	"container/heap"
	"context"
	"slices"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ReportRequest says which rows of which run. Empty lists take all.
type ReportRequest struct {
	ID      string
	Run     int64    // 0: the newest
	States  []string // of messages, and "rejected" for rows that became none
	Reasons []string
	Masked  bool // numbers are shown in part
}

// Rejected is the state in a report of a row that became no message.
const Rejected = "rejected"

// ReportRow is one row of a run's audience and what became of it. Times are
// milliseconds UTC, 0 for not yet.
type ReportRow struct {
	Message     int64 // 0 for a rejected row
	Line        int
	ExternalID  string
	Phone       whatsapp.Phone // "" for a rejected row
	State       string
	Reason      string
	Code        int    // Meta's error code; 0 for none
	Explanation string // what it means, in plain words
	Do          string // what to do about it; "" for nothing
	CreatedAt   int64
	AcceptedAt  int64
	SentAt      int64
	DeliveredAt int64
	ReadAt      int64
	FailedAt    int64
	Replied     bool  // the person answered it, or wrote to the number within a day
	Answers     int64 // what the person wrote that quotes it, or tapped on its buttons
}

// reportRows is how many rows are read in one snapshot.
const reportRows = 1000

// reportOf reads what a report shows of messages. A person wrote if any contact of
// the same root did, to the same number. Their time is Meta's, in whole seconds.
const (
	reportOf = `SELECT m.id, m.line, m.external_id, CASE WHEN m.kind = 'phone' THEN m.address ELSE '' END, m.state, m.reason, m.code,
		m.created_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.failed_at,
		EXISTS (SELECT 1 FROM streams s JOIN contacts p ON p.id = m.contact_id JOIN contacts k ON k.root = p.root
			JOIN inbound_messages i ON i.contact_id = k.id AND i.number_id = s.number_id AND i.at >= m.accepted_at - 1000
			WHERE s.id = m.stream_id AND m.accepted_at > 0 AND i.counts = 1 AND (i.answers = m.id OR i.at < m.accepted_at + 86400000)),
		(SELECT COUNT(*) FROM streams s JOIN contacts p ON p.id = m.contact_id JOIN contacts k ON k.root = p.root
			JOIN inbound_messages i ON i.contact_id = k.id AND i.number_id = s.number_id
			WHERE s.id = m.stream_id AND (i.answers = m.id OR (i.answers_wamid = m.wamid AND m.wamid <> '')))
		FROM `
	reportWhere = ` WHERE m.run_id = ?1 AND m.run_id > 0 AND m.id > ?2`
)

var (
	// Those that were moved to the past among the others, in the order of ids.
	sqlReport  = store.SQL(reportOf + `messages m` + reportWhere + ` UNION ALL ` + reportOf + `past_messages m` + reportWhere + ` ORDER BY 1 LIMIT ?3`)
	sqlRejects = store.SQL(`SELECT line, reason, detail FROM rejects WHERE run_id = ?1 AND line > ?2 ORDER BY line LIMIT ?3`)
)

// Fields names the places of sqlReport.
func (r *ReportRow) Fields() []any {
	return []any{&r.Message, &r.Line, &r.ExternalID, (*string)(&r.Phone), &r.State, &r.Reason, &r.Code,
		&r.CreatedAt, &r.AcceptedAt, &r.SentAt, &r.DeliveredAt, &r.ReadAt, &r.FailedAt, &r.Replied, &r.Answers}
}

// Fields names the places of sqlRejects.
func (r *Reject) Fields() []any { return []any{&r.Line, &r.Reason, &r.Detail} }

// Report calls each for every row of a run that the request takes: messages in
// the order of the audience, then rejected rows. It reads in short snapshots,
// so rows may be of different moments.
func (c *Campaigns) Report(ctx context.Context, req ReportRequest, each func(ReportRow) error) error {
	_, run, err := c.reported(ctx, req)
	if err != nil {
		return err
	}
	return c.reportRun(ctx, run.ID, req, each)
}

// reported finds the run of a request.
func (c *Campaigns) reported(ctx context.Context, req ReportRequest) (camp Campaign, run RunRecord, err error) {
	err = c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		if camp, err = mustFind(q, req.ID); err != nil {
			return err
		}
		if req.Run == 0 {
			runs, err := Runs(q, req.ID, 1)
			if err == nil && len(runs) == 0 {
				err = &refusedError{ErrNotFound, "campaign " + req.ID + " has had no run yet; janela campaigns list says when it fires", ""}
			}
			if err == nil {
				run = runs[0]
			}
			return err
		}
		var ok bool
		if run, ok, err = RunByID(q, req.Run); err == nil && (!ok || run.Campaign != req.ID) {
			err = &refusedError{ErrNotFound, "campaign " + req.ID + " has no such run; leave the run out for the newest", ""}
		}
		return err
	})
	return camp, run, err
}

// wants reports whether the request takes a row.
func (r *ReportRequest) wants(state, reason string) bool {
	return (len(r.States) == 0 || slices.Contains(r.States, state)) && (len(r.Reasons) == 0 || slices.Contains(r.Reasons, reason))
}

func (c *Campaigns) reportRun(ctx context.Context, run int64, req ReportRequest, each func(ReportRow) error) error {
	ordered := inOrder{each: each}
	err := c.reportFrom(ctx, run, req, ReportPlace{}, func(r ReportRow, at ReportPlace, wanted bool) error {
		switch {
		case !wanted:
			return nil
		case !at.Rejects:
			return ordered.add(r)
		}
		if err := ordered.flush(0); err != nil {
			return err
		}
		return each(r)
	})
	if err != nil {
		return err
	}
	return ordered.flush(0)
}

// reportFrom calls each for every row behind a place, with its own place and
// whether the request takes it.
func (c *Campaigns) reportFrom(ctx context.Context, run int64, req ReportRequest, from ReportPlace, each func(r ReportRow, at ReportPlace, wanted bool) error) error {
	last := from.Last
	for more := !from.Rejects; more; {
		rows, err := page[ReportRow](ctx, c.cfg.DB, sqlReport, run, last)
		if err != nil {
			return err
		}
		for _, r := range rows {
			last = r.Message
			r.Explanation, r.Do = Explain(r.State, r.Reason, r.Code)
			if err := each(r, ReportPlace{false, last}, req.wants(r.State, r.Reason)); err != nil {
				return err
			}
		}
		more = len(rows) == reportRows
	}
	if !from.Rejects {
		last = -1
	}
	for more := true; more; {
		rows, err := page[Reject](ctx, c.cfg.DB, sqlRejects, run, last)
		if err != nil {
			return err
		}
		for _, bad := range rows {
			last = int64(bad.Line)
			r := ReportRow{Line: bad.Line, State: Rejected, Reason: string(bad.Reason)}
			if r.Explanation, r.Do = Explain(Rejected, r.Reason, 0); bad.Detail != "" && !req.Masked {
				r.Explanation += ": " + bad.Detail
			}
			if err := each(r, ReportPlace{true, last}, req.wants(Rejected, string(bad.Reason))); err != nil {
				return err
			}
		}
		more = len(rows) == reportRows
	}
	return nil
}

// inOrder brings messages into the order of the audience: within a portion they
// were admitted in that of their people.
type inOrder struct {
	each func(ReportRow) error
	rows rowsByLine
}

func (o *inOrder) add(r ReportRow) error {
	heap.Push(&o.rows, r)
	return o.flush(mostPortion)
}

// flush hands on the first rows, until so many are left.
func (o *inOrder) flush(left int) error {
	for len(o.rows) > left {
		if err := o.each(heap.Pop(&o.rows).(ReportRow)); err != nil {
			return err
		}
	}
	return nil
}

// rowsByLine is a heap.
type rowsByLine []ReportRow

func (h rowsByLine) Len() int           { return len(h) }
func (h rowsByLine) Less(i, j int) bool { return h[i].Line < h[j].Line }
func (h rowsByLine) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rowsByLine) Push(r any)        { *h = append(*h, r.(ReportRow)) }
func (h *rowsByLine) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

// page reads the rows of a run after a place, in a snapshot of its own.
func page[T any, P store.Row[T]](ctx context.Context, db *store.DB, s *store.Stmt, run, after int64) (rows []T, err error) {
	err = db.Read(ctx, func(q *store.Snap) error {
		rows, err = store.All[T, P](q, s, run, after, reportRows)
		return err
	})
	return rows, err
}

// ReportPlace is a row's place in a report: messages first, by id, then rejected
// rows, by line. The zero one is the beginning.
type ReportPlace struct {
	Rejects bool
	Last    int64 // id of the message, or line
}
