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
	ToMasked  string       `json:"to_masked"`
	Results   []optinState `json:"results"`
	Cancelled int          `json:"cancelled,omitempty"` // queued messages that a revocation cancelled
}

// optinState is what holds for one category afterwards.
type optinState struct {
	Category whatsapp.Category `json:"category"`
	Scope    string            `json:"scope"`
	State    string            `json:"state"`             // granted, opted_out; of a revocation revoked
	Event    int64             `json:"event,omitempty"`   // of a grant
	Changed  bool              `json:"changed,omitempty"` // the person could not be written to before, and can now
}

// serveOptins answers at /v1/optins.
func (c *call) serveOptins(rest string) (answer, error) {
	switch rest {
	case "":
		run, scope := (*call).grantOptin, access.ScopeOptinWrite
		switch c.r.Method {
		case http.MethodPost:
		case http.MethodDelete:
			run = (*call).revokeOptin
		case http.MethodGet:
			run, scope = func(c *call) (answer, error) { return c.lookAtOptins(optinLook{}) }, access.ScopeOptinRead
		default:
			c.w.Header()["Allow"] = []string{"POST, DELETE, GET"}
			return answer{}, publicProblem(codeMethod, "this address takes POST, DELETE and GET")
		}
		if err := c.enter(c.r.Method, scope); err != nil {
			return answer{}, err
		}
		return run(c)
	case "/lookup":
		if err := c.enter(http.MethodPost, access.ScopeOptinRead); err != nil {
			return answer{}, err
		}
		var a answer
		err := c.withBody(func(body []byte) error {
			in, err := readLook(body)
			if err == nil {
				a, err = c.lookAtOptins(in)
			}
			return err
		})
		return a, err
	}
	return answer{}, noPath()
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
			body := line(out)
			return answer{status: http.StatusCreated, body: body}, body, nil
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
	for _, category := range in.categories {
		rec, err := optin.Record(tx, optin.Grant{Identity: in.to.Identity(), Category: category, Scope: in.scope, Purpose: in.purpose,
			Source: optin.SourceAPI, Actor: c.actor(), Evidence: in.evidence, At: in.at, AfterForgetting: in.anew})
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
	Standing []ConsentState `json:"standing"` // by number and category; nobody known: no_opt_in
	Events   []ConsentEvent `json:"events"`   // oldest first
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
