package contacts

import (
	"fmt"
	"slices"

	"janela/internal/store"
)

// Named is a phone, as it is stored, and whose it is.
type Named struct {
	Phone string
	Known
}

// Fields names the places of sqlWalk's columns.
func (n *Named) Fields() []any { return []any{&n.Phone, &n.ID, &n.Root, &n.Alone} }

// In the order of contacts their names lie side by side, as they were made. A
// number is found by a place of its own in the database each.
var (
	sqlWalk = store.SQL(`SELECT i.value, c.id, c.root, CASE WHEN c.root <> c.id OR EXISTS (SELECT 1 FROM contacts k WHERE k.root = c.id AND k.id <> c.id) THEN 0 ELSE 1 END
		FROM identities i CROSS JOIN contacts c WHERE i.contact_id > ?1 AND i.kind = 'phone' AND c.id = i.contact_id ORDER BY i.contact_id LIMIT ?2`)
	sqlBehind = store.SQL(`SELECT c.id FROM contacts c WHERE c.id > 0 ORDER BY c.id LIMIT 1 OFFSET ?1`)
)

// MoreThan reports whether the book has more than n contacts. It counts to n at
// most.
func MoreThan(q store.Querier, n int) (bool, error) {
	_, more, err := store.Value[int64](q, sqlBehind, n)
	return more, err
}

// Walk returns about limit phones of the contacts behind one, in the order of
// contacts, with all that each has, and the last of these contacts; none are left
// when there are no phones. It is for those who want to know a large part of the
// book: FindMany costs several times as much for each.
func Walk(q store.Querier, after int64, limit int) (some []Named, last int64, err error) {
	for ; ; limit *= 2 {
		if some, err = store.All[Named](q, sqlWalk, after, limit); err != nil {
			return nil, after, fmt.Errorf("contacts: walk the phones behind contact %d: %w", after, err)
		}
		if len(some) < limit {
			break
		}
		// The last contact may have more of them.
		torn := some[limit-1].ID
		if whole := slices.IndexFunc(some, func(n Named) bool { return n.ID == torn }); whole > 0 {
			some = some[:whole]
			break
		}
	}
	if len(some) > 0 {
		after = some[len(some)-1].ID
	}
	return some, after, nil
}
