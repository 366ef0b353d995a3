package retention

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	putContact = store.SQL(`INSERT INTO contacts (id, root, created_at) VALUES (?1, ?1, 0)`)
	putMessage = store.SQL(`INSERT INTO messages (id, stream_id, run_id, contact_id, address, params, line, external_id, state, attempt, deadline, created_at, claimed_at,
		accepted_at, sent_at, delivered_at, read_at, ended_at, wamid) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'read', 1, ?9, ?9, ?9, ?9, ?9, ?9, ?9, ?9, ?10)`)
)

// size is a number from the environment: RETENTION_MONTHLY, how many messages a
// month of the benchmark has.
func size(name string, small int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return small
}

// params and wamidOf are as long as those of a notice with five parameters.
const params = `[{"type":"body","parameters":[{"type":"text","text":"Ana Maria"},{"type":"text","text":"4711-2026"},{"type":"text","text":"R$ 1.234,56"},{"type":"text","text":"27/11/2026"},{"type":"text","text":"Loja Centro"}]}]`

func wamidOf(id int64) string { return fmt.Sprintf("wamid.HBgNMTIwMjU1NTAxMDBVAgARGBI%029dAA==", id) }

// aged is a database with a year of campaigns, each to all of its people.
type aged struct {
	*store.DB
	path   string
	wall   time.Time
	people int
}

// newAged makes one. Where it moves, what is older than 90 days moves after each
// month, as it does in life.
func newAged(b testing.TB, months, people int, moves bool) *aged {
	a := &aged{path: filepath.Join(b.TempDir(), "aged.db"), wall: time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC), people: people}
	var err error
	if a.DB, err = store.Open(b.Context(), store.Config{Path: a.path, Wall: func() time.Time { return a.wall }}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.Close() })
	a.some(b, people, func(tx *store.Tx, i int) error { return tx.One(putContact, i+1) })
	for month := 1; month <= months; month++ {
		var s outbox.Stream
		a.write(b, func(tx *store.Tx) (err error) {
			s, err = outbox.OpenStream(tx, stream(int64(month)))
			return err
		})
		a.some(b, people, func(tx *store.Tx, i int) error {
			id := tx.NewID()
			return tx.One(putMessage, id, s.ID, month, i+1, "+12025550100", params, i+2, fmt.Sprint("cliente-", i), store.Millis(tx.Now()), wamidOf(id))
		})
		a.wall = a.wall.AddDate(0, 1, 0)
		if moves {
			a.moveAll(b)
		}
	}
	return a
}

// moveAll moves what ended 90 days ago, without rests.
func (a *aged) moveAll(b testing.TB) {
	p := Policy{Messages: 90 * 24 * time.Hour}
	for id := int64(1); ; id++ {
		err := a.Read(b.Context(), func(q *store.Snap) (err error) {
			id, _, err = outbox.NextOver(q, id-1, q.Now().Add(-p.Messages), 1<<30)
			return err
		})
		if err == nil && id > 0 {
			err = a.Bulk(b.Context(), func(tx *store.Tx) (err error) { _, id, err = p.move(tx, id); return err })
		}
		if err != nil {
			b.Fatal(err)
		}
		if id == 0 {
			return
		}
	}
}

func stream(run int64) outbox.Stream {
	return outbox.Stream{Number: numbers[0], WABA: "w", Category: whatsapp.Utility, Template: "fatura", Language: "pt_BR", Campaign: "fatura", Run: run}
}

func (a *aged) write(b testing.TB, fn func(tx *store.Tx) error) {
	b.Helper()
	if err := a.Write(context.Background(), fn); err != nil {
		b.Fatal(err)
	}
}

func (a *aged) some(b testing.TB, n int, one func(tx *store.Tx, i int) error) {
	for from := 0; from < n; from += 1000 {
		a.write(b, func(tx *store.Tx) error {
			for i := from; i < min(from+1000, n); i++ {
				if err := one(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// batch is how many messages go together.
const batch = 50

// send takes messages to people picked at random through their life: queued,
// claimed, accepted, sent, delivered.
func (a *aged) send(b testing.TB, run int64, rnd *rand.Rand) {
	var s outbox.Stream
	var claimed []outbox.Message
	told := func(tx *store.Tx, out []outbox.Outcome, err error) error { return told(tx, out, err) }
	a.write(b, func(tx *store.Tx) (err error) {
		if s, err = outbox.OpenStream(tx, stream(run)); err != nil {
			return err
		}
		rows := make([]outbox.New, batch)
		for i := range rows {
			rows[i] = outbox.New{Contact: 1 + rnd.Int64N(int64(a.people)), To: phone(0), Params: params}
		}
		ids, _, err := outbox.Enqueue(tx, s, rows)
		if err != nil {
			return err
		}
		var moves []outbox.Move
		for _, id := range ids {
			if id > 0 {
				m, _, err := outbox.ByID(tx, id)
				if err != nil {
					return err
				}
				moves = append(moves, outbox.Move{Message: m, To: outbox.Sending})
			}
		}
		claimed, _, err = outbox.Apply(tx, s, moves)
		return err
	})
	a.wall = a.wall.Add(time.Second)
	a.write(b, func(tx *store.Tx) error {
		results := make([]outbox.Result, len(claimed))
		for i := range claimed {
			results[i] = outbox.Result{Message: claimed[i].ID, Attempt: 1, Claimed: &claimed[i], To: outbox.Accepted, Wamid: whatsapp.Wamid(wamidOf(claimed[i].ID)), At: tx.Now()}
		}
		out, err := outbox.Settle(tx, results)
		return told(tx, out, err)
	})
	for _, status := range []string{"sent", "delivered"} {
		a.wall = a.wall.Add(time.Second)
		a.write(b, func(tx *store.Tx) error {
			o := outbox.NewObserving(tx, func(asked []outbox.Instant) ([]bool, error) {
				return conversations.InWindows(tx, len(asked), func(i int) (string, int64, time.Time) { return asked[i].Number, asked[i].Contact, asked[i].At })
			})
			for _, m := range claimed {
				if _, _, err := o.Observe(outbox.Observation{Message: m.ID, Attempt: 1, Wamid: whatsapp.Wamid(wamidOf(m.ID)), Status: status, At: tx.Now()}); err != nil {
					return err
				}
			}
			out, err := o.Write()
			return told(tx, out, err)
		})
	}
}

// BenchmarkMessageAfterAYear is what a message costs from the queue to its
// arrival: in a database of one month, in one with a year of finished messages
// that were moved, and in one where they stay. RETENTION_MONTHLY=100000 makes the
// months large; the effect begins where indexes do not fit into the cache.
func BenchmarkMessageAfterAYear(b *testing.B) {
	people := size("RETENTION_MONTHLY", 2000)
	var fresh float64
	for _, one := range []struct {
		name   string
		months int
		moves  bool
	}{{"a month", 1, false}, {"a year, moved", 12, true}, {"a year, kept", 12, false}} {
		b.Run(one.name, func(b *testing.B) {
			a := newAged(b, one.months, people, one.moves)
			rnd := rand.New(rand.NewPCG(1, 2))
			for run := int64(1000); b.Loop(); run++ { // a run each: nobody is in one twice
				a.send(b, run, rnd)
			}
			each := float64(b.Elapsed().Microseconds()) / float64(b.N*batch)
			b.ReportMetric(each, "µs/message")
			if one.months == 1 {
				fresh = each
			}
			if fresh > 0 {
				b.ReportMetric(each/fresh, "of-a-month's")
			}
		})
	}
}

// BenchmarkMove is what it costs to move a message, and what each takes in
// either table with its indexes.
func BenchmarkMove(b *testing.B) {
	people := size("RETENTION_MONTHLY", 2000)
	for n := 1; b.Loop(); n++ {
		b.StopTimer()
		empty, a := pages(b, newAged(b, 0, people, false)), newAged(b, 1, people, false)
		hot := pages(b, a)
		a.wall = a.wall.AddDate(0, 6, 0)
		b.StartTimer()
		a.moveAll(b)
		b.StopTimer()
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*people), "µs/message")
		b.ReportMetric(float64((hot-empty)*4096)/float64(people), "bytes-before")
		b.ReportMetric(float64((pages(b, a)-empty)*4096)/float64(people), "bytes-after")
		b.StartTimer()
	}
}

var used = store.SQL(`SELECT p.page_count - f.freelist_count FROM pragma_page_count p, pragma_freelist_count f`)

// pages counts the pages of a database that are in use.
func pages(b testing.TB, a *aged) (n int64) {
	err := a.Read(b.Context(), func(q *store.Snap) (err error) { n, _, err = store.Value[int64](q, used); return err })
	if err != nil {
		b.Fatal(err)
	}
	return n
}
