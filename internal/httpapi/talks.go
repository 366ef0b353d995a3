package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// What the business's own systems see of the ledger. A person's number is shown
// masked; a wamid, which contains it, is shown to whoever may read conversations.

// conversationPage is an answer of GET /v1/conversations.
type conversationPage struct {
	Conversations []Conversation `json:"conversations"`
	Next          string         `json:"next,omitempty" doc:"after= of the next page; \"\": this was the last"`
}

// listConversations reads one page in one snapshot.
func (c *call) listConversations() (answer, error) {
	out := conversationPage{Conversations: []Conversation{}}
	err := c.db.Read(c.r.Context(), func(q *store.Snap) error {
		if err := c.authenticate(q, access.ScopeConversationRead); err != nil {
			return err
		}
		f, err := c.conversationFilter(q)
		if err != nil {
			return err
		}
		most := f.Limit
		f.Limit++ // one more tells whether there is a next page
		var rows []conversations.Row
		if err := conversations.List(q, f, func(r conversations.Row) error { rows = append(rows, r); return nil }); err != nil {
			return err
		}
		if len(rows) > most {
			rows = rows[:most]
			out.Next = cursorText(rows[most-1].Cursor())
		}
		found, err := withPeople(q, rows)
		for i := range found {
			masked(&found[i])
		}
		out.Conversations = append(out.Conversations, found...)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: line(out)}, nil
}

func masked(v *Conversation) {
	v.ToMasked, v.Phone = whatsapp.Mask(v.Phone), ""
}

// showConversation tells what counts in a conversation.
func (c *call) showConversation(id string) (answer, error) {
	var out ConversationContents
	err := c.db.Read(c.r.Context(), func(q *store.Snap) error {
		if err := c.authenticate(q, access.ScopeConversationRead); err != nil {
			return err
		}
		n, ok := rowID(id)
		var err error
		if ok {
			out, ok, err = contentsOf(q, n)
		}
		if err == nil && !ok {
			err = publicProblem(otp.CodeNotFound, "there is no such conversation")
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	masked(&out.Conversation)
	return answer{status: http.StatusOK, body: line(out)}, nil
}

// rowID reads an id of ours.
func rowID(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}

// How many rows a page has if nobody says, and at most.
const (
	usualPage = 100
	maxPage   = 500
)

// conversationFilter reads the query. A parameter that is not known is refused:
// one that were overlooked would show too much.
func (c *call) conversationFilter(q store.Querier) (conversations.Filter, error) {
	f := conversations.Filter{Limit: usualPage}
	v, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return f, malformed("the query cannot be read")
	}
	for name, values := range v {
		if len(values) != 1 {
			return f, malformed("every parameter may stand once")
		}
		var ok bool
		switch text := values[0]; name {
		case "number":
			var n account.Number
			n, ok, err = numberNamed(q, text)
			f.Number = n.ID
		case "contact":
			f.Contact, ok = rowID(text)
		case "category":
			f.Category = whatsapp.Category(text)
			ok = f.Category == whatsapp.Service || slices.Contains(whatsapp.TemplateCategories, f.Category)
		case "origin":
			f.Origin = conversations.Origin(text)
			ok = f.Origin == conversations.FromBusiness || f.Origin == conversations.FromUser
		case "opened_from":
			f.OpenedFrom, err = c.server.when(text)
			ok, err = err == nil && text != "", nil
		case "opened_to":
			f.OpenedTo, err = c.server.when(text)
			ok, err = err == nil && text != "", nil
		case "open":
			f.Open, ok = text == "true", text == "true" || text == "false"
		case "after":
			f.After, ok = readCursor(text)
		case "limit":
			f.Limit, err = strconv.Atoi(text)
			ok, err = err == nil && f.Limit >= 1 && f.Limit <= maxPage, nil
		default:
			return f, malformed("there is a parameter that is not known; known are number, contact, category, origin, opened_from, opened_to, open, after and limit")
		}
		if err != nil {
			return f, err
		}
		if !ok {
			return f, malformed("%s cannot be what was written", name)
		}
	}
	return f, nil
}

// numberNamed finds one of our numbers by its name.
func numberNamed(q store.Querier, name string) (account.Number, bool, error) {
	all, err := account.Numbers(q)
	for _, n := range all {
		if n.Name == name {
			return n, true, err
		}
	}
	return account.Number{}, false, err
}

// A cursor is the place of a row in the listing: expiry in ms, and id.
func cursorText(c conversations.Cursor) string {
	return strconv.FormatInt(store.Millis(c.ExpiresAt), 10) + "." + strconv.FormatInt(c.ID, 10)
}

func readCursor(text string) (conversations.Cursor, bool) {
	at, id, ok := strings.Cut(text, ".")
	ms, ok1 := rowID(at)
	row, ok2 := rowID(id)
	return conversations.Cursor{ExpiresAt: store.Time(ms), ID: row}, ok && ok1 && ok2
}

// windowReply is where a person's service windows stand.
type windowReply struct {
	Contact int64        `json:"contact,omitempty"`
	Known   bool         `json:"known" doc:"somebody has this number, or id"`
	Windows []windowLine `json:"windows"`
}

// windowLine is the window on one of our numbers.
type windowLine struct {
	Number   string    `json:"number"`
	Open     bool      `json:"open" doc:"free-form text is taken at this moment"`
	LastAt   time.Time `json:"last_at,omitzero" doc:"when the person last wrote; left out: never"`
	ClosesAt time.Time `json:"closes_at,omitzero" doc:"24 h later"`
}

// window tells of a contact by id: GET /v1/contacts/{id}/window.
func (c *call) window(id string) (answer, error) {
	var out windowReply
	err := c.db.Read(c.r.Context(), func(q *store.Snap) error {
		if err := c.authenticate(q, access.ScopeConversationRead); err != nil {
			return err
		}
		n, ok := rowID(id)
		if ok {
			members, err := contacts.Members(q, n)
			if err != nil {
				return err
			}
			ok = len(members) > 0
		}
		if !ok {
			return publicProblem(otp.CodeNotFound, "there is no such contact")
		}
		var err error
		out, err = windowsOf(q, n)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: line(out)}, nil
}

// lookupWindow tells of a person by number or id of Meta's, which stand in no
// address: POST /v1/contacts/window.
func (c *call) lookupWindow() (a answer, err error) {
	err = c.withBody(func(body []byte) error {
		var to string
		err := readDocument(body, true, "to", func(d document, name string) error {
			if name != "to" {
				return errUnknown
			}
			return d.text(name, &to)
		})
		if err != nil {
			return err
		}
		var out windowReply
		err = c.db.Read(c.r.Context(), func(q *store.Snap) error {
			p, err := c.recipient(q, to)
			if err != nil {
				return err
			}
			out.Windows = []windowLine{}
			if p.Known {
				out, err = windowsOf(q, p.Contact)
			}
			return err
		})
		a = answer{status: http.StatusOK, body: line(out)}
		return err
	})
	return a, err
}

// recipient finds whom a text names, without saying what it was.
func (c *call) recipient(q store.Querier, text string) (Person, error) {
	p, err := c.server.person(q, text)
	if err != nil {
		if problemOf(err).Status == http.StatusBadRequest {
			err = publicProblem(codeRecipient, "to must be a phone number in E.164, or a user id as Meta writes it")
		}
		return p, err
	}
	return p, nil
}

// windowsOf lists the windows of a person on every number of ours.
func windowsOf(q store.Querier, contact int64) (windowReply, error) {
	out := windowReply{Contact: contact, Known: true, Windows: []windowLine{}}
	numbers, err := account.Numbers(q)
	if err != nil {
		return out, err
	}
	for _, n := range numbers {
		w, err := conversations.ServiceWindow(q, n.ID, contact, q.Now())
		if err != nil {
			return out, err
		}
		out.Windows = append(out.Windows, windowLine{n.Name, w.Open, w.LastAt, w.ClosesAt})
	}
	return out, nil
}
