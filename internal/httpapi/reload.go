package httpapi

import (
	"context"
	"errors"
	"net/http"

	"janela/internal/tomlfile"
)

// Reload is what a reload of the configuration has changed.
type Reload struct {
	Changes  []ReloadChange `json:"changes"`
	Warnings []string       `json:"warnings,omitempty"`
}

// ReloadChange is one key. Texts that may be secret, or about people, are "…".
type ReloadChange struct {
	Key     string `json:"key"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Restart bool   `json:"restart,omitempty"` // it waits for a restart
}

// reload reads the configuration again.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Reload == nil || r.Context().Value(memoryKey{}) != nil {
		return refused(CodeRefused, "no daemon runs: there is nothing to reload").hint("janela serve reads the configuration when it starts")
	}
	out, err := s.cfg.Reload(r.Context(), Actor(r.Context()))
	var problems tomlfile.Problems
	switch {
	case errors.As(err, &problems):
		return refused(CodeRefused, "the configuration was not taken; the one before stays:\n%v", err).hint("correct it, then janela reload")
	case err != nil:
		return refused(CodeRefused, "the configuration was not taken; the one before stays: %v", err).hint("janela doctor says what is wrong")
	}
	if out.Changes == nil {
		out.Changes = []ReloadChange{}
	}
	return writeJSON(w, out)
}

// Reload reads the configuration again.
func (c *Client) Reload(ctx context.Context) (out Reload, err error) {
	return out, c.call(ctx, "POST", "/v1/reload", nil, struct{}{}, &out)
}
