package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/gate"
	"janela/internal/store"
)

// UndeliverableLine is somebody to whom nothing but codes and answers is sent,
// because messages could not be delivered on several days.
type UndeliverableLine struct {
	Contact int64     `json:"contact"`
	Phone   string    `json:"phone,omitempty"`     // in full: the operator asked for it
	Masked  string    `json:"to_masked,omitempty"` // of the public face
	Since   time.Time `json:"since"`
}

// UndeliverablePage is a page of them.
type UndeliverablePage struct {
	People []UndeliverableLine `json:"people"`
	Next   string              `json:"next,omitempty"` // after=… of the next page
	All    int64               `json:"all"`            // how many there are
}

func (s *Server) undeliverable(w http.ResponseWriter, r *http.Request) error {
	limit, err := whole(r, "limit", maxPage)
	if err != nil {
		return err
	}
	limit = min(max(limit, 1), maxPage)
	var from gate.Setback
	if after := r.URL.Query().Get("after"); after != "" {
		if n, err := fmt.Sscanf(after, "%d-%d", &from.UndeliverableAt, &from.Contact); n != 2 || err != nil {
			return invalid("after is no next of a page")
		}
	}
	out := UndeliverablePage{People: []UndeliverableLine{}}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := gate.Undeliverable(q, from, int(limit))
		if err != nil {
			return err
		}
		for _, p := range all {
			phone, _, err := contacts.Phone(q, p.Contact)
			if err != nil {
				return err
			}
			out.People = append(out.People, UndeliverableLine{Contact: p.Contact, Phone: phone.E164(), Since: store.Time(p.UndeliverableAt)})
			out.Next = fmt.Sprintf("%d-%d", p.UndeliverableAt, p.Contact)
		}
		if int64(len(all)) < limit {
			out.Next = ""
		}
		out.All, err = gate.CountUndeliverable(q)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// ClearRequest names a person, as janela why does.
type ClearRequest struct {
	Of string `json:"of"`
}

// ClearReply says who it was.
type ClearReply struct {
	Contact int64 `json:"contact"`
}

// clearUndeliverable lets messages to a person be tried again.
func (s *Server) clearUndeliverable(w http.ResponseWriter, r *http.Request) error {
	var in ClearRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	var out ClearReply
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		p, err := s.person(tx, in.Of)
		if err != nil {
			return err
		}
		n, err := gate.Reachable(tx, p.Contact)
		if err != nil {
			return err
		}
		if n == 0 {
			return notFound("nothing says that messages to this person cannot be delivered").hint("janela undeliverable list")
		}
		out.Contact = p.Contact
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "undeliverable clear", Object: fmt.Sprintf("contact %d", p.Contact), Before: "undeliverable"})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}
