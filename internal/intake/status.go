package intake

import (
	"time"

	"janela/internal/conversations"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
)

// statusBatch applies the statuses of one transaction together. What they change
// stands in the tables after write, and before anything else is applied.
type statusBatch struct {
	in     *Intake
	tx     *store.Tx
	rows   *outbox.Observing
	prices []conversations.Pricing
}

func (in *Intake) statuses(tx *store.Tx) *statusBatch {
	return &statusBatch{in: in, tx: tx, rows: outbox.NewObserving(tx, func(asked []outbox.Instant) ([]bool, error) {
		return conversations.InWindows(tx, len(asked), func(i int) (string, int64, time.Time) { return asked[i].Number, asked[i].Contact, asked[i].At })
	})}
}

// load reads the messages of statuses together.
func (b *statusBatch) load(group []*newcomer) error {
	var ids []int64
	for _, n := range group {
		for _, e := range n.statuses {
			if id, ok := whatsapp.ParseCallbackID(e.(webhook.Status).Callback); ok && id.DB == b.in.cfg.DB.Name() {
				ids = append(ids, id.Message)
			}
		}
	}
	return b.rows.Load(ids)
}

// write writes what the statuses so far changed, and hands it on.
func (b *statusBatch) write() error {
	if err := conversations.RecordPricing(b.tx, b.prices...); err != nil {
		return err
	}
	b.prices = b.prices[:0]
	out, err := b.rows.Write()
	if err != nil {
		return err
	}
	return b.in.tell(b.tx, out)
}

// apply applies one status: of a message of ours, or of a foreign one.
func (b *statusBatch) apply(s webhook.Status) error {
	in, tx := b.in, b.tx
	at := conversations.SaneTime(s.At, tx.Now())
	o := outbox.Observation{Wamid: s.Wamid, Status: s.Status, At: at}
	if id, ok := whatsapp.ParseCallbackID(s.Callback); ok && id.DB == in.cfg.DB.Name() {
		o.Message, o.Attempt = id.Message, id.Attempt
	}
	var code whatsapp.Code
	if len(s.Errors) > 0 {
		code = whatsapp.LookupCode(s.Errors[0].Code, 0).Said(s.Errors[0].Title + "; " + s.Errors[0].Details)
		o.Code, o.Reason = code.Code, string(code.Class)
	}
	if o.Message == 0 {
		var err error
		if o.People, err = people(tx, s.Wamid, identities(s.RecipientID, s.RecipientUserID, s.ParentUserID)...); err != nil {
			return err
		}
	}
	before, stream, ours, err := b.rows.Find(o)
	if err != nil {
		return err
	}
	if !ours {
		if err := b.write(); err != nil {
			return err
		}
		return in.foreign(tx, s, at)
	}
	if err := b.pair(before, s); err != nil {
		return err
	}
	changed, _, err := b.rows.Observe(o)
	if err != nil {
		return err
	}
	if p, ok := priceOf(tx, s, before.ID); ok {
		b.prices = append(b.prices, p)
	}
	if s.IdentityKeyHash != "" && stream.Category == whatsapp.Authentication && in.cfg.IdentityKey != nil {
		if err := in.cfg.IdentityKey(tx, before.ID, s.IdentityKeyHash); err != nil {
			return err
		}
		b.rows.Forget()
	}
	// What goes to somebody to whom nothing else goes is codes: one that arrives
	// shows that they can be reached.
	if changed && stream.Category == whatsapp.Authentication && (s.Status == webhook.StatusDelivered || s.Status == webhook.StatusRead) {
		if _, err := gate.Reachable(tx, before.Contact); err != nil {
			return err
		}
		b.rows.Forget()
	}
	if s.Status == webhook.StatusFailed && changed && code.Class != "" {
		if err := b.write(); err != nil {
			return err
		}
		return in.react(tx, before, stream, code)
	}
	return nil
}

// pair keeps what the status calls the person we sent to, where it is new.
func (b *statusBatch) pair(m outbox.Message, s webhook.Status) error {
	ids := []whatsapp.Identity{m.To()}
	for _, id := range identities(s.RecipientID, s.RecipientUserID, s.ParentUserID) {
		if id.Value == m.Address || id.Kind == whatsapp.KindWaID && "+"+id.Value == m.Address {
			continue
		}
		ids = append(ids, id)
	}
	if len(ids) == 1 || m.Contact == 0 {
		return nil
	}
	known, err := together(b.tx, ids)
	if err != nil {
		return err
	}
	if !known { // two people's messages may become one's
		if err := b.write(); err != nil {
			return err
		}
	}
	return joinAs(b.tx, known, ids)
}
