package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
	"janela/otp"
)

// optinReply says what became of a grant or a revocation. It is kept for
// repeats, and names nobody.
type optinReply struct {
	ID        string       `json:"id,omitempty" doc:"of what waits to be confirmed: nothing is recorded yet"`
	Status    string       `json:"status,omitempty" doc:"pending"`
	ExpiresAt string       `json:"expires_at,omitempty" doc:"until when"`
	ToMasked  string       `json:"to_masked,omitempty"`
	Results   []optinState `json:"results,omitempty"`
	Cancelled int          `json:"cancelled,omitempty" doc:"queued messages that a revocation cancelled"`
}

// optinState is what holds for one category afterwards.
type optinState struct {
	Category whatsapp.Category `json:"category"`
	Scope    string            `json:"scope,omitempty"`
	State    string            `json:"state" doc:"granted, opted_out; of a revocation revoked"`
	Event    int64             `json:"event,omitempty" doc:"of a grant"`
	Changed  bool              `json:"changed,omitempty" doc:"the person could not be written to before, and can now"`
}

// lookupOptins finds a person by number: POST /v1/optins/lookup.
func (c *call) lookupOptins() (a answer, err error) {
	err = c.withBody(func(body []byte) error {
		in, err := readLook(body)
		if err == nil {
			a, err = c.lookAtOptins(in)
		}
		return err
	})
	return a, err
}

// actor is who the ledgers say it was.
func (c *call) actor() string { return "api:" + c.key.Client }

// phoneOf reads a number in E.164.
func phoneOf(text string) (whatsapp.Phone, error) {
	p, err := whatsapp.ParsePhone(text, "")
	if err != nil || !strings.HasPrefix(text, "+") {
		return "", malformed("to must be a phone number in E.164: a plus and digits")
	}
	return p.Phone, nil
}

// scopeOf refuses a scope that speaks for none of our numbers, without
// repeating it.
func scopeOf(q store.Querier, scope string) error {
	var p *Problem
	if err := knownScope(q, scope); errors.As(err, &p) {
		return malformed("scope must be *, the name of a number or a business unit, as in the configuration")
	} else if err != nil {
		return err
	}
	return nil
}

// grantOptin records consent: POST /v1/optins.
func (c *call) grantOptin() (a answer, err error) {
	err = c.withBody(func(body []byte) error {
		rep, err := c.repeat("optins", body, true)
		if err != nil {
			return err
		}
		in, err := readGrant(body)
		if err != nil {
			return err
		}
		a, err = c.once(rep, effect{keep: keepChange, do: func(tx *store.Tx) (answer, []byte, error) {
			out, err := c.recordGrant(tx, in)
			if err != nil {
				return answer{}, nil, err
			}
			body, status := line(out), http.StatusCreated
			if out.ID != "" {
				status = http.StatusAccepted
			}
			return answer{status: status, body: body}, body, nil
		}})
		return err
	})
	return a, err
}

func (c *call) recordGrant(tx *store.Tx, in optinGrant) (optinReply, error) {
	out := optinReply{ToMasked: in.to.String()}
	if err := scopeOf(tx, in.scope); err != nil {
		return out, err
	}
	if in.at.After(tx.Now().Add(5 * time.Minute)) { // of clocks that are not alike
		return out, malformed("at is still to come")
	}
	var grants []optin.Grant
	for _, category := range in.categories {
		grants = append(grants, optin.Grant{Identity: in.to.Identity(), Category: category, Scope: in.scope, Purpose: in.purpose,
			Source: optin.SourceAPI, Actor: c.actor(), Evidence: in.evidence, At: in.at, AfterForgetting: in.anew})
	}
	if in.confirm || c.server.live.Load().DoubleOptIn {
		err := c.propose(tx, grants, &out)
		return out, err
	}
	for _, g := range grants {
		category := g.Category
		rec, err := optin.Record(tx, g)
		if errors.Is(err, optin.ErrInvalid) {
			return out, malformed("at is before WhatsApp existed")
		}
		if errors.Is(err, optin.ErrForgotten) {
			return out, publicProblem(codeForgotten, "where they have agreed anew, since then, say after_forgetting")
		}
		if err != nil {
			return out, err
		}
		st := optinState{Category: category, Scope: scopeName(in.scope), State: "granted", Event: rec.Event, Changed: rec.Changed}
		if !rec.State.Granted {
			st.State = rec.State.Reason
		}
		out.Results = append(out.Results, st)
		if err := access.Note(tx, access.Entry{Actor: c.actor(), Command: "optins grant", Object: in.to.String(),
			After: string(category) + " " + st.Scope + ", event " + strconv.FormatInt(rec.Event, 10)}); err != nil {
			return out, err
		}
	}
	return out, nil
}

// keepPending is how long a person has to confirm.
const keepPending = 7 * 24 * time.Hour

// propose keeps what the person has to confirm.
func (c *call) propose(tx *store.Tx, grants []optin.Grant, out *optinReply) error {
	p, err := optin.Propose(tx, c.key.Client, grants, keepPending)
	switch {
	case errors.Is(err, optin.ErrInvalid):
		return malformed("at is before WhatsApp existed")
	case errors.Is(err, optin.ErrForgotten):
		return publicProblem(codeForgotten, "where they have agreed anew, since then, say after_forgetting")
	case err != nil:
		return err
	}
	out.ID, out.Status, out.ExpiresAt = p.ID, "pending", stamp(p.ExpiresAt)
	return access.Note(tx, access.Entry{Actor: c.actor(), Command: "optins propose", Object: out.ToMasked, After: "to be confirmed"})
}

// confirmOptin records what a person has confirmed: POST
// /v1/optins/{id}/confirm.
func (c *call) confirmOptin(id string) (a answer, err error) {
	if !strings.HasPrefix(id, "opt_") || len(id) > 64 {
		return answer{}, noPath()
	}
	err = c.withBody(func(body []byte) error {
		rep, err := c.repeat("optins confirm "+id, body, false)
		if err != nil {
			return err
		}
		in, err := readConfirmation(body)
		if err != nil {
			return err
		}
		in.Source, in.Actor = optin.SourceAPI, c.actor()
		a, err = c.once(rep, effect{keep: keepChange, do: func(tx *store.Tx) (answer, []byte, error) {
			if in.At.After(tx.Now().Add(5 * time.Minute)) {
				return answer{}, nil, malformed("at is still to come")
			}
			recorded, categories, err := optin.Confirm(tx, c.key.Client, id, in)
			switch {
			case errors.Is(err, optin.ErrNoPending):
				return answer{}, nil, publicProblem(otp.CodeNotFound, "nothing of this id waits to be confirmed: unknown, not yours, confirmed, or too late")
			case errors.Is(err, optin.ErrInvalid):
				return answer{}, nil, malformed("at is before WhatsApp existed")
			case errors.Is(err, optin.ErrForgotten):
				return answer{}, nil, publicProblem(codeForgotten, "they asked to be forgotten after they had agreed")
			case err != nil:
				return answer{}, nil, err
			}
			var out optinReply
			for i, rec := range recorded {
				st := optinState{Category: categories[i], State: "granted", Event: rec.Event, Changed: rec.Changed}
				if !rec.State.Granted {
					st.State = rec.State.Reason
				}
				out.Results = append(out.Results, st)
			}
			body := line(out)
			return answer{status: http.StatusOK, body: body}, body,
				access.Note(tx, access.Entry{Actor: c.actor(), Command: "optins confirm", Object: id, After: strconv.Itoa(len(recorded)) + " consents"})
		}})
		return err
	})
	return a, err
}

// revokeOptin takes consent back, now: DELETE /v1/optins.
func (c *call) revokeOptin() (a answer, err error) {
	err = c.withBody(func(body []byte) error {
		rep, err := c.repeat("optins revoke", body, false)
		if err != nil {
			return err
		}
		in, err := readRevocation(body)
		if err != nil {
			return err
		}
		a, err = c.once(rep, effect{keep: keepChange, do: func(tx *store.Tx) (answer, []byte, error) {
			out, err := c.recordRevocation(tx, in)
			if err != nil {
				return answer{}, nil, err
			}
			body := line(out)
			return answer{status: http.StatusOK, body: body}, body, nil
		}})
		return err
	})
	return a, err
}

func (c *call) recordRevocation(tx *store.Tx, in optinRevocation) (optinReply, error) {
	out := optinReply{ToMasked: in.to.String()}
	if err := scopeOf(tx, in.scope); err != nil {
		return out, err
	}
	_, outcomes, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{in.to.Identity()}, Categories: in.categories,
		Scope: in.scope, Source: optin.SourceAPI, Actor: c.actor(), Evidence: optin.Evidence{Text: in.reason}, At: tx.Now()})
	if err != nil {
		return out, err
	}
	if err := c.server.cfg.Outcomes(tx, outcomes); err != nil {
		return out, err
	}
	out.Cancelled = len(outcomes)
	var names []string
	for _, category := range in.categories {
		names = append(names, string(category))
		out.Results = append(out.Results, optinState{Category: category, Scope: scopeName(in.scope), State: "revoked"})
	}
	return out, access.Note(tx, access.Entry{Actor: c.actor(), Command: "optins revoke", Object: in.to.String(),
		After: strings.Join(names, " ") + " " + scopeName(in.scope) + "; " + strconv.Itoa(len(outcomes)) + " queued messages cancelled"})
}

// optinView is what is known of a person's consent.
type optinView struct {
	Known    bool           `json:"known"`
	Contact  int64          `json:"contact,omitempty"`
	ToMasked string         `json:"to_masked,omitempty"`
	Standing []ConsentState `json:"standing" doc:"by number and category; nobody known: no_opt_in"`
	Events   []ConsentEvent `json:"events" doc:"oldest first"`
	Next     int64          `json:"next,omitempty"`
}

// maxEvents bounds one page of events.
const maxEvents = 500

// lookAtOptins shows what holds for a person, and the events: POST
// /v1/optins/lookup, or GET /v1/optins?contact=. The number of a person stands
// in no address, because addresses are logged.
func (c *call) lookAtOptins(in optinLook) (answer, error) {
	out := optinView{Standing: []ConsentState{}, Events: []ConsentEvent{}}
	err := c.db.Read(c.r.Context(), func(q *store.Snap) error {
		if c.r.Method == http.MethodGet {
			if err := c.authenticate(q, access.ScopeOptinRead); err != nil {
				return err
			}
			var err error
			if in, err = lookOf(c.r); err != nil {
				return err
			}
		}
		contact := contacts.Contact{ID: in.contact}
		if in.to != "" {
			out.ToMasked = in.to.String()
			var err error
			if contact, out.Known, err = contacts.Find(q, in.to.Identity()); err != nil {
				return err
			}
		} else {
			members, err := contacts.Members(q, in.contact)
			if err != nil {
				return err
			}
			out.Known = len(members) > 0
		}
		numbers, err := account.Numbers(q)
		if err != nil {
			return err
		}
		out.Contact = contact.ID
		states, events, err := consentsOf(q, contact.ID, whatsapp.TemplateCategories, numbers)
		if err != nil {
			return err
		}
		for _, s := range states {
			s.Events = nil // they are below
			out.Standing = append(out.Standing, s)
		}
		for _, e := range events {
			if e.ID <= in.after {
				continue
			}
			if len(out.Events) == in.limit {
				out.Next = out.Events[in.limit-1].ID
				break
			}
			out.Events = append(out.Events, e)
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	if !out.Known && in.to == "" {
		return answer{}, publicProblem(otp.CodeNotFound, "no contact has this id")
	}
	return answer{status: http.StatusOK, body: line(out)}, nil
}
