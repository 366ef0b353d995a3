package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	fillContacts = store.SQL(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO contacts (id, root, created_at) SELECT i, i, 0 FROM n`)
	fillConsents = store.SQL(`INSERT INTO consents (contact_id, category, scope, granted_at) SELECT id, 'marketing', '*', ?1 FROM contacts`)
	fillMessages = store.SQL(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3)
		INSERT INTO messages (id, stream_id, run_id, contact_id, address, state, created_at, deadline)
		SELECT ?4 + i, ?1, ?2, i, '', 'queued', 0, 9000000000000 FROM n`)
	fillTally    = store.SQL(`INSERT INTO tallies (stream_id, state, n) VALUES (?1, 'queued', ?2)`)
	planNext     = store.SQL(`EXPLAIN QUERY PLAN ` + sqlNext.Text())
	planNextText = store.SQL(`EXPLAIN QUERY PLAN ` + sqlNextText.Text())
	planOne      = store.SQL(`EXPLAIN QUERY PLAN ` + sqlOne.Text())
	planPerson   = store.SQL(`EXPLAIN QUERY PLAN ` + sqlPerson.Text())
)

type planLine struct {
	id, parent, unused int
	Text               string
}

func (p *planLine) Fields() []any { return []any{&p.id, &p.parent, &p.unused, &p.Text} }

// The facts are found by indexes, whatever grows: a claim must not slow down
// with what waits ahead, what was sent before, or how many people there are.
func TestFactsAreFoundByIndexes(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		stmt  *store.Stmt
		args  int
		needs string
	}{
		"next":      {planNext, 4, "SEARCH messages USING INDEX messages_queued (stream_id=? AND not_before<?)"},
		"next text": {planNextText, 4, "SEARCH messages USING INDEX messages_queued (stream_id=? AND not_before<?)"},
		"one":       {planOne, 5, "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"},
		"person":    {planPerson, 5, "SEARCH r USING INDEX sqlite_autoindex_consents_1 (contact_id=? AND category=?)"},
	} {
		w.write(t, func(tx *store.Tx) error {
			args := make([]any, c.args)
			for i := range args {
				args[i] = 1
			}
			lines, err := store.All[planLine](tx, c.stmt, args...)
			var plan []string
			for _, l := range lines {
				plan = append(plan, l.Text)
				if strings.Contains(l.Text, "SCAN") && l.Text != "SCAN CONSTANT ROW" && l.Text != "SCAN q" || strings.Contains(l.Text, "TEMP B-TREE FOR ORDER BY") {
					t.Errorf("%s: %s", name, l.Text)
				}
			}
			if text := strings.Join(plan, "\n"); !strings.Contains(text, c.needs) {
				t.Errorf("%s: no %q in\n%s", name, c.needs, text)
			}
			return err
		})
	}
}

// fill queues paused messages in held streams, and behind them live ones.
func fill(t testing.TB, w *world, paused, streams, live int) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		perStream := max(live, 1)
		if streams > 0 {
			perStream = max(paused/streams, live)
		}
		if _, err := tx.Exec(fillContacts, perStream); err != nil {
			return err
		}
		if _, err := tx.Exec(fillConsents, ms(-60)); err != nil {
			return err
		}
		for i := range streams + 1 {
			s, n := streamOf(whatsapp.Marketing), paused/max(streams, 1)
			s.Run, s.Campaign = int64(i+1), fmt.Sprint("campaign", i)
			if i == streams {
				n = live
			}
			s, err := outbox.OpenStream(tx, s)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(fillMessages, s.ID, s.Run, n, int64(i)*1_000_000); err != nil {
				return err
			}
			if _, err := tx.Exec(fillTally, s.ID, n); err != nil {
				return err
			}
			if i < streams {
				if _, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCampaign, Target: s.Campaign, Reason: "paused", Actor: "operator"}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// took is how long a look and a claim take inside their transaction, which is
// undone afterwards.
func took(t testing.TB, w *world, n int) time.Duration {
	t.Helper()
	var d time.Duration
	err := w.Write(context.Background(), func(tx *store.Tx) error {
		begun := time.Now()
		claimed, _, err := claimAll(tx, whatsapp.LaneMarketing, n)
		d = time.Since(begun)
		if err != nil {
			return err
		}
		if len(claimed) != n {
			return fmt.Errorf("claimed %d, want %d", len(claimed), n)
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		t.Fatal(err)
	}
	return d
}

// Holds are asked once per stream: what is paused is never walked. The bound is
// many times what it takes, and less than looking at 200,000 rows would.
func TestPausedMessagesCostNothing(t *testing.T) {
	const paused, bound = 200_000, 5 * time.Millisecond
	w := newWorld(t)
	fill(t, w, paused, 20, 100)
	least := time.Hour
	for range 20 {
		if least = min(least, took(t, w, 20)); least < bound/4 {
			break
		}
	}
	t.Logf("20 messages behind %d paused ones in %v", paused, least)
	if least > bound {
		t.Errorf("a claim of 20 messages behind %d paused ones took %v: it walks them", paused, least)
	}
}

// BenchmarkClaim measures Opens and Claim of 20 messages, with so many paused
// ones ahead of them.
func BenchmarkClaim(b *testing.B) {
	for _, paused := range []int{0, 20_000, 200_000} {
		b.Run(fmt.Sprintf("paused=%d", paused), func(b *testing.B) {
			w := newWorld(b)
			fill(b, w, paused, min(paused, 20), 100)
			took(b, w, 20) // prepares the statements
			var sum time.Duration
			b.ResetTimer()
			for range b.N {
				sum += took(b, w, 20)
			}
			b.ReportMetric(float64(sum.Microseconds())/float64(b.N), "µs/claim")
			b.ReportMetric(float64(sum.Microseconds())/float64(b.N)/20, "µs/message")
		})
	}
}
