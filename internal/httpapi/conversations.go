package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Conversation is one row of the ledger of 24-hour conversations.
type Conversation struct {
	ID             int64             `json:"id"`
	Phone          string            `json:"phone,omitempty" doc:"\"\" for people without one, and forgotten ones"`
	ToMasked       string            `json:"to_masked,omitempty" doc:"of the public face, which does not tell the number"`
	Contact        int64             `json:"contact"`
	Number         string            `json:"number"`
	Category       whatsapp.Category `json:"category"`
	Origin         string            `json:"origin" doc:"business or user"`
	FreeEntryPoint bool              `json:"free_entry_point,omitempty"`
	OpenedAt       time.Time         `json:"opened_at"`
	ExpiresAt      time.Time         `json:"expires_at"`
	EndsAt         time.Time         `json:"ends_at" doc:"before expires_at where a free entry point ended it"`
	Open           bool              `json:"open"`
	Provisional    bool              `json:"provisional,omitempty" doc:"Meta's time is not known yet"`
	OpenedBy       int64             `json:"opened_by,omitempty" doc:"our message"`
	OpenedByWamid  string            `json:"opened_by_wamid,omitempty" doc:"the message of somebody else"`
	Answers        int64             `json:"answers,omitempty" doc:"the inbound message that the opening one answered"`
	MessagesOut    int64             `json:"messages_out"`
	MessagesIn     int64             `json:"messages_in"`
}

// ConversationsQuery says which conversations to list. The zero one takes all.
type ConversationsQuery struct {
	Open                 bool
	From, To             string // dates or times; those that overlap [From, To)
	OpenedFrom, OpenedTo string // dates or times; those that opened in [OpenedFrom, OpenedTo)
	Number               string // by name
	Category             string
	Origin               string // business or user
	Contact              string // by id
	Phone                string
}

func conversationOf(r conversations.Row, names map[string]string, phone string, now time.Time) Conversation {
	c := Conversation{ID: r.ID, Phone: phone, Contact: r.Contact, Number: names[r.Number], Category: r.Category, Origin: string(r.Origin),
		FreeEntryPoint: r.FreeEntryPoint, OpenedAt: r.OpenedAt, ExpiresAt: r.ExpiresAt, EndsAt: r.Ends(), Provisional: r.Provisional,
		OpenedBy: r.OpenedBy, OpenedByWamid: string(r.OpenedByWamid), Answers: r.Inbound, MessagesOut: r.MessagesOut, MessagesIn: r.MessagesIn}
	c.Open = !now.Before(c.OpenedAt) && now.Before(c.EndsAt)
	if c.Number == "" {
		c.Number = r.Number
	}
	return c
}

// page is how many conversations are read in one snapshot.
const page = 500

// conversations lists one conversation a line, in the order of their ends.
func (s *Server) conversations(w http.ResponseWriter, r *http.Request) error {
	f, err := s.conversationFilter(r)
	if err != nil {
		return err
	}
	patient(w)
	out := newLines(w)
	for {
		var rows []Conversation
		err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
			rows, err = onePage(q, &f)
			return err
		})
		if err != nil {
			return err
		}
		for _, c := range rows {
			if err := out.enc.Encode(c); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
	}
}

// onePage reads the next conversations and moves the filter past them. The
// people's numbers are read after the walk: a statement that is being walked
// leaves no room for another.
func onePage(q store.Querier, f *conversations.Filter) ([]Conversation, error) {
	var rows []conversations.Row
	err := conversations.List(q, *f, func(row conversations.Row) error {
		f.After = row.Cursor()
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return withPeople(q, rows)
}

// withPeople adds the names of our numbers and the people's phones.
func withPeople(q store.Querier, rows []conversations.Row) ([]Conversation, error) {
	names, err := allNames(q)
	if err != nil {
		return nil, err
	}
	out := make([]Conversation, len(rows))
	for i, row := range rows {
		p, _, err := contacts.Phone(q, row.Contact)
		if err != nil {
			return nil, err
		}
		out[i] = conversationOf(row, names, p.E164(), q.Now())
	}
	return out, nil
}

func (s *Server) conversationFilter(r *http.Request) (conversations.Filter, error) {
	v := r.URL.Query()
	f := conversations.Filter{Open: v.Get("open") == "true", Limit: page}
	var err error
	if f.From, err = s.when(v.Get("from")); err != nil {
		return f, err
	}
	if f.To, err = s.when(v.Get("to")); err != nil {
		return f, err
	}
	if f.OpenedFrom, err = s.when(v.Get("opened_from")); err != nil {
		return f, err
	}
	if f.OpenedTo, err = s.when(v.Get("opened_to")); err != nil {
		return f, err
	}
	if f.Origin = conversations.Origin(v.Get("origin")); f.Origin != "" && f.Origin != conversations.FromBusiness && f.Origin != conversations.FromUser {
		return f, invalid("origin %q is not known", f.Origin).hint("write business or user")
	}
	if c := v.Get("category"); c != "" {
		f.Category = whatsapp.Category(c)
		if f.Category != whatsapp.Service {
			if f.Category, err = whatsapp.ParseCategory(c); err != nil {
				return f, invalid("category %q is not known", c).hint("write marketing, utility, authentication or service")
			}
		}
	}
	if id := v.Get("contact"); id != "" {
		if f.Contact, err = strconv.ParseInt(id, 10, 64); err != nil || f.Contact <= 0 {
			return f, invalid("a contact's id is a number").hint("for a telephone number write --phone")
		}
	}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		if name := v.Get("number"); name != "" {
			n, err := number(q, name)
			if err != nil {
				return err
			}
			f.Number = n.ID
		}
		if phone := v.Get("phone"); phone != "" {
			p, err := s.person(q, phone)
			if err != nil {
				return err
			}
			if !p.Known {
				return notFound("nobody here has this number").hint("janela why PHONE says what is known of a number")
			}
			f.Contact = p.Contact
		}
		return nil
	})
	return f, err
}

// when reads a date or time; without an offset it is local to the configured
// zone. "" is the zero time.
func (s *Server) when(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	zone, err := time.LoadLocation(s.live.Load().Zone)
	if err != nil {
		return time.Time{}, invalid("time zone %q is not known", s.live.Load().Zone)
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, invalid("%q is no date", text).hint("write 2026-11-27, 2026-11-27T09:00 or 2026-11-27T09:00:00-03:00")
}
