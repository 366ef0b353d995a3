package campaigns

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
)

var (
	pageCampaign = store.SQL(`INSERT INTO campaigns (id, state, path, created_at, changed_at) VALUES ('paged', 'active', 'paged.toml', 1, 1)`)
	pageRun      = store.SQL(`INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, started_at) VALUES (?1, 'paged', 1, 0, '2026-11-27T09:00', 'finished', ?1)`)
	pageMessage  = store.SQL(`INSERT INTO messages (id, stream_id, run_id, address, state, reason, line, created_at) VALUES (?1, 1, ?2, '', ?3, ?4, ?5, 1)`)
	pagePast     = store.SQL(`INSERT INTO past_messages (id, stream_id, run_id, contact_id, address, kind, line, external_id, state, reason, code, attempt, not_before, deadline,
		created_at, claimed_at, accepted_at, sent_at, delivered_at, read_at, failed_at, ended_at, held, in_window, wamid)
		VALUES (?1, 1, ?2, 0, '', 'phone', ?5, '', ?3, ?4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, '')`)
	pageReject = store.SQL(`INSERT INTO rejects (run_id, line, reason) VALUES (?1, ?2, 'invalid_phone')`)
)

// The pages of a report, whatever their size and however few rows they may look
// at, are its rows by id, filtered; none is short without having looked at as many
// as it may.
func TestPagesOfAReport(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	c := New(Config{DB: db})
	run := int64(0)
	if err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(pageCampaign); return err }); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		run++
		type line struct {
			state, reason string
			past          bool
		}
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) line {
			l := rapid.SampledFrom([]line{{"delivered", "", false}, {"failed", "blocked_by_user", false}, {"refused", "no_opt_in", false}, {"refused", "opted_out", false}, {"rejected", "invalid_phone", false}}).Draw(t, "row")
			l.past = rapid.Bool().Draw(t, "past")
			return l
		}), 0, 40).Draw(rt, "lines")
		req := ReportRequest{ID: "paged", Run: run,
			States:  rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"delivered", "failed", "refused", Rejected}), 0, 3, rapid.ID).Draw(rt, "states"),
			Reasons: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"no_opt_in", "blocked_by_user", "invalid_phone"}), 0, 2, rapid.ID).Draw(rt, "reasons")}
		var want []int // lines: messages by id, then what was rejected
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			if _, err := tx.Exec(pageRun, run); err != nil {
				return err
			}
			for i, l := range lines {
				stmt, args := pageMessage, []any{run*1000 + int64(i), run, l.state, l.reason, i}
				if l.past {
					stmt = pagePast
				}
				if l.state == Rejected {
					stmt, args = pageReject, []any{run, i}
				}
				if _, err := tx.Exec(stmt, args...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		takes := func(words []string, word string) bool { return len(words) == 0 || slices.Contains(words, word) }
		for _, rejected := range []bool{false, true} {
			for i, l := range lines {
				if (l.state == Rejected) == rejected && takes(req.States, l.state) && takes(req.Reasons, l.reason) {
					want = append(want, i)
				}
			}
		}
		limit, looked := rapid.IntRange(1, 10).Draw(rt, "limit"), rapid.IntRange(1, 12).Draw(rt, "looked")
		var got []int
		for at, more := (ReportPlace{}), true; more; {
			var rows []ReportRow
			before := at
			rows, _, at, more, err = c.reportPage(context.Background(), req, at, limit, looked)
			if err != nil {
				rt.Fatal(err)
			}
			if len(rows) > limit || more && len(rows) < limit && looked > len(lines) {
				rt.Fatalf("a page of %d rows, %d asked for, with more behind it", len(rows), limit)
			}
			if more && at == before {
				rt.Fatalf("a page goes on where it began: %+v", at)
			}
			for _, r := range rows {
				got = append(got, r.Line)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("of %+v, %d a page, looking at %d:\n%s", req, limit, looked, diff)
		}
	})
}
