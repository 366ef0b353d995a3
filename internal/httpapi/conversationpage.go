package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ConversationLine is a conversation with the service window beside it. The
// person's number is masked.
type ConversationLine struct {
	Conversation
	Window WhyWindow `json:"window"` // between the same number and person, as it stands now
}

// ConversationPage is a page of conversations, in the order of their ends.
type ConversationPage struct {
	Conversations []ConversationLine `json:"conversations"`
	Numbers       []string           `json:"numbers"` // ours, by name
	Next          string             `json:"next,omitempty"`
}

// conversationPage reads one page in one snapshot.
func (s *Server) conversationPage(w http.ResponseWriter, r *http.Request) error {
	f, err := s.conversationFilter(r)
	if err != nil {
		return err
	}
	limit, err := whole(r, "limit", usualPage)
	if err != nil {
		return err
	}
	most := int(min(max(limit, 1), maxPage))
	f.Limit = most + 1 // one more tells whether there is a next page
	if after := r.URL.Query().Get("after"); after != "" {
		var ok bool
		if f.After, ok = readCursor(after); !ok {
			return invalid("after is no place in the list").hint("take the next of the page before")
		}
	}
	out := ConversationPage{Conversations: []ConversationLine{}, Numbers: []string{}}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		numbers, err := account.Numbers(q)
		if err != nil {
			return err
		}
		byID := map[string]account.Number{}
		for _, n := range numbers {
			byID[n.ID], out.Numbers = n, append(out.Numbers, n.Name)
		}
		var rows []conversations.Row
		if err := conversations.List(q, f, func(r conversations.Row) error { rows = append(rows, r); return nil }); err != nil {
			return err
		}
		if len(rows) > most {
			rows = rows[:most]
			out.Next = cursorText(rows[most-1].Cursor())
		}
		found, err := withPeople(q, rows)
		if err != nil {
			return err
		}
		for i, c := range found {
			masked(&c)
			n, ok := byID[rows[i].Number]
			if !ok {
				n = account.Number{ID: rows[i].Number, Name: c.Number}
			}
			window, err := windowOf(q, n, c.Contact)
			if err != nil {
				return err
			}
			out.Conversations = append(out.Conversations, ConversationLine{c, window})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// values is the query in an address.
func (q ConversationsQuery) values() url.Values {
	return url.Values{"open": {strconv.FormatBool(q.Open)}, "from": {q.From}, "to": {q.To}, "number": {q.Number}, "category": {q.Category},
		"opened_from": {q.OpenedFrom}, "opened_to": {q.OpenedTo}, "origin": {q.Origin}, "contact": {q.Contact}, "phone": {q.Phone}}
}

// ConversationPage lists a page of conversations; after is the Next of the page
// before.
func (c *Client) ConversationPage(ctx context.Context, q ConversationsQuery, after string, limit int) (out ConversationPage, err error) {
	v := q.values()
	v.Set("after", after)
	v.Set("limit", strconv.Itoa(limit))
	return out, c.call(ctx, "GET", "/v1/conversations/page", v, nil, &out)
}

// Billed reports what Meta said of the price: that it charges for the message, or
// not. known is false where Meta said neither.
func (m *MetasWords) Billed() (billed, known bool) {
	if m == nil {
		return false, false
	}
	return conversations.Pricing{Type: m.PricingType, Billable: m.Billable}.Billed()
}

// Mask shortens a number or an id to what may be shown to whoever looks over a
// shoulder: enough to tell two people of a page apart, mostly.
func Mask(name string) string { return whatsapp.Mask(name) }
