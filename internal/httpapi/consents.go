package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// Consents is what a person granted and revoked.
type Consents struct {
	Person
	States []ConsentState `json:"states"` // what holds, by number and category
	Events []ConsentEvent `json:"events"` // the whole ledger, oldest first
}

// consents shows the consent ledger of a person.
func (s *Server) consents(w http.ResponseWriter, r *http.Request) error {
	var out Consents
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		var err error
		if out.Person, err = s.person(q, r.URL.Query().Get("of")); err != nil {
			return err
		}
		numbers, err := account.Numbers(q)
		if err != nil {
			return err
		}
		out.States, out.Events, err = consentsOf(q, out.Contact, whatsapp.TemplateCategories, numbers)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// GrantRequest records that a person consented, now.
type GrantRequest struct {
	Phone    string `json:"phone"`
	Category string `json:"category"`
	Scope    string `json:"scope,omitempty"` // "" or "*": all numbers; else a number's name or a business unit
	Purpose  string `json:"purpose,omitempty"`
	Text     string `json:"text,omitempty"` // what the person was shown or said: the proof
}

// GrantReply says what became of it.
type GrantReply struct {
	Contact int64  `json:"contact"`
	Event   int64  `json:"event"`
	State   string `json:"state"`   // granted, or opted_out when a block in WhatsApp stands above it
	Changed bool   `json:"changed"` // the person could not be written to before
}

func (s *Server) grant(w http.ResponseWriter, r *http.Request) error {
	var in GrantRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	phone, err := s.phone(in.Phone)
	if err != nil {
		return err
	}
	category, err := whatsapp.ParseCategory(in.Category)
	if err != nil {
		return invalid("%v", err)
	}
	var out GrantReply
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		if err := knownScope(tx, in.Scope); err != nil {
			return err
		}
		rec, err := optin.Record(tx, optin.Grant{Identity: phone.Phone.Identity(), Category: category, Scope: in.Scope, Purpose: in.Purpose,
			Source: optin.SourceOperator, Actor: Actor(r.Context()), Evidence: optin.Evidence{Text: in.Text}, At: tx.Now()})
		if err != nil {
			return err
		}
		out = GrantReply{Contact: rec.Contact, Event: rec.Event, State: "granted", Changed: rec.Changed}
		if !rec.State.Granted {
			out.State = rec.State.Reason
		}
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "optin grant", Object: phone.Phone.String(),
			After: fmt.Sprintf("%s %s, event %d", category, scopeName(in.Scope), rec.Event)})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// RevokeRequest takes a person's consent back, now.
type RevokeRequest struct {
	Phone      string   `json:"phone"`
	Categories []string `json:"categories"`
	Scope      string   `json:"scope,omitempty"`
	Text       string   `json:"text,omitempty"`
}

// RevokeReply says whom it reached, and how many queued messages it cancelled.
type RevokeReply struct {
	Contacts  []int64 `json:"contacts"`
	Cancelled int     `json:"cancelled"`
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	var in RevokeRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if len(in.Categories) == 0 {
		return invalid("a revocation needs a category").hint("write --category marketing, or --all")
	}
	var categories []whatsapp.Category
	for _, c := range in.Categories {
		category, err := whatsapp.ParseCategory(c)
		if err != nil {
			return invalid("%v", err)
		}
		categories = append(categories, category)
	}
	var out RevokeReply
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		if err := knownScope(tx, in.Scope); err != nil {
			return err
		}
		p, err := s.person(tx, in.Phone)
		if err != nil {
			return err
		}
		ids := []whatsapp.Identity{p.identity}
		if phone, err := whatsapp.ParsePhone(in.Phone, s.live.Load().Region); err == nil && phone.Phone.Identity() != p.identity {
			ids = append(ids, phone.Phone.Identity())
		}
		reached, outcomes, err := optin.Revoke(tx, optin.Revocation{Identities: ids, Categories: categories, Scope: in.Scope,
			Source: optin.SourceOperator, Actor: Actor(r.Context()), Evidence: optin.Evidence{Text: in.Text}, At: tx.Now()})
		if err != nil {
			return err
		}
		out = RevokeReply{Contacts: reached, Cancelled: len(outcomes)}
		if err := s.cfg.Outcomes(tx, outcomes); err != nil {
			return err
		}
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "optin revoke", Object: p.identity.String(),
			After: fmt.Sprintf("%s %s; %d queued messages cancelled", strings.Join(in.Categories, " "), scopeName(in.Scope), len(outcomes))})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func scopeName(scope string) string {
	if scope == "" {
		return optin.ScopeAll
	}
	return scope
}

// knownScope refuses a scope that speaks for none of our numbers: a consent in
// it would permit nothing, and a revocation stop nothing.
func knownScope(q store.Querier, scope string) error {
	if scope == "" || scope == optin.ScopeAll {
		return nil
	}
	numbers, err := account.Numbers(q)
	if err != nil {
		return err
	}
	var known []string
	for _, n := range numbers {
		for _, s := range []string{n.Name, n.Unit} {
			if s == scope {
				return nil
			}
			if s != "" {
				known = append(known, s)
			}
		}
	}
	return invalid("there is no number and no business unit %q", scope).hint("write *, or one of %s", strings.Join(known, ", "))
}
