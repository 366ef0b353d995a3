package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/store"
	"janela/optin"
)

// Review is a message that may mean an opt-out.
type Review struct {
	ID        int64     `json:"id"`
	Contact   int64     `json:"contact"`
	Phone     string    `json:"phone,omitempty"`     // in full: the operator asked for it
	ToMasked  string    `json:"to_masked,omitempty"` // of the public face
	Number    string    `json:"number"`              // of ours, by name
	Text      string    `json:"text,omitempty"`      // what the person wrote; gone once decided
	Rule      string    `json:"rule"`
	Language  string    `json:"language"`
	SaidAt    time.Time `json:"said_at"`
	OpenedAt  time.Time `json:"opened_at"`
	State     string    `json:"state"` // open, stopped or kept
	DecidedAt time.Time `json:"decided_at,omitzero"`
	DecidedBy string    `json:"decided_by,omitempty"`
}

// ReviewPage is a page of reviews.
type ReviewPage struct {
	Reviews []Review `json:"reviews"`
	Next    int64    `json:"next,omitempty"` // after=… of the next page
	Waiting int64    `json:"waiting"`        // how many are open in all
}

// reviews lists what waits for a decision, the oldest first.
func (s *Server) reviews(w http.ResponseWriter, r *http.Request) error {
	after, err := whole(r, "after", 0)
	if err != nil {
		return err
	}
	limit, err := whole(r, "limit", maxPage)
	if err != nil {
		return err
	}
	out := ReviewPage{Reviews: []Review{}}
	limit = min(max(limit, 1), maxPage)
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		names, err := allNames(q)
		if err != nil {
			return err
		}
		if out.Waiting, _, err = optin.ReviewQueue(q); err != nil {
			return err
		}
		all, err := optin.OpenReviews(q, after, int(limit))
		if err != nil {
			return err
		}
		for _, of := range all {
			one, err := reviewOf(q, of, names)
			if err != nil {
				return err
			}
			out.Reviews = append(out.Reviews, one)
		}
		if int64(len(all)) == limit {
			out.Next = all[limit-1].ID
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func reviewOf(q store.Querier, r optin.Review, names map[string]string) (Review, error) {
	phone, _, err := contacts.Phone(q, r.Contact)
	name := names[r.Number]
	if name == "" {
		name = r.Number
	}
	return Review{ID: r.ID, Contact: r.Contact, Phone: phone.E164(), Number: name, Text: r.Text, Rule: r.Hint.Rule, Language: r.Hint.Language, SaidAt: r.SaidAt,
		OpenedAt: r.OpenedAt, State: r.State, DecidedAt: r.DecidedAt, DecidedBy: r.DecidedBy}, err
}

// DecideReply says what a decision did.
type DecideReply struct {
	Review
	Cancelled int `json:"cancelled"` // queued messages
}

func (s *Server) stopReview(w http.ResponseWriter, r *http.Request) error {
	return s.decide(w, r, true)
}
func (s *Server) keepReview(w http.ResponseWriter, r *http.Request) error {
	return s.decide(w, r, false)
}

// decide says what a message meant: it was an opt-out, or it was none.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, stop bool) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return invalid("a review's id is a number")
	}
	var out DecideReply
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		names, err := allNames(tx)
		if err != nil {
			return err
		}
		of, outcomes, err := optin.DecideReview(tx, id, stop, Actor(r.Context()))
		if errors.Is(err, optin.ErrNoReview) {
			return notFound("there is no open review %d", id).hint("janela optin review")
		}
		if err != nil {
			return err
		}
		if err := s.cfg.Outcomes(tx, outcomes); err != nil {
			return err
		}
		if out.Review, err = reviewOf(tx, of, names); err != nil {
			return err
		}
		out.Cancelled = len(outcomes)
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "optin review " + map[bool]string{true: "stop", false: "keep"}[stop],
			Object: fmt.Sprintf("review %d", id), Before: "open", After: fmt.Sprintf("%s, contact %d; %d queued messages cancelled", of.State, of.Contact, len(outcomes))})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// LinkWord is a word by which people sign up, as config.toml has it.
type LinkWord struct {
	Word       string   `json:"word"`
	Categories []string `json:"categories"`
	Scope      string   `json:"scope,omitempty"`
	Text       string   `json:"text"` // what must be published beside it
}

// LinkReply is a link that opens WhatsApp with the word already written.
type LinkReply struct {
	LinkWord
	Number  string `json:"number"`  // by name
	Display string `json:"display"` // as Meta shows it
	Phone   string `json:"phone"`   // its digits
}

// link finds the number's telephone number and the word.
func (s *Server) link(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	var out LinkReply
	var words []string
	for _, l := range s.live.Load().Links {
		if v.Get("word") == "" && out.Word == "" || v.Get("word") != "" && optin.FoldWord(l.Word) == optin.FoldWord(v.Get("word")) {
			out.LinkWord = l
		}
		words = append(words, l.Word)
	}
	switch {
	case len(words) == 0:
		return refused(CodeRefused, "no word signs anybody up").hint("describe one in config.toml: [[optin.keywords]] with words, categories and text")
	case out.Word == "":
		return notFound("no keyword of config.toml is %q", v.Get("word")).hint("there are %s", strings.Join(words, ", "))
	}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		n, err := number(q, v.Get("number"))
		if err != nil {
			return err
		}
		out.Number, out.Display, out.Phone = n.Name, n.Display, digitsOf(n.Display)
		if out.Phone == "" {
			return refused(CodeRefused, "Meta has not told the telephone number of %s yet", n.Name).hint("janela templates sync asks for it")
		}
		if out.Scope != "" && !slices.Contains(n.Scopes(), out.Scope) {
			return refused(CodeRefused, "the word agrees to messages from %s, and %s is another number", out.Scope, n.Name).hint("leave the number out, or take one of %s", out.Scope)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func digitsOf(display string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, display)
}
