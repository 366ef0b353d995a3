package contacts

import (
	"fmt"
	"slices"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// sqlReach starts at the roots of the identity's contact and of its wide key,
// and follows wide keys from person to person until nobody is added.
var sqlReach = store.SQL(`WITH RECURSIVE reached (root) AS (
	SELECT c.root FROM identities i JOIN contacts c ON c.id = i.contact_id
		WHERE i.value = ?1 AND i.kind = ?2
	UNION
	SELECT c.root FROM identities i JOIN contacts c ON c.id = i.contact_id
		WHERE i.match_key = ?3 AND i.match_key <> ''
	UNION
	SELECT c.root FROM reached r
		CROSS JOIN contacts m CROSS JOIN identities a CROSS JOIN identities b CROSS JOIN contacts c
		WHERE m.root = r.root AND a.contact_id = m.id AND a.match_key <> ''
		AND b.match_key = a.match_key AND b.match_key <> '' AND c.id = b.contact_id
	)
	SELECT c.id FROM reached r CROSS JOIN contacts c WHERE c.root = r.root ORDER BY c.id`)

// Reach returns everyone a STOP from these identities must reach, in ascending
// order: the contacts that have them, their whole persons, and whoever shares
// a wide key with any of those. It stops too many rather than too few, so use
// it for revocations only. Nobody known gives an empty result.
func Reach(q store.Querier, ids ...whatsapp.Identity) ([]int64, error) {
	var out []int64
	for _, id := range ids {
		if id.Zero() {
			continue
		}
		err := store.Each(q, sqlReach, func(c *store.Col[int64]) error {
			out = append(out, c.V)
			return nil
		}, id.Value, string(id.Kind), whatsapp.MatchKey(id))
		if err != nil {
			return nil, fmt.Errorf("contacts: reach %v: %w", id, err)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
