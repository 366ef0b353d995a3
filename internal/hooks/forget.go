package hooks

import "janela/internal/store"

var (
	sqlBodies     = store.SQL(`SELECT id, body FROM hook_payloads WHERE id > ?1 ORDER BY id LIMIT ?2`)
	sqlForgetBody = store.SQL(`UPDATE hook_payloads SET body = CAST('{}' AS BLOB), signature = '' WHERE id = ?1`)
)

type bodyRow struct {
	id   int64
	body []byte
}

// Fields names the places of sqlBodies' columns.
func (b *bodyRow) Fields() []any { return []any{&b.id, &b.body} }

// Bodies calls each for the payloads behind an id, at most limit, and returns
// the last id and whether there may be more. each must not keep the body.
func Bodies(q store.Querier, after int64, limit int, each func(id int64, body []byte)) (last int64, more bool, err error) {
	n := 0
	last = after
	err = store.Each(q, sqlBodies, func(b *bodyRow) error { n++; last = b.id; each(b.id, b.body); return nil }, after, limit)
	return last, n == limit, err
}

// ForgetBodies empties payloads that have not arrived yet: what arrives then is
// an empty object, without Meta's signature.
func ForgetBodies(tx *store.Tx, ids []int64) error {
	for _, id := range ids {
		if _, err := tx.Exec(sqlForgetBody, id); err != nil {
			return err
		}
	}
	return nil
}
