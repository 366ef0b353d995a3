package httpapi

import (
	"context"
	"net/http"
	"time"

	"janela/internal/account"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

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
	var out []Template
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
		out, err = templatesOf(q)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func templatesOf(q store.Querier) ([]Template, error) {
	out := []Template{}
	all, err := account.Templates(q)
	for _, t := range all {
		out = append(out, templateOf(t))
	}
	return out, err
}

func templateOf(t account.Template) Template {
	return Template{Account: t.Ref.WABA, Name: t.Ref.Name, Language: t.Ref.Language, Category: t.Category, Status: t.Status,
		Quality: t.Quality, Sendable: t.Sendable(), Missing: t.Missing, Rejected: t.RejectedReason,
		SeenAt: store.Time(t.SeenAt), Changed: store.Time(t.ChangedAt)}
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
