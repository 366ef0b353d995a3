package otp

import (
	"errors"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// While it is young the same code goes again, and the first message still works.
func TestResendWhileYoung(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	_, first := w.deliver(t)
	if got := w.verify(t, v.ID, wrongs(first, 1)[0]); got != "invalid-code" {
		t.Fatal(got)
	}
	w.pass(5 * time.Minute)
	again := w.resend(t, v.ID, Resend{})
	if again.ResendsLeft != 2 || again.AttemptsLeft != 4 || !again.ExpiresAt.Equal(v.ExpiresAt) || again.Delivery.State != "queued" ||
		!again.Delivery.At["queued"].Equal(w.wall) {
		t.Errorf("%+v", again)
	}
	m, second := w.deliver(t)
	if second != first {
		t.Error("another code was sent")
	}
	if m.Deadline != store.Millis(v.ExpiresAt.Add(-lastSend)) {
		t.Errorf("deadline %v", store.Time(m.Deadline))
	}
	if got := w.verify(t, v.ID, first); got != "" {
		t.Error(got)
	}
}

// Later it is another code with a time of its own, and the old one is wrong.
func TestResendWhenOld(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	old, first := w.deliver(t)
	if got := w.verify(t, v.ID, wrongs(first, 1)[0]); got != "invalid-code" {
		t.Fatal(got)
	}
	w.pass(5*time.Minute + time.Millisecond)
	again := w.resend(t, v.ID, Resend{Code: "auto", Channel: "whatsapp"})
	if !again.ExpiresAt.Equal(w.wall.Add(10 * time.Minute)) {
		t.Errorf("expires %v", again.ExpiresAt)
	}
	_, second := w.deliver(t)
	if second == first {
		t.Fatal("the same code, which one in a million is; run it again")
	}
	if _, _, err := w.Reveal(t.Context(), old); !errors.Is(err, ErrNoCode) {
		t.Errorf("the old message would still leave: %v", err)
	}
	w.pass(6 * time.Minute) // past the first code's time
	if got := w.verify(t, v.ID, first); got != "invalid-code" {
		t.Errorf("the old code: %s", got)
	}
	if got := w.view(t, v.ID).AttemptsLeft; got != 3 {
		t.Errorf("%d attempts left: guesses were given back", got)
	}
	if got := w.verify(t, v.ID, second); got != "" {
		t.Errorf("the new code: %s", got)
	}
}

// Guess, resend, guess: five are all there are.
func TestResendGivesNoGuessesBack(t *testing.T) {
	for _, kind := range []string{"auto", "new"} {
		w := newWorld(t)
		v := w.issue(t)
		w.deliver(t)
		answers := map[string]int{}
		for range 4 {
			for _, c := range wrongs(w.right(t, v.ID), 2) {
				answers[w.verify(t, v.ID, c)]++
			}
			if _, err := w.tryResend(v.ID, Resend{Code: kind}); err != nil {
				answers["resend "+said(err)]++
				break
			}
			w.deliver(t)
		}
		if answers["invalid-code"] != 5 || answers["resend gone/exhausted"] != 1 {
			t.Errorf("%s: %v", kind, answers)
		}
	}
}

func TestResendsAndLifeEnd(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	w.deliver(t)
	for range 3 {
		w.resend(t, v.ID, Resend{Code: "new"})
		w.deliver(t)
	}
	_, err := w.tryResend(v.ID, Resend{Code: "new"})
	if d := (*Denied)(nil); !errors.As(err, &d) || d.Code != CodeRateLimited || d.Rule != "resends" || d.RetryAfter != 0 {
		t.Errorf("a fourth time: %v", err)
	}
	if got := w.row(t, v.ID); got.Gen != 4 || got.Resends != 3 {
		t.Errorf("gen %d after %d", got.Gen, got.Resends)
	}
	// No code outlives its challenge's 20 minutes.
	v = w.issue(t)
	w.deliver(t)
	w.pass(9 * time.Minute)
	w.resend(t, v.ID, Resend{Code: "new"}) // until 19
	w.deliver(t)
	w.pass(9 * time.Minute)
	again := w.resend(t, v.ID, Resend{}) // at 18
	if want := v.CreatedAt.Add(20 * time.Minute); !again.ExpiresAt.Equal(want) {
		t.Errorf("expires %v, want %v", again.ExpiresAt, want)
	}
	_, code := w.deliver(t)
	w.pass(91 * time.Second) // 29 s are left
	if _, err := w.tryResend(v.ID, Resend{}); said(err) != CodeRateLimited {
		t.Errorf("at its very end: %v", err)
	}
	if got := w.verify(t, v.ID, code); got != "" {
		t.Error(got)
	}
}

// One that still waits for its turn is replaced, not doubled.
func TestResendReplacesWhatWaits(t *testing.T) {
	for _, kind := range []string{"auto", "new"} {
		w := newWorld(t)
		v := w.issue(t)
		first := w.row(t, v.ID).Message
		w.resend(t, v.ID, Resend{Code: kind})
		second := w.row(t, v.ID).Message
		if w.state(t, first) != outbox.Cancelled || w.counts(t, first) != 0 || w.state(t, second) != outbox.Queued || w.counts(t, second) != 1 {
			t.Errorf("%s: %s and %s", kind, w.state(t, first), w.state(t, second))
		}
		if _, code := w.deliver(t); w.verify(t, v.ID, code) != "" {
			t.Error("not verified")
		}
	}
}

// A code whose message failed is not sent again.
func TestResendAfterFailure(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	m := w.claim(t)[0]
	first := w.carried(t, m)
	w.settle(t, m, outbox.Failed, failing(131000))
	if d := w.view(t, v.ID).Delivery; d.State != "failed" || d.Code != 131000 || d.Reason != unknownReason {
		t.Errorf("%+v", d)
	}
	w.resend(t, v.ID, Resend{})
	if _, second := w.deliver(t); second == first {
		t.Error("the same code went again")
	}
}

func TestResendIsRefused(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	w.deliver(t)
	for _, c := range []struct {
		r    Resend
		want string
	}{
		{Resend{Channel: "pigeon"}, CodeMalformed},
		{Resend{Code: "old"}, CodeMalformed},
		{Resend{Channel: "sms"}, CodeFallbackDisabled},
	} {
		if _, err := w.tryResend(v.ID, c.r); said(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.r, err, c.want)
		}
	}
	if _, err := w.tryResend("otp_unknown", Resend{}); said(err) != CodeNotFound {
		t.Errorf("%v", err)
	}
	w.write(t, func(tx *store.Tx) error { return template(tx, "codigo/pt_BR", whatsapp.TemplatePaused) })
	if _, err := w.tryResend(v.ID, Resend{}); said(err) != "channel-unavailable/template_not_approved" {
		t.Errorf("%v", err)
	}
	w.write(t, func(tx *store.Tx) error {
		return errors.Join(template(tx, "codigo/pt_BR", whatsapp.TemplateApproved), tx.One(moveMessage, w.row(t, v.ID).Message, phone2))
	})
	if _, err := w.tryResend(v.ID, Resend{}); said(err) != "gone/code_unavailable" {
		t.Errorf("another address: %v", err)
	}
	if got := w.row(t, v.ID); got.Resends != 0 || got.Gen != 1 {
		t.Errorf("%d resends were counted", got.Resends)
	}
}

// Codes under way are verified with the key they were made with, new ones use the
// new one, and one whose key is gone for good fails.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	_, code := w.deliver(t)
	kid, err := w.deps.Keys.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	next := w.issue(t, func(r *Request) { r.To = phone2 })
	if a, b := w.row(t, v.ID).KID, w.row(t, next.ID).KID; a != "k1" || b != kid {
		t.Errorf("made with %s and %s", a, b)
	}
	if _, code := w.deliver(t); w.verify(t, next.ID, code) != "" {
		t.Error("the new one is not verified")
	}
	again := w.resend(t, v.ID, Resend{Code: "new"})
	if _, second := w.deliver(t); second == code || w.verify(t, again.ID, second) != "" {
		t.Error("the old one's second code is not verified")
	}
	old := w.issue(t)
	_, code = w.deliver(t)
	// The process restarts: what is on disk is all there is.
	for range 2 {
		if _, err := w.deps.Keys.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := OpenKeyring(w.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	w.deps.Keys = keys
	if got := w.verify(t, old.ID, code); got != "" {
		t.Errorf("after a restart: %s", got)
	}
	old = w.issue(t)
	_, code = w.deliver(t)
	for range 3 {
		if _, err := keys.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.verify(t, old.ID, code); got != "gone/code_unavailable" {
		t.Errorf("its key is gone: %s", got)
	}
	if row := w.row(t, old.ID); row.State != Failed || row.Seed != "" {
		t.Errorf("%s", row.State)
	}
}
