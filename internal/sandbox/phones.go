package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Phone is somebody's phone, as a list shows it.
type Phone struct {
	WaID   string    `json:"wa_id"` // or the BSUID of who has shown nothing else
	UserID string    `json:"user_id"`
	At     time.Time `json:"at"`   // of the latest message, in or out
	Text   string    `json:"text"` // of it; empty where it is not remembered, or did not arrive
	In     bool      `json:"in"`   // the person wrote it
	State  string    `json:"state,omitempty"`
}

// Heard is a message that a person wrote.
type Heard struct {
	WaID     string    `json:"wa_id"`
	NumberID string    `json:"number"`
	At       time.Time `json:"at"`
	Wamid    string    `json:"wamid"`
	Type     string    `json:"type"`
	Text     string    `json:"text,omitempty"`
}

// phonesLook is in how many of the latest messages Phones looks for people.
const phonesLook = 20_000

// Phones returns whose phones the latest messages went to or came from, the
// latest first: at most max. Each is known by BSUID from then on.
func (s *Sandbox) Phones(max int) []Phone {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Phone{}
	seen := map[string]bool{}
	heard := len(s.heard) - 1
	for i := s.ledger.count - 1; len(list) < max && (heard >= 0 || i >= 0 && s.ledger.count-i <= phonesLook); {
		var one Phone
		if heard >= 0 && (i < 0 || s.heard[heard].At.UnixMilli() >= s.ledger.get(i).at) {
			h := &s.heard[heard]
			one = Phone{WaID: h.WaID, At: h.At, Text: h.Text, In: true}
			heard--
		} else {
			m := s.show(i)
			one = Phone{WaID: m.To, At: m.At, State: m.State}
			if s.arrives(s.ledger.get(i)) {
				one.Text = m.Text
			}
			i--
		}
		if p := s.persons[one.WaID]; p != nil {
			one.WaID = p.wa // known by their BSUID too
		}
		if seen[one.WaID] {
			continue
		}
		seen[one.WaID] = true
		one.UserID = one.WaID
		if !isBSUID(one.WaID) {
			s.person(one.WaID)
			one.UserID = bsuid(s.cfg.Seed, one.WaID)
		}
		list = append(list, one)
	}
	return list
}

// Heard returns what a person has written since the start, the latest last: of
// the latest messages of all only.
func (s *Sandbox) Heard(address string) []Heard {
	who := s.who(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Heard{}
	for _, h := range s.heard {
		if h.WaID == who {
			list = append(list, h)
		}
	}
	return list
}

// remember keeps what a person wrote, as ledger.texts keeps what they received.
// The caller holds the lock.
func (s *Sandbox) remember(h Heard) {
	if len(s.heard) >= 2*textsKept {
		s.heard = append([]Heard{}, s.heard[textsKept:]...)
	}
	s.heard = append(s.heard, h)
}

// getPhones is GET /phones of the management door.
func (s *Sandbox) getPhones(w http.ResponseWriter, r *http.Request) {
	limit := 50
	if raw := r.URL.Query().Get("limit"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			manageError(w, http.StatusBadRequest, errors.New("limit must be a number from 1 on"))
			return
		}
		limit = min(n, 1000)
	}
	manageAnswer(w, http.StatusOK, map[string]any{"phones": s.Phones(limit)})
}

// Phone returns what a person has received, the latest last: at most max
// messages, all for max <= 0. The address is E.164, digits, or a BSUID. What the
// person does not see (it fails, it is held, or the phone is off) is listed
// with its state and without its text.
func (s *Sandbox) Phone(address string, max int) []Send {
	who := s.who(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Send
	for i := s.ledger.count - 1; i >= 0 && (max <= 0 || len(list) < max); i-- {
		if s.ledger.get(i).to == who {
			one := s.show(i)
			if !s.arrives(s.ledger.get(i)) {
				one.Text = ""
			}
			list = append(list, one)
		}
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// getPhone is GET /phones/{digits} of the management door: JSON, or text with
// ?format=text or where the client prefers it. ?limit=1 shows the latest only.
func (s *Sandbox) getPhone(w http.ResponseWriter, r *http.Request) {
	limit := 100
	if raw := r.URL.Query().Get("limit"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			manageError(w, http.StatusBadRequest, errors.New("limit must be a number from 1 on"))
			return
		}
		limit = min(n, 10_000)
	}
	list := s.Phone(r.PathValue("digits"), limit)
	if r.URL.Query().Get("format") != "text" && !strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
		if list == nil {
			list = []Send{}
		}
		manageAnswer(w, http.StatusOK, map[string]any{"messages": list, "heard": s.Heard(r.PathValue("digits"))})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, m := range list {
		what := m.Type
		if m.Template != "" {
			what = m.Template + "/" + m.Language
		}
		fmt.Fprintf(w, "%s  %s  %s", m.At.UTC().Format("2006-01-02 15:04:05"), what, m.State)
		if m.Code != 0 {
			fmt.Fprintf(w, " (%d)", m.Code)
		}
		fmt.Fprintln(w)
		for _, l := range strings.Split(strings.TrimRight(m.Text, "\n"), "\n") {
			if l != "" {
				fmt.Fprintln(w, "    "+l)
			}
		}
	}
}
