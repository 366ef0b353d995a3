package httpapi

import (
	"context"
	"io"
	"net/http"

	"janela/internal/access"
	"janela/internal/store"
	"janela/optin"
)

// exportConsents writes the whole consent ledger as CSV. It is many people's
// data at once, so the audit log says who took it.
func (s *Server) exportConsents(w http.ResponseWriter, r *http.Request) error {
	err := s.noteExport(r.Context(), Actor(r.Context()))
	if err != nil {
		return err
	}
	patient(w)
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	_, err = optin.Export(r.Context(), s.cfg.DB, w)
	return err
}

// noteExport says who takes the ledger.
func (s *Server) noteExport(ctx context.Context, actor string) error {
	return s.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		return access.Note(tx, access.Entry{Actor: actor, Command: "optin export", Object: "consent ledger"})
	})
}

// Export writes the consent ledger as CSV.
func (c *Client) Export(ctx context.Context, w io.Writer) error {
	resp, err := c.do(ctx, "GET", "/v1/consents/export", nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return copyAnswer(w, resp.Body)
}
