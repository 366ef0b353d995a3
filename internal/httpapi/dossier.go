package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/dossier"
	"janela/internal/store"
)

// DossierRequest asks for everything that is known of a person.
type DossierRequest struct {
	Of       string `json:"of"`                 // a number as people write it, or an id as Meta writes it
	Language string `json:"language,omitempty"` // of the text: pt-BR or en; "": JSON
}

// dossier writes the file of a person. The audit log says who asked for it.
func (s *Server) dossier(w http.ResponseWriter, r *http.Request) error {
	var in DossierRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.Language != "" && !slices.Contains(dossier.Languages, in.Language) {
		return invalid("there is no language %q", in.Language).hint("write %s", strings.Join(dossier.Languages, " or "))
	}
	zone, err := time.LoadLocation(s.cfg.Zone)
	if err != nil {
		return err
	}
	var p Person
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		if p, err = s.person(tx, in.Of); err != nil {
			return err
		}
		if !p.Known {
			return notFound("nobody is known by that").hint("janela why says what would stop a message to a number")
		}
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "dossier", Object: p.identity.String()})
	})
	if err != nil {
		return err
	}
	patient(w)
	f, err := dossier.Build(r.Context(), s.cfg.DB, p.Contact)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	if in.Language != "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return f.Text(w, in.Language, zone)
	}
	return writeJSON(w, f)
}

// Dossier writes everything that is known of a person to w: as text in a
// language, or as JSON.
func (c *Client) Dossier(ctx context.Context, in DossierRequest, w io.Writer) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, "POST", "/v1/dossier", nil, strings.NewReader(string(b)))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return copyAnswer(w, resp.Body)
}
