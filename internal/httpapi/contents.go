package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ledgerOperations are those on conversations.
func (s *Server) ledgerOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/conversations":               s.conversations,
		"GET /v1/conversations/page":          s.conversationPage,
		"GET /v1/conversations/{id}/messages": s.contents,
		"GET /v1/conversations/report":        s.month,
		"POST /v1/conversations/rebuild":      s.rebuild,
	}
}

// ConversationContents is a conversation and what counts in it.
type ConversationContents struct {
	Conversation Conversation          `json:"conversation"`
	Messages     []ConversationMessage `json:"messages"`
}

// ConversationMessage is one message that counts in a conversation.
type ConversationMessage struct {
	Direction   string            `json:"direction" doc:"out or in"`
	Source      string            `json:"source" doc:"janela, another program (foreign), or the person"`
	ID          int64             `json:"id,omitempty" doc:"of our message, or of the inbound one"`
	Wamid       string            `json:"wamid,omitempty" doc:"Meta's; it contains the person's number"`
	At          time.Time         `json:"at" doc:"the instant by which it counts"`
	Category    whatsapp.Category `json:"category,omitempty" doc:"of what was sent; \"\" where Meta has not told"`
	InWindow    bool              `json:"in_window,omitempty" doc:"sent within 24 h of something the person wrote"`
	Answers     int64             `json:"answers,omitempty" doc:"our message that the person answers"`
	State       outbox.State      `json:"state,omitempty" doc:"of ours"`
	Template    string            `json:"template,omitempty" doc:"of ours: name/language; \"\" for text"`
	Campaign    string            `json:"campaign,omitempty" doc:"of ours"`
	Provisional bool              `json:"provisional,omitempty" doc:"its time is our acceptance"`
	Meta        *MetasWords       `json:"meta,omitempty" doc:"nil: Meta has said nothing"`
}

// MetasWords are what Meta said of a message's price and conversation, verbatim:
// an unknown word stands as it came, "" is what Meta left out.
type MetasWords struct {
	PricingModel          string    `json:"pricing_model,omitempty"`
	PricingType           string    `json:"pricing_type,omitempty"`
	PricingCategory       string    `json:"pricing_category,omitempty"`
	Billable              string    `json:"billable,omitempty" doc:"\"true\" or \"false\""`
	ConversationID        string    `json:"conversation_id,omitempty"`
	ConversationOrigin    string    `json:"conversation_origin,omitempty"`
	ConversationExpiresAt time.Time `json:"conversation_expires_at,omitzero"`
}

// contents shows a conversation and its messages.
func (s *Server) contents(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return invalid("a conversation's id is a number")
	}
	var out ConversationContents
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		var ok bool
		var err error
		if out, ok, err = contentsOf(q, id); err == nil && !ok {
			err = notFound("there is no conversation %d", id).hint("janela conversations lists them")
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func contentsOf(q store.Querier, id int64) (out ConversationContents, ok bool, err error) {
	row, ok, err := conversations.ByID(q, id)
	if err != nil || !ok {
		return out, ok, err
	}
	rows, err := withPeople(q, []conversations.Row{row})
	if err != nil {
		return out, false, err
	}
	out = ConversationContents{rows[0], []ConversationMessage{}}
	parts, err := conversations.Contents(q, row)
	if err != nil {
		return out, false, err
	}
	for _, p := range parts {
		m, err := conversationMessage(q, p)
		if err != nil {
			return out, false, err
		}
		out.Messages = append(out.Messages, m)
	}
	return out, true, nil
}

func conversationMessage(q store.Querier, p conversations.Part) (ConversationMessage, error) {
	m := ConversationMessage{Direction: "out", Source: "janela", ID: p.ID, Wamid: string(p.Wamid), At: p.At, Category: p.Category,
		InWindow: p.InWindow, Provisional: p.Provisional}
	switch {
	case p.Inbound:
		m.Direction, m.Source, m.Answers = "in", "person", p.Answers
		return m, nil
	case p.ID == 0:
		m.Source = "foreign"
	default:
		ours, _, err := outbox.ByID(q, p.ID)
		if err != nil {
			return m, err
		}
		stream, _, err := outbox.StreamByID(q, ours.Stream)
		if err != nil {
			return m, err
		}
		m.State, m.Campaign = ours.State, stream.Campaign
		if stream.Template != "" {
			m.Template = stream.Ref().String()
		}
	}
	price, ok, err := conversations.PriceOf(q, p.ID, p.Wamid)
	if ok {
		m.Meta = metasWords(price)
	}
	return m, err
}

func metasWords(p conversations.Pricing) *MetasWords {
	return &MetasWords{p.Model, p.Type, p.Category, p.Billable, p.ConversationID, p.ConversationOrigin, p.ConversationEnds}
}

// Contents shows a conversation and what counts in it.
func (c *Client) Contents(ctx context.Context, id int64) (out ConversationContents, err error) {
	return out, c.call(ctx, "GET", "/v1/conversations/"+strconv.FormatInt(id, 10)+"/messages", nil, nil, &out)
}
