package otp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

func TestDeliveryIsShown(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	shown := func() string { return w.view(t, v.ID).Delivery.State }
	if shown() != "queued" {
		t.Error(shown())
	}
	m := w.claim(t)[0]
	if shown() != "queued" {
		t.Errorf("on its way: %s", shown())
	}
	w.pass(time.Second)
	w.settle(t, m, outbox.Accepted)
	if shown() != "accepted" {
		t.Error(shown())
	}
	w.pass(DelayedAfter - time.Millisecond)
	if shown() != "accepted" {
		t.Error(shown())
	}
	w.status(t, m, "sent", 0)
	if shown() != "sent" {
		t.Error(shown())
	}
	w.pass(time.Millisecond)
	if shown() != "delayed" {
		t.Errorf("after 20 s: %s", shown())
	}
	w.status(t, m, "delivered", 0)
	if shown() != "delivered" {
		t.Error(shown())
	}
	w.status(t, m, "read", 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	want := Delivery{State: "read", Fallback: "none", At: map[string]time.Time{"queued": at(0), "accepted": at(time.Second), "sent": at(21*time.Second - time.Millisecond),
		"delivered": at(21 * time.Second), "read": at(21 * time.Second)}}
	if diff := cmp.Diff(want, w.view(t, v.ID).Delivery); diff != "" {
		t.Error(diff)
	}
}

// Whatever changes wakes whoever waits for it.
func TestChangesWake(t *testing.T) {
	w := newWorld(t)
	woken := w.Wakes(Topic)
	heard := func(what string) {
		t.Helper()
		select {
		case <-woken:
		default:
			t.Errorf("%s wakes nobody", what)
		}
	}
	v := w.issue(t)
	heard("a new challenge")
	m, code := w.deliver(t)
	heard("an acceptance")
	for _, s := range []string{"sent", "delivered", "read"} {
		w.status(t, m, s, 0)
		heard(s)
	}
	w.verify(t, v.ID, wrongs(code, 1)[0])
	heard("a wrong guess")
	w.resend(t, v.ID, Resend{Code: "new"})
	heard("a resend")
	m = w.claim(t)[0]
	w.settle(t, m, outbox.Unknown)
	heard("an unknown outcome")
	w.verify(t, v.ID, w.right(t, v.ID))
	heard("success")
	v = w.issue(t)
	<-woken
	if _, err := w.cancel(t, v.ID); err != nil {
		t.Fatal(err)
	}
	heard("a cancellation")
	w.issue(t)
	<-woken
	w.pass(time.Hour)
	if err := w.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard("expiry")
}

// What this room does to messages is told to the daemon's follow-up, of which
// this room is a part.
func TestOutcomesAreHandedOn(t *testing.T) {
	w := newWorld(t)
	told := map[string]int{}
	w.deps.Outcomes = func(tx *store.Tx, out []outbox.Outcome) error {
		for _, x := range out {
			told[string(x.To)+" "+x.Reason]++
		}
		return w.Outcomes(tx, out)
	}
	v := w.issue(t)
	first := w.row(t, v.ID).Message
	w.resend(t, v.ID, Resend{})
	if _, err := w.cancel(t, v.ID); err != nil {
		t.Fatal(err)
	}
	w.issue(t)
	m := w.claim(t)[0]
	w.settle(t, m, outbox.Unknown)
	w.status(t, m, "delivered", 0)
	if want := map[string]int{"cancelled code_replaced": 1, "cancelled code_over": 1, "cancelled code_arrived": 1}; !cmp.Equal(told, want) {
		t.Error(cmp.Diff(want, told))
	}
	if w.counts(t, first) != 0 {
		t.Error("a cancelled one still counts")
	}
}

// A message that was never answered goes once more with the same code, and not
// a third time.
func TestUnknownGoesOnceMore(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	m := w.claim(t)[0]
	code := w.carried(t, m)
	w.settle(t, m, outbox.Unknown)
	if got := w.view(t, v.ID); got.Delivery.State != "queued" || got.ResendsLeft != 3 {
		t.Errorf("%+v", got.Delivery)
	}
	w.pass(againWait - time.Millisecond)
	if n := len(w.claim(t)); n != 0 {
		t.Errorf("%d messages leave too soon", n)
	}
	w.pass(time.Millisecond)
	repeat, again := w.deliver(t)
	if again != code || repeat.ID == m.ID || repeat.Address != m.Address || repeat.Deadline != m.Deadline || w.row(t, v.ID).Message != repeat.ID {
		t.Errorf("another code, or to another place")
	}
	if w.counts(t, m.ID) != 1 || w.counts(t, repeat.ID) != 1 {
		t.Error("what may have been sent does not count")
	}
	if got := w.verify(t, v.ID, code); got != "" {
		t.Error(got)
	}

	v = w.issue(t)
	m = w.claim(t)[0]
	w.settle(t, m, outbox.Unknown)
	w.pass(againWait)
	w.settle(t, w.claim(t)[0], outbox.Unknown)
	w.pass(time.Minute)
	if n := len(w.claim(t)); n != 0 {
		t.Errorf("a third one leaves: %d", n)
	}
	if got := w.view(t, v.ID).Delivery.State; got != "unknown" {
		t.Error(got)
	}
	// A resend of the same code is one too, and it had its repeat.
	w.resend(t, v.ID, Resend{})
	w.settle(t, w.claim(t)[0], outbox.Unknown)
	w.pass(time.Minute)
	if n := len(w.claim(t)); n != 0 {
		t.Errorf("a second repeat of one code leaves: %d", n)
	}
	// Another code may have its own.
	w.resend(t, v.ID, Resend{Code: "new"})
	w.settle(t, w.claim(t)[0], outbox.Unknown)
	w.pass(againWait)
	if n := len(w.claim(t)); n != 1 {
		t.Errorf("of the new code %d leave", n)
	}
}

func TestUnknownIsNotRepeated(t *testing.T) {
	for name, before := range map[string]func(w *world, v View, m outbox.Message){
		"over": func(w *world, v View, _ outbox.Message) {
			if _, err := w.cancel(t, v.ID); err != nil {
				t.Fatal(err)
			}
		},
		"nearly over":     func(w *world, _ View, _ outbox.Message) { w.pass(10*time.Minute - lastSend - againWait) },
		"a newer code":    func(w *world, v View, _ outbox.Message) { w.resend(t, v.ID, Resend{Code: "new"}); w.deliver(t) },
		"a newer message": func(w *world, v View, _ outbox.Message) { w.resend(t, v.ID, Resend{}); w.deliver(t) },
		"the day is full": func(w *world, _ View, _ outbox.Message) { w.cfg().MaxSends = 1 },
		"the number changed": func(w *world, _ View, m outbox.Message) {
			w.write(t, func(tx *store.Tx) error { return tx.One(moveMessage, m.ID, phone2) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			v := w.issue(t)
			m := w.claim(t)[0]
			before(w, v, m)
			w.settle(t, m, outbox.Unknown)
			w.pass(7 * time.Second)
			if n := len(w.claim(t)); n != 0 {
				t.Errorf("%d messages leave", n)
			}
		})
	}
}

// A status that finds the first after all cancels the second.
func TestAdoptedCancelsItsRepeat(t *testing.T) {
	for _, status := range []string{"sent", "delivered", "read"} {
		w := newWorld(t)
		v := w.issue(t)
		m := w.claim(t)[0]
		w.settle(t, m, outbox.Unknown)
		repeat := w.row(t, v.ID).Message
		w.pass(2 * time.Second)
		w.status(t, m, status, 0)
		if w.state(t, repeat) != outbox.Cancelled || w.counts(t, repeat) != 0 || w.counts(t, m.ID) != 1 || w.row(t, v.ID).Message != m.ID {
			t.Errorf("%s: the repeat is %s, counted %d", status, w.state(t, repeat), w.counts(t, repeat))
		}
		if got := w.view(t, v.ID).Delivery.State; got != status {
			t.Errorf("%s shows as %s", status, got)
		}
		w.pass(time.Minute)
		if n := len(w.claim(t)); n != 0 {
			t.Errorf("%d messages leave", n)
		}
		if got := w.verify(t, v.ID, w.right(t, v.ID)); got != "" {
			t.Error(got)
		}
	}
	// A late answer to the request is as good as a status; one that comes after the
	// repeat has left changes nothing.
	w := newWorld(t)
	v := w.issue(t)
	m := w.claim(t)[0]
	w.settle(t, m, outbox.Unknown)
	w.pass(againWait)
	repeat, _ := w.deliver(t)
	w.settle(t, m, outbox.Accepted)
	if w.state(t, repeat.ID) != outbox.Accepted || w.row(t, v.ID).Message != repeat.ID {
		t.Errorf("the repeat is %s", w.state(t, repeat.ID))
	}
}

// A send is given back only when Meta surely did not take it.
func TestRefunds(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func(w *world, m outbox.Message)
		want  int // counted
	}{
		{"accepted", func(w *world, m outbox.Message) { w.settle(t, m, outbox.Accepted) }, 1},
		{"unknown", func(w *world, m outbox.Message) { w.settle(t, m, outbox.Unknown) }, 1},
		{"refused by Meta", func(w *world, m outbox.Message) { w.settle(t, m, outbox.Failed, failing(131008)) }, 0},
		{"an error that proves nothing", func(w *world, m outbox.Message) { w.settle(t, m, outbox.Failed, failing(131000)) }, 1},
		{"no code", func(w *world, m outbox.Message) {
			w.settle(t, m, outbox.Failed, func(r *outbox.Result) { r.Reason = "code_unavailable" })
		}, 0},
		{"no account", func(w *world, m outbox.Message) {
			w.settle(t, m, outbox.Failed, func(r *outbox.Result) { r.Reason = "account_unknown" })
		}, 0},
		{"failed by status", func(w *world, m outbox.Message) { w.settle(t, m, outbox.Accepted); w.status(t, m, "failed", 131026) }, 1},
		{"failed by status before the answer", func(w *world, m outbox.Message) { w.status(t, m, "failed", 131026) }, 1},
		{"unknown, then failed by status", func(w *world, m outbox.Message) { w.settle(t, m, outbox.Unknown); w.status(t, m, "failed", 131026) }, 1},
		{"queued again", func(w *world, m outbox.Message) { w.settle(t, m, outbox.Queued) }, 1},
		{"queued again until its end", func(w *world, m outbox.Message) {
			w.settle(t, m, outbox.Queued, func(r *outbox.Result) { r.Retry = start.Add(time.Hour) })
		}, 0},
	} {
		w := newWorld(t)
		w.issue(t)
		m := w.claim(t)[0]
		c.after(w, m)
		if got := w.counts(t, m.ID); got != c.want {
			t.Errorf("%s: counted %d, want %d", c.name, got, c.want)
		}
	}
	w := newWorld(t)
	w.issue(t)
	w.pass(10 * time.Minute)
	w.write(t, func(tx *store.Tx) error {
		out, err := outbox.Expire(tx, 10)
		if err != nil || len(out) != 1 {
			return errors.Join(err, errors.New("nothing expired"))
		}
		return w.Outcomes(tx, out)
	})
	w.read(t, func(q *store.Snap) error {
		rows, err := store.All[sent](q, allSends)
		if len(rows) != 1 || w.counts(t, rows[0].Message) != 0 {
			t.Error("one that never left still counts")
		}
		return err
	})
}

// 131026: the number is not on WhatsApp. It is remembered for a day; a message is
// sent there only when asked for.
func TestNotOnWhatsApp(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	m, _ := w.deliver(t)
	w.status(t, m, "failed", 131026)
	want := Delivery{State: "failed", Code: 131026, Reason: notOnWhatsApp, Fallback: "none",
		At: map[string]time.Time{"queued": start, "accepted": start, "failed": start}}
	if diff := cmp.Diff(want, w.view(t, v.ID).Delivery); diff != "" {
		t.Error(diff)
	}
	if w.view(t, v.ID).State != Pending {
		t.Error("the challenge is over")
	}
	w.pass(24*time.Hour - time.Millisecond)
	v = w.issue(t)
	if d := v.Delivery; d.State != "failed" || d.Reason != notOnWhatsApp {
		t.Errorf("%+v", d)
	}
	if got := w.view(t, v.ID); !cmp.Equal(got, v) {
		t.Errorf("another view is read: %s", cmp.Diff(v, got))
	}
	if n := len(w.claim(t)); n != 0 {
		t.Errorf("%d messages leave", n)
	}
	if got := w.verify(t, v.ID, "123456"); got != "invalid-code" {
		t.Error(got)
	}
	v = w.resend(t, v.ID, Resend{Channel: "whatsapp"})
	if v.Delivery.State != "queued" {
		t.Errorf("%+v", v.Delivery)
	}
	m, code := w.deliver(t)
	w.status(t, m, "delivered", 0)
	if got := w.verify(t, v.ID, code); got != "" {
		t.Error(got)
	}
	if w.issue(t).Delivery.State != "queued" { // it was there after all
		t.Error("it still counts as not on WhatsApp")
	}

	w = newWorld(t)
	w.issue(t)
	m, _ = w.deliver(t)
	w.status(t, m, "failed", 131026)
	w.pass(24 * time.Hour)
	if w.issue(t).Delivery.State != "queued" {
		t.Error("it is remembered for more than a day")
	}
}

// A repeat is of no use where the first is found to have failed so.
func TestNotOnWhatsAppCancelsTheRepeat(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	m := w.claim(t)[0]
	w.settle(t, m, outbox.Unknown)
	w.status(t, m, "failed", 131026)
	if s := w.state(t, w.row(t, v.ID).Message); s != outbox.Cancelled {
		t.Errorf("the repeat is %s", s)
	}
}

// 137000: another device or person has the number. The challenge ends, by answer
// or by status, and no code goes there until an operator says so.
func TestIdentityChanged(t *testing.T) {
	for name, fail := range map[string]func(w *world, m outbox.Message){
		"by answer": func(w *world, m outbox.Message) { w.settle(t, m, outbox.Failed, failing(137000)) },
		"by status": func(w *world, m outbox.Message) { w.settle(t, m, outbox.Accepted); w.status(t, m, "failed", 137000) },
	} {
		w := newWorld(t)
		w.cfg().Fallback.Mode = "on_failed" // which it must not
		// A first success teaches the key, and the next code names it.
		v := w.issue(t)
		m, code := w.deliver(t)
		w.write(t, func(tx *store.Tx) error {
			return errors.Join(w.IdentityKey(tx, m.ID, "hash-1"), w.IdentityKey(tx, m.ID, "hash-1"), w.IdentityKey(tx, m.ID, ""), w.IdentityKey(tx, 1, "x"))
		})
		if got := w.verify(t, v.ID, code); got != "" {
			t.Fatal(got)
		}
		v = w.issue(t)
		m = w.claim(t)[0]
		if _, hash, err := w.Reveal(t.Context(), m); err != nil || hash != "hash-1" {
			t.Fatalf("%q, %v", hash, err)
		}
		right := w.right(t, v.ID)
		fail(w, m)
		got := w.view(t, v.ID)
		if got.State != Failed || got.Reason != identityChanged || got.Delivery.Reason != identityChanged || got.Delivery.Fallback != "none" || w.row(t, v.ID).Seed != "" {
			t.Errorf("%s: %+v", name, got)
		}
		if got := w.verify(t, v.ID, right); got != "gone/identity_changed" {
			t.Errorf("%s: %s", name, got)
		}
		for _, trusted := range []bool{false, true} {
			if _, err := w.tryIssue(app, asks(func(r *Request) { r.Trusted = trusted })); said(err) != CodeIdentityChanged {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.unlock(t, phone1, true)
		w.unlock(t, phone1, false)
		w.issue(t)
		m = w.claim(t)[0]
		if _, hash, err := w.Reveal(t.Context(), m); err != nil || hash != "" {
			t.Errorf("%s: the old key is asked for again: %q, %v", name, hash, err)
		}
	}
}

// What waits for a number that has changed hands does not leave either: without
// the old key it would reach whoever has the number now.
func TestIdentityChangedStopsWhatWaits(t *testing.T) {
	w := newWorld(t)
	w.issue(t)
	m, _ := w.deliver(t)
	second := w.issue(t)
	waiting := w.claim(t)[0]
	w.status(t, m, "failed", 137000)
	if params, _, err := w.Reveal(t.Context(), waiting); !errors.Is(err, ErrNoCode) || params != "" {
		t.Errorf("it leaves: %v", err)
	}
	if _, err := w.tryResend(second.ID, Resend{}); said(err) != CodeIdentityChanged {
		t.Errorf("%v", err)
	}
}

// Where Meta does not check the key, its statuses still tell of another one.
func TestAnotherIdentityKeyIsTold(t *testing.T) {
	w := newWorld(t)
	for i, hash := range []string{"", "hash-1", "hash-1", "hash-2", "", "hash-2"} {
		v := w.issue(t)
		m, code := w.deliver(t)
		w.write(t, func(tx *store.Tx) error { return w.IdentityKey(tx, m.ID, hash) })
		got, err := w.tryVerify(app, v.ID, Proof{Code: code})
		if err != nil || got.Denied != nil || got.IdentityChanged != (i == 3) || got.StepUpRequired != (i == 3) {
			t.Errorf("%d: %+v, %v", i, got.IdentityChanged, err)
		}
		w.read(t, func(q *store.Snap) error {
			again, err := w.VerifiedNumber(q, app, v.ID)
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("%d: another answer the second time: %s", i, diff)
			}
			return err
		})
		if w.view(t, v.ID).StepUpRequired != (i == 3) {
			t.Errorf("%d: the view says otherwise", i)
		}
	}
}

func (w *world) unlock(t testing.TB, e164 string, want bool) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		changed, err := w.Unlock(tx, whatsapp.Phone(e164), "operator:ana")
		if changed != want {
			t.Errorf("unlock changed something: %v", changed)
		}
		return err
	})
}

func (w *world) report(t testing.TB, message int64) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error { return w.NotRequested(tx, message) })
}

// "I didn't request a code" ends the challenge and keeps the phone quiet for an
// hour, except for a device that is known.
func TestNotRequested(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	m, code := w.deliver(t)
	w.resend(t, v.ID, Resend{}) // waits
	w.report(t, m.ID)
	got := w.view(t, v.ID)
	if got.State != Reported || got.Reason != "reported" || w.row(t, v.ID).Seed != "" || w.state(t, w.row(t, v.ID).Message) != outbox.Cancelled {
		t.Errorf("%+v", got)
	}
	if got := w.verify(t, v.ID, code); got != "gone/reported" {
		t.Error(got)
	}
	w.pass(10 * time.Minute)
	_, err := w.tryIssue(app, asks())
	if d := (*Denied)(nil); !errors.As(err, &d) || d.Code != CodePhoneLocked || d.Scope != "phone" || d.Rule != ruleMuted || d.RetryAfter != 50*time.Minute {
		t.Errorf("%v", err)
	}
	if _, err := w.tryIssue(app, asks(func(r *Request) { r.To = phone2 })); err != nil {
		t.Errorf("another phone: %v", err)
	}
	known := w.issue(t, func(r *Request) { r.Trusted = true })
	w.resend(t, known.ID, Resend{})
	w.pass(50 * time.Minute)
	w.issue(t)
	// Tapped after success, it still keeps the phone quiet, and undoes nothing.
	v = w.issue(t, func(r *Request) { r.Purpose = "recovery" })
	m = outbox.Message{ID: w.row(t, v.ID).Message}
	if got := w.verify(t, v.ID, w.right(t, v.ID)); got != "" {
		t.Fatal(got)
	}
	w.report(t, m.ID)
	if s := w.row(t, v.ID).State; s != Verified {
		t.Errorf("it is %s", s)
	}
	if _, err := w.tryIssue(app, asks()); said(err) != CodePhoneLocked {
		t.Errorf("%v", err)
	}
	w.unlock(t, phone1, true)
	w.issue(t)
	w.report(t, 12345) // no code's message
	w.read(t, func(q *store.Snap) error {
		var told []string
		log, err := access.Audit(q, 0, 10)
		for _, e := range log {
			told = append(told, e.Actor+" "+e.Command)
			if strings.Contains(e.Object, phone1[1:]) {
				t.Errorf("the audit log shows a number: %s", e.Object)
			}
		}
		if diff := cmp.Diff([]string{"operator:ana otp unlock", "person otp not requested", "person otp not requested"}, told); diff != "" {
			t.Error(diff)
		}
		return err
	})
}

// Wrong guesses lock a phone; a known device or an operator opens it.
func TestLockAndUnlock(t *testing.T) {
	strict := func(c *Config) { c.Limits.Lock, c.Limits.Failures = 7, -1 }
	fill := func(w *world) View {
		v := w.issue(t)
		_, code := w.deliver(t)
		for _, c := range wrongs(code, 4) {
			if got := w.verify(t, v.ID, c); got != "invalid-code" {
				t.Fatal(got)
			}
		}
		second := w.issue(t)
		_, code = w.deliver(t)
		for _, c := range wrongs(code, 3) {
			if got := w.verify(t, second.ID, c); got != "invalid-code" {
				t.Fatal(got)
			}
		}
		return second
	}
	w := newWorld(t, strict)
	locked := fill(w)
	if got := w.verify(t, locked.ID, w.right(t, locked.ID)); got != CodePhoneLocked {
		t.Errorf("the right code of a locked phone: %s", got)
	}
	if _, err := w.tryIssue(app, asks()); said(err) != CodePhoneLocked {
		t.Errorf("%v", err)
	}
	known := w.issue(t, func(r *Request) { r.Trusted = true })
	_, code := w.deliver(t)
	if got := w.verify(t, known.ID, code); got != "" {
		t.Errorf("a known device: %s", got)
	}
	w.issue(t)

	w = newWorld(t, strict)
	locked = fill(w)
	w.unlock(t, phone1, true)
	if got := w.verify(t, locked.ID, w.right(t, locked.ID)); got != "" {
		t.Errorf("after unlock: %s", got)
	}
	w = newWorld(t, func(c *Config) { c.Limits.Failures = 7 })
	locked = fill(w)
	if got := w.verify(t, locked.ID, w.right(t, locked.ID)); got != CodePhoneLocked {
		t.Errorf("the right code after the day's guesses: %s", got)
	}
	w.unlock(t, phone1, true)
	if got := w.verify(t, locked.ID, w.right(t, locked.ID)); got != "" {
		t.Errorf("after unlock: %s", got)
	}
}
