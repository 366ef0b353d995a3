package gate

import (
	"fmt"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// Kind is what a verdict says.
type Kind int

// The three verdicts.
const (
	Go Kind = iota
	Wait
	Refuse
)

// String names the verdict.
func (k Kind) String() string { return [...]string{"go", "wait", "refuse"}[k] }

// Verdict is the gate's answer. Until is when a wait ends by itself, zero when
// something must happen first. Detail says in words what decided.
type Verdict struct {
	Kind   Kind
	Reason Reason
	Until  time.Time
	Detail string
}

// StreamFacts is what is known of a stream.
type StreamFacts struct {
	Stream   outbox.Stream
	Number   account.Number
	Known    bool // the number is configured
	Template account.Template
	Listed   bool          // Meta lists the template
	Holds    []outbox.Hold // that concern the stream
	Today    int64         // messages of its campaign that left today, where it has a limit per day
	Fileless bool          // a file that its messages show is not at Meta, or will soon be gone
	Behind   time.Duration // how far the wall clock is behind now, because it was set back
}

// MessageFacts is what is known of one message and its recipient.
type MessageFacts struct {
	Kind      whatsapp.IdentityKind
	Contact   int64
	NotBefore int64 // ms
	Deadline  int64 // ms, 0 for none
	Consent   Consent
	WindowEnd int64 // ms: when the person's service window closes

	// What Meta's errors said of the person (ms, 0 for nothing): no marketing
	// before, and since when messages to them cannot be delivered.
	CappedUntil, UndeliverableAt int64
	Barred                       string // the person's country, where Meta bars the account from it
}

// Consent is when the person last granted and last revoked, over the scopes
// that speak for the number (ms, 0 for never). Grants are the contact's own;
// revocations those of every contact found to be the same person. MetaBlock is
// when the person blocked the category in WhatsApp itself and did not resume.
// ReviewAt is since when something they wrote waits for somebody to decide
// whether it is an opt-out; it is not looked for where there is a block.
type Consent struct {
	GrantedAt, RevokedAt, MetaBlock, ReviewAt int64
}

// windowMargin keeps a free-form message away from the end of the window: our
// clock and Meta's may differ.
const windowMargin = 2 * time.Minute

// DecideStream judges what holds for all messages of a stream. Every wait that
// stands is returned, the first one first; none means go.
func DecideStream(f StreamFacts, now time.Time) []Verdict {
	var out []Verdict
	for _, h := range f.Holds {
		if h.Over(now) || h.MayProbe(now) {
			continue
		}
		out = append(out, Verdict{Wait, Held, store.Time(h.Until), holdDetail(h)})
	}
	if !f.Known {
		out = append(out, Verdict{Kind: Wait, Reason: NumberUnknown, Detail: "the number " + f.Stream.Number + " is not in config.toml"})
	}
	if f.Stream.Template != "" {
		out = append(out, decideTemplate(f)...)
	}
	if f.Fileless {
		out = append(out, Verdict{Kind: Wait, Reason: MediaExpired, Detail: "a file that the message shows is not at Meta any more; it is uploaded again"})
	}
	if t := f.Stream.Throttle; t.PerDay > 0 && f.Today >= t.PerDay {
		out = append(out, Verdict{Wait, DayLimit, t.NextDay(now), fmt.Sprintf("%d messages of the campaign left today, and per_day = %d", f.Today, t.PerDay)})
	}
	if until, open := inWindows(f.Stream.Windows, now, f.Behind); !open {
		out = append(out, Verdict{Wait, OutsideWindow, until, "outside its sending windows"})
	}
	return out
}

// inWindows reports whether messages may leave, and if not when they may. People
// live by the wall clock: while it is behind, a window is open when both say so.
func inWindows(w outbox.Windows, now time.Time, behind time.Duration) (until time.Time, open bool) {
	until, ok := w.Next(now)
	if !ok || until.After(now) {
		return until, false
	}
	if behind <= 0 {
		return until, true
	}
	wall := now.Add(-behind)
	opens, ok := w.Next(wall)
	if !ok {
		return time.Time{}, false
	}
	return now.Add(opens.Sub(wall)), !opens.After(wall)
}

func holdDetail(h outbox.Hold) string {
	text := fmt.Sprintf("hold on %s", h.Scope)
	if h.Target != "" {
		text += " " + h.Target
	}
	text += ": " + h.Reason + ", by " + h.Actor
	if h.Detail != "" {
		text += " (" + h.Detail + ")"
	}
	return text
}

func decideTemplate(f StreamFacts) []Verdict {
	t := f.Template
	switch {
	case !f.Listed || t.Missing:
		return []Verdict{{Kind: Wait, Reason: TemplateUnknown, Detail: "Meta lists no template " + f.Stream.Ref().String()}}
	case t.Status != whatsapp.TemplateApproved:
		return []Verdict{{Kind: Wait, Reason: TemplateNotApproved, Detail: fmt.Sprintf("template %s is %s", f.Stream.Ref(), t.Status)}}
	case t.Category != f.Stream.Category:
		return []Verdict{{Kind: Wait, Reason: CategoryDrift, Detail: fmt.Sprintf("template %s is %s at Meta, the message says %s", f.Stream.Ref(), t.Category, f.Stream.Category)}}
	case f.Stream.TemplateHash != "" && f.Stream.TemplateHash != t.Hash:
		return []Verdict{{Kind: Wait, Reason: TemplateChanged, Detail: fmt.Sprintf("template %s has changed since the run began", f.Stream.Ref())}}
	default:
		return nil
	}
}

// Decide judges one message of a stream for which DecideStream found stream.
func Decide(s outbox.Stream, stream []Verdict, m MessageFacts, now time.Time) Verdict {
	if v, no := decidePerson(s, m); no {
		return v
	}
	if m.Deadline > 0 && store.Millis(now) >= m.Deadline {
		return Verdict{Kind: Refuse, Reason: Deadline, Detail: "its deadline has passed"}
	}
	for _, v := range stream {
		if v.Reason == TemplateNotApproved || v.Reason == TemplateUnknown {
			if s.NotApproved == "skip" || s.NotApproved == "fail" {
				return Verdict{Kind: Refuse, Reason: TemplateSkipped, Detail: v.Detail}
			}
		}
	}
	if len(stream) > 0 {
		return stream[0]
	}
	if m.Consent.ReviewAt > 0 && s.Category != whatsapp.Service {
		return Verdict{Kind: Wait, Reason: UnderReview, Detail: "what the person wrote may be an opt-out, and nobody has decided since " + day(m.Consent.ReviewAt) +
			": janela optin review"}
	}
	if v, waits := decideCap(s, m, now); waits {
		return v
	}
	if m.NotBefore > store.Millis(now) {
		return Verdict{Wait, NotDue, store.Time(m.NotBefore), "it waits for its next attempt"}
	}
	if s.Category == whatsapp.Service && store.Millis(now.Add(windowMargin)) >= m.WindowEnd {
		return Verdict{Kind: Refuse, Reason: WindowClosed, Detail: "the person's service window is closed"}
	}
	if s.DryRun {
		return Verdict{Kind: Refuse, Reason: DryRun, Detail: "it would have been sent"}
	}
	return Verdict{Kind: Go}
}

// decidePerson judges what is about the person: consent, and how they can be
// reached.
func decidePerson(s outbox.Stream, m MessageFacts) (Verdict, bool) {
	if s.Category == whatsapp.Authentication && m.Kind != whatsapp.KindPhone && m.Kind != whatsapp.KindWaID {
		return Verdict{Kind: Refuse, Reason: AuthenticationOnly, Detail: "Meta delivers codes to phone numbers only"}, true
	}
	if s.Category == whatsapp.Service {
		return Verdict{}, false // the person wrote to us: the window decides
	}
	c := m.Consent
	st := optin.Decide(optin.Facts{GrantedAt: store.Time(c.GrantedAt), RevokedAt: store.Time(c.RevokedAt), BlockedAt: store.Time(c.MetaBlock)})
	switch {
	case st.Granted && m.UndeliverableAt > 0 && !reaches(s.Category):
		return Verdict{Kind: Refuse, Reason: NotReachable, Detail: fmt.Sprintf("on %d days messages to them could not be delivered, the last time on %s", undeliverableDays, day(m.UndeliverableAt))}, true
	case st.Granted && m.Barred != "" && !reaches(s.Category):
		return Verdict{Kind: Refuse, Reason: CountryBarred, Detail: "Meta does not let the account's messages to " + m.Barred}, true
	case st.Granted:
		return Verdict{}, false
	case c.MetaBlock > 0:
		return Verdict{Kind: Refuse, Reason: OptedOut, Detail: "blocked by the person in WhatsApp on " + day(c.MetaBlock)}, true
	case st.Reason == optin.ReasonOptedOut:
		return Verdict{Kind: Refuse, Reason: OptedOut, Detail: "revoked on " + day(c.RevokedAt)}, true
	default:
		return Verdict{Kind: Refuse, Reason: NoOptIn, Detail: "no grant is recorded"}, true
	}
}

// decideCap defers marketing to somebody to whom Meta chose not to deliver it.
// What would be over by then is refused, with the reason.
func decideCap(s outbox.Stream, m MessageFacts, now time.Time) (Verdict, bool) {
	if s.Category != whatsapp.Marketing || m.CappedUntil <= store.Millis(now) {
		return Verdict{}, false
	}
	v := Verdict{Wait, MarketingCapped, store.Time(m.CappedUntil), "Meta chose not to deliver marketing to the person; not before " + day(m.CappedUntil)}
	if m.Deadline > 0 && m.Deadline <= m.CappedUntil {
		v.Kind, v.Until = Refuse, time.Time{}
	}
	return v, true
}

func day(ms int64) string { return store.Time(ms).Format(time.RFC3339) }
