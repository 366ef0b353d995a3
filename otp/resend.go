package otp

import (
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Resend asks for a challenge's code once more.
type Resend struct {
	Channel string // whatsapp, sms or "" for whatsapp; sms is the fallback's
	Code    string // "auto" or "": the same while it is young; "new": always another
}

var sqlResend = store.SQL(`UPDATE challenges SET gen = ?2, resends = resends + 1, message_id = ?3, channel = 'whatsapp', code_at = ?4, expires_at = ?5
	WHERE id = ?1 AND state = 'pending' AND resends < max_resends`)

// Resend sends a challenge's code again: while it is young the same one, so that
// a late first message still works, else a new one, and then only the newest is
// right. Guesses are never given back. *Denied: nothing was written.
func (o *OTP) Resend(tx *store.Tx, c Caller, id string, r Resend) (View, error) {
	v, err := o.resend(tx, c, id, r)
	if err != nil {
		_ = o.countDenied(tx, err)
	}
	return v, err
}

func (o *OTP) resend(tx *store.Tx, c Caller, id string, r Resend) (View, error) {
	if r.Code != "" && r.Code != "auto" && r.Code != "new" {
		return View{}, denied(CodeMalformed, "\"code\" is auto or new")
	}
	ch, err := o.find(tx, c, id)
	if err != nil {
		return View{}, err
	}
	p, err := o.purpose(c, ch.Purpose)
	if err != nil {
		return View{}, err
	}
	now := tx.Now()
	if ch.now(now) != Pending {
		return View{}, ch.gone(now)
	}
	switch r.Channel {
	case "", "whatsapp":
	case sms:
		if err := o.fallBack(tx, &ch, askedFor); err != nil {
			return View{}, err
		}
		return o.View(tx, c, id)
	default:
		return View{}, denied(CodeMalformed, "\"channel\" is whatsapp or sms")
	}
	if ch.Resends >= ch.MaxResends {
		return View{}, tooOften()
	}
	limits := o.cfg().limitsOf(p)
	to, ok, err := o.address(tx, &ch)
	ok = ok || ch.Decoy // which has none
	if err != nil {
		return View{}, err
	}
	if !ok {
		return View{}, &Denied{Code: CodeGone, Reason: codeUnavailable, Detail: "this challenge's number is not known any more; ask for a new code"}
	}
	ask := o.askOf(&ch, limits)
	if _, err := o.reachable(tx, ask); err != nil {
		return View{}, err
	}
	if err := o.admit(tx, ask); err != nil {
		return View{}, err
	}
	rt, err := o.route(tx, p, ch.Language, ch.Device)
	if err != nil {
		return View{}, err
	}
	f, err := gate.FactsOfPerson(tx, ch.Contact, whatsapp.Authentication, rt.number)
	if err != nil {
		return View{}, err
	}
	if err := verdict(gate.Decide(rt.stream, rt.waits, ch.agreeing(f), now), now); err != nil {
		return View{}, err
	}
	same, err := ch.sendsSame(tx, r.Code)
	if err != nil {
		return View{}, err
	}
	if !same {
		ch.Gen, ch.CodeAt, ch.ExpiresAt = ch.Gen+1, store.Millis(now), ch.expiry(p, limits, now)
	}
	if store.Time(ch.ExpiresAt).Sub(now) <= lastSend {
		return View{}, &Denied{Code: CodeRateLimited, Scope: "phone", Rule: "life", Detail: "too little is left of this challenge's life; ask for a new one"}
	}
	if err := o.drop(tx, &ch, "code_replaced"); err != nil { // one that still waits for its turn
		return View{}, err
	}
	m, err := o.send(tx, &ch, ask, to, rt.stream, sending{})
	if err != nil {
		return View{}, err
	}
	if err := tx.One(sqlResend, ch.ID, ch.Gen, ch.Message, ch.CodeAt, ch.ExpiresAt); err != nil {
		return View{}, err
	}
	ch.Resends, ch.Channel = ch.Resends+1, "whatsapp"
	tx.Wake(Topic)
	return o.show(tx, &ch, m)
}

// askOf is what the limits are asked for another message of a challenge.
func (o *OTP) askOf(ch *challenge, l Limits) sendAsk {
	return sendAsk{phoneKey: ch.PhoneKey, ipKey: ch.IPKey, prefixKey: ch.PrefixKey, country: ch.Country, client: ch.Client, trusted: ch.Trusted, decoy: ch.Decoy, limits: l}
}

// sendsSame decides whether the same code goes again: it is young, it came by
// the same channel, and its last message did not fail.
func (ch *challenge) sendsSame(q store.Querier, code string) (bool, error) {
	now := q.Now()
	left := store.Time(ch.ExpiresAt).Sub(now)
	if code == "new" || now.Sub(store.Time(ch.CodeAt)) > sameCode || left <= 2*lastSend || ch.Channel != "whatsapp" || ch.Message == 0 {
		return false, nil
	}
	m, ok, err := ch.message(q)
	switch m.State {
	case outbox.Failed, outbox.PresumedExpired, outbox.Refused, outbox.Expired:
		return false, err
	default:
		return ok, err
	}
}
