package contacts

import (
	"fmt"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlMembers = store.SQL(`SELECT m.id FROM contacts c CROSS JOIN contacts m
		WHERE c.id = CAST(?1 AS BIGINT) AND m.root = c.root ORDER BY m.id`)
	sqlIdentities = store.SQL(`SELECT i.kind, i.value FROM contacts c CROSS JOIN contacts m CROSS JOIN identities i
		WHERE c.id = CAST(?1 AS BIGINT) AND m.root = c.root AND i.contact_id = m.id
		ORDER BY CASE i.kind WHEN 'phone' THEN 0 WHEN 'wa_id' THEN 1 WHEN 'bsuid' THEN 2 ELSE 3 END,
			CASE WHEN m.id = ?1 THEN 0 ELSE 1 END, m.id, i.first_seen, i.value`)
)

type identity struct{ kind, value string }

// Fields names the places of sqlIdentities' columns.
func (i *identity) Fields() []any { return []any{&i.kind, &i.value} }

// Members returns every contact of the same person, itself among them, in
// ascending order: the first is the root. An unknown contact has none.
func Members(q store.Querier, contact int64) ([]int64, error) {
	var out []int64
	err := store.Each(q, sqlMembers, func(c *store.Col[int64]) error {
		out = append(out, c.V)
		return nil
	}, contact)
	if err != nil {
		return nil, fmt.Errorf("contacts: members of %d: %w", contact, err)
	}
	return out, nil
}

// Identities returns all names of the person: phones, then wa_ids, then
// business-scoped ids; of one kind the contact's own first.
func Identities(q store.Querier, contact int64) ([]whatsapp.Identity, error) {
	var out []whatsapp.Identity
	err := store.Each(q, sqlIdentities, func(i *identity) error {
		out = append(out, whatsapp.Identity{Kind: whatsapp.IdentityKind(i.kind), Value: i.value})
		return nil
	}, contact)
	if err != nil {
		return nil, fmt.Errorf("contacts: identities of %d: %w", contact, err)
	}
	return out, nil
}

// Phone returns the contact's own phone, else one of the same person. ok is
// false for a person known by other identities only.
func Phone(q store.Querier, contact int64) (p whatsapp.Phone, ok bool, err error) {
	ids, err := Identities(q, contact)
	if err != nil || len(ids) == 0 || ids[0].Kind != whatsapp.KindPhone {
		return "", false, err
	}
	return whatsapp.Phone(ids[0].Value), true, nil
}
