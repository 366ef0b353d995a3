package outbox

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	putContact = store.SQL(`INSERT INTO contacts (id, root, created_at) VALUES (?1, ?1, 0)`)
	setRoot    = store.SQL(`UPDATE contacts SET root = ?2 WHERE root = ?1`)
	allRows    = store.SQL(`SELECT id, stream_id, run_id, contact_id, state, reason, code, attempt, not_before, deadline, claimed_at,
		accepted_at, sent_at, delivered_at, read_at, failed_at, held, wamid, in_window, ended_at FROM messages ORDER BY id`)
	allTallies = store.SQL(`SELECT stream_id, state, reason, n FROM tallies WHERE n <> 0`)
	emptied    = []*store.Stmt{store.SQL(`DELETE FROM messages`), store.SQL(`DELETE FROM tallies`), store.SQL(`DELETE FROM message_hours`), store.SQL(`DELETE FROM streams`),
		store.SQL(`DELETE FROM contacts`), store.SQL(`DELETE FROM holds`)}
)

// row is what the tests look at of a message: all but what never changes.
type row struct {
	ID, Stream, Run, Contact                          int64
	State                                             State
	Reason                                            string
	Code, Attempt                                     int
	NotBefore, Deadline, Claimed                      int64
	AcceptedAt, SentAt, DeliveredAt, ReadAt, FailedAt int64
	Held                                              bool
	Wamid                                             string
	InWindow                                          bool
	EndedAt                                           int64
}

func (r *row) Fields() []any {
	return []any{&r.ID, &r.Stream, &r.Run, &r.Contact, &r.State, &r.Reason, &r.Code, &r.Attempt, &r.NotBefore, &r.Deadline, &r.Claimed,
		&r.AcceptedAt, &r.SentAt, &r.DeliveredAt, &r.ReadAt, &r.FailedAt, &r.Held, &r.Wamid, &r.InWindow, &r.EndedAt}
}

type tally struct {
	Stream int64
	State  State
	Reason string
	N      int64
}

func (t *tally) Fields() []any { return []any{&t.Stream, &t.State, &t.Reason, &t.N} }

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// world is a database whose clock stands where the test puts it.
type world struct {
	*store.DB
	path string
	wall time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{path: filepath.Join(t.TempDir(), "x.db"), wall: start}
	if err := w.open(t); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.DB != nil {
			_ = w.Close()
		}
	})
	return w
}

func (w *world) open(t testing.TB) (err error) {
	w.DB, err = store.Open(t.Context(), store.Config{Path: w.path, Wall: func() time.Time { return w.wall }})
	return err
}

func (w *world) write(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := w.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// know puts contacts into the book.
func (w *world) know(t testing.TB, ids ...int64) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		for _, id := range ids {
			if err := tx.One(putContact, id); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	number1 = "100000000000001"
	number2 = "100000000000002"
)

// phoneOf is the address of a contact of the tests.
func phoneOf(contact int64) whatsapp.Identity {
	return whatsapp.Identity{Kind: whatsapp.KindPhone, Value: fmt.Sprintf("+120255501%02d", contact)}
}

// inWindow stands for the ledger of service windows: whether an instant lay in
// one is a function of the instant.
func inWindow(ms int64) bool { return ms/7%2 == 0 }
