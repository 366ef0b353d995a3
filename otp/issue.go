package otp

import (
	"cmp"
	"errors"
	"time"

	"janela/internal/contacts"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

var (
	sqlPending = store.SQL(`SELECT ` + challengeColumns + ` FROM challenges c WHERE c.phone_key = ?1 AND c.purpose = ?2 AND c.state = 'pending'`)
	sqlInsert  = store.SQL(`INSERT INTO challenges (id, client, purpose, contact_id, phone_key, phone_mac, masked, country, ip_key, binding, language, device,
		trusted, digits, kid, seed, gen, max_attempts, max_resends, state, message_id, metadata, created_at, code_at, expires_at, prefix_key, decoy)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1, ?17, ?18, 'pending', ?19, ?20, ?21, ?21, ?22, ?23, ?24)`)
)

// Issue makes a challenge and queues the message with its code, or says why not
// with a *Denied: then nothing was written. The same session of a client asking
// again replaces its own challenge; those of other sessions stand beside it.
func (o *OTP) Issue(tx *store.Tx, c Caller, r Request) (View, error) { return o.Prepare(c, r)(tx) }

// Prepare is Issue in two parts: what needs no transaction, the hashes above all,
// is done at once, because there is one transaction at a time. The other is to be
// called once; also a request that cannot be understood is judged there, after
// what was answered to it before.
func (o *OTP) Prepare(c Caller, r Request) func(tx *store.Tx) (View, error) {
	a, err := o.understand(c, r)
	return func(tx *store.Tx) (View, error) {
		var v View
		if err == nil {
			v, err = o.issue(tx, c, r, a)
		}
		o.countAsked(tx, r, a.ask.country, err)
		return v, err
	}
}

func (o *OTP) issue(tx *store.Tx, c Caller, r Request, a asked) (View, error) {
	ph, err := o.reachable(tx, a.ask)
	if err != nil {
		return View{}, err
	}
	if err := o.admit(tx, a.ask); err != nil {
		return View{}, err
	}
	contact, route, err := o.permitted(tx, c, &a, r.Consent)
	if err != nil {
		return View{}, err
	}
	if err := o.makeRoom(tx, c, &a); err != nil {
		return View{}, err
	}
	now := tx.Now()
	ch := challenge{ID: newID(now), Client: c.Client, Purpose: a.name, Contact: contact, PhoneKey: a.ask.phoneKey, PhoneMAC: a.exact, PrefixKey: a.ask.prefixKey,
		Masked: maskNumber(a.phone), Country: a.ask.country, IPKey: a.ask.ipKey, Binding: a.binding, Language: a.language, Device: a.device,
		Trusted: r.Trusted, Decoy: r.Decoy, Digits: a.purpose.Digits, KID: o.deps.Keys.newest(), Seed: newSeed(), Gen: 1,
		MaxAttempts: a.limits.attempts(), MaxResends: max(a.limits.Resends, 0), State: Pending, Channel: "whatsapp", Metadata: a.metadata,
		CreatedAt: store.Millis(now), CodeAt: store.Millis(now)}
	ch.ExpiresAt = ch.expiry(a.purpose, a.limits, now)
	var m outbox.Message
	if ph.NotOnWhatsApp <= store.Millis(now) {
		if m, err = o.send(tx, &ch, a.ask, a.phone, route.stream, sending{}); err != nil {
			return View{}, err
		}
	}
	err = tx.One(sqlInsert, ch.ID, ch.Client, ch.Purpose, ch.Contact, ch.PhoneKey, ch.PhoneMAC, ch.Masked, ch.Country, ch.IPKey, ch.Binding,
		ch.Language, ch.Device, ch.Trusted, ch.Digits, ch.KID, ch.Seed, ch.MaxAttempts, ch.MaxResends, ch.Message, ch.Metadata, ch.CreatedAt, ch.ExpiresAt, ch.PrefixKey, ch.Decoy)
	if err == nil {
		err = countIn(tx, ch.ID)
	}
	if err != nil {
		return View{}, err
	}
	tx.Wake(Topic)
	if ch.Message == 0 { // the number is known not to be on WhatsApp: nothing is sent there
		if err := o.fallBackAlone(tx, &ch, notThere); err != nil {
			return View{}, err
		}
	}
	return o.show(tx, &ch, m)
}

// expiry is when a code made now ends (ms): after its own time, and never later
// than its challenge.
func (ch *challenge) expiry(p Purpose, l Limits, now time.Time) int64 {
	ttl := p.TTL
	if ttl <= 0 || ttl > maxTTL {
		ttl = maxTTL
	}
	life := store.Time(ch.CreatedAt).Add(l.life())
	if end := now.Add(ttl); end.Before(life) {
		return store.Millis(end)
	}
	return store.Millis(life)
}

// attempts and life stand in for limits that cannot be switched off.
func (l *Limits) attempts() int { return cmp.Or(max(l.Attempts, 0), 5) }

func (l *Limits) life() time.Duration { return cmp.Or(max(l.Life, 0), 20*time.Minute) }

// permitted asks the gate, and records the consent that came along where it is
// needed. It returns the person's contact.
func (o *OTP) permitted(tx *store.Tx, c Caller, a *asked, consent *Consent) (contact int64, rt route, err error) {
	rt, err = o.route(tx, a.purpose, a.language, a.device)
	if err != nil {
		return 0, rt, err
	}
	person, known, err := contacts.Find(tx, a.phone.Identity())
	if err != nil {
		return 0, rt, err
	}
	f := gate.MessageFacts{Kind: whatsapp.KindPhone}
	if known {
		if f, err = gate.FactsOfPerson(tx, person.ID, whatsapp.Authentication, rt.number); err != nil {
			return 0, rt, err
		}
	}
	if a.ask.decoy { // looked up as well, and answered as one that agreed
		f, person.ID = (&challenge{Decoy: true}).agreeing(f), 0
	}
	v := gate.Decide(rt.stream, rt.waits, f, tx.Now())
	if v.Kind != gate.Refuse || v.Reason != gate.NoOptIn || consent == nil || revoked(f) {
		return person.ID, rt, verdict(v, tx.Now())
	}
	at := consent.At
	if at.IsZero() {
		at = tx.Now()
	}
	got, err := optin.Record(tx, optin.Grant{Identity: a.phone.Identity(), Category: whatsapp.Authentication, Purpose: a.name, Source: optin.SourceAPI,
		Actor: "api:" + c.Client, Evidence: optin.Evidence{Origin: consent.Source, Text: consent.Text}, At: at})
	if errors.Is(err, optin.ErrInvalid) {
		return 0, rt, denied(CodeMalformed, "\"consent\" cannot be recorded: is its time right?")
	}
	if err != nil {
		return 0, rt, err
	}
	// Somebody with another spelling of the number may have revoked: Record has
	// brought that home, and evidence does not lift it.
	if f, err = gate.FactsOfPerson(tx, got.Contact, whatsapp.Authentication, rt.number); err != nil {
		return 0, rt, err
	}
	v = gate.Decide(rt.stream, rt.waits, f, tx.Now())
	if revoked(f) {
		v = gate.Verdict{Kind: gate.Refuse, Reason: gate.OptedOut}
	}
	return got.Contact, rt, verdict(v, tx.Now())
}

// revoked says whether the person ever refused codes.
func revoked(f gate.MessageFacts) bool { return f.Consent.RevokedAt > 0 || f.Consent.MetaBlock > 0 }

// waitDefault is what a caller is told to wait where nobody knows.
const waitDefault = 30 * time.Second

// verdict turns the gate's answer into ours.
func verdict(v gate.Verdict, now time.Time) error {
	switch {
	case v.Kind == gate.Go:
		return nil
	case v.Kind == gate.Wait:
		after := waitDefault
		if v.Until.After(now) {
			after = v.Until.Sub(now)
		}
		return &Denied{Code: CodeChannel, Reason: string(v.Reason), RetryAfter: after, Detail: "no code can be sent now; nothing was accepted"}
	case v.Reason == gate.NoOptIn:
		return &Denied{Code: CodeNoOptIn, Reason: string(v.Reason), Detail: "nobody has recorded that this person agreed to codes; send \"consent\" along, or record a grant"}
	default:
		return &Denied{Code: CodeOptedOut, Reason: string(v.Reason), Detail: "this person refused codes as well"}
	}
}

// makeRoom supersedes the session's own challenge, and counts the others: those
// of known devices apart, so that nobody can fill their places.
func (o *OTP) makeRoom(tx *store.Tx, c Caller, a *asked) error {
	rows, err := store.All[challenge](tx, sqlPending, a.ask.phoneKey, a.name)
	if err != nil {
		return err
	}
	live, next := 0, int64(0)
	for i := range rows {
		ch := &rows[i]
		switch {
		case ch.now(tx.Now()) != Pending:
		case a.binding != "" && ch.Client == c.Client && ch.Binding == a.binding:
			if err := o.end(tx, ch, Superseded, ""); err != nil {
				return err
			}
		case ch.Trusted == a.ask.trusted:
			live++
			if next == 0 || ch.ExpiresAt < next {
				next = ch.ExpiresAt
			}
		}
	}
	if a.limits.Live > 0 && live >= a.limits.Live {
		return &Denied{Code: CodeRateLimited, Scope: "phone", Rule: "live", RetryAfter: store.Time(next).Sub(tx.Now()),
			Detail: "there are as many open challenges of this phone and purpose as there may be"}
	}
	return nil
}

// sending is how a message goes.
type sending struct {
	again     bool // the repeat of one that was never answered
	notBefore time.Time
}

// send queues a message with the challenge's code; the code itself is made when
// the message leaves.
func (o *OTP) send(tx *store.Tx, ch *challenge, ask sendAsk, to whatsapp.Phone, s outbox.Stream, how sending) (outbox.Message, error) {
	if ch.Decoy {
		return o.sendNothing(tx, ch, ask, s)
	}
	s, err := outbox.OpenStream(tx, s)
	if err != nil {
		return outbox.Message{}, err
	}
	ids, out, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: ch.Contact, To: to.Identity(), NotBefore: how.notBefore,
		Deadline: store.Time(ch.ExpiresAt).Add(-lastSend)}})
	if err != nil {
		return outbox.Message{}, err
	}
	ch.Message = ids[0]
	if err := o.recordSend(tx, ask, sendRow{message: ch.Message, challenge: ch.ID, gen: ch.Gen, again: how.again}); err != nil {
		return outbox.Message{}, err
	}
	return outbox.Message{ID: ch.Message, State: outbox.Queued, CreatedAt: store.Millis(tx.Now())}, o.tell(tx, out)
}
