package otp

import (
	"errors"
	"slices"
	"time"

	"janela/internal/store"
)

// Stats hears what becomes of requests and guesses, for metrics; a nil field
// hears nothing. Labels are closed sets: names of the configuration, codes of
// Denied, keys of [otp.limits]; never a person. The functions are called inside
// transactions: they must be quick, and count a few that fail to commit.
type Stats struct {
	Asked           func(purpose, country, result string) // a code was asked for: accepted, decoy, a Denied's Code, or error
	Limited         func(rule string)                     // a limit said no
	Guessed         func(result string)                   // right, wrong, exhausted, a Denied's Code, the reason of CodeGone, or error
	Typed           func(took time.Duration)              // from the delivery of a message to its code's success
	FellBack        func(reason, result string)           // a code for the hook: why it fell back (asked, not_on_whatsapp), and sent, failed, unknown, expired, refused
	Reported        func()                                // "I didn't request a code"
	IdentityChanged func()                                // 137000
}

// otherLabel stands for what is in no closed set.
const otherLabel = "other"

func (o *OTP) countAsked(tx *store.Tx, r Request, country string, err error) {
	purpose := r.Purpose
	if _, known := o.cfg().Purposes[purpose]; !known {
		purpose = otherLabel
	}
	if !slices.Contains(o.cfg().Countries, country) {
		country = otherLabel
	}
	result := "accepted"
	if r.Decoy {
		result = "decoy"
	}
	if err != nil {
		result = o.countDenied(tx, err).Code
		o.heard.count(tx.Now(), hearsay{purpose: purpose, code: result})
	}
	if f := o.deps.Stats.Asked; f != nil {
		f(purpose, country, result)
	}
}

// countDenied counts the rule that said no, and returns the Denied; a fault of
// the machine is one of the code "error".
func (o *OTP) countDenied(tx *store.Tx, err error) *Denied {
	var d *Denied
	if !errors.As(err, &d) {
		return &Denied{Code: "error"}
	}
	if d.Rule != "" {
		o.heard.count(tx.Now(), hearsay{rule: d.Rule})
		if f := o.deps.Stats.Limited; f != nil {
			f(d.Rule)
		}
	}
	return d
}

func (o *OTP) countGuessed(tx *store.Tx, v Verdict, err error) {
	result := "right"
	if err == nil && v.Denied != nil {
		err = v.Denied
	}
	if err != nil {
		switch d := o.countDenied(tx, err); {
		case d.Code == CodeInvalidCode && d.AttemptsLeft == 0:
			result = string(Exhausted)
		case d.Code == CodeInvalidCode:
			result = "wrong"
		case d.Code == CodeGone && d.Reason != "":
			result = d.Reason
		default:
			result = d.Code
		}
	}
	if f := o.deps.Stats.Guessed; f != nil {
		f(result)
	}
}

// countTyped is told when a message was delivered (ms), 0 for never.
func (o *OTP) countTyped(deliveredAt int64, now time.Time) {
	if f := o.deps.Stats.Typed; f != nil && deliveredAt > 0 {
		f(max(now.Sub(store.Time(deliveredAt)), 0))
	}
}

func (o *OTP) countFellBack(reason, result string) {
	if f := o.deps.Stats.FellBack; f != nil {
		f(reason, result)
	}
}

func (o *OTP) countReported() {
	if f := o.deps.Stats.Reported; f != nil {
		f()
	}
}

func (o *OTP) countIdentityChanged() {
	if f := o.deps.Stats.IdentityChanged; f != nil {
		f()
	}
}

var (
	sqlLive  = store.SQL(`SELECT COUNT(*) FROM challenges WHERE state = 'pending' AND expires_at > ?1`)
	sqlSpent = store.SQL(`SELECT COALESCE(SUM(sent), 0) FROM code_counts WHERE scope = 'all' AND bucket >= ?1`)
)

// Gauges returns how many challenges are open, and how many codes may still be
// sent before max_sends_24h is reached.
func (o *OTP) Gauges(q store.Querier) (live, budget int64, err error) {
	now := store.Millis(q.Now())
	if live, _, err = store.Value[int64](q, sqlLive, now); err != nil {
		return 0, 0, err
	}
	spent, _, err := store.Value[int64](q, sqlSpent, bucketOf(now-day.Milliseconds()))
	return live, max(int64(o.cfg().MaxSends)-spent, 0), err
}
