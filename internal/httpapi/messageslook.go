package httpapi

import (
	"net/http"
	"strconv"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// messageView is where a message stands, for the business's own systems.
type messageView struct {
	ID         string            `json:"id"`
	Status     outbox.State      `json:"status"`
	Reason     string            `json:"reason,omitempty"`
	Error      *messageError     `json:"error,omitempty"`
	ToMasked   string            `json:"to_masked"`
	Contact    int64             `json:"contact,omitempty"`
	Number     string            `json:"number"`
	Category   whatsapp.Category `json:"category"`
	Template   string            `json:"template,omitempty" doc:"name/language; left out: text"`
	Campaign   string            `json:"campaign,omitempty"`
	ExternalID string            `json:"external_id,omitempty"`
	CreatedAt  string            `json:"created_at"`
	SendAt     string            `json:"send_at,omitempty" doc:"not before"`
	ExpiresAt  string            `json:"expires_at,omitempty"`
	At         map[string]string `json:"at,omitempty" doc:"by what happened: claimed, accepted, sent, delivered, read, failed"`

	Conversation *messageHome    `json:"conversation,omitempty"`
	Replies      []messageAnswer `json:"replies,omitempty" doc:"the first ones"`
	Meta         *MetasWords     `json:"meta,omitempty"`
}

// messageError is what Meta said against it.
type messageError struct {
	Code int    `json:"code,omitempty"`
	Text string `json:"text"`
	Do   string `json:"do,omitempty"`
}

// messageHome is the conversation in which a message counts.
type messageHome struct {
	ID        int64             `json:"id"`
	Category  whatsapp.Category `json:"category"`
	Origin    string            `json:"origin"`
	ExpiresAt string            `json:"expires_at"`
}

// messageAnswer is something the person wrote in answer to it.
type messageAnswer struct {
	ID   int64  `json:"id"`
	At   string `json:"at"`
	Type string `json:"type"`
}

// repliesShown bounds the answers that are listed.
const repliesShown = 20

// showMessage tells where a message stands: GET /v1/messages/{id}.
func (c *call) showMessage(id string) (answer, error) {
	var out messageView
	err := c.db.Read(c.r.Context(), func(q *store.Snap) error {
		if err := c.authenticate(q, access.ScopeMessageRead); err != nil {
			return err
		}
		n, ok := rowID(id)
		var m outbox.Message
		var err error
		if ok {
			m, ok, err = outbox.ByID(q, n)
		}
		if err != nil {
			return err
		}
		if !ok {
			return publicProblem(otp.CodeNotFound, "there is no such message")
		}
		out, err = viewOf(q, m)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: line(out)}, nil
}

func viewOf(q store.Querier, m outbox.Message) (messageView, error) {
	v := messageView{Status: m.State, Reason: m.Reason, ToMasked: whatsapp.Mask(m.Address), Contact: m.Contact, ExternalID: m.ExternalID,
		CreatedAt: stamp(store.Time(m.CreatedAt)), SendAt: stamp(store.Time(m.NotBefore)), ExpiresAt: stamp(store.Time(m.Deadline)), At: map[string]string{}}
	v.ID = strconv.FormatInt(m.ID, 10)
	s, _, err := outbox.StreamByID(q, m.Stream)
	if err != nil {
		return v, err
	}
	names, err := allNames(q)
	if err != nil {
		return v, err
	}
	if v.Number = names[s.Number]; v.Number == "" {
		v.Number = s.Number
	}
	v.Category, v.Campaign = s.Category, s.Campaign
	if s.Template != "" {
		v.Template = s.Ref().String()
	}
	for what, at := range map[string]int64{"claimed": m.ClaimedAt, "accepted": m.AcceptedAt, "sent": m.SentAt, "delivered": m.DeliveredAt,
		"read": m.ReadAt, "failed": m.FailedAt} {
		if at > 0 {
			v.At[what] = stamp(store.Time(at))
		}
	}
	switch m.State {
	case outbox.Failed, outbox.Refused, outbox.Cancelled, outbox.Expired, outbox.Unknown, outbox.PresumedExpired:
		text, do := campaigns.Explain(string(m.State), m.Reason, m.Code)
		v.Error = &messageError{m.Code, text, do}
	}
	return v, v.after(q, m, s)
}

// after adds what came of it once it had left.
func (v *messageView) after(q store.Querier, m outbox.Message, s outbox.Stream) error {
	at := m.SentAt
	for _, other := range []int64{m.DeliveredAt, m.ReadAt, m.AcceptedAt} {
		if at == 0 {
			at = other
		}
	}
	if at == 0 || m.Contact == 0 {
		return nil
	}
	home, ok, err := conversations.HomeOf(q, s.Number, m.Contact, m.ID, store.Time(at))
	if err != nil {
		return err
	}
	if ok {
		v.Conversation = &messageHome{home.ID, home.Category, string(home.Origin), stamp(home.ExpiresAt)}
	}
	replies, err := conversations.Replies(q, s.Number, m.Contact, m.ID, m.Wamid, repliesShown)
	if err != nil {
		return err
	}
	for _, r := range replies {
		v.Replies = append(v.Replies, messageAnswer{r.ID, stamp(r.At), r.Type})
	}
	price, ok, err := conversations.PriceOf(q, m.ID, m.Wamid)
	if ok {
		v.Meta = metasWords(price)
	}
	return err
}
