package outbox

import (
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Observation is one status that Meta reported.
type Observation struct {
	Message  int64 // from our callback id; 0 when the status carried none of ours
	Attempt  int
	Wamid    whatsapp.Wamid
	Status   string // sent, delivered, read, failed; others change nothing
	At       time.Time
	InWindow bool   // At lay in a service window
	Reason   string // of failed: what the error table calls it
	Code     int
}

var sqlObserve = store.SQL(`UPDATE messages SET state = ?2, sent_at = ?3, delivered_at = ?4, read_at = ?5, failed_at = ?6,
		reason = ?7, code = ?8, wamid = ?9, in_window = CASE WHEN CAST(?12 AS INTEGER) = 1 THEN ?10 ELSE in_window END,
		ended_at = CASE WHEN ended_at = 0 THEN ?11 ELSE ended_at END WHERE id = ?1`)

// Observe applies a status. found is false when no message of ours is meant.
// Facts are kept as times (of several of one kind the earliest), and the state
// follows from them: twice, late and out of order give the same row. A status
// for an unknown message adopts its wamid and settles what became of it.
func Observe(tx *store.Tx, o Observation) (out []Outcome, found bool, err error) {
	var before Message
	if o.Message > 0 {
		before, found, err = ByID(tx, o.Message)
	} else {
		before, found, err = ByWamid(tx, o.Wamid)
	}
	if err != nil || !found {
		return nil, false, err
	}
	if o.Message > 0 && o.Attempt > before.Attempt {
		return nil, true, nil // no such attempt was made: not ours to believe
	}
	after := before
	at := store.Millis(o.At)
	switch o.Status {
	case "sent":
		after.SentAt = earliest(after.SentAt, at)
	case "delivered":
		after.DeliveredAt = earliest(after.DeliveredAt, at)
	case "read", "played":
		after.ReadAt = earliest(after.ReadAt, at)
	case "failed":
		after.FailedAt = earliest(after.FailedAt, at)
	default:
		return nil, true, nil
	}
	if err := after.name(tx, o.Wamid); err != nil {
		return nil, true, err
	}
	after.State = after.reached()
	switch { // of several failures the earliest says why
	case after.State != Failed:
		after.Reason, after.Code = "", 0
	case after.FailedAt != before.FailedAt:
		after.Reason, after.Code = o.Reason, o.Code
	}
	// Whether the message fell in a service window is asked at its own instant,
	// not at that of every status.
	err = tx.One(sqlObserve, after.ID, string(after.State), after.SentAt, after.DeliveredAt, after.ReadAt, after.FailedAt,
		after.Reason, after.Code, string(after.Wamid), o.InWindow, store.Millis(tx.Now()), after.at() == at)
	if err != nil {
		return nil, true, err
	}
	c := begin(tx)
	if err := c.moved(&before, &after); err != nil {
		return nil, true, err
	}
	out, err = c.end()
	return out, true, err
}

// Foreign is a message that somebody else sent from one of our numbers.
type Foreign struct {
	Wamid    whatsapp.Wamid
	Number   string
	Contact  int64
	Category whatsapp.Category // "" opens no conversation
	Status   string
	At       time.Time
	InWindow bool
}

// ForeignMessage is a row of foreign_messages, as far as statuses change it.
type foreignRow struct {
	Contact                       int64
	Category                      string
	Sent, Delivered, Read, Failed int64
}

// Fields names the places of sqlForeign.
func (f *foreignRow) Fields() []any {
	return []any{&f.Contact, &f.Category, &f.Sent, &f.Delivered, &f.Read, &f.Failed}
}

var (
	sqlForeign    = store.SQL(`SELECT contact_id, category, sent_at, delivered_at, read_at, failed_at FROM foreign_messages WHERE wamid = ?1`)
	sqlPutForeign = store.SQL(`INSERT INTO foreign_messages (wamid, number_id, contact_id, category, seen_at, sent_at, delivered_at, read_at, failed_at, in_window)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
		ON CONFLICT (wamid) DO UPDATE SET category = excluded.category, sent_at = excluded.sent_at, delivered_at = excluded.delivered_at,
			read_at = excluded.read_at, failed_at = excluded.failed_at,
			in_window = CASE WHEN CAST(?11 AS INTEGER) = 1 THEN excluded.in_window ELSE foreign_messages.in_window END`)
)

var sqlForeignContact = store.SQL(`SELECT contact_id FROM foreign_messages WHERE wamid = ?1`)

// ForeignContact returns to whom a foreign message went, by what was heard of it
// before.
func ForeignContact(q store.Querier, w whatsapp.Wamid) (contact int64, ok bool, err error) {
	return store.Value[int64](q, sqlForeignContact, string(w))
}

// ObserveForeign records a status of a message that is not ours, and returns
// the earliest instant at which the conversation ledger may differ now.
func ObserveForeign(tx *store.Tx, f Foreign) (since time.Time, err error) {
	row, _, err := store.Get[foreignRow](tx, sqlForeign, string(f.Wamid))
	if err != nil {
		return since, err
	}
	at := store.Millis(f.At)
	switch f.Status {
	case "sent":
		row.Sent = earliest(row.Sent, at)
	case "delivered":
		row.Delivered = earliest(row.Delivered, at)
	case "read", "played":
		row.Read = earliest(row.Read, at)
	case "failed":
		row.Failed = earliest(row.Failed, at)
	default:
		return since, nil
	}
	if f.Category != "" {
		row.Category = string(f.Category)
	}
	first := at
	for _, t := range []int64{row.Sent, row.Delivered, row.Read} {
		first = earliest(first, t)
	}
	own := (&Message{SentAt: row.Sent, DeliveredAt: row.Delivered, ReadAt: row.Read}).at()
	_, err = tx.Exec(sqlPutForeign, string(f.Wamid), f.Number, f.Contact, row.Category, store.Millis(tx.Now()),
		row.Sent, row.Delivered, row.Read, row.Failed, f.InWindow, own == at)
	return store.Time(first), err
}
