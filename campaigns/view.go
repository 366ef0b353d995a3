package campaigns

import (
	"context"
	"slices"

	"janela/internal/outbox"
	"janela/internal/store"
)

var (
	sqlRevisions = store.SQL(`SELECT id, campaign_id, hash, '', state, plan_hash, submitted_by, approved_by, submitted_at, approved_at,
		audience_hash, media_hash, template_hash FROM revisions WHERE campaign_id = ?1 ORDER BY id DESC LIMIT ?2`)
	sqlRejectReasons = store.SQL(`SELECT reason, count(*) FROM (SELECT reason FROM rejects WHERE run_id = ?1 ORDER BY line LIMIT ?2) x GROUP BY reason ORDER BY reason`)
	sqlReportCodes   = store.SQL(`SELECT m.id, m.state, m.reason, m.code FROM messages m` + reportStateWhere +
		` UNION ALL SELECT m.id, m.state, m.reason, m.code FROM past_messages m` + reportStateWhere + ` ORDER BY 1 LIMIT ?3`)
)

// Revisions returns a campaign's latest revisions, newest first, without their
// definitions.
func Revisions(q store.Querier, id string, limit int) ([]Revision, error) {
	return store.All[Revision](q, sqlRevisions, id, limit)
}

// UnderWay returns the ids of campaigns with a run that is not over, in order.
func UnderWay(q store.Querier) ([]string, error) {
	runs, err := store.All[RunRecord](q, sqlOpenRuns)
	ids := make([]string, 0, len(runs))
	for i := range runs {
		ids = append(ids, runs[i].Campaign)
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// CodeCount is how many messages failed with an error of Meta's.
type CodeCount struct {
	Code   int // 0: none, the reason says why
	Reason string
	N      int64
}

// Losses says whom a run did not reach, and why.
type Losses struct {
	Run        int64
	Tallies    []outbox.Tally   // of its messages
	Rejected   int64            // rows that became no message
	ByRow      map[string]int64 // those of them that were looked at, by reason
	Failed     int64
	Codes      []CodeCount // of the failed that were looked at, most first
	Looked     int64       // failed messages whose code was looked at
	RowsLooked int64       // rejected rows that were looked at
}

// lossesLooked bounds the rows that Losses looks at one by one.
const lossesLooked = 10_000

type codeState struct {
	id            int64
	state, reason string
	code          int
}

// Fields names the places of sqlReportCodes.
func (r *codeState) Fields() []any { return []any{&r.id, &r.state, &r.reason, &r.code} }

type reasonCount struct {
	reason string
	n      int64
}

// Fields names the places of sqlRejectReasons.
func (r *reasonCount) Fields() []any { return []any{&r.reason, &r.n} }

// Losses counts whom a run (0: the newest) did not reach. Counts come from the
// tallies; what these do not know, Meta's codes and the reasons of rejected rows, is
// counted among the run's first ten thousand rows: Looked and RowsLooked say whether
// that was all.
func (c *Campaigns) Losses(ctx context.Context, id string, run int64) (out Losses, err error) {
	_, record, err := c.reported(ctx, ReportRequest{ID: id, Run: run})
	if err != nil {
		return out, err
	}
	out.Run, out.Rejected, out.ByRow = record.ID, record.Rejected+record.Duplicates, map[string]int64{}
	err = c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		if out.Tallies, err = outbox.TalliesOfRun(q, record.ID); err != nil {
			return err
		}
		for _, t := range out.Tallies {
			if t.State == outbox.Failed {
				out.Failed += t.N
			}
		}
		return store.Each(q, sqlRejectReasons, func(r *reasonCount) error {
			out.ByRow[r.reason], out.RowsLooked = r.n, out.RowsLooked+r.n
			return nil
		}, record.ID, lossesLooked)
	})
	if err != nil {
		return out, err
	}
	return out, c.countCodes(ctx, &out)
}

// countCodes looks at the messages of a run until every failed one is found, in
// short snapshots.
func (c *Campaigns) countCodes(ctx context.Context, out *Losses) error {
	found := map[CodeCount]int64{}
	for last, seen := int64(0), 0; out.Looked < out.Failed && seen < lossesLooked; {
		var rows []codeState
		err := c.cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
			rows, err = store.All[codeState](q, sqlReportCodes, out.Run, last, reportRows)
			return err
		})
		if err != nil {
			return err
		}
		for i := range rows {
			if rows[i].state == string(outbox.Failed) {
				found[CodeCount{Code: rows[i].code, Reason: rows[i].reason}]++
				out.Looked++
			}
		}
		if len(rows) < reportRows {
			break
		}
		last, seen = rows[len(rows)-1].id, seen+len(rows)
	}
	for k, n := range found {
		k.N = n
		out.Codes = append(out.Codes, k)
	}
	slices.SortFunc(out.Codes, func(a, b CodeCount) int {
		if a.N != b.N {
			return int(b.N - a.N)
		}
		return a.Code - b.Code
	})
	return nil
}
