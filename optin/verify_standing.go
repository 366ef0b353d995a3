package optin

import (
	"fmt"
	"math"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlByContact = store.SQL(`SELECT id, contact_id, category, kind, scope, purpose, source, evidence, actor, at, recorded_at
		FROM consent_events WHERE contact_id > ?1 ORDER BY contact_id, id LIMIT ?2`)
	sqlRows = store.SQL(`SELECT contact_id, category, scope, granted_at, grant_event, revoked_at, revoke_event
		FROM consents WHERE contact_id > ?1 AND contact_id <= ?2 AND scope <> '@review' ORDER BY contact_id, category, scope`)
)

// place is what a row of consents is about.
type place struct {
	contact  int64
	category whatsapp.Category
	scope    string
}

// sums is what events add up to, in one place.
type sums struct{ granted, grantEvent, revoked, revokeEvent int64 }

type sumsRow struct {
	place
	sums
}

// Fields names the places of sqlRows' columns.
func (r *sumsRow) Fields() []any {
	return []any{&r.contact, &r.category, &r.scope, &r.granted, &r.grantEvent, &r.revoked, &r.revokeEvent}
}

// add is what append does to consents.
func (s *sums) add(e *eventRow) {
	e.At, e.RecordedAt = store.Time(e.at), store.Time(e.recorded)
	at := store.Millis(e.counts())
	switch {
	case e.Kind == kindGrant && at > s.granted:
		s.granted, s.grantEvent = at, e.ID
	case e.Kind == kindRevoke && at > s.revoked:
		s.revoked, s.revokeEvent = at, e.ID
	}
}

// standings compares the table that the gate reads with the events, some people
// at a time.
func (v *verifier) standings() error {
	limit := verifyPage
	for from := int64(0); ; {
		next := from
		err := v.ledger.cfg.DB.Read(v.ctx, func(q *store.Snap) error {
			events, err := store.All[eventRow](q, sqlByContact, from, limit)
			if err != nil {
				return err
			}
			to := int64(math.MaxInt64)
			if len(events) == limit { // the last person of the page may have more
				to = events[limit-1].Contact - 1
				if events[0].Contact > to {
					limit *= 2
					return nil
				}
			}
			next = to
			return v.standingsOf(q, events, from, to)
		})
		if err != nil || next == math.MaxInt64 {
			return err
		}
		if next > from {
			limit = verifyPage
		}
		from = next
	}
}

// standingsOf compares those of the contacts above from, up to and with to.
func (v *verifier) standingsOf(q store.Querier, events []eventRow, from, to int64) error {
	want := map[place]*sums{}
	for i := range events {
		e := &events[i]
		if e.Contact > to {
			break
		}
		at := place{e.Contact, e.Category, e.Scope}
		if want[at] == nil {
			want[at] = &sums{}
		}
		want[at].add(e)
	}
	err := store.Each(q, sqlRows, func(r *sumsRow) error {
		v.Standings++
		switch w := want[r.place]; {
		case w == nil:
			v.standing(FaultStandingInserted, r.place, max(r.grantEvent, r.revokeEvent), "it says something of which there is no event")
		case *w != r.sums:
			v.standing(FaultStandingAltered, r.place, max(w.grantEvent, w.revokeEvent), "it is not what the events add up to")
		}
		delete(want, r.place)
		return nil
	}, from, to)
	if err != nil {
		return err
	}
	for i := range events { // in their order
		e := &events[i]
		at := place{e.Contact, e.Category, e.Scope}
		if w := want[at]; w != nil {
			v.standing(FaultStandingRemoved, at, max(w.grantEvent, w.revokeEvent), "there are events, and it says nothing")
			delete(want, at)
		}
	}
	return nil
}

func (v *verifier) standing(kind string, at place, event int64, detail string) {
	v.fault(Fault{Kind: kind, Event: event, Contact: at.contact, Detail: fmt.Sprintf("consents, contact %d, %s %s: %s", at.contact, at.category, at.scope, detail)})
}
