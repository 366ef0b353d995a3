package campaigns

import (
	"context"
	"errors"
	"slices"

	"janela/internal/store"
)

// MostLooked bounds the rows that one page of a report looks at: where a filter
// takes few of many, a page may have fewer than asked for, and goes on behind
// them.
const MostLooked = 50_000

const reportStateWhere = ` WHERE m.run_id = ?1 AND m.run_id > 0 AND m.id > ?2`

// sqlReportStates is sqlReport of what a filter asks, and no more: a hundredth of
// the cost where it takes few.
var sqlReportStates = store.SQL(`SELECT m.id, m.state, m.reason FROM messages m` + reportStateWhere +
	` UNION ALL SELECT m.id, m.state, m.reason FROM past_messages m` + reportStateWhere + ` ORDER BY 1 LIMIT ?3`)

type reportState struct {
	id            int64
	state, reason string
}

// Fields names the places of sqlReportStates.
func (r *reportState) Fields() []any { return []any{&r.id, &r.state, &r.reason} }

// ReportPage returns at most limit rows that the request takes, behind a place and
// by id, and the place of the next page; more is false after the last. It looks at
// MostLooked rows at most, in short snapshots.
func (c *Campaigns) ReportPage(ctx context.Context, req ReportRequest, from ReportPlace, limit int) (rows []ReportRow, run int64, next ReportPlace, more bool, err error) {
	return c.reportPage(ctx, req, from, limit, MostLooked)
}

func (c *Campaigns) reportPage(ctx context.Context, req ReportRequest, from ReportPlace, limit, looked int) (rows []ReportRow, run int64, next ReportPlace, more bool, err error) {
	_, record, err := c.reported(ctx, req)
	if err != nil {
		return nil, 0, from, false, err
	}
	run, next = record.ID, from
	seen := 0
	for filtered := len(req.States) > 0 || len(req.Reasons) > 0; filtered && !next.Rejects; {
		if len(rows) == limit || seen >= looked {
			return rows, run, next, true, nil
		}
		some, n, last, over, err := c.reportWanted(ctx, run, &req, next.Last, limit-len(rows), min(reportRows, looked-seen))
		if err != nil {
			return nil, run, from, false, err
		}
		rows, seen, next.Last = append(rows, some...), seen+n, last
		if over {
			next = ReportPlace{Rejects: true, Last: -1}
		}
	}
	if next.Rejects && len(req.States) > 0 && !slices.Contains(req.States, Rejected) {
		return rows, run, next, false, nil
	}
	full := errors.New("the page is full")
	err = c.reportFrom(ctx, run, req, next, func(r ReportRow, at ReportPlace, wanted bool) error {
		if len(rows) == limit || seen >= looked {
			return full
		}
		seen++
		next = at
		if wanted {
			rows = append(rows, r)
		}
		return nil
	})
	if errors.Is(err, full) {
		return rows, run, next, true, nil
	}
	return rows, run, next, false, err
}

// reportWanted looks at no more than look messages behind last in one snapshot, and
// reads those that the request takes, at most limit. It returns how many it looked
// at, and the last of them; over: there are no more messages.
func (c *Campaigns) reportWanted(ctx context.Context, run int64, req *ReportRequest, last int64, limit, look int) (rows []ReportRow, seen int, at int64, over bool, err error) {
	at = last
	err = c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		all, err := store.All[reportState](q, sqlReportStates, run, last, look)
		if err != nil {
			return err
		}
		over = len(all) < look
		for i := range all {
			if len(rows) == limit {
				over = false
				return nil
			}
			m := &all[i]
			seen, at = seen+1, m.id
			if !req.wants(m.state, m.reason) {
				continue
			}
			r, ok, err := store.Get[ReportRow](q, sqlReport, run, m.id-1, 1)
			if err != nil {
				return err
			}
			if ok {
				r.Explanation, r.Do = Explain(r.State, r.Reason, r.Code)
				rows = append(rows, r)
			}
		}
		return nil
	})
	return rows, seen, at, over, err
}
