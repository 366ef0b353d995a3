package otp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

func onFailed(c *Config) { c.Fallback.Mode = modeFailed }

// asks for a text message: the code that comes is a new one, the one that went by
// WhatsApp is worth nothing, and the request is what the documentation says.
func TestResendBySMS(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t, func(r *Request) { r.Purpose, r.Locale = "recovery", "pt_BR" })
		_, old := h.deliver(t)
		h.pass(30 * time.Second)
		before := h.view(t, v.ID)
		got := h.resend(t, v.ID, Resend{Channel: sms})
		if n := len(h.smsc.log()); n != 0 && h.states() == "" {
			t.Error("it left before its row was written")
		}
		if got.Channel != sms || got.Delivery.State != "queued" || got.Delivery.Fallback != "sent" || got.ResendsLeft != before.ResendsLeft-1 ||
			!got.ExpiresAt.Equal(time.Now().Add(5*time.Minute)) {
			t.Errorf("%+v", got)
		}
		synctest.Wait()
		all := h.smsc.log()
		if len(all) != 1 {
			t.Fatalf("%d requests", len(all))
		}
		a := all[0]
		want := passed{ID: v.ID, To: phone1, Code: h.right(t, v.ID), Purpose: "recovery", Locale: "pt_BR", Channel: sms,
			ExpiresAt: got.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000Z")}
		if diff := cmp.Diff(want, a.passed); diff != "" {
			t.Error(diff)
		}
		var fields map[string]any
		if err := json.Unmarshal(a.body, &fields); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"channel", "code", "expires_at", "id", "locale", "purpose", "to"}, slices.Sorted(maps.Keys(fields))); diff != "" {
			t.Error(diff)
		}
		if a.header.Get("Content-Type") != "application/json" || a.id != v.ID+"_2" {
			t.Errorf("%v", a.header)
		}
		if err := signedBy(a, hookSecret, time.Now()); err != nil {
			t.Error(err)
		}
		if signedBy(a, newSecret, time.Now()) == nil {
			t.Error("the test verifies anything")
		}
		if d := h.view(t, v.ID).Delivery; d.State != "sent" || d.Fallback != "sent" || !d.At["sent"].Equal(time.Now()) {
			t.Errorf("%+v", d)
		}
		if got := h.verify(t, v.ID, old); got != CodeInvalidCode {
			t.Errorf("the old code: %s", got)
		}
		verdict, err := h.tryVerify(app, v.ID, Proof{Code: a.Code, ClientIP: someIP})
		if err != nil || verdict.Denied != nil || verdict.Channel != sms || verdict.To != phone1 {
			t.Errorf("%+v, %v", verdict, err)
		}
		if diff := cmp.Diff(map[string]int{"asked sent": 1}, h.fellBack); diff != "" {
			t.Error(diff)
		}
		var unverified int
		h.read(t, func(q *store.Snap) (err error) {
			rows, err := store.All[counted](q, sqlUnverified, v.ID)
			unverified = len(rows)
			return err
		})
		if all, fellBack := h.counted(); all != 2 || fellBack != 1 || unverified != 0 {
			t.Errorf("%d sends, %d by the fallback, %d unverified", all, fellBack, unverified)
		}
	}, func(c *Config) { c.Limits.Cooldown = 30 * time.Second })
}

// While the secret is replaced, who has the old one and who has the new one can
// both verify; the file is read for each request.
func TestSecretsOfTheFallback(t *testing.T) {
	var secrets atomic.Value
	secrets.Store(hookSecret)
	inTown(t, func(t *testing.T, h *town) {
		for _, step := range []struct {
			file     string
			old, new bool
		}{{hookSecret, true, false}, {newSecret + "\n" + hookSecret + "\n", true, true}, {newSecret, false, true}} {
			secrets.Store(step.file)
			v := h.issue(t)
			h.bySMS(v.ID)
			all := h.smsc.log()
			a := all[len(all)-1]
			if old, neu := signedBy(a, hookSecret, time.Now()) == nil, signedBy(a, newSecret, time.Now()) == nil; old != step.old || neu != step.new {
				t.Errorf("old %v, new %v; expected %v, %v", old, neu, step.old, step.new)
			}
			a.body = []byte(strings.Replace(string(a.body), phone1, phone2, 1))
			if signedBy(a, hookSecret, time.Now()) == nil || signedBy(a, newSecret, time.Now()) == nil {
				t.Error("another body verifies as well")
			}
		}
		// A file that is spoilt while janela runs: nothing leaves unsigned, and it
		// leaves when the file is mended.
		secrets.Store("spoilt")
		v := h.issue(t)
		h.bySMS(v.ID)
		h.pass(10 * time.Second)
		if n := len(h.smsc.log()); n != 3 || h.view(t, v.ID).Delivery.State != "queued" || !strings.Contains(h.FallbackTrouble(time.Now()), "no secret") {
			t.Errorf("%d requests, %q", n, h.FallbackTrouble(time.Now()))
		}
		secrets.Store(newSecret)
		h.pass(15 * time.Second)
		if n := len(h.smsc.log()); n != 4 || h.FallbackTrouble(time.Now()) != "" {
			t.Errorf("%d requests, %q", n, h.FallbackTrouble(time.Now()))
		}
	}, func(c *Config) {
		c.Fallback.Secret = func() ([]byte, error) { return []byte(secrets.Load().(string)), nil }
		c.Fallback.PerDay, c.Fallback.Share = -1, -1
	})
}

// What each mode makes of a number without WhatsApp, of a code that is late, and
// of one whose answer is lost.
func TestModesOfTheFallback(t *testing.T) {
	for _, tt := range []struct {
		mode          string
		absent, known string // delivery.error.fallback after the status, and of the next challenge
		late          string
		requests      int
	}{
		{modeOff, "none", "none", "none", 0},
		{modeManual, "offered", "offered", "offered", 0},
		{modeFailed, "sent", "sent", "offered", 2},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			inTown(t, func(t *testing.T, h *town) {
				v := h.issue(t)
				if f := v.Delivery.Fallback; f != "none" {
					t.Errorf("it is %s at once", f)
				}
				h.missing()
				if got := h.view(t, v.ID).Delivery; got.Fallback != tt.absent || got.Code != codeNotOnWhatsApp && got.State == "failed" || got.Reason != notOnWhatsApp {
					t.Errorf("after the status: %+v", got)
				}
				h.pass(time.Minute)
				known := h.issue(t)
				if known.Delivery.Fallback != tt.known || known.Delivery.Reason != notOnWhatsApp {
					t.Errorf("known: %+v", known.Delivery)
				}
				h.pass(time.Minute)
				if n := len(h.smsc.log()); n != tt.requests {
					t.Errorf("%d requests", n)
				}
				if tt.mode == modeFailed {
					if got := h.verify(t, known.ID, h.smsc.log()[1].Code); got != "" {
						t.Errorf("its code: %s", got)
					}
					h.pass(time.Second)
					if d := h.issue(t).Delivery; d.State != "failed" {
						t.Errorf("a text message shows that the number is on WhatsApp: %+v", d)
					}
				}

				slow := h.issue(t, func(r *Request) { r.To = phone2 })
				m, _ := h.deliver(t)
				h.pass(DelayedAfter)
				if d := h.view(t, slow.ID).Delivery; d.State != "delayed" || d.Fallback != tt.late {
					t.Errorf("late: %+v", d)
				}
				h.status(t, m, "delivered", 0)
				if d := h.view(t, slow.ID).Delivery; d.State != "delivered" || d.Fallback != "none" {
					t.Errorf("delivered: %+v", d)
				}
				h.pass(2 * time.Minute)
				lost := h.issue(t, func(r *Request) { r.To = phone2 })
				h.settle(t, h.claim(t)[0], outbox.Unknown)
				h.pass(DelayedAfter)
				if d := h.view(t, lost.ID).Delivery; d.State != "queued" || d.Fallback != "none" { // its repeat
					t.Errorf("lost: %+v", d)
				}
				h.settle(t, h.claim(t)[0], outbox.Unknown)
				if d := h.view(t, lost.ID).Delivery; d.State != "unknown" || d.Fallback != tt.late {
					t.Errorf("lost twice: %+v", d)
				}
				h.pass(2 * time.Minute)
				_, err := h.tryResend(lost.ID, Resend{Channel: sms})
				if tt.mode == modeOff && said(err) != CodeFallbackDisabled || tt.mode != modeOff && err != nil {
					t.Error(err)
				}
			}, func(c *Config) { c.Fallback.Mode, c.Limits.Cooldown = tt.mode, 30*time.Second })
		})
	}
}

// Somebody else has the number: no request is made, whatever is asked for.
func TestNoFallbackToOtherHands(t *testing.T) {
	for name, fail := range map[string]func(h *town, m outbox.Message){
		"by answer": func(h *town, m outbox.Message) { h.settle(h.t, m, outbox.Failed, failing(codeIdentityChanged)) },
		"by status": func(h *town, m outbox.Message) {
			h.settle(h.t, m, outbox.Accepted)
			h.status(h.t, m, "failed", codeIdentityChanged)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *testing.T, h *town) {
				other := h.issue(t, func(r *Request) { r.Trusted = true })
				h.deliver(t)
				v := h.issue(t)
				m := h.claim(t)[0]
				h.pass(time.Second)
				fail(h, m)
				h.pass(time.Minute)
				if got := h.view(t, v.ID); got.State != Failed || got.Delivery.Reason != identityChanged || got.Delivery.Fallback != "none" {
					t.Errorf("%+v", got)
				}
				if _, err := h.tryResend(v.ID, Resend{Channel: sms}); said(err) != "gone/identity_changed" {
					t.Error(err)
				}
				if _, err := h.tryResend(other.ID, Resend{Channel: sms}); said(err) != CodeIdentityChanged {
					t.Error(err)
				}
				if f := h.view(t, other.ID).Delivery.Fallback; f != "none" {
					t.Errorf("the other challenge: %s", f)
				}
				h.pass(time.Hour)
				if n := len(h.smsc.dialled()); n != 0 {
					t.Errorf("%d requests", n)
				}
			}, onFailed)
		})
	}
	// Meta shows another identity than the one that verified before: its own check
	// was not asked for, but a text message would go to the same other hands.
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		m, code := h.deliver(t)
		h.write(t, func(tx *store.Tx) error { return h.IdentityKey(tx, m.ID, "hash-1") })
		if got := h.verify(t, v.ID, code); got != "" {
			t.Fatal(got)
		}
		v = h.issue(t)
		m, _ = h.deliver(t)
		h.write(t, func(tx *store.Tx) error { return h.IdentityKey(tx, m.ID, "hash-2") })
		h.pass(DelayedAfter)
		if d := h.view(t, v.ID).Delivery; d.State != "delayed" || d.Fallback != "none" {
			t.Errorf("%+v", d)
		}
		if _, err := h.tryResend(v.ID, Resend{Channel: sms}); said(err) != CodeIdentityChanged {
			t.Error(err)
		}
	})
}

// A text message proves nothing about who has the number on WhatsApp: what Meta
// said of the message before it is not learnt.
func TestSMSTeachesNoIdentity(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		m, _ := h.deliver(t)
		h.write(t, func(tx *store.Tx) error { return h.IdentityKey(tx, m.ID, "hash-1") })
		h.bySMS(v.ID)
		if got := h.verify(t, v.ID, h.smsc.log()[0].Code); got != "" {
			t.Fatal(got)
		}
		h.issue(t)
		if _, hash, err := h.Reveal(t.Context(), h.claim(t)[0]); err != nil || hash != "" {
			t.Errorf("%q, %v", hash, err)
		}
	})
}

// What may change between the request and the moment when the code leaves.
func TestWhatStopsAWaitingFallback(t *testing.T) {
	revoke := func(h *town, c whatsapp.Category) {
		h.write(h.t, func(tx *store.Tx) error {
			_, _, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{whatsapp.Phone(phone1).Identity()},
				Categories: []whatsapp.Category{c}, Source: optin.SourceOperator, Actor: "test", At: tx.Now()})
			return err
		})
	}
	for name, tt := range map[string]struct {
		meanwhile func(h *town, id string)
		state     string // of the row; "" when it must leave all the same
	}{
		"nothing":          {func(*town, string) {}, ""},
		"a marketing STOP": {func(h *town, _ string) { revoke(h, whatsapp.Marketing) }, ""},
		"a full block":     {func(h *town, _ string) { revoke(h, whatsapp.Authentication) }, "refused"},
		"the phone is locked": {func(h *town, _ string) {
			h.write(h.t, func(tx *store.Tx) error { return lock(tx, h.phoneKey(phone1)) })
		}, "refused"},
		"the person did not ask": {func(h *town, _ string) {
			h.write(h.t, func(tx *store.Tx) error {
				_, err := tx.Exec(sqlMute, h.phoneKey(phone1), store.Millis(tx.Now().Add(time.Hour)), store.Millis(tx.Now()))
				return err
			})
		}, "refused"},
		"the number changed hands": {func(h *town, _ string) {
			h.write(h.t, func(tx *store.Tx) error {
				_, err := tx.Exec(sqlChanged, h.phoneKey(phone1), store.Millis(tx.Now()))
				return err
			})
		}, "refused"},
		"the caller gives up": {func(h *town, id string) {
			if _, err := h.world.cancel(h.t, id); err != nil {
				h.t.Error(err)
			}
		}, "expired"},
		"a newer code by WhatsApp": {func(h *town, id string) {
			h.OTP.cfg().Limits.Cooldown = -1
			h.resend(h.t, id, Resend{Channel: "whatsapp"})
		}, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *testing.T, h *town) {
				v := h.issue(t)
				h.pass(time.Second)
				h.missing() // it waits for the cooldown
				if d := h.view(t, v.ID).Delivery; h.states() != "queued" || d.State != "queued" || d.Fallback != "sent" {
					t.Fatalf("%s, %+v", h.states(), d)
				}
				all, _ := h.counted()
				tt.meanwhile(h, v.ID)
				h.pass(28 * time.Second)
				if n := len(h.smsc.dialled()); n > 0 && h.states() != "sent" {
					t.Error("it left before the cooldown was over")
				}
				h.pass(time.Minute)
				if tt.state == "" {
					if len(h.smsc.log()) != 1 || h.states() != "sent" {
						t.Errorf("%d requests, %s", len(h.smsc.log()), h.states())
					}
					return
				}
				if n := len(h.smsc.dialled()); n != 0 || h.states() != tt.state {
					t.Errorf("%d requests, %s", n, h.states())
				}
				if now, fellBack := h.counted(); fellBack != 0 || now > all {
					t.Errorf("it still counts: %d sends, before %d; %d by the fallback", now, all, fellBack)
				}
			}, onFailed, func(c *Config) { c.Limits.Cooldown = 30 * time.Second })
		})
	}
}

func lock(tx *store.Tx, key string) error {
	if _, err := tx.Exec(sqlOneMoreFail, key, store.Millis(tx.Now())); err != nil {
		return err
	}
	return tx.One(sqlLock, key, store.Millis(tx.Now()))
}

// Refusals of a text message that was asked for, each with its rule. Nothing is
// written where one of them says no.
func TestEveryLimitBindsTheFallback(t *testing.T) {
	sent := func(h *town, n int, change ...func(*Request)) {
		for range n {
			h.issue(h.t, change...)
		}
	}
	to := func(phone, ip string) func(*Request) { return func(r *Request) { r.To, r.ClientIP = phone, ip } }
	for rule, tt := range map[string]struct {
		limit func(c *Config)
		fill  func(h *town)
	}{
		ruleCooldown:    {func(c *Config) { c.Limits.Cooldown = time.Minute }, nil},
		rulePhone10m:    {func(c *Config) { c.Limits.Phone10m = 1 }, nil},
		rulePhoneHour:   {func(c *Config) { c.Limits.PhoneHour = 1 }, nil},
		rulePhoneDay:    {func(c *Config) { c.Limits.PhoneDay = 1 }, nil},
		ruleUnverified:  {func(c *Config) { c.Limits.Unverified = 1 }, nil},
		ruleIP10m:       {func(c *Config) { c.Limits.IP10m = 2 }, func(h *town) { sent(h, 1, to(phone2, someIP)) }},
		ruleIPHour:      {func(c *Config) { c.Limits.IPHour = 2 }, func(h *town) { sent(h, 1, to(phone2, someIP)) }},
		ruleIPDay:       {func(c *Config) { c.Limits.IPDay = 2 }, func(h *town) { sent(h, 1, to(phone2, someIP)) }},
		rulePrefix:      {func(c *Config) { c.Limits.PrefixUnverified = 2 }, func(h *town) { sent(h, 1, to(phone2, "203.0.113.8")) }},
		ruleCountryHour: {func(c *Config) { c.Limits.CountryHour = 2 }, func(h *town) { sent(h, 1, to(phone2, "203.0.113.8")) }},
		ruleCountryDay:  {func(c *Config) { c.Limits.CountryDay = 2 }, func(h *town) { sent(h, 1, to(phone2, "203.0.113.8")) }},
		ruleClient:      {func(c *Config) { c.Limits.ClientPerSecond, c.Limits.ClientBurst = 0.001, 1 }, nil},
		ruleService:     {func(c *Config) { c.Limits.PerSecond = 0.001 }, nil},
		ruleCap:         {func(c *Config) { c.MaxSends = 2 }, func(h *town) { sent(h, 1, to(phone2, "203.0.113.8")) }},
		"resends":       {func(c *Config) { c.Limits.Resends = -1 }, nil},
		"life":          {func(c *Config) { c.Limits.Life = 10 * time.Minute }, func(h *town) { h.pass(10*time.Minute - lastSend) }},
	} {
		t.Run(rule, func(t *testing.T) {
			inTown(t, func(t *testing.T, h *town) {
				v := h.issue(t)
				if tt.fill != nil {
					tt.fill(h)
				}
				before, row := h.dump(), h.row(t, v.ID)
				_, err := h.tryResend(v.ID, Resend{Channel: sms})
				if d := (*Denied)(nil); !errors.As(err, &d) || d.Rule != rule {
					t.Errorf("%v", err)
				}
				if diff := cmp.Diff(before, h.dump()) + cmp.Diff(row, h.row(t, v.ID)); diff != "" {
					t.Errorf("something was written: %s", diff)
				}
				h.pass(lastSend)
				if n := len(h.smsc.dialled()); n != 0 {
					t.Errorf("%d requests", n)
				}
			}, tt.limit)
		})
	}
	// And one that went counts for what is asked for after it.
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		h.deliver(t)
		h.pass(30 * time.Second)
		h.bySMS(v.ID)
		h.pass(30 * time.Second)
		if _, err := h.tryIssue(app, asks()); said(err) != CodeRateLimited {
			t.Errorf("%v", err)
		}
		if got, want := h.view(t, v.ID).ResendAfter, start.Add(30*time.Second+time.Minute); !got.Equal(want) {
			t.Errorf("resend after %s, expected %s", got, want)
		}
	}, func(c *Config) { c.Limits.Cooldown = 30 * time.Second })
}

// dump is everything by which limits count.
func (h *town) dump() (out []string) {
	h.t.Helper()
	h.read(h.t, func(q *store.Snap) error {
		return store.Each(q, everyCount, func(r *counter) error { out = append(out, fmt.Sprint(*r)); return nil })
	})
	return out
}

type counter struct {
	what, key string
	n, m      int64
}

func (c *counter) Fields() []any { return []any{&c.what, &c.key, &c.n, &c.m} }

var everyCount = store.SQL(`SELECT 'sends', challenge_id, message_id, counted FROM code_sends
	UNION ALL SELECT 'counts', scope || bucket, sent, verified FROM code_counts
	UNION ALL SELECT 'ranges', prefix_key, sent, verified FROM code_ranges
	UNION ALL SELECT 'rates', key, tat, 0 FROM code_rates
	UNION ALL SELECT 'fallbacks', challenge_id, gen, at FROM code_fallbacks
	UNION ALL SELECT 'messages', state, id, 0 FROM messages ORDER BY 1, 2, 3`)

// One code at a time is on its way to the hook; what the challenge's own rules
// say, they say of text messages as well.
func TestFallbackWithinItsChallenge(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		h.smsc.setAway(true)
		h.bySMS(v.ID)
		_, err := h.tryResend(v.ID, Resend{Channel: sms})
		if d := (*Denied)(nil); !errors.As(err, &d) || d.Rule != ruleFallbackOpen || d.RetryAfter <= 0 {
			t.Error(err)
		}
		for _, c := range []Caller{{Client: "other"}, {Client: "app", Purposes: []string{"recovery"}}} {
			err := h.Write(t.Context(), func(tx *store.Tx) error { _, err := h.Resend(tx, c, v.ID, Resend{Channel: sms}); return err })
			if said(err) != CodeNotFound {
				t.Errorf("%v: %v", c, err)
			}
		}
		h.smsc.setAway(false)
		h.pass(30 * time.Second)
		first := h.smsc.log()[0].Code
		v = h.bySMS(v.ID)
		if a := h.smsc.log()[1]; a.id != v.ID+"_3" || v.ResendsLeft != 1 {
			t.Errorf("%s, %d left", a.id, v.ResendsLeft)
		}
		v = h.resend(t, v.ID, Resend{})
		if v.Channel != "whatsapp" || v.Delivery.Fallback != "none" || v.ResendsLeft != 0 {
			t.Errorf("%+v", v)
		}
		_, last := h.deliver(t)
		if _, err := h.tryResend(v.ID, Resend{Channel: sms}); said(err) != CodeRateLimited {
			t.Error(err)
		}
		for _, old := range []string{first, h.smsc.log()[1].Code} {
			if got := h.verify(t, v.ID, old); got != CodeInvalidCode {
				t.Error(got)
			}
		}
		if got := h.verify(t, v.ID, last); got != "" {
			t.Error(got)
		}
		if _, err := h.tryResend(v.ID, Resend{Channel: sms}); said(err) != "gone/verified" {
			t.Error(err)
		}
	}, func(c *Config) { c.Fallback.PerDay = -1 })
}

// An answer that is lost after the code fell back brings no second message: it
// would carry the code of the text message.
func TestNoRepeatAfterTheFallback(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		m := h.claim(t)[0]
		h.bySMS(v.ID)
		h.settle(t, m, outbox.Unknown)
		h.pass(time.Minute)
		if n := len(h.claim(t)); n != 0 {
			t.Errorf("%d messages leave", n)
		}
		if _, _, err := h.Reveal(t.Context(), m); !errors.Is(err, ErrNoCode) {
			t.Errorf("the old message still has a code: %v", err)
		}
	})
}

// A decoy answers as if it had fallen back, and nobody is asked.
func TestDecoysDoNotFallBack(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		decoy, real := h.issue(t, func(r *Request) { r.To, r.Decoy = phone2, true }), h.issue(t)
		h.deliver(t)
		h.pass(30 * time.Second)
		d, r := h.resend(t, decoy.ID, Resend{Channel: sms}), h.resend(t, real.ID, Resend{Channel: sms})
		for range 2 {
			if d.Channel != r.Channel || d.Delivery.State != r.Delivery.State || d.Delivery.Fallback != r.Delivery.Fallback || d.ResendsLeft != r.ResendsLeft {
				t.Errorf("the decoy shows itself:\n%+v\n%+v", d, r)
			}
			h.pass(time.Second)
			d, r = h.view(t, decoy.ID), h.view(t, real.ID)
		}
		h.write(t, func(tx *store.Tx) error { // even claimed by a fault it has no code
			_, err := tx.Exec(claimAnew)
			return err
		})
		h.crash()
		h.pass(time.Minute)
		for _, a := range h.smsc.log() {
			if a.ID == decoy.ID || a.To == phone2 {
				t.Error("the hook was asked to take a decoy's code")
			}
		}
		if n := len(h.smsc.log()); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

var claimAnew = store.SQL(`UPDATE code_fallbacks SET state = 'sending', ended_at = 0 WHERE state = 'sent'`)

// Only the status of the message that carries the newest code makes a code fall
// back by itself: none that comes again, late, or of a message that is not ours.
func TestForgedAndRepeatedStatuses(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		m, _ := h.deliver(t)
		h.write(t, func(tx *store.Tx) error {
			out := []outbox.Outcome{{Message: m.ID + 1, Category: whatsapp.Authentication, From: outbox.Accepted, To: outbox.Failed, Code: codeNotOnWhatsApp}}
			if err := h.Outcomes(tx, out); err != nil {
				return err
			}
			_, found, err := outbox.Observe(tx, outbox.Observation{Wamid: "wamid.of-nobody", Status: "failed", At: tx.Now(), Code: codeNotOnWhatsApp})
			if found {
				t.Error("a foreign message was found")
			}
			return err
		})
		h.pass(time.Minute)
		if h.states() != "" {
			t.Fatal(h.states())
		}
		// A newer code has taken its place: what becomes of the old message is no
		// matter.
		h.pass(5 * time.Minute)
		h.resend(t, v.ID, Resend{Code: "new"})
		h.status(t, m, "failed", codeNotOnWhatsApp)
		h.pass(time.Minute)
		if h.states() != "" {
			t.Fatal(h.states())
		}
		m, _ = h.deliver(t)
		for range 3 {
			h.status(t, m, "failed", codeNotOnWhatsApp)
			h.pass(time.Second)
		}
		h.pass(time.Minute)
		if n := len(h.smsc.log()); n != 1 || h.states() != "sent" {
			t.Errorf("%d requests, %s", n, h.states())
		}
		// Delivered is delivered: a failure after it says nothing.
		v = h.issue(t, func(r *Request) { r.To = phone2 })
		m, _ = h.deliver(t)
		h.status(t, m, "delivered", 0)
		h.status(t, m, "failed", codeNotOnWhatsApp)
		h.pass(time.Minute)
		if d := h.view(t, v.ID).Delivery; d.State != "delivered" || len(h.smsc.log()) != 1 {
			t.Errorf("%+v, %d requests", d, len(h.smsc.log()))
		}
	}, onFailed)
}
