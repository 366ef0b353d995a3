package otp

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

func TestIssue(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t, func(r *Request) { r.Metadata = map[string]string{"request": "7"}; r.Locale = "en-US" })
	if !regexp.MustCompile(`^otp_[a-z2-7]{26}$`).MatchString(v.ID) {
		t.Errorf("id %q", v.ID)
	}
	want := View{ID: v.ID, State: Pending, Purpose: "login", ToMasked: "+12*******01", Channel: "whatsapp",
		Delivery:  Delivery{State: "queued", At: map[string]time.Time{"queued": start}, Fallback: "none"},
		CreatedAt: start, ExpiresAt: start.Add(10 * time.Minute), ResendAfter: start, ResendsLeft: 3, AttemptsLeft: 5, Metadata: map[string]string{"request": "7"}}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(v, w.view(t, v.ID)); diff != "" {
		t.Errorf("another view is read: %s", diff)
	}
	ms := w.claim(t)
	if len(ms) != 1 || ms[0].Params != "" || ms[0].Deadline != store.Millis(start.Add(10*time.Minute-30*time.Second)) || ms[0].Address != phone1 {
		t.Fatalf("%d messages, params %q, deadline %d", len(ms), ms[0].Params, ms[0].Deadline)
	}
	w.read(t, func(q *store.Snap) error {
		s, _, err := outbox.StreamByID(q, ms[0].Stream)
		if s.Category != whatsapp.Authentication || s.Template != "codigo" || s.Language != "en_US" || s.Number != number || s.Campaign != "" || s.Run != 0 {
			t.Errorf("stream %+v", s)
		}
		return err
	})
	if code := w.carried(t, ms[0]); len(code) != 6 || code != w.right(t, v.ID) {
		t.Error("the message carries another code than is expected")
	}
	ch := w.row(t, v.ID)
	for _, secret := range []string{phone1, phone1[1:], someIP, w.right(t, v.ID)} {
		for _, text := range []string{ch.PhoneKey, ch.PhoneMAC, ch.Masked, ch.IPKey, ch.Binding, ch.Metadata, ch.KID, ch.ID} {
			if strings.Contains(text, secret) {
				t.Errorf("the row shows %q", secret)
			}
		}
	}
}

func TestWhatIsAskedIsChecked(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RequireClientIP = true })
	many := map[string]string{}
	for i := range 11 {
		many[strings.Repeat("x", i+1)] = "1"
	}
	for _, c := range []struct {
		name   string
		caller Caller
		change func(*Request)
		want   string
	}{
		{"fine", app, func(*Request) {}, ""},
		{"unknown purpose", app, func(r *Request) { r.Purpose = "betting" }, "purpose-not-allowed"},
		{"no purpose", app, func(r *Request) { r.Purpose = "" }, "purpose-not-allowed"},
		{"a purpose that is not the key's", Caller{Client: "app", Purposes: []string{"recovery"}}, func(*Request) {}, "purpose-not-allowed"},
		{"one that is", Caller{Client: "app", Purposes: []string{"recovery", "login"}}, func(*Request) {}, ""},
		{"a purpose of other clients", app, func(r *Request) { r.Purpose = "internal" }, "purpose-not-allowed"},
		{"of this one", Caller{Client: "backoffice"}, func(r *Request) { r.Purpose = "internal" }, ""},
		{"no number", app, func(r *Request) { r.To = "" }, "invalid-phone"},
		{"no plus", app, func(r *Request) { r.To = phone1[1:] }, "invalid-phone"},
		{"spaces", app, func(r *Request) { r.To = "+1 202 555 0101" }, "invalid-phone"},
		{"a space before it", app, func(r *Request) { r.To = " " + phone1 }, "invalid-phone"},
		{"a line break after it", app, func(r *Request) { r.To = phone1 + "\n" }, "invalid-phone"},
		{"full-width digits", app, func(r *Request) { r.To = "+１２０２５５５０１０１" }, "invalid-phone"},
		{"a user id", app, func(r *Request) { r.To = "BR.1502abc" }, "invalid-phone"},
		{"too short", app, func(r *Request) { r.To = "+5511" }, "invalid-phone"},
		{"no such number", app, func(r *Request) { r.To = "+120255501010" }, "invalid-phone"},
		{"a country that is not the key's", Caller{Client: "app", Countries: []string{"BR"}}, func(*Request) {}, "country-not-allowed"},
		{"no address", app, func(r *Request) { r.ClientIP = "" }, "malformed"},
		{"no real address", app, func(r *Request) { r.ClientIP = "203.0.113.7:80" }, "malformed"},
		{"an IPv6 address", app, func(r *Request) { r.ClientIP = "2001:db8::1" }, ""},
		{"an odd device", app, func(r *Request) { r.Device = "toaster" }, "malformed"},
		{"a long binding", app, func(r *Request) { r.Binding = strings.Repeat("b", 257) }, "malformed"},
		{"a binding", app, func(r *Request) { r.Binding = strings.Repeat("b", 256) }, ""},
		{"too much metadata", app, func(r *Request) { r.Metadata = many }, "malformed"},
		{"large metadata", app, func(r *Request) { r.Metadata = map[string]string{"a": strings.Repeat("x", 257)} }, "malformed"},
		{"consent without a source", app, func(r *Request) { r.Consent = &Consent{Text: "yes"} }, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := asks(c.change)
			undo := errors.New("undo")
			err := w.Write(t.Context(), func(tx *store.Tx) error {
				if _, err := w.Issue(tx, c.caller, r); err != nil {
					return err
				}
				return undo
			})
			if errors.Is(err, undo) {
				err = nil
			}
			if got := said(err); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "2025550101") || strings.Contains(err.Error(), someIP)) {
				t.Errorf("the answer repeats the request: %v", err)
			}
		})
	}
	w.read(t, func(q *store.Snap) error {
		rows, err := store.All[challenge](q, allChallenges)
		if len(rows) != 0 {
			t.Errorf("%d challenges were written", len(rows))
		}
		return err
	})
}

func TestCountriesOfTheConfiguration(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Countries = []string{"BR"} })
	for _, c := range []Caller{app, {Client: "app", Countries: []string{"US"}}} {
		if _, err := w.tryIssue(c, asks()); said(err) != CodeCountry {
			t.Errorf("%v: %v", c.Countries, err)
		}
	}
}

func TestAddressesOfOneHomeAreOne(t *testing.T) {
	w := newWorld(t)
	key := func(ip string) string {
		k, err := w.ipKey(ip)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if key("2001:db8:1:2::1") != key("2001:db8:1:2:ffff::9") || key("2001:db8:1:2::1") == key("2001:db8:1:3::1") {
		t.Error("an IPv6 address does not count as its /64")
	}
	if key("::ffff:203.0.113.7") != key("203.0.113.7") || key("203.0.113.7") == key("203.0.113.8") || key("fe80::1%eth0") != key("fe80::2") {
		t.Error("spellings of an address differ")
	}
	if key("") != "" || len(key("203.0.113.7")) != 32 {
		t.Error("no address has a key, or one has none")
	}
}

// The device picks the template, both spellings of a Brazilian number are one
// phone for the limits and two for the code.
func TestTemplateAndSpelling(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t, func(r *Request) { r.Device = "android" })
	ms := w.claim(t)
	w.read(t, func(q *store.Snap) error {
		s, _, err := outbox.StreamByID(q, ms[0].Stream)
		if s.Template != "um_toque" || s.Language != "pt_BR" {
			t.Errorf("stream %s/%s", s.Template, s.Language)
		}
		return err
	})
	if w.verify(t, v.ID, w.right(t, v.ID)) != "" {
		t.Error("not verified")
	}
	long := whatsapp.Phone(liveLooking(t))
	short := long[:5] + long[6:]
	if w.phoneKey(long) != w.phoneKey(short) || w.prefixKey(long) != w.prefixKey(short) || w.exact(long.E164()) == w.exact(short.E164()) {
		t.Error("the spellings of a number are not one phone, or are one number")
	}
	if w.prefixKey("+5511900000001") != w.prefixKey("+5511900009999") || w.prefixKey("+5511900000001") == w.prefixKey("+5511900010001") {
		t.Error("a range of numbers is not all but their last four digits")
	}
}

// What the gate says decides before anything is written.
func TestGateDecides(t *testing.T) {
	w := newWorld(t)
	none := func(tx *store.Tx) error { return nil }
	evidence := func(r *Request) { r.Consent = &Consent{Source: "login_form", Text: "Quero receber"} }
	nobody := func(r *Request) { r.To = "+12025550150" }
	revoke := func(to string, c whatsapp.Category, scope string) func(tx *store.Tx) error {
		return func(tx *store.Tx) error {
			_, _, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{whatsapp.Phone(to).Identity()},
				Categories: []whatsapp.Category{c}, Scope: scope, Source: optin.SourceOperator, Actor: "test", At: tx.Now().Add(-time.Minute)})
			return err
		}
	}
	short := func(t *testing.T) string { long := liveLooking(t); return long[:5] + long[6:] }(t)
	for _, c := range []struct {
		name   string
		facts  func(tx *store.Tx) error
		change func(*Request)
		want   string
		wait   time.Duration
	}{
		{"granted", none, func(*Request) {}, "", 0},
		{"granted, and evidence", none, evidence, "", 0},
		{"unknown", none, nobody, "no-opt-in/no_opt_in", 0},
		{"unknown, and evidence", none, func(r *Request) { nobody(r); evidence(r) }, "", 0},
		{"evidence of long ago", none, func(r *Request) { nobody(r); evidence(r); r.Consent.At = start.AddDate(-1, 0, 0) }, "", 0},
		{"evidence of next week", none, func(r *Request) { nobody(r); evidence(r); r.Consent.At = start.AddDate(0, 0, 7) }, "malformed", 0},
		{"opted out", revoke(phone1, whatsapp.Authentication, ""), func(*Request) {}, "opted-out/opted_out", 0},
		{"opted out, and evidence", revoke(phone1, whatsapp.Authentication, ""), evidence, "opted-out/opted_out", 0},
		{"opted out before anything was granted, and evidence", revoke("+12025550150", whatsapp.Authentication, ""), func(r *Request) { nobody(r); evidence(r) }, "opted-out/opted_out", 0},
		{"opted out under another spelling, and evidence", revoke(short, whatsapp.Authentication, ""), func(r *Request) { r.To = liveLooking(t); evidence(r) }, "opted-out/opted_out", 0},
		{"opted out for this number alone, under another spelling, and evidence", revoke(short, whatsapp.Authentication, "loja"), func(r *Request) { r.To = liveLooking(t); evidence(r) }, "opted-out/opted_out", 0},
		{"stopped marketing", revoke(phone1, whatsapp.Marketing, ""), func(*Request) {}, "", 0},
		{"blocked in WhatsApp", revoke(phone1, whatsapp.Authentication, optin.ScopeMeta), evidence, "opted-out/opted_out", 0},
		{"template paused", func(tx *store.Tx) error { return template(tx, "codigo/pt_BR", whatsapp.TemplatePaused) }, func(*Request) {}, "channel-unavailable/template_not_approved", waitDefault},
		{"template of another language paused", func(tx *store.Tx) error { return template(tx, "codigo/pt_BR", whatsapp.TemplatePaused) }, func(r *Request) { r.Locale = "en_US" }, "", 0},
		{"template unknown", none, func(r *Request) { r.Device, r.Locale = "android", "en_US" }, "channel-unavailable/template_unknown", waitDefault},
		{"held", func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeAll, Reason: "stop", Actor: "somebody"})
			return err
		}, func(*Request) {}, "channel-unavailable/held", waitDefault},
		{"held for five minutes", func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCategory, Target: "authentication", Reason: "stop", Until: store.Millis(tx.Now().Add(5 * time.Minute))})
			return err
		}, func(*Request) {}, "channel-unavailable/held", 5 * time.Minute},
		{"nobody agreed, and held", func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeAll, Reason: "stop"})
			return err
		}, nobody, "no-opt-in/no_opt_in", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			undo := errors.New("undo")
			err := w.Write(t.Context(), func(tx *store.Tx) error {
				if err := c.facts(tx); err != nil {
					return err
				}
				_, err := w.Issue(tx, app, asks(c.change))
				if err != nil {
					return err
				}
				return undo
			})
			if errors.Is(err, undo) {
				err = nil
			}
			if got := said(err); got != c.want {
				t.Fatalf("%q, want %q", got, c.want)
			}
			if d := (*Denied)(nil); errors.As(err, &d) && d.RetryAfter != c.wait {
				t.Errorf("retry after %v, want %v", d.RetryAfter, c.wait)
			}
		})
	}
	t.Run("number not configured", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Number = "another" })
		if _, err := w.tryIssue(app, asks()); said(err) != "channel-unavailable/number_unknown" {
			t.Errorf("%v", err)
		}
	})
}

// Evidence is recorded once, as a grant of the client that brought it; a refusal
// leaves nobody behind.
func TestEvidenceIsRecorded(t *testing.T) {
	w := newWorld(t)
	const to = "+12025550150"
	if _, err := w.tryIssue(app, asks(func(r *Request) { r.To = to })); said(err) != "no-opt-in/no_opt_in" {
		t.Fatal(err)
	}
	if w.contactOf(t, to) != 0 {
		t.Error("a refused person is known now")
	}
	for range 2 {
		w.issue(t, func(r *Request) {
			r.To, r.Consent = to, &Consent{Source: "login_form", Text: "Quero receber", At: start.Add(-time.Minute)}
		})
	}
	w.read(t, func(q *store.Snap) error {
		events, err := optin.History(q, w.contactOf(t, to))
		if err != nil || len(events) != 1 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		e := events[0]
		if e.Category != whatsapp.Authentication || e.Kind != "grant" || e.Source != optin.SourceAPI || e.Actor != "api:app" ||
			e.Evidence.Origin != "login_form" || e.Evidence.Text != "Quero receber" || !e.At.Equal(start.Add(-time.Minute)) {
			t.Errorf("%+v", e)
		}
		return nil
	})
}

// The same session replaces its own challenge, and nobody else's.
func TestSessionsStandBesideEachOther(t *testing.T) {
	w := newWorld(t)
	session := func(s string) func(*Request) { return func(r *Request) { r.Binding = s } }
	mine := w.issue(t, session("victim"))
	w.deliver(t)
	theirs := w.issue(t, session("attacker"))
	again := w.issue(t, session("attacker"))
	if got := w.row(t, theirs.ID); got.State != Superseded || got.Seed != "" {
		t.Errorf("the attacker's first is %s", got.State)
	}
	other := Caller{Client: "shop"}
	if _, err := w.tryIssue(other, asks(session("victim"))); err != nil {
		t.Fatal(err)
	}
	if got := w.row(t, mine.ID); got.State != Pending {
		t.Errorf("another client's session superseded it: %s", got.State)
	}
	// Three are open now, and a fourth is one too many, until one ends.
	_, err := w.tryIssue(app, asks(session("third")))
	if d := (*Denied)(nil); !errors.As(err, &d) || d.Code != CodeRateLimited || d.Scope != "phone" || d.Rule != "live" || d.RetryAfter != 10*time.Minute {
		t.Fatalf("%#v", d)
	}
	w.issue(t, session("attacker")) // in place of its own
	w.issue(t, session("third"), func(r *Request) { r.Purpose = "recovery" })
	w.issue(t, session("third"), func(r *Request) { r.To = phone2 })
	if got := w.verify(t, mine.ID, w.right(t, mine.ID), func(p *Proof) { p.Binding = "victim" }); got != "" {
		t.Fatal(got)
	}
	if w.row(t, again.ID).State != Superseded {
		t.Error("success left another open")
	}
	w.read(t, func(q *store.Snap) error {
		rows, err := store.All[challenge](q, allChallenges)
		for _, ch := range rows {
			if ch.State == Pending && ch.Purpose == "login" && ch.PhoneKey == w.row(t, mine.ID).PhoneKey {
				t.Errorf("%s is still open", ch.ID)
			}
			if (ch.Seed == "") != (ch.State != Pending) || (ch.EndedAt > 0) != (ch.State != Pending) {
				t.Errorf("%s: seed of %d digits, ended %d", ch.State, len(ch.Seed), ch.EndedAt)
			}
		}
		return err
	})
	w.pass(10 * time.Minute)
	for i := range 3 { // those that expired do not count, swept or not
		w.issue(t, session(string(rune('a'+i))))
	}
	// Whoever fills a phone's places does not keep its known devices out.
	if _, err := w.tryIssue(app, asks(session("d"))); said(err) != CodeRateLimited {
		t.Errorf("a fourth: %v", err)
	}
	for i := range 3 {
		w.issue(t, session(string(rune('e'+i))), func(r *Request) { r.Trusted = true })
	}
	if _, err := w.tryIssue(app, asks(session("h"), func(r *Request) { r.Trusted = true })); said(err) != CodeRateLimited {
		t.Errorf("a fourth known device: %v", err)
	}
}

// Requests without a session never replace one another.
func TestNoSessionSupersedesNothing(t *testing.T) {
	w := newWorld(t)
	first := w.issue(t)
	w.issue(t)
	if s := w.row(t, first.ID).State; s != Pending {
		t.Errorf("the first is %s", s)
	}
}

// The limits are asked with what binds them, and a message counts.
func TestLimitsBind(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits = DefaultLimits() })
	v := w.issue(t)
	if want := start.Add(30 * time.Second); !v.ResendAfter.Equal(want) {
		t.Errorf("resend after %v", v.ResendAfter)
	}
	_, err := w.tryIssue(app, asks())
	if d := (*Denied)(nil); !errors.As(err, &d) || d.Code != CodeRateLimited || d.RetryAfter != 30*time.Second {
		t.Errorf("%v", err)
	}
	if _, err := w.tryResend(v.ID, Resend{}); said(err) != CodeRateLimited {
		t.Errorf("%v", err)
	}
	w.read(t, func(q *store.Snap) error {
		n, _, err := store.Value[int](q, countMessages)
		if n != 1 {
			t.Errorf("%d messages", n)
		}
		return err
	})
	w.pass(30 * time.Second)
	w.resend(t, v.ID, Resend{})
}

// A purpose's limits stand over the general ones.
func TestLimitsOfAPurpose(t *testing.T) {
	c := testConfig()
	c.Limits = DefaultLimits()
	got := c.limitsOf(Purpose{Limits: Limits{Attempts: 3, Cooldown: time.Minute, PhoneDay: -1, PerSecond: 0.5}})
	want := DefaultLimits()
	want.Attempts, want.Cooldown, want.PhoneDay, want.PerSecond = 3, time.Minute, -1, 0.5
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Every field is looked at.
	all := Limits{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}
	if diff := cmp.Diff(all, c.limitsOf(Purpose{Limits: all})); diff != "" {
		t.Error(diff)
	}
}

// An unsafe configuration does not start, and every reason is told.
func TestNewRefusesUnsafe(t *testing.T) {
	w := newWorld(t)
	cfg := testConfig()
	cfg.MaxSends, cfg.AllowUnsafe = 0, true
	p := cfg.Purposes["login"]
	p.Digits = 4
	cfg.Purposes["login"] = p
	_, err := New(cfg, w.deps)
	if err == nil || !strings.Contains(err.Error(), "otp.purposes.login.digits") || !strings.Contains(err.Error(), "max_sends_24h") {
		t.Errorf("%v", err)
	}
	if _, err := New(testConfig(), Deps{}); err == nil {
		t.Error("it needs nothing")
	}
}
