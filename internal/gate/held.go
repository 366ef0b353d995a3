package gate

import (
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ReasonQualityAssessment is the reason of the hold on a template whose messages
// Meta holds back: it sends a first part of them and waits for what people make
// of it (Meta: Template pacing). More would only be held back as well, and be
// dropped with the rest if it goes badly.
const ReasonQualityAssessment = "quality_assessment"

// assessment is how long Meta takes at most, as a rule, to decide; then one
// message asks again.
const assessment = time.Hour

// HeldBack stops a template of which Meta holds a message back, until the first
// of those is decided. fresh says that it was not stopped before.
func HeldBack(tx *store.Tx, s outbox.Stream) (fresh bool, err error) {
	if s.Template == "" {
		return false, nil
	}
	return outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeTemplate, Target: s.Ref().Target(), Reason: ReasonQualityAssessment, Actor: "meta",
		Detail: "Meta holds its messages back (held_for_quality_assessment) until it knows what people make of the first ones",
		Until:  store.Millis(tx.Now().Add(assessment)), Probe: true})
}

// codeDropped is how Meta refuses what it had held back (Meta: Cloud API, Error
// codes).
const codeDropped = 132015

// Decided lifts the holds of templates of which Meta has decided: what it held
// back was sent, or dropped.
func Decided(tx *store.Tx, out []outbox.Outcome) error {
	asked := map[int64]bool{}
	for _, o := range out {
		if o.From != outbox.AcceptedHeld || asked[o.Stream] {
			continue
		}
		switch o.To {
		case outbox.Sent, outbox.Delivered, outbox.Read:
		case outbox.Failed:
			if o.Code != codeDropped {
				continue // it is about the person
			}
		default:
			continue
		}
		asked[o.Stream] = true
		s, ok, err := outbox.StreamByID(tx, o.Stream)
		if err != nil || !ok || s.Template == "" {
			if err != nil {
				return err
			}
			continue
		}
		if _, err := outbox.Lift(tx, outbox.ScopeTemplate, s.Ref().Target(), ReasonQualityAssessment, "meta"); err != nil {
			return err
		}
	}
	return nil
}

// probeAgain is how long until the next probe of a hold, if the one that is let
// through now fails.
func probeAgain(h outbox.Hold) time.Duration {
	if h.Reason == ReasonQualityAssessment {
		return assessment
	}
	if h.Reason == effectOf(whatsapp.ClassWaitNumber).Hold { // it lasts about a minute
		return 10 * time.Second << min(h.Tries, 8)
	}
	return probeEvery << min(h.Tries, 6)
}
