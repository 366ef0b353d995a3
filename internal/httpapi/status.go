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
	Holds             int              `json:"holds"` // that stand
	Now               time.Time        `json:"now"`
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
	return writeJSON(w, out)
}
