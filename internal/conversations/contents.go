package conversations

import (
	"slices"
	"time"

	"janela/internal/store"
)

// Part is one message that counts in a conversation: of the business, or of the
// person.
type Part struct {
	Event
	InWindow bool // it lay in the service window: within 24 h of something the person wrote
}

// Contents returns what counts in a conversation, in the order of the ledger.
// Nowhere is it written down: it follows from the facts, like the row itself.
func Contents(q store.Querier, r Row) ([]Part, error) {
	t := task{ledgerKey: ledgerKey{r.Number, r.Contact}, since: r.OpenedAt}
	back, err := t.load(q)
	if err != nil {
		return nil, err
	}
	facts, err := events(q, r.Number, r.Contact, back.from)
	if err != nil {
		return nil, err
	}
	rows, home := Homes(back.freeEntryEnd, facts)
	at := slices.IndexFunc(rows, func(c Conversation) bool { return c.OpenedAt.Equal(r.OpenedAt) && c.Category == r.Category })
	var out []Part
	var last *Event
	for i := range facts {
		e := &facts[i]
		if e.Inbound {
			last = e
		}
		if at >= 0 && home[i] == at {
			out = append(out, Part{Event: *e, InWindow: !e.Inbound && within(last, e.At)})
		}
	}
	return out, nil
}

// HomeOf returns the conversation in which a message of ours counts that was
// sent at an instant of the ledger; ok is false when it counts in none.
func HomeOf(q store.Querier, number string, contact, message int64, at time.Time) (r Row, ok bool, err error) {
	p, ok, err := store.Get[person](q, sqlPerson, contact)
	if err != nil || !ok {
		return r, false, err
	}
	t := task{ledgerKey: ledgerKey{number, p.root}, since: at, merge: p.joined}
	back, err := t.load(q)
	if err != nil {
		return r, false, err
	}
	facts, err := events(q, number, p.root, back.from)
	if err != nil {
		return r, false, err
	}
	rows, home := Homes(back.freeEntryEnd, facts)
	i := slices.IndexFunc(facts, func(e Event) bool { return !e.Inbound && e.ID == message })
	if i < 0 || home[i] < 0 {
		return r, false, nil
	}
	c := rows[home[i]]
	j := slices.IndexFunc(back.rows, func(r Row) bool { return r.OpenedAt.Equal(c.OpenedAt) && r.Category == c.Category })
	if j < 0 {
		return r, false, nil
	}
	return back.rows[j], true, nil
}
