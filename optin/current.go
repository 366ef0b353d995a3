package optin

import (
	"encoding/json"
	"fmt"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Current returns what holds for a contact in a category, seen from a number
// whose scopes are given (see Scopes). It agrees with what the gate asks before
// every send.
func Current(q store.Querier, contact int64, category whatsapp.Category, scopes []string) (State, error) {
	rows, err := standings(q, contact, category)
	if err != nil {
		return State{}, err
	}
	return Decide(Gather(contact, scopes, rows)), nil
}

// History returns every event of a contact, and of everybody found to be the
// same person, in the order of recording.
func History(q store.Querier, contact int64) ([]Event, error) {
	rows, err := store.All[eventRow](q, sqlHistory, contact)
	if err != nil {
		return nil, err
	}
	out := make([]Event, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal([]byte(r.evidence), &r.Evidence); err != nil {
			return nil, fmt.Errorf("optin: evidence of event %d: %w", r.ID, err)
		}
		r.At, r.RecordedAt = store.Time(r.at), store.Time(r.recorded)
		out[i] = r.Event
	}
	return out, nil
}

type eventRow struct {
	Event
	evidence     string
	at, recorded int64
}

func (r *eventRow) Fields() []any {
	return []any{&r.ID, &r.Contact, &r.Category, &r.Kind, &r.Scope, &r.Purpose, &r.Source, &r.evidence, &r.Actor, &r.at, &r.recorded}
}
