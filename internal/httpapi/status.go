package httpapi

import (
	"net/http"
	"time"

	"janela/internal/conversations"
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
	Now               time.Time        `json:"now"`
}

// MessagingLimit is how far Meta's messaging limit is used: how many different
// people the business may begin to write to within 24 hours.
type MessagingLimit struct {
	People  int        `json:"people"`          // who count now
	Limit   int        `json:"limit"`           // people in 24 h
	Reserve int        `json:"reserve"`         // so many of them are kept for codes
	Full    bool       `json:"full"`            // campaigns and notices wait, codes do not
	Opens   *time.Time `json:"opens,omitempty"` // when the first who counts leaves; of a full one
	Text    string     `json:"text"`            // the same in words
}

type memoryKey struct{}

// status counts what there is, and says how the daemon is.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
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
		if out.OpenConversations, _, err = conversations.Count(q, conversations.Filter{Open: true}); err != nil {
			return err
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
	if s.cfg.Reach != nil && r.Context().Value(memoryKey{}) == nil {
		if at := s.cfg.Reach(out.Now); at.Limit > 0 {
			out.MessagingLimit = &MessagingLimit{People: at.People, Limit: at.Limit, Reserve: at.Reserve, Full: at.Full, Text: at.String()}
			if at.Full {
				out.MessagingLimit.Opens = &at.Opens
			}
		}
	}
	return writeJSON(w, out)
}
