package intake

import (
	"time"

	"janela/internal/store"
)

var (
	sqlOldest = store.SQL(`SELECT id, received_at FROM callbacks WHERE id > ?1 ORDER BY id LIMIT ?2`)
	sqlRemove = store.SQL(`DELETE FROM callbacks WHERE id > ?1 AND id <= ?2 AND received_at <= ?3 AND state = 'applied'`)
)

type agedRow struct{ id, at int64 }

// Fields names the places of sqlOldest's columns.
func (a *agedRow) Fields() []any { return []any{&a.id, &a.at} }

// Remove removes callbacks that came before an instant and were applied, of at
// most limit behind an id, the oldest first. What could not be applied stays.
// more is that there are others behind last that came before it. One that Meta
// posts again afterwards is applied again, which changes nothing.
func Remove(tx *store.Tx, after int64, before time.Time, limit int) (removed, last int64, more bool, err error) {
	rows, err := store.All[agedRow](tx, sqlOldest, after, limit)
	if err != nil || len(rows) == 0 || rows[0].at > store.Millis(before) {
		return 0, after, false, err
	}
	end := rows[len(rows)-1]
	removed, err = tx.Exec(sqlRemove, after, end.id, store.Millis(before))
	return removed, end.id, len(rows) == limit && end.at <= store.Millis(before), err
}
