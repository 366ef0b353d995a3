package contacts

import (
	"fmt"
	"slices"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var sqlJoin = store.SQL(`UPDATE contacts SET root = ?2 WHERE root = ?1`)

// Learn takes identities that Meta showed together, so of one person: all exist
// afterwards, and their contacts are joined. The first is the one the caller
// knows (the phone we sent to); its contact is returned. Empty identities are
// left out, because callbacks often lack one; it is an error when none is left.
//
// A join is not announced. Ledgers that keep rows per person (conversations)
// find it when they next resolve the root.
func Learn(tx *store.Tx, ids ...whatsapp.Identity) (Contact, error) {
	var known []found // contacts that have one of the identities
	var fresh []whatsapp.Identity
	var first whatsapp.Identity
	for _, id := range ids {
		if id.Zero() {
			continue
		}
		if first.Zero() {
			first = id
		}
		f, ok, err := seen(tx, id)
		if err != nil {
			return Contact{}, err
		}
		if ok {
			known = append(known, f)
		} else {
			fresh = append(fresh, id)
		}
	}
	if first.Zero() {
		return Contact{}, errEmpty
	}
	if len(known) == 0 {
		c, err := create(tx)
		if err != nil {
			return c, err
		}
		known = append(known, found{Contact: c})
	}
	// The first known in the caller's order takes the new identities: it is the
	// one that grants were given to.
	home := known[0].Contact
	for i, id := range fresh {
		if slices.Contains(fresh[:i], id) {
			continue
		}
		if err := name(tx, home, id); err != nil {
			return Contact{}, err
		}
	}
	root, err := join(tx, known)
	return Contact{ID: home.ID, Root: root}, err
}

// join puts every contact under the lowest of the roots, and returns it.
func join(tx *store.Tx, known []found) (int64, error) {
	low := known[0].Root
	for _, k := range known {
		low = min(low, k.Root)
	}
	for _, k := range known {
		if k.Root == low {
			continue
		}
		tx.Changes(phones)
		// The same root twice changes no row the second time.
		if _, err := tx.Exec(sqlJoin, k.Root, low); err != nil {
			return 0, fmt.Errorf("contacts: join %d to %d: %w", k.Root, low, err)
		}
	}
	return low, nil
}
