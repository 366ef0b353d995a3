package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

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
		manageAnswer(w, http.StatusOK, map[string]any{"messages": list})
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
