package httpapi

import (
	"strings"
	"time"

	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// Person is who a number belongs to. Identities are masked.
type Person struct {
	Phone      string   `json:"phone,omitempty"` // in full: the operator asked for it
	Repairs    []string `json:"repairs,omitempty"`
	Known      bool     `json:"known"`
	Contact    int64    `json:"contact,omitempty"`
	Joined     []int64  `json:"joined,omitempty"` // every contact of the same person
	Identities []string `json:"identities,omitempty"`
	// AlsoStopped are contacts that a STOP of this person binds as well: other
	// spellings of the number. A grant does not reach them.
	AlsoStopped []int64 `json:"also_stopped,omitempty"`

	identity whatsapp.Identity // by which the person was found
}

// phone reads a number as people write it.
func (s *Server) phone(text string) (whatsapp.ParsedPhone, error) {
	p, err := whatsapp.ParsePhone(text, s.live.Load().Region)
	if err != nil {
		return p, invalid("%v", err)
	}
	return p, nil
}

// person finds whom a text names: a number as people write it, an id as Meta
// writes it, or a business-scoped user id. Nobody else's spelling is taken for
// theirs.
func (s *Server) person(q store.Querier, text string) (Person, error) {
	text = strings.TrimSpace(text)
	var p Person
	var names []whatsapp.Identity
	parsed, err := whatsapp.ParsePhone(text, s.live.Load().Region)
	digits := strings.TrimPrefix(text, "+")
	if err == nil {
		p.Phone, p.Repairs = parsed.Phone.E164(), parsed.Repairs
		p.identity = parsed.Phone.Identity()
		names = append(names, p.identity, whatsapp.WaID(parsed.Phone.Digits()).Identity())
	}
	if digits != "" && strings.Trim(digits, "0123456789") == "" {
		names = append(names, whatsapp.WaID(digits).Identity())
	} else if country, rest, ok := strings.Cut(text, "."); ok && len(country) == 2 && rest != "" {
		names = append(names, whatsapp.Identity{Kind: whatsapp.KindBSUID, Value: text}, whatsapp.Identity{Kind: whatsapp.KindParentBSUID, Value: text})
		err = nil
	}
	for _, id := range names {
		c, ok, err := contacts.Find(q, id)
		if err != nil {
			return p, err
		}
		if ok {
			p.identity, p.Known, p.Contact = id, true, c.ID
			return p, p.fill(q)
		}
	}
	if err != nil {
		return p, invalid("%v", err)
	}
	return p, p.fill(q)
}

// fill reads what is known of a person who was found, or whom a STOP of
// somebody unknown would reach.
func (p *Person) fill(q store.Querier) error {
	ids := []whatsapp.Identity{p.identity}
	if p.Known {
		var err error
		if p.Joined, err = contacts.Members(q, p.Contact); err != nil {
			return err
		}
		if ids, err = contacts.Identities(q, p.Contact); err != nil {
			return err
		}
		for _, id := range ids {
			p.Identities = append(p.Identities, id.String())
		}
		if p.Phone == "" {
			if phone, ok, err := contacts.Phone(q, p.Contact); err != nil {
				return err
			} else if ok {
				p.Phone = phone.E164()
			}
		}
	}
	reach, err := contacts.Reach(q, ids...)
	for _, c := range reach {
		if !contains(p.Joined, c) {
			p.AlsoStopped = append(p.AlsoStopped, c)
		}
	}
	return err
}

func contains(list []int64, v int64) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// number finds one of our numbers by its name or phone_number_id; with "" the
// only one.
func number(q store.Querier, name string) (account.Number, error) {
	all, err := account.Numbers(q)
	if err != nil {
		return account.Number{}, err
	}
	var names []string
	for _, n := range all {
		if n.Name == name || n.ID == name || name == "" && len(all) == 1 {
			return n, nil
		}
		names = append(names, n.Name)
	}
	if name == "" {
		return account.Number{}, invalid("there are several numbers").hint("say which: %s", strings.Join(names, ", "))
	}
	return account.Number{}, notFound("there is no number %q in config.toml", name).hint("there are %s", strings.Join(names, ", "))
}

// ConsentState is what holds for one category on one number.
type ConsentState struct {
	Number    string            `json:"number"`
	Category  whatsapp.Category `json:"category"`
	State     string            `json:"state" doc:"granted, no_opt_in or opted_out"`
	GrantedAt time.Time         `json:"granted_at,omitzero"`
	RevokedAt time.Time         `json:"revoked_at,omitzero"`
	Events    []ConsentEvent    `json:"events,omitempty" doc:"those that decided"`
}

// ConsentEvent is one line of the consent ledger.
type ConsentEvent struct {
	ID         int64             `json:"id"`
	Contact    int64             `json:"contact"`
	Kind       string            `json:"kind" doc:"grant or revoke"`
	Category   whatsapp.Category `json:"category"`
	Scope      string            `json:"scope"`
	Purpose    string            `json:"purpose,omitempty"`
	Source     string            `json:"source"`
	Actor      string            `json:"actor,omitempty"`
	At         time.Time         `json:"at"`
	RecordedAt time.Time         `json:"recorded_at"`
	Evidence   optin.Evidence    `json:"evidence"`
}

// consentsOf returns what holds for a contact on every number, and the ledger.
func consentsOf(q store.Querier, contact int64, categories []whatsapp.Category, numbers []account.Number) ([]ConsentState, []ConsentEvent, error) {
	history, err := optin.History(q, contact)
	if err != nil {
		return nil, nil, err
	}
	var events []ConsentEvent
	byID := map[int64]ConsentEvent{}
	for _, e := range history {
		ev := ConsentEvent{ID: e.ID, Contact: e.Contact, Kind: e.Kind, Category: e.Category, Scope: e.Scope, Purpose: e.Purpose,
			Source: string(e.Source), Actor: e.Actor, At: e.At, RecordedAt: e.RecordedAt, Evidence: e.Evidence}
		events, byID[e.ID] = append(events, ev), ev
	}
	var states []ConsentState
	for _, n := range numbers {
		for _, c := range categories {
			st, err := optin.Current(q, contact, c, n.Scopes())
			if err != nil {
				return nil, nil, err
			}
			cs := ConsentState{Number: n.Name, Category: c, State: st.Reason, GrantedAt: st.GrantedAt, RevokedAt: st.RevokedAt}
			if st.Granted {
				cs.State = "granted"
			}
			for _, id := range []int64{st.GrantEvent, st.RevokeEvent} {
				if ev, ok := byID[id]; ok {
					cs.Events = append(cs.Events, ev)
				}
			}
			states = append(states, cs)
		}
	}
	return states, events, nil
}
