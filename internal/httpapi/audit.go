package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"janela/internal/access"
	"janela/internal/store"
)

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
