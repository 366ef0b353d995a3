package gate

import (
	"fmt"
	"time"

	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// Failure is one error of Meta's about one of our messages, from an answer to
// a send or from a failed status.
type Failure struct {
	Message  outbox.Message
	Stream   outbox.Stream
	Code     whatsapp.Code
	Details  string
	ByStatus bool // it came by status: the message is past our hands
}

// BadToken is the reason of the hold on an account whose token Meta refuses. A
// successful read of the account lifts it.
const BadToken = account.ReasonBadToken

// Reaction is what an error did beyond its message.
type Reaction struct {
	Hold     outbox.Hold // zero if none was placed
	Placed   bool        // the hold is new: somebody should hear of it
	Gone     bool        // nothing more is sent to the person: it was undeliverable too often
	Outcomes []outbox.Outcome
}

// React does what one error does at its scope: it places the hold, or notes what
// it says of the person.
func React(tx *store.Tx, f Failure) (r Reaction, err error) {
	switch f.Code.Class {
	case whatsapp.ClassSuppressMarketing:
		r.Outcomes, err = suppress(tx, f)
		return r, err
	case whatsapp.ClassDropDefer:
		return r, capped(tx, f)
	case whatsapp.ClassBarCountry:
		return r, bar(tx, f)
	case whatsapp.ClassSuppressUser:
		r.Gone, err = undelivered(tx, f)
		return r, err
	case whatsapp.ClassMedia:
		hopeless, err := refusedMedia(tx, f)
		if err != nil || !hopeless {
			return r, err
		}
		f.Code.Class = whatsapp.ClassStopCampaign
		f.Code.Meaning += "; that is so of three uploads in a row, look at the file"
	}
	e := effectOf(f.Code.Class)
	target, ok := e.target(&f.Stream)
	if !ok {
		return r, nil
	}
	r.Hold = outbox.Hold{Scope: outbox.Scope(e.Scope), Target: target, Reason: e.Hold, Actor: "meta", Detail: fmt.Sprintf("error %d: %s", f.Code.Code, f.Code.Meaning)}
	if e.Probe > 0 {
		r.Hold.Until, r.Hold.Probe = store.Millis(tx.Now().Add(longer(e.Probe, f.Code.RetryAfter))), true
	}
	if r.Placed, err = outbox.Place(tx, r.Hold); err != nil || f.Code.Class != whatsapp.ClassPauseNumber || f.Stream.Category != whatsapp.Authentication {
		return r, err
	}
	codes := r.Hold
	codes.Reason, codes.Until = outbox.ReasonCodesRestricted, store.Millis(tx.Now().Add(probeEvery))
	fresh, err := outbox.Place(tx, codes)
	r.Hold, r.Placed = codes, r.Placed || fresh
	return r, err
}

// suppress records that Meta says the person stopped our marketing (131050).
func suppress(tx *store.Tx, f Failure) ([]outbox.Outcome, error) {
	ids, err := contacts.Identities(tx, f.Message.Contact)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	_, out, err := optin.Revoke(tx, optin.Revocation{
		Identities: ids, Categories: []whatsapp.Category{whatsapp.Marketing}, Scope: "@meta", Source: optin.SourceMeta, Actor: "meta",
		Evidence: optin.Evidence{Text: f.Code.Meaning, Message: fmt.Sprint(f.Message.ID)}, At: tx.Now(),
	})
	return out, err
}

// Requeues says whether a message that Meta surely did not take may be tried
// again, and when: the class decides, back-off grows with the attempt. after is
// what Meta asked for.
func Requeues(s outbox.Stream, c whatsapp.Code, attempt int, after time.Duration, now time.Time) (retry time.Time, ok bool) {
	if c.Class == whatsapp.ClassStopCampaign && s.Campaign == "" {
		return time.Time{}, false // nobody could mend and resume it
	}
	most := 5 * time.Minute
	if s.Category == whatsapp.Authentication {
		most = 10 * time.Second // in five minutes a code is worth nothing
	}
	if c.Class == whatsapp.ClassPauseNumber { // its hour is not for what its hold spares
		switch s.Category {
		case whatsapp.Authentication:
			return now.Add(time.Second), true // codes_restricted decides
		case whatsapp.Service:
			return now.Add(backoff(attempt, time.Second, most)), true
		}
	}
	switch c.Class {
	case whatsapp.ClassMedia:
		return now.Add(longer(after, c.RetryAfter, backoff(attempt, time.Second, most))), attempt < mediaTries || stopsForMedia(s)
	case whatsapp.ClassRetry, whatsapp.ClassThrottleNumber, whatsapp.ClassThrottleApp:
		return now.Add(longer(after, c.RetryAfter, backoff(attempt, time.Second, most))), true
	case whatsapp.ClassPair: // Meta: 4^n seconds
		return now.Add(longer(after, c.RetryAfter, pairWait(attempt))), true
	case whatsapp.ClassPauseTemplate, whatsapp.ClassWaitTemplate, whatsapp.ClassWaitNumber, whatsapp.ClassPauseNumber, whatsapp.ClassHaltAuth, whatsapp.ClassHaltAccount,
		whatsapp.ClassHaltNumber, whatsapp.ClassHaltPayment, whatsapp.ClassStopCampaign:
		return now.Add(longer(after, c.RetryAfter, time.Second)), true // the hold decides
	default:
		return time.Time{}, false
	}
}

// LiftProbed lifts those of the holds that stand that let this message through:
// Meta took it. held: it holds it back, which ends no quality assessment. It says
// whether there were any.
func LiftProbed(tx *store.Tx, holds []outbox.Hold, s outbox.Stream, held bool) (lifted bool, err error) {
	for _, h := range holds {
		if held && h.Reason == ReasonQualityAssessment {
			continue
		}
		if h.Probe && h.Tries > 0 && h.Stops(&s) {
			if err := outbox.LiftOne(tx, h, "probe"); err != nil {
				return lifted, err
			}
			lifted = true
		}
	}
	return lifted, nil
}

func backoff(attempt int, base, most time.Duration) time.Duration {
	d := base << min(max(attempt-1, 0), 20)
	return min(d, most)
}

func pairWait(attempt int) time.Duration {
	d := 6 * time.Second
	for range min(max(attempt-1, 0), 6) {
		d *= 4
	}
	return min(d, time.Hour)
}

func longer(ds ...time.Duration) time.Duration {
	var most time.Duration
	for _, d := range ds {
		most = max(most, d)
	}
	return most
}
