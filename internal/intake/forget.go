package intake

import "janela/internal/store"

var (
	sqlBodies     = store.SQL(`SELECT id, body FROM callbacks WHERE id > ?1 ORDER BY id LIMIT ?2`)
	sqlForgetBody = store.SQL(`UPDATE callbacks SET body = CAST('' AS BLOB), note = 'forgotten' WHERE id = ?1 AND state <> 'stored'`)
)

type bodyRow struct {
	id   int64
	body []byte
}

// Fields names the places of sqlBodies' columns.
func (b *bodyRow) Fields() []any { return []any{&b.id, &b.body} }

// Bodies calls each for the callbacks behind an id, at most limit, and returns
// the last id and whether there may be more. each must not keep the body.
func Bodies(q store.Querier, after int64, limit int, each func(id int64, body []byte)) (last int64, more bool, err error) {
	n := 0
	last = after
	err = store.Each(q, sqlBodies, func(b *bodyRow) error { n++; last = b.id; each(b.id, b.body); return nil }, after, limit)
	return last, n == limit, err
}

// ForgetBodies empties callbacks. Their hashes stay, so that one that Meta posts
// again is known. One that waits to be applied stays as it is.
func ForgetBodies(tx *store.Tx, ids []int64) error {
	for _, id := range ids {
		if _, err := tx.Exec(sqlForgetBody, id); err != nil {
			return err
		}
	}
	return nil
}
