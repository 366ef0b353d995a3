package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// HoldRequest stops something. Scope is all, a category, number, template,
// campaign or account; Target says which one.
type HoldRequest struct {
	Scope   string `json:"scope"`
	Target  string `json:"target,omitempty"`
	Detail  string `json:"detail,omitempty"`  // why, in words
	Seconds int64  `json:"seconds,omitempty"` // how long; 0: until it is released
}

// HoldReply says what was placed or lifted.
type HoldReply struct {
	Holds []HoldLine `json:"holds"`
	Fresh bool       `json:"fresh"` // false: the same hold stood already
}

// HoldLine is one hold.
type HoldLine struct {
	ID     int64     `json:"id,omitempty"`
	Scope  string    `json:"scope"`
	Target string    `json:"target,omitempty"` // numbers by name
	Reason string    `json:"reason"`
	Detail string    `json:"detail,omitempty"`
	Actor  string    `json:"actor"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"` // zero: until somebody lifts it
	Probe  bool      `json:"probe,omitempty"`
	State  string    `json:"state"` // standing, probing or over
	Ends   string    `json:"ends" doc:"what releases it, in words"`
	ByHand bool      `json:"by_hand,omitempty" doc:"POST /v1/holds/release lifts it; of others ends says what does"`
}

// reasonOperator is the reason of a hold that a person placed.
const reasonOperator = "operator"

// Reasons of holds that are the shadow of something else; that is to be
// changed, not they.
const (
	reasonStopFile = "stop_file" // the file STOP in the campaigns folder
	reasonPaused   = "paused"    // a paused campaign
	reasonCancel   = "cancelled" // a campaign that is being cancelled
)

// targets turns what people write into scope and targets; a template's name
// may stand in several accounts.
func targets(q store.Querier, scope, target string) (outbox.Scope, []string, error) {
	if c, err := whatsapp.ParseCategory(scope); err == nil {
		scope, target = string(outbox.ScopeCategory), string(c)
	}
	one := func(s outbox.Scope, t string) (outbox.Scope, []string, error) { return s, []string{t}, nil }
	switch s := outbox.Scope(scope); s {
	case outbox.ScopeAll:
		return one(s, "")
	case outbox.ScopeCategory:
		if c, err := whatsapp.ParseCategory(target); err == nil {
			return one(s, string(c))
		}
		return s, nil, invalid("category %q is not known", target).hint("write marketing, utility or authentication")
	case outbox.ScopeNumber:
		n, err := number(q, target)
		return s, []string{n.ID}, err
	case outbox.ScopeCampaign:
		if _, ok, err := campaigns.ByID(q, target); err != nil || !ok {
			return s, nil, firstError(err, notFound("there is no campaign %q", target).hint("janela campaigns list"))
		}
		return one(s, target)
	case outbox.ScopeAccount:
		return accountTarget(q, target)
	case outbox.ScopeTemplate:
		return templateTargets(q, target)
	default:
		return s, nil, invalid("%q is nothing that can be held", scope).
			hint("write all, marketing, utility, authentication, number NAME, template NAME/LANGUAGE, campaign ID or account ID")
	}
}

func firstError(err error, p *Problem) error {
	if err != nil {
		return err
	}
	return p
}

func accountTarget(q store.Querier, target string) (outbox.Scope, []string, error) {
	numbers, err := account.Numbers(q)
	var known []string
	for _, n := range numbers {
		if n.WABA == target {
			return outbox.ScopeAccount, []string{target}, nil
		}
		known = append(known, n.WABA)
	}
	return outbox.ScopeAccount, nil, firstError(err, notFound("there is no account %q in config.toml", target).hint("there are %s", strings.Join(known, ", ")))
}

func templateTargets(q store.Querier, target string) (outbox.Scope, []string, error) {
	all, err := account.Templates(q)
	var found, near []string
	name, _, _ := strings.Cut(target, "/")
	for _, t := range all {
		if t.Ref.Target() == target || t.Ref.String() == target {
			found = append(found, t.Ref.Target())
		}
		if t.Ref.Name == name {
			near = append(near, t.Ref.String())
		}
	}
	if len(found) > 0 || err != nil {
		return outbox.ScopeTemplate, found, err
	}
	p := notFound("Meta lists no template %q", target).hint("write name/language, as janela templates list does")
	if len(near) > 0 {
		p = p.hint("there is %s", strings.Join(near, ", "))
	}
	return outbox.ScopeTemplate, nil, p
}

func (s *Server) hold(w http.ResponseWriter, r *http.Request) error {
	var in HoldRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.Seconds < 0 {
		return invalid("a hold cannot end before it begins")
	}
	out := HoldReply{Holds: []HoldLine{}}
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		scope, list, err := targets(tx, in.Scope, in.Target)
		if err != nil {
			return err
		}
		names, err := allNames(tx)
		if err != nil {
			return err
		}
		for _, target := range list {
			h := outbox.Hold{Scope: scope, Target: target, Reason: reasonOperator, Detail: in.Detail, Actor: Actor(r.Context())}
			if in.Seconds > 0 {
				h.Until = store.Millis(tx.Now().Add(time.Duration(in.Seconds) * time.Second))
			}
			fresh, err := outbox.Place(tx, h)
			if err != nil {
				return err
			}
			out.Fresh = out.Fresh || fresh
			h.Since = store.Millis(tx.Now())
			out.Holds = append(out.Holds, holdLine(h, names, tx.Now()))
			if err := noteHold(tx, r, "hold", h, "", holdText(h)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// release lifts every hold of a scope and target, whoever placed it, but those
// that only mirror a STOP file or a paused campaign.
func (s *Server) release(w http.ResponseWriter, r *http.Request) error {
	var in HoldRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	out := HoldReply{Holds: []HoldLine{}}
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		scope, list, err := targets(tx, in.Scope, in.Target)
		if err != nil {
			return err
		}
		names, err := allNames(tx)
		if err != nil {
			return err
		}
		all, err := outbox.Holds(tx)
		if err != nil {
			return err
		}
		var mirror *Problem
		for _, h := range all {
			if h.Scope != scope || !has(list, h.Target) {
				continue
			}
			if p := mirrors(h); p != nil {
				mirror = p
				continue
			}
			if err := outbox.LiftOne(tx, h, Actor(r.Context())); err != nil {
				return err
			}
			out.Holds = append(out.Holds, holdLine(h, names, tx.Now()))
			if err := noteHold(tx, r, "release", h, holdText(h), ""); err != nil {
				return err
			}
		}
		if len(out.Holds) > 0 {
			return nil
		}
		return firstError(asError(mirror), notFound("there is no such hold").hint("janela holds"))
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func asError(p *Problem) error {
	if p == nil {
		return nil
	}
	return p
}

func has(list []string, v string) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

func noteHold(tx *store.Tx, r *http.Request, command string, h outbox.Hold, before, after string) error {
	object := string(h.Scope)
	if h.Target != "" {
		object += " " + h.Target
	}
	return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: command, Object: object, Before: before, After: after})
}

func holdText(h outbox.Hold) string {
	text := h.Reason
	if h.Detail != "" {
		text += ": " + h.Detail
	}
	if h.Until > 0 {
		text += fmt.Sprintf(" until %s", store.Time(h.Until).Format(time.RFC3339))
	}
	return text
}

func (s *Server) holds(w http.ResponseWriter, r *http.Request) error {
	var out []HoldLine
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
		out, err = holdsOf(q)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func holdsOf(q store.Querier) ([]HoldLine, error) {
	out := []HoldLine{}
	names, err := allNames(q)
	if err != nil {
		return nil, err
	}
	all, err := outbox.Holds(q)
	for _, h := range all {
		out = append(out, holdLine(h, names, q.Now()))
	}
	return out, err
}

func allNames(q store.Querier) (map[string]string, error) {
	numbers, err := account.Numbers(q)
	return numberNames(numbers), err
}

func holdLine(h outbox.Hold, names map[string]string, now time.Time) HoldLine {
	l := HoldLine{ID: h.ID, Scope: string(h.Scope), Target: h.Target, Reason: h.Reason, Detail: h.Detail, Actor: h.Actor,
		Since: store.Time(h.Since), Until: store.Time(h.Until), Probe: h.Probe, State: "standing"}
	if name := names[h.Target]; h.Scope == outbox.ScopeNumber && name != "" {
		l.Target = name
	}
	l.Ends, l.ByHand = endsOf(h, l.Target), mirrors(h) == nil
	switch {
	case h.Over(now):
		l.State = "over"
	case h.MayProbe(now):
		l.State = "probing"
	}
	return l
}
