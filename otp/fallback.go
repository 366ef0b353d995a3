package otp

import (
	"errors"
	"slices"
	"time"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// sms is the channel of the fallback. What the business's system makes of it, a
// text message or a call, is its own matter.
const sms = "sms"

// Why a code falls back: the label of the metric.
const (
	askedFor = "asked"       // by the caller
	notThere = notOnWhatsApp // by itself: Meta says that the number is not on WhatsApp
)

// Modes of Fallback.
const (
	modeOff    = "off"
	modeManual = "manual"
	modeFailed = "on_failed"
)

const (
	// fewFallbacks may fall back in any hour and country, whatever their share: a
	// fifth of the first few codes would be none.
	fewFallbacks = 3
	// patience is how long a code that falls back by itself waits for the phone's
	// cooldown and for rates. Later than that the person asks, or has gone.
	patience = time.Minute
)

// Rules of the fallback's own budget, beside those of every send.
const (
	ruleFallbackShare = "fallback_share"
	ruleFallbackDay   = "fallback_per_day"
	ruleFallbackOpen  = "fallback_open" // the code before this one is still on its way
)

// short are rules whose wait is worth waiting for.
var short = []string{ruleCooldown, ruleClient, ruleService}

// on says whether there is another way at all.
func (f *Fallback) on() bool { return f.Mode != "" && f.Mode != modeOff }

// fallBack queues a new code of the challenge for the other way, and charges it
// to every limit of a send and to the fallback's own budget. What went by
// WhatsApp is then worth nothing. *Denied: nothing was written.
func (o *OTP) fallBack(tx *store.Tx, ch *challenge, why string) error {
	if !o.cfg().Fallback.on() {
		return denied(CodeFallbackDisabled, "no fallback is configured; see [otp.fallback] in config.toml")
	}
	alone, next := why != askedFor, *ch
	if !alone {
		if next.Resends++; next.Resends > ch.MaxResends {
			return tooOften()
		}
	}
	p := o.cfg().Purposes[ch.Purpose]
	limits := o.cfg().limitsOf(p)
	_, ok, err := o.address(tx, ch)
	if err != nil {
		return err
	}
	if !ok && !ch.Decoy {
		return &Denied{Code: CodeGone, Reason: codeUnavailable, Detail: "this challenge's number is not known any more; ask for a new code"}
	}
	ask := o.askOf(ch, limits)
	if err := o.sameHands(tx, ch); err != nil {
		return err
	}
	if err := o.noneOpen(tx, ch); err != nil {
		return err
	}
	f, from, err := o.admitFallback(tx, ask, alone)
	if err != nil {
		return err
	}
	if err := o.inBudget(tx, ch); err != nil {
		o.warnOfBudget(ch, err, tx.Now())
		return err
	}
	if err := o.agreed(tx, ch, p); err != nil {
		return err
	}
	now := store.Millis(tx.Now())
	next.Gen, next.Channel, next.CodeAt, next.ExpiresAt = ch.Gen+1, sms, now, ch.expiry(p, limits, tx.Now())
	if next.ExpiresAt-from <= lastSend.Milliseconds() {
		return &Denied{Code: CodeRateLimited, Scope: "phone", Rule: "life", Detail: "too little is left of this challenge's life; ask for a new one"}
	}
	*ch = next
	if err := o.takeRates(tx, ask, f); err != nil {
		return err
	}
	return o.queueFallback(tx, ch, ask, why, from)
}

// fallBackAlone falls back without being asked, where the configuration says so.
// That it may not is no error.
func (o *OTP) fallBackAlone(tx *store.Tx, ch *challenge, why string) error {
	if o.cfg().Fallback.Mode != modeFailed {
		return nil
	}
	err := o.fallBack(tx, ch, why)
	if d := (*Denied)(nil); errors.As(err, &d) {
		_ = o.countDenied(tx, err)
		return nil
	}
	return err
}

func tooOften() error {
	return &Denied{Code: CodeRateLimited, Scope: "phone", Rule: "resends", Detail: "this challenge's code was sent as often as it may be; ask for a new one"}
}

var sqlOtherHands = store.SQL(`SELECT COUNT(*) FROM code_sends s JOIN code_phones p ON p.phone_key = s.phone_key
	WHERE s.challenge_id = ?1 AND s.identity <> '' AND p.identity <> '' AND s.identity <> p.identity`)

// sameHands refuses where codes may not be asked for, or where Meta has shown
// for this challenge's messages another identity than the one that last verified
// a code: a text message would reach whoever has the number now.
func (o *OTP) sameHands(q store.Querier, ch *challenge) error {
	if _, err := o.reachable(q, sendAsk{phoneKey: ch.PhoneKey, trusted: ch.Trusted}); err != nil {
		return err
	}
	n, _, err := store.Value[int](q, sqlOtherHands, ch.ID)
	if err == nil && n > 0 {
		err = denied(CodeIdentityChanged, "another device or person seems to have this number now: verify the person by another way")
	}
	return err
}

// stillMay asks again, when a code is about to leave, what may have changed
// since it was asked for: consent, a lock, who has the number.
func (o *OTP) stillMay(tx *store.Tx, id string) error {
	ch, ok, err := store.Get[challenge](tx, sqlChallenge, id)
	if err != nil || !ok {
		return err // that it is gone the caller has seen
	}
	if err := o.sameHands(tx, &ch); err != nil {
		return err
	}
	p := o.cfg().Purposes[ch.Purpose]
	limits, now := o.cfg().limitsOf(p), store.Millis(tx.Now())
	r, _, err := guessable(tx, ch.PhoneKey, ch.Trusted, &limits)
	if err != nil {
		return err
	}
	if r.until > now {
		return denial(r.rule, now, r.until)
	}
	return o.agreed(tx, &ch, p)
}

// noneOpen refuses another code while one is on its way to the hook: it would
// not arrive sooner.
func (o *OTP) noneOpen(q store.Querier, ch *challenge) error {
	h, ok, err := store.Get[handover](q, sqlHandoverOf, ch.ID, ch.Gen)
	if err != nil || !ok || h.EndedAt > 0 {
		return err
	}
	return &Denied{Code: CodeRateLimited, Scope: "phone", Rule: ruleFallbackOpen, RetryAfter: hookTimeout, Detail: "a code is on its way"}
}

// admitFallback judges it as a send like others. from (ms) is when it may leave:
// one that nobody asked for waits a little for the phone's cooldown.
func (o *OTP) admitFallback(q store.Querier, ask sendAsk, alone bool) (f *facts, from int64, err error) {
	if f, err = o.facts(q, ask); err != nil {
		return nil, 0, err
	}
	now := store.Millis(q.Now())
	from = now
	for _, r := range f.refusals(now) {
		if !alone || !slices.Contains(short, r.rule) || r.until-now > patience.Milliseconds() {
			return nil, 0, o.refuse(q, ask, f)
		}
		from = max(from, r.until)
	}
	return f, from, nil
}

// takeRates takes what admit takes.
func (o *OTP) takeRates(tx *store.Tx, ask sendAsk, f *facts) error {
	l := &ask.limits
	if err := take(tx, "client:"+ask.client, f.client, l.ClientPerSecond, float64(l.ClientBurst)); err != nil {
		return err
	}
	return take(tx, scopeService, f.service, l.PerSecond, max(1, l.PerSecond))
}

// agreed asks whether the person still agrees to codes. That WhatsApp's template
// or number cannot be used does not matter here.
func (o *OTP) agreed(tx *store.Tx, ch *challenge, p Purpose) error {
	rt, err := o.route(tx, p, ch.Language, ch.Device)
	if err != nil {
		return err
	}
	f, err := gate.FactsOfPerson(tx, ch.Contact, whatsapp.Authentication, rt.number)
	if err != nil {
		return err
	}
	return verdict(gate.Decide(outbox.Stream{Category: whatsapp.Authentication}, nil, ch.agreeing(f), tx.Now()), tx.Now())
}

// scopeTally is how much a scope sent in the last hour.
type scopeTally struct {
	scope string
	sent  int64
}

// Fields names the places of sqlFallbackTally.
func (s *scopeTally) Fields() []any { return []any{&s.scope, &s.sent} }

var (
	sqlFallbackTally = store.SQL(`SELECT 'country', COALESCE(SUM(sent), 0) FROM code_counts WHERE scope = ?1 AND bucket >= ?3
		UNION ALL SELECT 'fallback', COALESCE(SUM(sent), 0) FROM code_counts WHERE scope = ?2 AND bucket >= ?3`)
	sqlFallbacksOf = store.SQL(`SELECT f.at FROM code_fallbacks f JOIN code_sends s ON s.message_id = -f.id
		WHERE f.phone_key = ?1 AND f.at > ?2 AND s.counted = 1 ORDER BY f.at DESC LIMIT ?3`)
	sqlCountFallback = store.SQL(`INSERT INTO code_counts (scope, bucket, sent) VALUES (?1, ?2, ?3)
		ON CONFLICT (scope, bucket) DO UPDATE SET sent = code_counts.sent + excluded.sent`)
	sqlFallBack = store.SQL(`UPDATE challenges SET gen = ?2, resends = ?3, channel = ?4, code_at = ?5, expires_at = ?6
		WHERE id = ?1 AND state = 'pending' AND gen = ?2 - 1`)
)

// inBudget judges it by the fallback's own budget: a share of what went by
// WhatsApp to the country in the last hour, and so many a day to one phone. Both
// spellings of a number and all its devices share one. The error is a *Denied.
func (o *OTP) inBudget(q store.Querier, ch *challenge) error {
	f, now := &o.cfg().Fallback, store.Millis(q.Now())
	if f.PerDay >= 0 {
		sent, err := store.All[store.Col[int64]](q, sqlFallbacksOf, ch.PhoneKey, now-day.Milliseconds(), max(f.PerDay, 1))
		if err != nil {
			return err
		}
		if len(sent) >= f.PerDay {
			d := &Denied{Code: CodeRateLimited, Scope: "phone", Rule: ruleFallbackDay, Detail: "codes fell back for this number too often"}
			if len(sent) > 0 {
				d.RetryAfter = time.Duration(sent[len(sent)-1].V+day.Milliseconds()-now) * time.Millisecond
			}
			return d
		}
	}
	if f.Share < 0 {
		return nil
	}
	var sent, fellBack int64
	err := store.Each(q, sqlFallbackTally, func(s *scopeTally) error {
		if s.scope == "country" {
			sent = s.sent
		} else {
			fellBack = s.sent
		}
		return nil
	}, "country:"+ch.Country, scopeFallback(ch.Country), bucketOf(now-time.Hour.Milliseconds()))
	if err != nil {
		return err
	}
	if until := shareFull(sent, fellBack, f.Share, now); until > now {
		return denial(ruleFallbackShare, now, until)
	}
	return nil
}

// shareFull returns until when no code falls back to a country: sent is all that
// went there in the last hour, fellBack what of it went by the hook. Only the
// rest is what a share is of: else the hook's own sends would allow more of them.
func shareFull(sent, fellBack int64, share float64, now int64) int64 {
	if share == 0 {
		return never
	}
	return budget(fellBack, fewFallbacks, share*float64(sent-fellBack), now)
}

// warnOfBudget says, at most every ten minutes a country, that the share is used
// up: many who cannot be reached, or somebody who feeds numbers to it.
func (o *OTP) warnOfBudget(ch *challenge, err error, now time.Time) {
	if d := (*Denied)(nil); !errors.As(err, &d) || d.Rule != ruleFallbackShare || o.cfg().Fallback.Share == 0 {
		return
	}
	if last, told := o.warned[ch.Country]; told && now.Sub(last) < tenMinutes {
		return
	}
	if o.warned == nil {
		o.warned = map[string]time.Time{}
	}
	o.warned[ch.Country] = now
	o.deps.Log.Warn("no more codes fall back for now: the fallback's share of the hour is used up", "country", ch.Country, "share", o.cfg().Fallback.Share)
}

func scopeFallback(country string) string { return "fallback:" + country }

// queueFallback writes what was decided: the loop hands it over after the commit.
func (o *OTP) queueFallback(tx *store.Tx, ch *challenge, ask sendAsk, why string, from int64) error {
	if err := o.drop(tx, ch, "code_replaced"); err != nil { // what still waits for its turn on WhatsApp
		return err
	}
	now := store.Millis(tx.Now())
	if ch.Decoy {
		from += hookTakes(o.random())
	}
	h := handover{ID: tx.NewID(), Challenge: ch.ID, Gen: ch.Gen, Country: ch.Country, At: now}
	if err := tx.One(sqlPutHandover, h.ID, h.Challenge, h.Gen, ch.PhoneKey, h.Country, sms, why, from, now); err != nil {
		return err
	}
	if err := o.recordSend(tx, ask, sendRow{message: h.message(), challenge: ch.ID, gen: ch.Gen}); err != nil {
		return err
	}
	if _, err := tx.Exec(sqlCountFallback, scopeFallback(h.Country), bucketOf(now), 1); err != nil {
		return err
	}
	tx.Wake(Topic)
	tx.Wake(hookTopic)
	return tx.One(sqlFallBack, ch.ID, ch.Gen, ch.Resends, ch.Channel, ch.CodeAt, ch.ExpiresAt)
}

// otherWay tells of the fallback: how far the code came on it, or whether there
// is one to offer. It is offered where WhatsApp has not brought the code, or is
// late; when it may be asked for, ResendAfter says.
func (o *OTP) otherWay(q store.Querier, ch *challenge, d *Delivery) error {
	d.Fallback = "none"
	if ch.Channel == sms {
		h, ok, err := store.Get[handover](q, sqlHandoverOf, ch.ID, ch.Gen)
		if err != nil || !ok {
			return err
		}
		if h.show(d); d.Fallback == "sent" {
			return nil
		}
	}
	if !o.cfg().Fallback.on() || ch.now(q.Now()) != Pending || ch.Resends >= ch.MaxResends ||
		!slices.Contains([]string{"failed", "delayed", "unknown"}, d.State) {
		return nil
	}
	err := o.sameHands(q, ch)
	if err == nil {
		err = o.inBudget(q, ch)
	}
	if no := (*Denied)(nil); errors.As(err, &no) {
		return nil
	}
	if err == nil {
		d.Fallback = "offered"
	}
	return err
}
