package dispatch

import (
	"fmt"
	"slices"
	"time"

	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// settle writes results, does what errors do at their scope, learns identities
// and brings the conversation ledger up to date. It leaves the results as
// decided in place of what they were: the caller keeps another copy, because a
// transaction that fails is done again from the start.
func (l *lane) settle(tx *store.Tx, judged []result) error {
	if len(judged) == 0 {
		return nil
	}
	results := slices.Grow(l.spare.settled[:0], len(judged))[:len(judged)]
	defer func() {
		clear(results)
		l.spare.settled = results
	}()
	s := settling{lane: l, tx: tx}
	for i := range judged {
		if err := s.judge(&judged[i]); err != nil {
			return err
		}
		results[i] = judged[i].Result
		results[i].Claimed = judged[i].message
	}
	out, err := outbox.Settle(tx, results)
	if err != nil {
		return err
	}
	return l.d.tell(tx, out)
}

// settling is what the results of one transaction have in common.
type settling struct {
	*lane
	tx     *store.Tx
	holds  []outbox.Hold // that stand, while looked is true: read once, not for each acceptance
	looked bool
}

// judge decides about one result with what the database knows.
func (s *settling) judge(r *result) error {
	switch {
	case r.To == outbox.Accepted || r.To == outbox.AcceptedHeld:
		var err error
		r.At = s.tx.Now() // the ledger knows one clock
		r.InWindow, err = conversations.InWindowAt(s.tx, r.stream.Number, r.message.Contact, r.At)
		if err != nil {
			return err
		}
		if err := learn(s.tx, r); err != nil {
			return err
		}
		return s.lift(r)
	case r.To == outbox.Unknown:
		if r.unknowns < unknownLimit {
			return nil
		}
		s.looked = false
		return s.breaker(s.tx, r)
	case r.To == outbox.Failed && r.code.Class != "":
		s.looked = false
		return s.react(s.tx, r)
	default:
		return nil
	}
}

// lift lifts the holds that let an accepted message through.
func (s *settling) lift(r *result) (err error) {
	if !s.looked {
		if s.holds, err = outbox.Holds(s.tx); err != nil {
			return err
		}
	}
	held := r.To == outbox.AcceptedHeld
	lifted, err := gate.LiftProbed(s.tx, s.holds, *r.stream, held)
	s.looked = !lifted && !held
	if err != nil || !held {
		return err
	}
	fresh, err := gate.HeldBack(s.tx, *r.stream)
	if fresh {
		s.d.cfg.Log.Warn("Meta holds messages back for its quality assessment; the template waits until it has decided", "template", r.stream.Ref(), "campaign", r.stream.Campaign)
	}
	return err
}

// breaker stops a number that does not answer; of codes their template alone.
// Each side is judged by its own connections, and must not stop the other.
func (l *lane) breaker(tx *store.Tx, r *result) error {
	h := outbox.Hold{Scope: outbox.ScopeNumber, Target: r.stream.Number, Reason: outbox.ReasonNoAnswers, Actor: "breaker",
		Detail: "five requests in a row got no readable answer", Until: store.Millis(tx.Now().Add(30 * time.Second)), Probe: true}
	if l.lane == whatsapp.LaneAuthentication {
		h.Scope, h.Target = outbox.ScopeTemplate, r.stream.Ref().Target()
	}
	_, err := outbox.Place(tx, h)
	return err
}

// unknownLimit is how many unanswered requests in a row stop a number.
const unknownLimit = 5

// react does what Meta's error does, and queues the message again where it may
// be tried again.
func (l *lane) react(tx *store.Tx, r *result) error {
	if n := r.code.InARow; n > 0 && r.stream.Campaign != "" && l.streaks[r.stream.ID].of(r.Code) >= n-1 {
		r.code.Class, r.code.Do = whatsapp.ClassStopCampaign, r.code.Do+fmt.Sprintf("; %d messages of the campaign in a row met it", n)
		r.Reason = string(r.code.Class)
	}
	re, err := gate.React(tx, gate.Failure{Message: *r.message, Stream: *r.stream, Code: r.code, Details: r.details})
	if err != nil {
		return err
	}
	if re.Placed {
		r.resync = r.code.Class == whatsapp.ClassPauseTemplate // what is known of it is old
		l.d.cfg.Log.Warn("Meta's answer stops messages", "scope", re.Hold.Scope, "target", re.Hold.Target, "reason", re.Hold.Reason,
			"code", r.Code, "meaning", r.code.Meaning, "do", r.code.Do)
	}
	if re.Gone {
		l.d.cfg.Log.Info("messages to a person could not be delivered on several days; only codes and answers go to them now", "contact", r.message.Contact)
	}
	if err := l.d.tell(tx, re.Outcomes); err != nil {
		return err
	}
	if retry, ok := gate.Requeues(*r.stream, r.code, r.message.Attempt, r.code.RetryAfter, tx.Now()); ok {
		r.To, r.Retry = outbox.Queued, retry
	}
	return nil
}

// learn keeps the pair of identities that Meta's answer showed.
func learn(tx *store.Tx, r *result) error {
	ids := []whatsapp.Identity{r.message.To()}
	if w := r.answer.WaID; w != "" && string(w) != whatsapp.Phone(r.message.Address).Digits() {
		ids = append(ids, w.Identity())
	}
	if b := r.answer.UserID; b != "" && b.Identity() != ids[0] {
		ids = append(ids, b.Identity())
	}
	if len(ids) == 1 {
		return nil
	}
	c, err := contacts.Learn(tx, ids...)
	if err == nil {
		_, err = conversations.Merge(tx, c.ID)
	}
	return err
}

// tell hands outcomes on, in the same transaction.
func (d *Dispatcher) tell(tx *store.Tx, out []outbox.Outcome) error {
	if len(out) == 0 || d.cfg.Outcomes == nil {
		return nil
	}
	return d.cfg.Outcomes(tx, out)
}

// count tells the pacers, the messaging limit and the metrics what came, once
// it is settled.
func (l *lane) count(now time.Time, judged []result) {
	for i := range judged {
		r := &judged[i]
		if r.root > 0 {
			l.d.reach.settle(store.Millis(now), r.root, r.To)
		}
		if r.code.Class == whatsapp.ClassThrottleNumber {
			r.pacer.throttled(time.Now())
		}
		if r.code.Class == whatsapp.ClassPair {
			r.pacer.rest(r.message.Contact, time.Now().Add(r.Retry.Sub(now)))
		}
		if r.stream.Campaign != "" && !r.Unused {
			l.streak(r)
		}
		if l.d.cfg.Failed != nil && r.code.Class != "" {
			l.d.cfg.Failed(r.code.Class, "answer")
		}
		if (r.resync || r.code.Class == whatsapp.ClassHaltAuth) && l.d.cfg.Resync != nil {
			l.d.cfg.Resync()
		}
		if l.d.cfg.Sent != nil && !r.Unused {
			l.d.cfg.Sent(l.lane, r.stream.Number, r.To, r.Reason, r.took)
		}
	}
}

// streak is how often in a row the messages of a stream met one error.
type streak struct{ code, n int }

func (s streak) of(code int) int {
	if s.code != code {
		return 0
	}
	return s.n
}

// streak keeps count of errors that are a matter of single messages until
// several in a row meet them.
func (l *lane) streak(r *result) {
	if r.code.InARow == 0 || r.code.Class == whatsapp.ClassStopCampaign {
		delete(l.streaks, r.stream.ID)
		return
	}
	if len(l.streaks) > 1000 { // streams that ended
		clear(l.streaks)
	}
	l.streaks[r.stream.ID] = streak{r.Code, l.streaks[r.stream.ID].of(r.Code) + 1}
}
