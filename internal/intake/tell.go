package intake

import (
	"strconv"
	"time"

	"janela/internal/conversations"
	"janela/internal/hooks"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

// Events for the business's own systems. What they hold names nobody: ids, and
// what kind of message it was. docs/hooks.md describes them.

// inboundEvent is the data of message.inbound.
type inboundEvent struct {
	ID       int64     `json:"id,string"`
	Contact  int64     `json:"contact,string"`
	Number   string    `json:"number"`
	Kind     string    `json:"kind"`              // text, button, image, …
	At       time.Time `json:"at"`                // Meta's
	Answers  string    `json:"answers,omitempty"` // the message of ours that it answers
	Campaign string    `json:"campaign,omitempty"`
	Says     string    `json:"says,omitempty"` // stop, join or review
}

// reviewEvent is the data of optin.review.
type reviewEvent struct {
	ID       int64  `json:"id,string"`
	Contact  int64  `json:"contact,string"`
	Number   string `json:"number"`
	Rule     string `json:"rule"`
	Language string `json:"language"`
}

func fmtID(id int64) string { return strconv.FormatInt(id, 10) }

// tellInbound tells that a person wrote, and which message and campaign they
// answer.
func (in *Intake) tellInbound(tx *store.Tx, m webhook.Inbound, h recorded) error {
	const kind = "message.inbound"
	if !in.cfg.Hooks.Wants(kind) {
		return nil
	}
	e := inboundEvent{ID: h.id, Contact: h.contact, Number: m.NumberID, Kind: m.Type, At: conversations.SaneTime(m.At, tx.Now()).UTC()}
	switch s := in.understand(m); {
	case s.stops:
		e.Says = "stop"
	case s.joins:
		e.Says = "join"
	case s.doubts:
		e.Says = "review"
	}
	answered, ok, err := byWamid(tx, m.ReplyTo, h.contact)
	if err != nil {
		return err
	}
	if ok {
		s, _, err := outbox.StreamByID(tx, answered.Stream)
		if err != nil {
			return err
		}
		e.Answers, e.Campaign = fmtID(answered.ID), s.Campaign
	}
	return in.cfg.Hooks.Emit(tx, hooks.Event{Type: kind, Number: m.NumberID, Key: "contact:" + fmtID(h.contact), Data: e})
}

func (in *Intake) tellReview(tx *store.Tx, m webhook.Inbound, contact, id int64, hint optin.Hint) error {
	return in.cfg.Hooks.Emit(tx, hooks.Event{Type: "optin.review", Number: m.NumberID, Key: "contact:" + fmtID(contact),
		Data: reviewEvent{ID: id, Contact: contact, Number: m.NumberID, Rule: hint.Rule, Language: hint.Language}})
}
