package optin

import (
	"fmt"
	"slices"
	"time"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// What somebody who matches the contact by the wide key revoked, and the contact
// has not got yet. Members of the same root are left out: their revocations
// bind the contact as it is. A block is passed on also if it was lifted, because
// lifts do not travel by the wide key: so the order of events plays no part.
var sqlToInherit = store.SQL(`SELECT k.category, k.scope, k.revoked_at, k.revoke_event, COALESCE(e.source, ''), COALESCE(e.actor, '')
	FROM consents k JOIN contacts m ON m.id = k.contact_id JOIN contacts c ON c.id = ?2
	LEFT JOIN consent_events e ON e.id = k.revoke_event
	WHERE k.contact_id = ?1 AND m.root <> c.root AND k.revoked_at > 0
	AND NOT EXISTS (SELECT 1 FROM consents o WHERE o.contact_id = ?2 AND o.category = k.category
		AND o.scope = k.scope AND o.revoked_at >= k.revoked_at)`)

var sqlSameNumber = store.SQL(`SELECT contact_id FROM identities WHERE match_key = ?1 AND match_key <> '' AND contact_id <> ?2 LIMIT 1`)

// Record writes a grant down, and makes the contact if it is not known yet. The
// same grant again (contact, category, scope, purpose, source, time) appends
// nothing. Revocations of those whom the contact matches by the wide key come
// first, so that a grant never overrides a later one of them. Errors wrap
// ErrInvalid when the grant itself is at fault; ErrForgotten: the person must not
// come back by it.
func Record(tx *store.Tx, g Grant) (Recorded, error) {
	if err := g.check(tx.Now()); err != nil {
		return Recorded{}, err
	}
	if err := checkForgotten(tx, &g); err != nil {
		return Recorded{}, err
	}
	c, created, err := contacts.Ensure(tx, g.Identity)
	if err != nil {
		return Recorded{}, err
	}
	e := Event{Contact: c.ID, Category: g.Category, Kind: kindGrant, Scope: g.Scope, Purpose: g.Purpose, Source: g.Source,
		Evidence: g.Evidence, Actor: g.Actor, At: g.At}
	add := e.append
	var rows []Standing
	if lone, err := alone(tx, created, c.ID, g.Identity); err != nil {
		return Recorded{}, err
	} else if lone { // the usual row of an import: nothing is known that could matter
		add = e.appendNew
	} else {
		if _, err := inherit(tx, c.ID, g.Identity); err != nil {
			return Recorded{}, err
		}
		if rows, err = standings(tx, c.ID, g.Category); err != nil {
			return Recorded{}, err
		}
	}
	before := Decide(Gather(c.ID, Scopes(g.Scope, ""), rows))
	r := Recorded{Contact: c.ID, State: before}
	var moved bool
	if r.Fresh, moved, err = add(tx); err != nil {
		return Recorded{}, err
	}
	r.Event = e.ID
	if moved { // so it is later than the contact's own grant in rows, if there is one
		rows = append(rows, Standing{Contact: c.ID, Scope: g.Scope, GrantedAt: e.counts(), GrantEvent: e.ID})
		r.State = Decide(Gather(c.ID, Scopes(g.Scope, ""), rows))
		r.Changed = r.State.Granted && !before.Granted
	}
	return r, nil
}

// alone says that a contact was made just now, and that nobody has its number in
// another spelling: it has no history, and none to inherit.
func alone(tx *store.Tx, created bool, contact int64, id whatsapp.Identity) (bool, error) {
	if !created {
		return false, nil
	}
	_, other, err := store.Value[int64](tx, sqlSameNumber, whatsapp.MatchKey(id), contact)
	return !other, err
}

// Inherit brings to a contact the revocations of everybody it matches by the
// wide key, and to them those of the contact, as events of their own. Record does
// the former by itself; call Inherit when an identity was learnt, because that
// may have widened the match. It returns how many events it appended. Queued
// messages that are forbidden now are refused by the gate when their turn comes.
func Inherit(tx *store.Tx, contact int64) (n int, err error) {
	ids, err := contacts.Identities(tx, contact)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	reached, err := contacts.Reach(tx, ids[0])
	if err != nil || len(reached) < 2 {
		return 0, err
	}
	for _, to := range reached {
		k, err := inheritFrom(tx, to, reached)
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// inherit needs one identity of the contact: Reach finds the others by itself.
func inherit(tx *store.Tx, contact int64, id whatsapp.Identity) (int, error) {
	reached, err := contacts.Reach(tx, id)
	if err != nil {
		return 0, err
	}
	return inheritFrom(tx, contact, reached)
}

// inheritFrom brings the revocations of those reached to the contact.
func inheritFrom(tx *store.Tx, contact int64, reached []int64) (int, error) {
	n := 0
	for _, other := range reached {
		if other == contact {
			continue
		}
		rows, err := store.All[inherited](tx, sqlToInherit, other, contact)
		if err != nil {
			return n, err
		}
		for _, r := range rows {
			if r.scope == scopeReview { // waits too; it is no revocation, and no event
				if err := mark(tx, contact, r.at, r.event); err != nil {
					return n, err
				}
				continue
			}
			e := Event{Contact: contact, Category: r.category, Kind: kindRevoke, Scope: r.scope, Source: r.source, Actor: r.actor, At: store.Time(r.at),
				Evidence: Evidence{Via: fmt.Sprintf("inherited from contact %d, event %d: the same number written in another way", other, r.event)}}
			fresh, _, err := e.append(tx)
			if err != nil {
				return n, err
			}
			if fresh {
				n++
			}
		}
	}
	return n, nil
}

type inherited struct {
	category  whatsapp.Category
	scope     string
	at, event int64
	source    Source
	actor     string
}

func (r *inherited) Fields() []any {
	return []any{&r.category, &r.scope, &r.at, &r.event, &r.source, &r.actor}
}

// Lift takes away the block a person had set in WhatsApp itself, after Meta
// reported that they resumed (Meta: Webhooks, user_preferences). It is no
// consent: what the person revoked with us stays revoked. It reaches everybody
// found to be the same person, not those of the wide match. A lift that arrives
// before its block is remembered. The same lift again appends nothing.
func Lift(tx *store.Tx, id whatsapp.Identity, category whatsapp.Category, source Source, actor string, ev Evidence, at time.Time) (changed []int64, err error) {
	switch {
	case id.Zero():
		return nil, invalid("a lift needs the person's identity")
	case !slices.Contains(whatsapp.TemplateCategories, category):
		return nil, invalid("category %q has no block to lift", category)
	case !slices.Contains(Sources, source):
		return nil, invalid("source %q is not known", source)
	case at.Before(earliest):
		return nil, invalid("a lift needs its time")
	}
	c, _, err := contacts.Ensure(tx, id)
	if err != nil {
		return nil, err
	}
	members, err := contacts.Members(tx, c.ID)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		e := Event{Contact: m, Category: category, Kind: kindGrant, Scope: ScopeMeta, Source: source, Evidence: ev, Actor: actor, At: at}
		_, moved, err := e.append(tx)
		if err != nil {
			return nil, err
		}
		if moved {
			changed = append(changed, m)
		}
	}
	return changed, nil
}
