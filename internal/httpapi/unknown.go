package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// UnknownLine is a message of which nobody knows whether Meta took it.
type UnknownLine struct {
	ID       int64             `json:"id"`
	Campaign string            `json:"campaign,omitempty"` // left out: a single message
	Number   string            `json:"number"`             // by name
	Category whatsapp.Category `json:"category"`
	Template string            `json:"template,omitempty"`  // name/language
	To       string            `json:"to,omitempty"`        // in full: the operator asked for it
	ToMasked string            `json:"to_masked,omitempty"` // of the public face
	Contact  int64             `json:"contact,omitempty"`
	Reason   string            `json:"reason"`
	Code     int               `json:"code,omitempty"` // Meta's
	Claimed  time.Time         `json:"claimed_at"`     // when the attempt was handed to the sender
	Since    time.Time         `json:"unknown_since"`
	Deadline time.Time         `json:"deadline,omitzero"`
	Attempts int               `json:"attempts"`
	Again    bool              `json:"sent_again"` // it went out a second time already: there is no third
}

// UnknownCount is how many are unknown, and why.
type UnknownCount struct {
	Campaign string            `json:"campaign,omitempty"`
	Number   string            `json:"number"`
	Category whatsapp.Category `json:"category"`
	Reason   string            `json:"reason"`
	N        int64             `json:"n"`
}

// UnknownPage is a page of unknown messages, and the counts of all of them.
type UnknownPage struct {
	Messages []UnknownLine  `json:"messages"`
	Next     string         `json:"next,omitempty"` // after=… of the next page
	Counts   []UnknownCount `json:"counts"`
}

// UnknownQuery says which unknown messages are wanted; "" is any.
type UnknownQuery struct {
	Campaign, Number, Category string
	Resolved                   bool   // also those that somebody said were sent
	After                      string // from behind a page's Next on
	Limit                      int    // 0: as many as a page holds
}

// silenceOperations are about messages of which nothing is heard.
func (s *Server) silenceOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/unknown":              s.unknown,
		"POST /v1/unknown/resolve":     s.resolveUnknown,
		"GET /v1/callbacks":            s.failedCallbacks,
		"POST /v1/callbacks/retry":     s.retryCallbacks,
		"GET /v1/undeliverable":        s.undeliverable,
		"POST /v1/undeliverable/clear": s.clearUndeliverable,
	}
}

func (s *Server) unknown(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	f := outbox.UnknownFilter{Campaign: v.Get("campaign"), Settled: v.Get("resolved") == "true"}
	limit, err := whole(r, "limit", maxPage)
	if err != nil {
		return err
	}
	f.Limit = int(min(max(limit, 1), maxPage))
	if after := v.Get("after"); after != "" {
		if n, err := fmt.Sscanf(after, "%d-%d", &f.After.Since, &f.After.ID); n != 2 || err != nil {
			return invalid("after is no next of a page")
		}
	}
	if c := v.Get("category"); c != "" {
		if f.Category, err = whatsapp.ParseCategory(c); err != nil {
			return invalid("category %q is not known", c).hint("write marketing, utility, authentication or service")
		}
	}
	out := UnknownPage{Messages: []UnknownLine{}, Counts: []UnknownCount{}}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		if name := v.Get("number"); name != "" {
			n, err := number(q, name)
			if err != nil {
				return err
			}
			f.Number = n.ID
		}
		return out.read(q, f)
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (p *UnknownPage) read(q store.Querier, f outbox.UnknownFilter) error {
	names, err := allNames(q)
	if err != nil {
		return err
	}
	all, err := outbox.ListUnknown(q, f)
	if err != nil {
		return err
	}
	for i := range all {
		p.Messages = append(p.Messages, unknownLine(&all[i], names))
	}
	if len(all) == f.Limit {
		last := all[len(all)-1]
		p.Next = fmt.Sprintf("%d-%d", last.Since, last.Message.ID)
	}
	counts, err := outbox.CountUnknown(q)
	for _, c := range counts {
		if f.Campaign != "" && c.Campaign != f.Campaign || f.Number != "" && c.Number != f.Number || f.Category != "" && c.Category != f.Category ||
			!f.Settled && c.Reason == outbox.ReasonResolvedSent {
			continue
		}
		p.Counts = append(p.Counts, UnknownCount{c.Campaign, nameOr(names, c.Number), c.Category, c.Reason, c.N})
	}
	return err
}

func nameOr(names map[string]string, id string) string {
	if name := names[id]; name != "" {
		return name
	}
	return id
}

func unknownLine(u *outbox.UnknownMessage, names map[string]string) UnknownLine {
	m, s := &u.Message, &u.Stream
	l := UnknownLine{ID: m.ID, Campaign: s.Campaign, Number: nameOr(names, s.Number), Category: s.Category, To: m.Address, Contact: m.Contact,
		Reason: m.Reason, Code: m.Code, Claimed: store.Time(m.ClaimedAt), Since: store.Time(u.Since), Deadline: store.Time(m.Deadline),
		Attempts: m.Attempt, Again: u.Again}
	if s.Template != "" {
		l.Template = s.Ref().String()
	}
	return l
}

// ResolveRequest says what somebody found out about unknown messages, or wants
// done. As is sent, not-sent or resend.
type ResolveRequest struct {
	IDs              []int64           `json:"ids"`
	As               outbox.Resolution `json:"as"`
	Note             string            `json:"note"`                        // how it is known: for the audit log
	AcceptDuplicates bool              `json:"accept_duplicates,omitempty"` // marketing is not sent again without
}

// ResolveReply says what became of them.
type ResolveReply struct {
	Messages []MessageState `json:"messages"`
}

const (
	maxResolve = 200 // messages of one request: one transaction
	maxNote    = 500 // characters
)

// resolveUnknown does what a person decided, for all of the messages or for none:
// every one that it cannot be done for is named.
func (s *Server) resolveUnknown(w http.ResponseWriter, r *http.Request) error {
	var in ResolveRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	in.Note = strings.TrimSpace(in.Note)
	switch {
	case !slices.Contains([]outbox.Resolution{outbox.AsSent, outbox.AsUnsent, outbox.AsAgain}, in.As):
		return invalid("a message cannot be resolved as %q", in.As).hint("write sent, not-sent or resend")
	case len(in.IDs) == 0 || len(in.IDs) > maxResolve:
		return invalid("%d messages; name from 1 to %d", len(in.IDs), maxResolve)
	case in.Note == "" || len([]rune(in.Note)) > maxNote:
		return invalid("a note of at most %d characters says how it is known", maxNote)
	}
	slices.Sort(in.IDs)
	in.IDs = slices.Compact(in.IDs)
	out := ResolveReply{Messages: []MessageState{}}
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		var wrong []string
		for _, id := range in.IDs {
			why, err := s.resolveOne(tx, id, &in, Actor(r.Context()), &out)
			if err != nil {
				return err
			}
			if why != "" {
				wrong = append(wrong, fmt.Sprintf("message %d %s", id, why))
			}
		}
		if len(wrong) == 0 {
			return nil
		}
		return refused(CodeRefused, "%s", strings.Join(wrong, "; ")).hint("nothing was changed; take them out, or look again: janela unknown list")
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// resolveOne resolves one message, or says why it cannot be.
func (s *Server) resolveOne(tx *store.Tx, id int64, in *ResolveRequest, actor string, reply *ResolveReply) (why string, err error) {
	m, ok, err := outbox.ByID(tx, id)
	if err != nil {
		return "", err
	}
	if !ok {
		return "does not exist", nil
	}
	stream, _, err := outbox.StreamByID(tx, m.Stream)
	if err != nil {
		return "", err
	}
	if in.As == outbox.AsAgain && stream.Category == whatsapp.Marketing && !in.AcceptDuplicates {
		return "is marketing, and the person may get it twice: say --i-accept-duplicates", nil
	}
	before := strings.TrimSpace(string(m.State) + " " + m.Reason)
	outcomes, err := outbox.Resolve(tx, m, in.As, actor)
	switch {
	case errors.Is(err, outbox.ErrMoved):
		return "is not unknown (any more): it is " + string(m.State), nil
	case errors.Is(err, outbox.ErrAgain):
		return "went out a second time already, and there is no third", nil
	case errors.Is(err, outbox.ErrCode):
		return "is a code: its person asks for another", nil
	case errors.Is(err, outbox.ErrDeadline):
		return "had to leave before " + store.Time(m.Deadline).Format(time.RFC3339), nil
	case errors.Is(err, outbox.ErrForgotten):
		return "went to somebody who was forgotten", nil
	case err != nil:
		return "", err
	}
	if err := s.cfg.Outcomes(tx, outcomes); err != nil {
		return "", err
	}
	now, _, err := outbox.ByID(tx, id)
	if err != nil {
		return "", err
	}
	reply.Messages = append(reply.Messages, stateOf(now))
	return "", access.Note(tx, access.Entry{Actor: actor, Command: "unknown resolve " + string(in.As), Object: fmt.Sprintf("message %d", id),
		Before: before, After: strings.TrimSpace(string(now.State)+" "+now.Reason) + ": " + in.Note})
}
