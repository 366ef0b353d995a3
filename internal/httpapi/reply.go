package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ReplyRequest sends free-form text to a person whose service window is open.
type ReplyRequest struct {
	Phone  string `json:"phone"`
	Text   string `json:"text"`
	Number string `json:"number,omitempty"` // by name; "": the one the person wrote to
}

// ReplyReply says that the text is queued.
type ReplyReply struct {
	Message  int64     `json:"message"`
	Number   string    `json:"number"`
	ClosesAt time.Time `json:"closes_at"`       // the window's end
	Waits    []Verdict `json:"waits,omitempty"` // what stops it for now
}

// maxText is how many characters a text message may have (Meta: Messages API,
// text object).
const maxText = 4096

// beforeClosing is how long before the window's end a reply is given up: no
// message may be on its way when it closes.
const beforeClosing = 2 * time.Minute

// reply queues a free-form text. Outside the service window it is refused: Meta
// would not deliver it.
func (s *Server) reply(w http.ResponseWriter, r *http.Request) error {
	var in ReplyRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(in.Text) == "":
		return invalid("the text is empty")
	case utf8.RuneCountInString(in.Text) > maxText:
		return invalid("the text has %d characters; WhatsApp takes %d", utf8.RuneCountInString(in.Text), maxText)
	}
	var out ReplyReply
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		p, err := s.person(tx, in.Phone)
		if err != nil {
			return err
		}
		n, window, err := openWindow(tx, p, in.Number)
		if err != nil {
			return err
		}
		verdicts, err := ask(tx, n, whatsapp.Service, p.Contact, p.identity.Kind, nil)
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			if v.Verdict == gate.Refuse.String() {
				return refused(v.Rule, "%s; %s", v.Value, closed(window)).hint("write with a template, or wait for the person to write")
			}
			if v.Verdict == gate.Wait.String() {
				out.Waits = append(out.Waits, v)
			}
		}
		stream, err := outbox.OpenStream(tx, outbox.Stream{Number: n.ID, WABA: n.WABA, Category: whatsapp.Service})
		if err != nil {
			return err
		}
		ids, outcomes, err := outbox.Enqueue(tx, stream, []outbox.New{{Contact: p.Contact, To: p.identity, Params: in.Text,
			Deadline: window.ClosesAt.Add(-beforeClosing)}})
		if err != nil {
			return err
		}
		out.Message, out.Number, out.ClosesAt = ids[0], n.Name, window.ClosesAt
		if err := s.cfg.Outcomes(tx, outcomes); err != nil {
			return err
		}
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "reply", Object: p.identity.String(),
			After: fmt.Sprintf("message %d on %s", out.Message, n.Name)})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// openWindow finds the number to reply from: the one named, else the one on
// which the person's window is open.
func openWindow(q store.Querier, p Person, name string) (account.Number, conversations.Window, error) {
	if !p.Known {
		return account.Number{}, conversations.Window{}, refused(string(gate.WindowClosed), "this person never wrote to us").
			hint("write with a template to somebody who has opted in; free-form text is for replies")
	}
	numbers, err := account.Numbers(q)
	if err != nil {
		return account.Number{}, conversations.Window{}, err
	}
	if name != "" {
		n, err := number(q, name)
		if err != nil {
			return n, conversations.Window{}, err
		}
		numbers = []account.Number{n}
	}
	var open []account.Number
	var latest, window conversations.Window
	for _, n := range numbers {
		w, err := conversations.ServiceWindow(q, n.ID, p.Contact, q.Now())
		if err != nil {
			return n, w, err
		}
		if w.LastAt.After(latest.LastAt) {
			latest = w
		}
		if w.Open {
			open, window = append(open, n), w
		}
	}
	switch len(open) {
	case 1:
		return open[0], window, nil
	case 0:
		return account.Number{}, latest, refused(string(gate.WindowClosed), "the person's service window is closed; %s", closed(latest)).
			hint("write with a template, or wait for the person to write")
	default:
		var names []string
		for _, n := range open {
			names = append(names, n.Name)
		}
		return account.Number{}, latest, invalid("the person wrote to several numbers").hint("say from which to reply: --number %s", strings.Join(names, ", --number "))
	}
}

func closed(w conversations.Window) string {
	if w.LastAt.IsZero() {
		return "the person never wrote to this number"
	}
	verb := "it closed at "
	if w.Open {
		verb = "it closes at "
	}
	return verb + w.ClosesAt.Format(time.RFC3339)
}
