package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/dossier"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// DossierRequest asks for everything that is known of a person.
type DossierRequest struct {
	Of       string `json:"of,omitempty"`       // a number as people write it, or an id as Meta writes it
	Contact  int64  `json:"contact,omitempty"`  // or this contact
	Language string `json:"language,omitempty"` // of the text: pt-BR or en; "": JSON
}

// named finds a known person by what a text names, or by the id of a contact.
func (s *Server) named(q store.Querier, of string, contact int64) (Person, error) {
	if (of == "") == (contact == 0) {
		return Person{}, invalid("name the person by one of the two: of, or contact")
	}
	if contact == 0 {
		return s.person(q, of)
	}
	names, err := contacts.Identities(q, contact)
	if err != nil || len(names) == 0 {
		return Person{}, err // who was forgotten has no name any more
	}
	p := Person{Known: true, Contact: contact, identity: names[0]}
	return p, p.fill(q)
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
	zone, err := time.LoadLocation(s.live.Load().Zone)
	if err != nil {
		return err
	}
	var p Person
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		if p, err = s.named(tx, in.Of, in.Contact); err != nil {
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

// ForgetRequest asks that a person be forgotten.
type ForgetRequest struct {
	Of      string `json:"of,omitempty" doc:"a number as people write it, or an id as Meta writes it"`
	Contact int64  `json:"contact,omitempty" doc:"or this contact"`
	Reason  string `json:"reason,omitempty" doc:"why, for the audit log, where it stays: without names or numbers of people" maxLength:"200"`
}

// ForgetReply says what was done.
type ForgetReply = dossier.Forgotten

// forget removes what is known of a person, for ever.
func (s *Server) forget(w http.ResponseWriter, r *http.Request) error {
	var in ForgetRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if s.cfg.Ledger == nil {
		return notFound("the consent ledger is not sealed here").hint("[optin] key_file names the keys; janela doctor looks at them")
	}
	var p Person
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
		p, err = s.named(q, in.Of, in.Contact)
		return err
	})
	if err != nil {
		return err
	}
	if !p.Known {
		return notFound("nobody is known by that").hint("who was forgotten already cannot be found any more")
	}
	if err := reasonToForget(in.Reason, p); err != nil {
		return err
	}
	patient(w)
	cfg := dossier.Config{DB: s.cfg.DB, Ledger: s.cfg.Ledger, Outcomes: s.cfg.Outcomes, Reason: strings.TrimSpace(in.Reason)}
	out, err := dossier.Forget(r.Context(), cfg, p.Contact, []whatsapp.Identity{p.identity}, Actor(r.Context()))
	if errors.Is(err, outbox.ErrSending) {
		return refused(CodeBusy, "a message to this person is on its way at this moment").hint("try again in a moment")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// maxReason is how long a reason may be, in characters.
const maxReason = 200

// reasonToForget refuses one that would keep what is to be forgotten.
func reasonToForget(reason string, p Person) error {
	if n := utf8.RuneCountInString(reason); n > maxReason {
		return invalid("the reason has %d characters; at most %d are kept", n, maxReason)
	}
	said, phone := digitsOf(reason), digitsOf(p.Phone)
	if len(phone) >= 8 && strings.Contains(said, phone[len(phone)-8:]) {
		return invalid("the reason names the person's number, and the audit log would keep it").hint("write a case number, or who asked, without the number")
	}
	return nil
}

// Forget removes what is known of a person.
func (c *Client) Forget(ctx context.Context, in ForgetRequest) (out ForgetReply, err error) {
	return out, c.call(ctx, "POST", "/v1/forget", nil, in, &out)
}
