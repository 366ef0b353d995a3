package daemon

import (
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Outcomes follows up what became of messages, for those who change them in the
// same process beside the daemon's own doors. Call it in the transaction of the
// change.
func (d *Daemon) Outcomes(tx *store.Tx, out []outbox.Outcome) error { return d.outcomes(tx, out) }

// recount brings the conversation ledger up to date.
func recount(tx *store.Tx, out []outbox.Outcome) error {
	var confirmed []conversations.Confirmed
	for i := range out {
		if o := &out[i]; o.Contact > 0 && !o.Since.IsZero() && !o.Confirmed.IsZero() {
			confirmed = append(confirmed, conversations.Confirmed{Number: o.Number, Contact: o.Contact, Message: o.Message, Category: o.Category, Was: o.Was, At: o.Confirmed})
		}
	}
	did, err := conversations.Confirm(tx, confirmed...)
	if err != nil {
		return err
	}
	var touches []conversations.Touch
	for i, n := 0, 0; i < len(out); i++ {
		o := &out[i]
		if o.Since.IsZero() || o.Contact == 0 {
			continue
		}
		if !o.Confirmed.IsZero() {
			if n++; did[n-1] {
				continue
			}
		}
		t := conversations.Touch{Number: o.Number, Contact: o.Contact, Since: o.Since}
		if o.To == outbox.Accepted {
			t.Accepted, t.Category = o.Message, o.Category
		}
		touches = append(touches, t)
	}
	if len(touches) > 0 {
		_, err = conversations.Recompute(tx, touches...)
	}
	return err
}
