package conversations

import (
	"errors"
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Pricing is what one status said of a message's price and conversation,
// verbatim: unknown words are kept, not judged (Meta: Webhooks, messages,
// status object).
type Pricing struct {
	Wamid              whatsapp.Wamid
	Message            int64 // ours, or 0
	Model              string
	Type               string
	Category           string
	Billable           string // "true", "false", or "" when absent
	ConversationID     string
	ConversationOrigin string
	ConversationEnds   time.Time
	At                 time.Time // of the status
}

// A status that leaves a field out does not empty it: conversation and expiry
// come with sent only. Of two that fill it, the later status holds.
var sqlPricing = store.SQL(`INSERT INTO message_pricing
	(wamid, message_id, model, type, category, billable, conversation_id, conversation_origin, conversation_ends, at)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
	ON CONFLICT (wamid) DO UPDATE SET
	message_id = CASE WHEN excluded.message_id > 0 THEN excluded.message_id ELSE message_pricing.message_id END,
	model = CASE WHEN excluded.model <> '' AND (message_pricing.model = '' OR excluded.at >= message_pricing.at)
		THEN excluded.model ELSE message_pricing.model END,
	type = CASE WHEN excluded.type <> '' AND (message_pricing.type = '' OR excluded.at >= message_pricing.at)
		THEN excluded.type ELSE message_pricing.type END,
	category = CASE WHEN excluded.category <> '' AND (message_pricing.category = '' OR excluded.at >= message_pricing.at)
		THEN excluded.category ELSE message_pricing.category END,
	billable = CASE WHEN excluded.billable <> '' AND (message_pricing.billable = '' OR excluded.at >= message_pricing.at)
		THEN excluded.billable ELSE message_pricing.billable END,
	conversation_id = CASE WHEN excluded.conversation_id <> ''
		AND (message_pricing.conversation_id = '' OR excluded.at >= message_pricing.at)
		THEN excluded.conversation_id ELSE message_pricing.conversation_id END,
	conversation_origin = CASE WHEN excluded.conversation_origin <> ''
		AND (message_pricing.conversation_origin = '' OR excluded.at >= message_pricing.at)
		THEN excluded.conversation_origin ELSE message_pricing.conversation_origin END,
	conversation_ends = CASE WHEN excluded.conversation_ends > 0
		AND (message_pricing.conversation_ends = 0 OR excluded.at >= message_pricing.at)
		THEN excluded.conversation_ends ELSE message_pricing.conversation_ends END,
	at = CASE WHEN excluded.at > message_pricing.at THEN excluded.at ELSE message_pricing.at END`)

// RecordPricing writes down what Meta said of a message's price. It decides
// nothing: our conversations are our own arithmetic.
func RecordPricing(tx *store.Tx, p Pricing) error {
	if p.Wamid == "" {
		return errors.New("conversations: a price needs the wamid of its message")
	}
	err := tx.One(sqlPricing, string(p.Wamid), p.Message, p.Model, p.Type, p.Category, p.Billable,
		p.ConversationID, p.ConversationOrigin, store.Millis(p.ConversationEnds), store.Millis(SaneTime(p.At, tx.Now())))
	if err != nil {
		return fmt.Errorf("conversations: store the price of %v: %w", p.Wamid, err)
	}
	return nil
}

var sqlPriceOf = store.SQL(`SELECT wamid, message_id, model, type, category, billable, conversation_id, conversation_origin, conversation_ends, at
	FROM message_pricing WHERE wamid = ?1`)

type pricingScan struct {
	Pricing
	ends, at int64
}

// Fields names the places of sqlPriceOf's columns.
func (p *pricingScan) Fields() []any {
	return []any{&p.Wamid, &p.Message, &p.Model, &p.Type, &p.Category, &p.Billable, &p.ConversationID, &p.ConversationOrigin, &p.ends, &p.at}
}

// PriceOf returns what Meta said of a message's price; ok is false when it said
// nothing yet.
func PriceOf(q store.Querier, w whatsapp.Wamid) (p Pricing, ok bool, err error) {
	if w == "" {
		return p, false, nil
	}
	row, ok, err := store.Get[pricingScan](q, sqlPriceOf, string(w))
	if err != nil {
		return p, false, fmt.Errorf("conversations: the price of %v: %w", w, err)
	}
	p = row.Pricing
	p.ConversationEnds, p.At = store.Time(row.ends), store.Time(row.at)
	return p, ok, nil
}
