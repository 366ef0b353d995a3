package conversations

import (
	"fmt"
	"math"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Filter says which conversations to list. The zero Filter takes all.
type Filter struct {
	Open                 bool      // those open at the transaction's Now
	From, To             time.Time // those that overlap [From, To); zero for no bound
	OpenedFrom, OpenedTo time.Time // those that opened in [OpenedFrom, OpenedTo); zero for no bound
	Number               string
	Category             whatsapp.Category
	Origin               Origin
	Contact              int64 // all rows of the person
	After                Cursor
	Limit                int // 0 for no limit
}

// Cursor is a place in a listing. The zero Cursor is its beginning.
type Cursor struct {
	ExpiresAt time.Time
	ID        int64
}

// Cursor returns the place after the row.
func (r Row) Cursor() Cursor { return Cursor{r.ExpiresAt, r.ID} }

// The filter, in terms of v: ended after ?6, opened from ?7 on and before ?2, and
// for the index what follows of it: expired after ?1, and, as none is longer than
// a free entry point, before ?3.
const filter = `v.expires_at > ?1 AND v.expires_at < ?3 AND v.opened_at < ?2 AND v.opened_at >= ?7
	AND (v.closed_at = 0 OR v.closed_at > ?6)
	AND (CAST(?4 AS TEXT) = '' OR v.number_id = ?4) AND (CAST(?5 AS TEXT) = '' OR v.category = ?5)
	AND (CAST(?8 AS TEXT) = '' OR v.origin = ?8)`

// listed orders by expiry and id, the order of the index, after the place ?9, ?10.
const listed = ` AND (v.expires_at, v.id) > (?9, ?10) ORDER BY v.expires_at, v.id LIMIT ?11`

// A count adds which rows are open at ?9.
const counted = `SELECT COALESCE(SUM(CASE WHEN v.opened_at <= ?9 AND v.expires_at > ?9
	AND (v.closed_at = 0 OR v.closed_at > ?9) THEN 1 ELSE 0 END), 0), COUNT(*)`

var (
	sqlList      = store.SQL(`SELECT ` + columns + ` FROM conversations v WHERE ` + filter + listed)
	sqlListOfOne = store.SQL(`SELECT ` + columns + ` FROM conversations v
		WHERE v.contact_id IN (SELECT m.id FROM contacts c CROSS JOIN contacts m WHERE c.id = ?12 AND m.root = c.root)
		AND ` + filter + listed)
	sqlCount      = store.SQL(counted + ` FROM conversations v WHERE ` + filter)
	sqlCountOfOne = store.SQL(counted + ` FROM conversations v
		WHERE v.contact_id IN (SELECT m.id FROM contacts c CROSS JOIN contacts m WHERE c.id = ?10 AND m.root = c.root)
		AND ` + filter)
	sqlByID = store.SQL(`SELECT ` + columns + ` FROM conversations WHERE id = ?1`)
)

// ByID returns a conversation.
func ByID(q store.Querier, id int64) (Row, bool, error) {
	r, ok, err := store.Get[rowScan](q, sqlByID, id)
	if err != nil {
		return Row{}, false, fmt.Errorf("conversations: %d: %w", id, err)
	}
	return r.row(), ok, nil
}

// args are the parameters ?1 to ?8 of filter.
func (f Filter) args(now time.Time) []any {
	ended, opened, from := store.Millis(f.From), int64(math.MaxInt64), store.Millis(f.OpenedFrom)
	for _, to := range []time.Time{f.To, f.OpenedTo} {
		if !to.IsZero() {
			opened = min(opened, store.Millis(to))
		}
	}
	if f.Open {
		ended = max(ended, store.Millis(now))
		opened = min(opened, store.Millis(now)+1)
	}
	expires := int64(math.MaxInt64)
	if opened < math.MaxInt64 {
		expires = opened + FreeEntryLength.Milliseconds()
	}
	return []any{max(ended, from), opened, expires, f.Number, string(f.Category), ended, from, string(f.Origin)}
}

// List calls each for every conversation that the filter takes, in the order in
// which they expire. It holds one row at a time. To go on in another
// transaction, set After to the Cursor of the last row.
func List(q store.Querier, f Filter, each func(Row) error) error {
	limit := int64(f.Limit)
	if limit <= 0 {
		limit = math.MaxInt64
	}
	stmt, args := sqlList, append(f.args(q.Now()), store.Millis(f.After.ExpiresAt), f.After.ID, limit)
	if f.Contact != 0 {
		stmt, args = sqlListOfOne, append(args, f.Contact)
	}
	var failed error // of the caller: handed back as it is
	err := store.Each(q, stmt, func(r *rowScan) error {
		failed = each(r.row())
		return failed
	}, args...)
	if err != nil && failed == nil {
		return fmt.Errorf("conversations: list: %w", err)
	}
	return err
}

type counts struct{ open, total int64 }

// Fields names the places of counted's columns.
func (c *counts) Fields() []any { return []any{&c.open, &c.total} }

// Count returns how many conversations the filter takes (Limit and After aside),
// and how many of those are open at the transaction's Now.
func Count(q store.Querier, f Filter) (open, total int64, err error) {
	stmt, args := sqlCount, append(f.args(q.Now()), store.Millis(q.Now()))
	if f.Contact != 0 {
		stmt, args = sqlCountOfOne, append(args, f.Contact)
	}
	c, _, err := store.Get[counts](q, stmt, args...)
	if err != nil {
		return 0, 0, fmt.Errorf("conversations: count: %w", err)
	}
	return c.open, c.total, nil
}
