package otp

import (
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// DelayedAfter is how long after Meta took a code its caller is told that it has
// not arrived, so that a person can be offered another way. No commit happens at
// that instant: whoever waits for changes looks again then.
const DelayedAfter = 20 * time.Second

// Reasons of a failed delivery; those of Delivery.Reason.
const (
	notOnWhatsApp       = "not_on_whatsapp"
	ratePair            = "rate_pair"
	templateUnavailable = "template_unavailable"
	expiredTTL          = "expired_ttl"
	unknownReason       = "unknown"
)

// View returns what a caller may know of its challenge; *Denied with
// CodeNotFound for one that it may not.
func (o *OTP) View(q store.Querier, c Caller, id string) (View, error) {
	ch, err := o.find(q, c, id)
	if err != nil {
		return View{}, err
	}
	m, next, _, err := ch.latest(q)
	if err != nil {
		return View{}, err
	}
	v, err := o.show(q, &ch, m)
	v.ChangesAt = next
	return v, err
}

// show makes the view of a challenge and its latest message.
func (o *OTP) show(q store.Querier, ch *challenge, m outbox.Message) (View, error) {
	now := q.Now()
	p := o.cfg().Purposes[ch.Purpose]
	v := View{ID: ch.ID, State: ch.now(now), Reason: ch.ended(now), Purpose: ch.Purpose, ToMasked: ch.Masked, Channel: ch.Channel,
		Delivery: delivery(m, now), CreatedAt: store.Time(ch.CreatedAt), ExpiresAt: store.Time(ch.ExpiresAt),
		ResendsLeft: max(ch.MaxResends-ch.Resends, 0), AttemptsLeft: max(ch.MaxAttempts-ch.Attempts, 0),
		StepUpRequired: p.StepUpRequired, Metadata: unpackMetadata(ch.Metadata)}
	if ch.State == Verified {
		v.VerifiedAt = store.Time(ch.EndedAt)
		v.StepUpRequired = p.StepUpRequired || ch.Reason == identityChanged
	}
	var err error
	if v.State == Pending {
		ask := sendAsk{phoneKey: ch.PhoneKey, ipKey: ch.IPKey, country: ch.Country, client: ch.Client, trusted: ch.Trusted, limits: o.cfg().limitsOf(p)}
		if v.ResendAfter, err = o.nextSend(q, ask, ch.CreatedAt); err != nil {
			return View{}, err
		}
	}
	return v, o.otherWay(q, ch, &v.Delivery)
}

// delivery says how far a message came. One that was never made stands for a
// number that is known not to be on WhatsApp.
func delivery(m outbox.Message, now time.Time) Delivery {
	if m.ID == 0 {
		return Delivery{State: "failed", Reason: notOnWhatsApp}
	}
	d := Delivery{At: map[string]time.Time{}}
	for name, at := range map[string]int64{"queued": m.CreatedAt, "accepted": m.AcceptedAt, "sent": m.SentAt, "delivered": m.DeliveredAt,
		"read": m.ReadAt, "failed": m.FailedAt} {
		if at > 0 {
			d.At[name] = store.Time(at)
		}
	}
	switch m.State {
	case outbox.Queued, outbox.Sending:
		d.State = "queued"
	case outbox.Accepted, outbox.AcceptedHeld, outbox.Sent:
		d.State = "accepted"
		if m.State == outbox.Sent {
			d.State = "sent"
		}
		if late(m, now) {
			d.State = "delayed"
		}
	case outbox.Delivered, outbox.Read, outbox.Unknown:
		d.State = string(m.State)
	default: // failed, refused, cancelled, expired, presumed_expired
		d.State, d.Code, d.Reason = "failed", m.Code, failure(m.State, m.Code)
	}
	return d
}

// late says that Meta has had the message for a while and not delivered it.
func late(m outbox.Message, now time.Time) bool {
	since := m.AcceptedAt
	if since == 0 {
		since = m.SentAt
	}
	return since > 0 && now.Sub(store.Time(since)) >= DelayedAfter
}

// failure names why a message did not arrive.
func failure(s outbox.State, code int) string {
	if s == outbox.Expired || s == outbox.PresumedExpired {
		return expiredTTL
	}
	if s != outbox.Failed || code == 0 {
		return unknownReason
	}
	switch code {
	case codeNotOnWhatsApp:
		return notOnWhatsApp
	case codeIdentityChanged:
		return identityChanged
	}
	switch whatsapp.LookupCode(code, 0).Class {
	case whatsapp.ClassPair:
		return ratePair
	case whatsapp.ClassPauseTemplate:
		return templateUnavailable
	case whatsapp.ClassStopCampaign: // its parameters do not fit it
		return templateUnavailable
	default:
		return unknownReason
	}
}
