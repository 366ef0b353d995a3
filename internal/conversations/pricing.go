package conversations

import (
	"errors"
	"fmt"
	"strings"
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
const (
	priceInto = `INSERT INTO message_prices
	(id, wamid, model, type, category, billable, conversation_id, conversation_origin, conversation_ends, at)
	VALUES `
	priceRow   = `(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`
	priceAgain = ` DO UPDATE SET
	model = CASE WHEN excluded.model <> '' AND (message_prices.model = '' OR excluded.at >= message_prices.at)
		THEN excluded.model ELSE message_prices.model END,
	type = CASE WHEN excluded.type <> '' AND (message_prices.type = '' OR excluded.at >= message_prices.at)
		THEN excluded.type ELSE message_prices.type END,
	category = CASE WHEN excluded.category <> '' AND (message_prices.category = '' OR excluded.at >= message_prices.at)
		THEN excluded.category ELSE message_prices.category END,
	billable = CASE WHEN excluded.billable <> '' AND (message_prices.billable = '' OR excluded.at >= message_prices.at)
		THEN excluded.billable ELSE message_prices.billable END,
	conversation_id = CASE WHEN excluded.conversation_id <> '' AND (message_prices.conversation_id = '' OR excluded.at >= message_prices.at)
		THEN excluded.conversation_id ELSE message_prices.conversation_id END,
	conversation_origin = CASE WHEN excluded.conversation_origin <> '' AND (message_prices.conversation_origin = '' OR excluded.at >= message_prices.at)
		THEN excluded.conversation_origin ELSE message_prices.conversation_origin END,
	conversation_ends = CASE WHEN excluded.conversation_ends > 0 AND (message_prices.conversation_ends = 0 OR excluded.at >= message_prices.at)
		THEN excluded.conversation_ends ELSE message_prices.conversation_ends END,
	at = CASE WHEN excluded.at > message_prices.at THEN excluded.at ELSE message_prices.at END`
)

var (
	sqlPrices       = store.SQLMany(priceInto+`{rows} ON CONFLICT (id)`+priceAgain, strings.ReplaceAll(priceRow, "?", "?r"))
	sqlForeignPrice = store.SQL(priceInto + priceRow + ` ON CONFLICT (wamid) WHERE wamid <> ''` + priceAgain)
)

// RecordPricing writes down what Meta said of the prices of messages, in the order
// in which they are given. It decides nothing: our conversations are our own
// arithmetic.
func RecordPricing(tx *store.Tx, all ...Pricing) error {
	var ours []*Pricing
	for i := range all {
		p := &all[i]
		if p.Wamid == "" {
			return errors.New("conversations: a price needs the wamid of its message")
		}
		if p.Message > 0 {
			ours = append(ours, p)
			continue
		}
		if err := tx.One(sqlForeignPrice, p.values(tx, nil, tx.NewID(), string(p.Wamid))...); err != nil {
			return fmt.Errorf("conversations: store the price of %v: %w", p.Wamid, err)
		}
	}
	for len(ours) > 0 { // each message once in a statement
		n, seen := 0, make(map[int64]bool, len(ours))
		for n < len(ours) && !seen[ours[n].Message] {
			seen[ours[n].Message] = true
			n++
		}
		changed, err := tx.ExecMany(sqlPrices, n, func(i int, args []any) []any { return ours[i].values(tx, args, ours[i].Message, "") })
		if err == nil && changed != int64(n) {
			err = fmt.Errorf("%w: %d of %d rows", store.ErrLost, changed, n)
		}
		if err != nil {
			return fmt.Errorf("conversations: store the prices of %d messages: %w", n, err)
		}
		ours = ours[n:]
	}
	return nil
}

// values appends the arguments of priceRow.
func (p *Pricing) values(tx *store.Tx, args []any, id int64, wamid string) []any {
	return append(args, id, wamid, p.Model, p.Type, p.Category, p.Billable,
		p.ConversationID, p.ConversationOrigin, store.Millis(p.ConversationEnds), store.Millis(SaneTime(p.At, tx.Now())))
}

const priceColumns = `model, type, category, billable, conversation_id, conversation_origin, conversation_ends, at`

var (
	sqlPriceOf        = store.SQL(`SELECT ` + priceColumns + ` FROM message_prices WHERE id = ?1 AND wamid = ''`)
	sqlForeignPriceOf = store.SQL(`SELECT ` + priceColumns + ` FROM message_prices WHERE wamid = ?1 AND wamid <> ''`)
)

type pricingScan struct {
	Pricing
	ends, at int64
}

// Fields names the places of priceColumns.
func (p *pricingScan) Fields() []any {
	return []any{&p.Model, &p.Type, &p.Category, &p.Billable, &p.ConversationID, &p.ConversationOrigin, &p.ends, &p.at}
}

// PriceOf returns what Meta said of the price of a message of ours, or of a
// foreign one (message 0); ok is false when it said nothing yet. Of ours that a
// status named before we knew it to be ours, it may stand under the wamid.
func PriceOf(q store.Querier, message int64, w whatsapp.Wamid) (p Pricing, ok bool, err error) {
	var row pricingScan
	if message > 0 {
		row, ok, err = store.Get[pricingScan](q, sqlPriceOf, message)
	}
	if err == nil && !ok && w != "" {
		row, ok, err = store.Get[pricingScan](q, sqlForeignPriceOf, string(w))
	}
	if err != nil {
		return p, false, fmt.Errorf("conversations: the price of %v: %w", w, err)
	}
	p = row.Pricing
	p.Message, p.Wamid = message, w
	p.ConversationEnds, p.At = store.Time(row.ends), store.Time(row.at)
	return p, ok, nil
}
