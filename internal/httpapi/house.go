package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
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

// AuditEntry is one change somebody made.
type AuditEntry struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Command string    `json:"command"`
	Object  string    `json:"object"`
	Before  string    `json:"before,omitempty"`
	After   string    `json:"after,omitempty"`
}

// maxAudit bounds one page of the audit log.
const maxAudit = 10_000

// audit lists the latest changes, newest first.
func (s *Server) audit(w http.ResponseWriter, r *http.Request) error {
	n, err := whole(r, "n", 50)
	if err != nil {
		return err
	}
	before, err := whole(r, "before", 0)
	if err != nil {
		return err
	}
	out := []AuditEntry{}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		entries, err := access.Audit(q, before, int(min(n, maxAudit)))
		for _, e := range entries {
			out = append(out, AuditEntry{e.ID, store.Time(e.At), e.Actor, e.Command, e.Object, e.Before, e.After})
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func whole(r *http.Request, name string, fallback int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid("%s must be a whole number", name)
	}
	return n, nil
}

// Template is what Meta last said of a template.
type Template struct {
	Account  string                  `json:"account"`
	Name     string                  `json:"name"`
	Language string                  `json:"language"`
	Category whatsapp.Category       `json:"category"`
	Status   whatsapp.TemplateStatus `json:"status"`
	Quality  string                  `json:"quality,omitempty"`
	Sendable bool                    `json:"sendable"`
	Missing  bool                    `json:"missing,omitempty"` // Meta lists it no more
	Rejected string                  `json:"rejected_reason,omitempty"`
	SeenAt   time.Time               `json:"seen_at"`
	Changed  time.Time               `json:"changed_at"`
}

func (s *Server) templates(w http.ResponseWriter, r *http.Request) error {
	out := []Template{}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := account.Templates(q)
		for _, t := range all {
			out = append(out, Template{Account: t.Ref.WABA, Name: t.Ref.Name, Language: t.Ref.Language, Category: t.Category, Status: t.Status,
				Quality: t.Quality, Sendable: t.Sendable(), Missing: t.Missing, Rejected: t.RejectedReason,
				SeenAt: store.Time(t.SeenAt), Changed: store.Time(t.ChangedAt)})
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// syncTemplates asks Meta for templates and numbers now, and lists them.
func (s *Server) syncTemplates(w http.ResponseWriter, r *http.Request) error {
	if err := s.cfg.Account.Sync(r.Context()); err != nil {
		return &Problem{Title: "Meta could not be read", Status: http.StatusBadGateway, Code: CodeMeta, Detail: err.Error(),
			Hint: "what was known stays; check the token and the connection, then try again"}
	}
	return s.templates(w, r)
}

// askMeta makes sure that templates were asked for once, so that a check does
// not have to say "not checked" only because no daemon has run yet. That Meta
// cannot be reached is no error here: the check says what it could not know.
func (s *Server) askMeta(ctx context.Context) {
	if s.synced.Load() {
		return
	}
	known := false
	err := s.cfg.DB.Read(ctx, func(q *store.Snap) error {
		numbers, err := account.Numbers(q)
		for _, n := range numbers {
			known = known || n.SeenAt > 0
		}
		return err
	})
	if err != nil {
		return
	}
	if !known {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		if err := s.cfg.Account.Sync(ctx); err != nil {
			s.cfg.Log.Warn("templates could not be read; checks say what they do not know", "error", err)
			return
		}
	}
	s.synced.Store(true)
}
