package optin

import (
	"fmt"
	"slices"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// The numbers whose sends a scope covers.
var sqlCovered = store.SQL(`SELECT id, name, unit FROM numbers
	WHERE CAST(?1 AS TEXT) IN ('*', '@meta') OR name = CAST(?1 AS TEXT) OR unit = CAST(?1 AS TEXT) ORDER BY id`)

// Revoke writes a revocation down with everybody it must reach: those named,
// those found to be the same person, and those of the wide match. A person who
// is not known yet is remembered. Queued messages that are forbidden now are
// cancelled here, and their outcomes returned for the caller to hand on; an
// older revocation than a later grant cancels nothing. Errors wrap ErrInvalid
// when the revocation itself is at fault; its date never is.
func Revoke(tx *store.Tx, r Revocation) (reached []int64, out []outbox.Outcome, err error) {
	reached, _, out, err = revoke(tx, r)
	return reached, out, err
}

// revoke also tells whether it is now the latest revocation of anybody.
func revoke(tx *store.Tx, r Revocation) (reached []int64, moved bool, out []outbox.Outcome, err error) {
	if err := r.check(); err != nil {
		return nil, false, nil, err
	}
	named, reached, err := reach(tx, r.Identities)
	if err != nil {
		return nil, false, nil, err
	}
	for _, contact := range reached {
		ev := r.Evidence
		if !slices.Contains(named, contact) {
			ev.Via = fmt.Sprintf("revoked by contact %d: the same person or number", named[0])
		}
		for _, category := range r.Categories {
			e := Event{Contact: contact, Category: category, Kind: kindRevoke, Scope: r.Scope, Source: r.Source, Evidence: ev, Actor: r.Actor, At: r.At}
			_, m, err := e.append(tx)
			if err != nil {
				return nil, false, nil, err
			}
			moved = moved || m
		}
	}
	out, err = cancelForbidden(tx, reached, r.Categories, r.Scope)
	if err == nil && r.Scope == ScopeAll && slices.Contains(r.Categories, whatsapp.Marketing) {
		err = stopReviews(tx, reached, r.Actor)
	}
	return reached, moved, out, err
}

// reach finds the contacts that were named, and all that the revocation binds.
// contacts.Reach widens by everything known of those named, not only by what
// they were named with: a STOP from a BSUID reaches every spelling of the phone
// behind it.
func reach(tx *store.Tx, ids []whatsapp.Identity) (named, reached []int64, err error) {
	for _, id := range ids {
		c, _, err := contacts.Ensure(tx, id)
		if err != nil {
			return nil, nil, err
		}
		named = append(named, c.ID)
	}
	reached, err = contacts.Reach(tx, ids...)
	return named, reached, err
}

type number struct{ id, name, unit string }

func (n *number) Fields() []any { return []any{&n.id, &n.name, &n.unit} }

// cancelForbidden cancels what is queued to the contacts on the numbers of a
// scope, where they are opted out as things stand now.
func cancelForbidden(tx *store.Tx, reached []int64, categories []whatsapp.Category, scope string) ([]outbox.Outcome, error) {
	numbers, err := store.All[number](tx, sqlCovered, scope)
	if err != nil {
		return nil, err
	}
	every := scope == ScopeAll || scope == ScopeMeta
	var out []outbox.Outcome
	cancel := func(contact []int64, category whatsapp.Category, on []string) error {
		if len(contact) == 0 {
			return nil
		}
		o, err := outbox.CancelForbidden(tx, contact, []whatsapp.Category{category}, on, ReasonOptedOut)
		out = append(out, o...)
		return err
	}
	for _, category := range categories {
		var everywhere []int64
		for _, contact := range reached {
			rows, err := standings(tx, contact, category)
			if err != nil {
				return out, err
			}
			forbidden := []string{}
			for _, n := range numbers {
				if Decide(Gather(contact, Scopes(n.name, n.unit), rows)).Reason == ReasonOptedOut {
					forbidden = append(forbidden, n.id)
				}
			}
			// A number that the table does not know yet is covered by '*' alone.
			bare := every && Decide(Gather(contact, Scopes("", ""), rows)).Reason == ReasonOptedOut
			switch {
			case bare && len(forbidden) == len(numbers):
				everywhere = append(everywhere, contact)
			case len(forbidden) > 0:
				if err := cancel([]int64{contact}, category, forbidden); err != nil {
					return out, err
				}
			}
		}
		if err := cancel(everywhere, category, nil); err != nil {
			return out, err
		}
	}
	return out, nil
}
