package otp

import (
	"slices"

	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Meta's codes that say something about the person's number (Meta: Cloud API,
// Error codes).
const (
	codeNotOnWhatsApp   = 131026
	codeIdentityChanged = 137000
)

// sent is a row of code_sends, as far as its message's fate needs it.
type sent struct {
	Message   int64
	Challenge string
	Gen       int
	Again     bool
}

// Fields names the places of sqlSent.
func (s *sent) Fields() []any { return []any{&s.Message, &s.Challenge, &s.Gen, &s.Again} }

var (
	sqlSent   = store.SQL(`SELECT message_id, challenge_id, gen, again FROM code_sends WHERE message_id = ?1`)
	sqlRepeat = store.SQL(`SELECT message_id FROM code_sends WHERE challenge_id = ?1 AND gen = ?2 AND again = 1 AND message_id <> ?3`)
	sqlPoint  = store.SQL(`UPDATE challenges SET message_id = ?2 WHERE id = ?1 AND state = 'pending'`)
)

// Outcomes follows the messages that carry codes: it gives back what Meta did
// not take, sends once more what was never answered, and remembers what Meta
// says of a number. The daemon calls it with every outcome; those of other
// messages cost nothing.
func (o *OTP) Outcomes(tx *store.Tx, out []outbox.Outcome) error {
	for i := range out {
		if out[i].Category != whatsapp.Authentication || out[i].From == out[i].To {
			continue
		}
		if err := o.follow(tx, &out[i]); err != nil {
			return err
		}
	}
	return nil
}

func (o *OTP) follow(tx *store.Tx, x *outbox.Outcome) error {
	switch x.To {
	case outbox.Queued, outbox.Sending, outbox.PresumedExpired: // a caller sees no difference, or it is late for anything
		return nil
	case outbox.Accepted, outbox.AcceptedHeld, outbox.Sent, outbox.Delivered, outbox.Read:
		tx.Wake(Topic)
		if x.From != outbox.Unknown && stageOf(x.From) >= stageOf(x.To) {
			return nil
		}
	}
	s, ok, err := store.Get[sent](tx, sqlSent, x.Message)
	if err != nil || !ok {
		return err
	}
	tx.Wake(Topic)
	if stage := stageOf(x.To); stage > stageOf(x.From) {
		if err := reached(tx, s.Challenge, stage); err != nil || x.From != outbox.Unknown {
			return err
		}
	}
	switch x.To {
	case outbox.Unknown:
		return o.again(tx, &s)
	case outbox.Failed:
		return o.failed(tx, x, &s)
	case outbox.Cancelled, outbox.Expired, outbox.Refused:
		return o.refund(tx, s.Message)
	default:
		return o.adopted(tx, &s)
	}
}

// again sends a message once more whose answer never came: nobody knows whether
// Meta took it, and the same code twice does no harm.
func (o *OTP) again(tx *store.Tx, s *sent) error {
	ch, ok, err := store.Get[challenge](tx, sqlChallenge, s.Challenge)
	if err != nil || !ok || ch.now(tx.Now()) != Pending || ch.Message != s.Message || ch.Gen != s.Gen || s.Again { // a newer code may have gone by the hook
		return err
	}
	at := tx.Now().Add(againWait)
	if !at.Before(store.Time(ch.ExpiresAt).Add(-lastSend)) {
		return nil
	}
	before, err := store.All[store.Col[int64]](tx, sqlRepeat, s.Challenge, s.Gen, s.Message)
	if err != nil || len(before) > 0 {
		return err
	}
	to, ok, err := o.address(tx, &ch)
	if err != nil || !ok {
		return err
	}
	m, _, err := outbox.ByID(tx, s.Message)
	if err != nil {
		return err
	}
	stream, ok, err := outbox.StreamByID(tx, m.Stream)
	if err != nil || !ok {
		return err
	}
	ask := o.askOf(&ch, o.cfg().limitsOf(o.cfg().Purposes[ch.Purpose]))
	if may, err := o.mayRepeat(tx, ask); err != nil || !may {
		return err
	}
	if _, err := o.send(tx, &ch, ask, to, stream, sending{again: true, notBefore: at}); err != nil {
		return err
	}
	return tx.One(sqlPoint, ch.ID, ch.Message)
}

// adopted cancels the repeat of a message that a status has found after all.
func (o *OTP) adopted(tx *store.Tx, s *sent) error {
	repeats, err := store.All[store.Col[int64]](tx, sqlRepeat, s.Challenge, s.Gen, s.Message)
	if err != nil || len(repeats) == 0 || s.Again {
		return err
	}
	ids := make([]int64, len(repeats))
	for i := range repeats {
		ids[i] = repeats[i].V
	}
	out, err := outbox.CancelMessages(tx, ids, "code_arrived")
	if err != nil || len(out) == 0 {
		return err
	}
	if _, err := tx.Exec(sqlPoint, s.Challenge, s.Message); err != nil {
		return err
	}
	return o.tell(tx, out)
}

// failed remembers what the failure says of the number, and gives the send back
// where Meta surely did not take it.
func (o *OTP) failed(tx *store.Tx, x *outbox.Outcome, s *sent) error {
	if err := o.refundUntaken(tx, x); err != nil {
		return err
	}
	if x.Code != codeNotOnWhatsApp && x.Code != codeIdentityChanged {
		return nil
	}
	ch, ok, err := store.Get[challenge](tx, sqlChallenge, s.Challenge)
	if err != nil || !ok {
		return err
	}
	now := store.Millis(tx.Now())
	if x.Code == codeIdentityChanged {
		o.countIdentityChanged()
		if _, err := tx.Exec(sqlChanged, ch.PhoneKey, now); err != nil {
			return err
		}
		if err := access.Note(tx, access.Entry{Actor: "meta", Command: "otp identity changed", Object: ch.ID, Before: string(ch.State)}); err != nil {
			return err
		}
		if ch.now(tx.Now()) != Pending {
			return nil
		}
		return o.end(tx, &ch, Failed, identityChanged) // and no fallback: it would reach whoever has the number now
	}
	if _, err := tx.Exec(sqlAbsent, ch.PhoneKey, store.Millis(tx.Now().Add(day)), now); err != nil {
		return err
	}
	if ch.now(tx.Now()) != Pending || ch.Gen != s.Gen {
		return nil
	}
	if err := o.drop(tx, &ch, "code_undeliverable"); err != nil { // its repeat
		return err
	}
	return o.fallBackAlone(tx, &ch, notThere)
}

// untaken are reasons of failures on our side: no request was made.
var untaken = []string{codeUnavailable, "account_unknown"}

// refundUntaken gives a failed send back if Meta surely did not take it. A
// status may have come before our answer: its message was taken.
func (o *OTP) refundUntaken(tx *store.Tx, x *outbox.Outcome) error {
	if x.From != outbox.Sending {
		return nil
	}
	m, ok, err := outbox.ByID(tx, x.Message)
	if err != nil || !ok || m.Wamid != "" || m.AcceptedAt > 0 || m.SentAt > 0 {
		return err
	}
	if !slices.Contains(untaken, x.Reason) && (x.Code == 0 || whatsapp.LookupCode(x.Code, 0).Accepted != whatsapp.AcceptedNo) {
		return nil
	}
	return o.refund(tx, x.Message)
}
