package contacts

import (
	"fmt"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Known is what FindMany tells of an identity; the zero value where nobody has it.
type Known struct {
	Contact
	Alone bool // no other contact is known to be the same person
}

var sqlFindMany = store.SQLMany(`WITH r(n, value, kind) AS (VALUES {rows})
	SELECT r.n, c.id, c.root, CASE WHEN c.root <> c.id OR EXISTS (SELECT 1 FROM contacts k WHERE k.root = c.id AND k.id <> c.id) THEN 0 ELSE 1 END
	FROM r CROSS JOIN identities i CROSS JOIN contacts c WHERE i.value = r.value AND i.kind = r.kind AND c.id = i.contact_id`,
	`(CAST(?r1 AS BIGINT), CAST(?r2 AS TEXT), CAST(?r3 AS TEXT))`)

// phones is what changes where FindMany of phones would find another person.
const phones = store.Topic("contacts.phones")

// PhonesStand reports whether what FindMany found of phones in a snapshot of that
// moment is what it would find now. It may say no though it is.
func PhonesStand(q store.Querier, since store.Moment) bool { return store.Unchanged(q, phones, since) }

type knownRow struct {
	n, alone int64
	Contact
}

// Fields names the places of sqlFindMany's columns.
func (r *knownRow) Fields() []any { return []any{&r.n, &r.ID, &r.Root, &r.alone} }

// FindMany is Find for several identities; what it returns lies beside them.
func FindMany(q store.Querier, ids []whatsapp.Identity) ([]Known, error) {
	for _, id := range ids {
		if id.Zero() {
			return nil, errEmpty
		}
	}
	all := make([]Known, len(ids))
	err := store.EachMany(q, sqlFindMany, len(ids), func(i int, args []any) []any {
		return append(args, int64(i), ids[i].Value, string(ids[i].Kind))
	}, func(r *knownRow) error {
		all[r.n] = Known{r.Contact, r.alone == 1}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("contacts: find %d identities: %w", len(ids), err)
	}
	return all, nil
}
