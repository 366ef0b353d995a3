package conversations

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
	putStream  = store.SQL(`INSERT INTO streams (id, lane, number_id, waba_id, category, run_id, dry_run, created_at)
		VALUES (?1, 0, ?2, 'w', ?3, ?4, ?5, 0)`)
	getStream = store.SQL(`SELECT id FROM streams WHERE number_id = ?1 AND category = ?2 AND run_id = ?3 AND dry_run = ?4`)
	putOurs   = store.SQL(`INSERT INTO messages (id, stream_id, run_id, contact_id, address, state, created_at,
		accepted_at, sent_at, delivered_at, read_at, failed_at, wamid) VALUES (?1, ?2, ?3, ?4, '', ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, accepted_at = excluded.accepted_at, sent_at = excluded.sent_at,
		delivered_at = excluded.delivered_at, read_at = excluded.read_at, failed_at = excluded.failed_at, wamid = excluded.wamid`)
	putForeign = store.SQL(`INSERT INTO foreign_messages (wamid, number_id, contact_id, category, seen_at,
		sent_at, delivered_at, read_at, failed_at) VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8)
		ON CONFLICT (wamid) DO UPDATE SET sent_at = excluded.sent_at, delivered_at = excluded.delivered_at,
		read_at = excluded.read_at, failed_at = excluded.failed_at`)
	allRows = store.SQL(`SELECT ` + columns + ` FROM conversations ORDER BY opened_at, category, number_id, contact_id`)
	spoil   = store.SQL(`UPDATE conversations SET messages_out = 99 WHERE opened_by = ?1`)
	windows = store.SQL(`SELECT count(*) FROM service_windows`)
	clear   = []*store.Stmt{store.SQL(`DELETE FROM contacts`), store.SQL(`DELETE FROM messages`),
		store.SQL(`DELETE FROM foreign_messages`), store.SQL(`DELETE FROM inbound_messages`),
		store.SQL(`DELETE FROM conversations`), store.SQL(`DELETE FROM conversation_ends`), store.SQL(`DELETE FROM service_windows`)}
)

const (
	numberA = "100000000000001"
	numberB = "100000000000002"
)

func open(t testing.TB) *store.DB {
	t.Helper()
	// The clock stands a month after the test's day, so that no time is refused.
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db"),
		Wall: func() time.Time { return day.Add(30 * 24 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func write(t testing.TB, db *store.DB, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// sending is a message as the outbox would hold it.
type sending struct {
	id                                      int64 // 0: foreign
	wamid                                   whatsapp.Wamid
	number                                  string
	contact                                 int64
	category                                whatsapp.Category
	run                                     int64
	dry                                     bool
	state                                   string
	accepted, sent, delivered, read, failed time.Time
}

// put stores the message, as the outbox does.
func (m sending) put(tx *store.Tx) error {
	if m.id == 0 {
		_, err := tx.Exec(putForeign, string(m.wamid), m.number, m.contact, string(m.category),
			store.Millis(m.sent), store.Millis(m.delivered), store.Millis(m.read), store.Millis(m.failed))
		return err
	}
	stream, ok, err := store.Value[int64](tx, getStream, m.number, string(m.category), m.run, flag(m.dry))
	if err != nil {
		return err
	}
	if !ok {
		stream = tx.NewID()
		if err := tx.One(putStream, stream, m.number, string(m.category), m.run, flag(m.dry)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(putOurs, m.id, stream, m.run, m.contact, m.state, store.Millis(m.accepted), store.Millis(m.sent),
		store.Millis(m.delivered), store.Millis(m.read), store.Millis(m.failed), string(m.wamid))
	return err
}

func stored(q store.Querier) ([]Row, error) {
	var out []Row
	err := store.Each(q, allRows, func(r *rowScan) error { out = append(out, r.row()); return nil })
	return out, err
}

// showRows is show for stored rows, with number and contact when they are not
// numberA and 1.
func showRows(rows []Row) []string {
	var out []string
	for _, r := range rows {
		s := show([]Conversation{r.Conversation})[0]
		if r.Number != numberA || r.Contact != 1 {
			s += fmt.Sprintf(" (%s, %d)", r.Number[len(r.Number)-1:], r.Contact)
		}
		out = append(out, s)
	}
	return out
}
