package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/dispatch"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Health is what the daemon says of itself.
type Health struct {
	Ready    bool     `json:"ready"`
	Problems []string `json:"problems,omitempty"`
	Alerts   []string `json:"alerts,omitempty"` // somebody should look; work goes on
}

// Status is the house at a glance.
type Status struct {
	Version           string           `json:"version"`
	Health            *Health          `json:"health,omitempty"` // nil: no daemon runs
	Messages          map[string]int64 `json:"messages"`         // by state
	Reasons           map[string]int64 `json:"reasons"`          // of those that ended with one
	OpenConversations int64            `json:"open_conversations"`
	Holds             int              `json:"holds"`                     // that stand
	MessagingLimit    *MessagingLimit  `json:"messaging_limit,omitempty"` // nil: no daemon runs, or no limit is known
	Numbers           []NumberPace     `json:"numbers,omitempty"`         // that have sent since the daemon started
	Now               time.Time        `json:"now"`
}

// NumberPace is how fast a number may send now.
type NumberPace struct {
	Number    string  `json:"number"`     // its name in config.toml
	PerSecond float64 `json:"per_second"` // messages, now
	Allowed   float64 `json:"allowed"`    // messages a second, by Meta and config.toml
	Requests  int     `json:"requests"`   // under way
	Window    int     `json:"window"`     // requests that may be under way, by the rate and Meta's answers
	AnswerMS  int64   `json:"answer_ms"`  // how long Meta takes, on average of late
	Text      string  `json:"text"`       // the same in words
}

func paceOf(p dispatch.Pace, names map[string]string) NumberPace {
	out := NumberPace{Number: cmp.Or(names[p.Number], p.Number), PerSecond: p.PerSecond(), Allowed: p.Allowed, Requests: p.InFlight, Window: p.Window, AnswerMS: p.Took.Milliseconds()}
	out.Text = fmt.Sprintf("%s: %.4g messages a second, %d of %d requests under way, answers after %d ms", out.Number, out.PerSecond, out.Requests, out.Window, out.AnswerMS)
	if p.Factor < 1 {
		out.Text += fmt.Sprintf("; slowed down from %.4g because Meta throttled, and recovering", p.Allowed)
	}
	return out
}

// MessagingLimit is how far Meta's messaging limit is used: how many different
// people the business may begin to write to within 24 hours.
type MessagingLimit struct {
	People  int        `json:"people"`          // who count now
	Limit   int        `json:"limit"`           // people in 24 h
	Reserve int        `json:"reserve"`         // so many of them are kept for codes
	Notices int        `json:"notices"`         // and so many for notices
	Left    int        `json:"left"`            // whom campaigns of marketing may still reach now
	Full    bool       `json:"full"`            // they wait for new people; codes, and who counts already, do not
	Opens   *time.Time `json:"opens,omitempty"` // when the first who counts leaves; of a full one
	Text    string     `json:"text"`            // the same in words
}

type memoryKey struct{}

// status counts what there is, and says how the daemon is.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	names := map[string]string{}
	out := Status{Version: s.cfg.Version, Messages: map[string]int64{}, Reasons: map[string]int64{}}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		out.Now = q.Now()
		tallies, err := outbox.Tallies(q)
		if err != nil {
			return err
		}
		for _, t := range tallies {
			out.Messages[string(t.State)] += t.N
			if t.Reason != "" {
				out.Reasons[t.Reason] += t.N
			}
		}
		open, err := conversations.OpenNow(q)
		if err != nil {
			return err
		}
		for _, n := range open {
			out.OpenConversations += n
		}
		numbers, err := account.Numbers(q)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			names[n.ID] = n.Name
		}
		holds, err := outbox.Holds(q)
		for _, h := range holds {
			if !h.Over(q.Now()) {
				out.Holds++
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if s.cfg.Health != nil && r.Context().Value(memoryKey{}) == nil {
		h := s.cfg.Health(r.Context())
		out.Health = &h
	}
	if r.Context().Value(memoryKey{}) == nil {
		out.MessagingLimit = s.messagingLimit(out.Now)
	}
	if s.cfg.Paces != nil && r.Context().Value(memoryKey{}) == nil {
		for _, p := range s.cfg.Paces() {
			out.Numbers = append(out.Numbers, paceOf(p, names))
		}
	}
	return writeJSON(w, out)
}
