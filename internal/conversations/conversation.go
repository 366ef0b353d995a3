package conversations

import (
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Origin says who began a conversation.
type Origin string

// The two origins.
const (
	FromBusiness Origin = "business"
	FromUser     Origin = "user" // a reply or the answer to an ad opened it
)

// Conversation is one row of the ledger without its key: what Ledger derives.
// Times are UTC, to the millisecond.
type Conversation struct {
	Category       whatsapp.Category
	Origin         Origin
	FreeEntryPoint bool
	OpenedAt       time.Time
	ExpiresAt      time.Time      // 24 h after OpenedAt, 72 h for a free entry point
	ClosedAt       time.Time      // zero, or when a free entry point ended it
	Provisional    bool           // the opener's time is our acceptance, not Meta's
	OpenedBy       int64          // our message; 0 when a foreign one opened it
	OpenedByWamid  whatsapp.Wamid // the foreign message; "" when ours opened it
	Inbound        int64          // the inbound message that the opener answered, or 0
	MessagesOut    int64
	MessagesIn     int64
}

// Ends is the first instant at which the conversation is no longer open.
func (c Conversation) Ends() time.Time {
	if !c.ClosedAt.IsZero() {
		return c.ClosedAt
	}
	return c.ExpiresAt
}

// OpenAt reports whether the conversation is open at t.
func (c Conversation) OpenAt(t time.Time) bool {
	return !t.Before(c.OpenedAt) && t.Before(c.Ends())
}

// Row is a conversation as stored.
type Row struct {
	ID      int64
	Number  string // the business's number, as Meta's phone_number_id
	Contact int64  // the root of the person
	Conversation
}

const columns = `id, number_id, contact_id, category, origin, free_entry_point, opened_at, expires_at, closed_at,
	provisional, opened_by, opened_by_wamid, inbound_id, messages_out, messages_in`

// rowScan reads columns.
type rowScan struct {
	Row
	opened, expires, closed int64
}

// Fields names the places of columns.
func (r *rowScan) Fields() []any {
	return []any{&r.ID, &r.Number, &r.Contact, &r.Category, &r.Origin, &r.FreeEntryPoint, &r.opened, &r.expires, &r.closed,
		&r.Provisional, &r.OpenedBy, &r.OpenedByWamid, &r.Inbound, &r.MessagesOut, &r.MessagesIn}
}

func (r *rowScan) row() Row {
	r.OpenedAt, r.ExpiresAt, r.ClosedAt = store.Time(r.opened), store.Time(r.expires), store.Time(r.closed)
	return r.Row
}

// values are the arguments of sqlInsert and sqlUpdate, in the order of columns.
func (r Row) values() []any {
	return []any{r.ID, r.Number, r.Contact, string(r.Category), string(r.Origin), flag(r.FreeEntryPoint),
		store.Millis(r.OpenedAt), store.Millis(r.ExpiresAt), store.Millis(r.ClosedAt), flag(r.Provisional),
		r.OpenedBy, string(r.OpenedByWamid), r.Inbound, r.MessagesOut, r.MessagesIn}
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
