package otp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// modelled is a challenge as a naive reader of the rules would keep it.
type modelled struct {
	id, purpose, binding string
	ttl                  time.Duration
	created, codeAt, end time.Time
	state                string
	gen, guesses, sent   int
	codes                []string // by gen, from 1
	failed               bool     // its latest message
}

func (m *modelled) at(now time.Time) string {
	if m.state == "pending" && !now.Before(m.end) {
		return "expired"
	}
	return m.state
}

// machine does to one phone whatever may be done, and compares every answer.
type machine struct {
	w   *world
	all []*modelled
}

var noted = map[string]int{} // answers over all checks, so that no rule goes untried

func (m *machine) expect(t *rapid.T, what, got, want string) {
	t.Helper()
	noted[what+" "+want]++
	if got != want {
		t.Fatalf("%s: %q, want %q", what, got, want)
	}
}

func (m *machine) pick(t *rapid.T) *modelled {
	if len(m.all) == 0 {
		t.Skip("there is none yet")
	}
	// The latest ones are where things happen.
	return m.all[max(0, len(m.all)-1-rapid.IntRange(0, 3).Draw(t, "which"))]
}

func (m *machine) issue(t *rapid.T) {
	c := &modelled{purpose: rapid.SampledFrom([]string{"login", "login", "recovery"}).Draw(t, "purpose"),
		binding: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "session"), ttl: 10 * time.Minute, created: m.w.wall, codeAt: m.w.wall,
		state: "pending", gen: 1, codes: []string{""}}
	if c.purpose == "recovery" {
		c.ttl = 5 * time.Minute
	}
	c.end = m.w.wall.Add(c.ttl)
	var own []*modelled
	live := 0
	for _, o := range m.all {
		switch {
		case o.purpose != c.purpose || o.at(m.w.wall) != "pending":
		case o.binding != "" && o.binding == c.binding:
			own = append(own, o)
		default:
			live++
		}
	}
	want := ""
	if live >= 3 {
		want = "rate-limited"
	}
	v, err := m.w.tryIssue(app, asks(func(r *Request) { r.Purpose, r.Binding = c.purpose, c.binding }))
	m.expect(t, "issue", said(err), want)
	if want != "" {
		return
	}
	for _, o := range own {
		o.state = "superseded"
	}
	c.id = v.ID
	c.codes = append(c.codes, m.expected(t, c))
	m.all = append(m.all, c)
}

// expected asks the code itself for the right digits: what is modelled is when
// they are right.
func (m *machine) expected(t *rapid.T, c *modelled) (out string) {
	err := m.w.Read(t.Context(), func(q *store.Snap) error {
		ch, _, err := store.Get[challenge](q, sqlChallenge, c.id)
		if err != nil {
			return err
		}
		code, ok, err := m.w.code(&ch, phone1)
		if !ok {
			t.Fatal("a pending challenge has no code")
		}
		out = code.Reveal()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (m *machine) resend(t *rapid.T) {
	c, kind := m.pick(t), rapid.SampledFrom([]string{"", "auto", "new"}).Draw(t, "kind")
	now := m.w.wall
	same := kind != "new" && now.Sub(c.codeAt) <= 5*time.Minute && c.end.Sub(now) > time.Minute && !c.failed
	end := c.end
	if !same {
		end = now.Add(c.ttl)
		if last := c.created.Add(20 * time.Minute); last.Before(end) {
			end = last
		}
	}
	want := ""
	switch {
	case c.at(now) != "pending":
		want = "gone/" + c.at(now)
	case c.sent == 3 || end.Sub(now) <= 30*time.Second:
		want = "rate-limited"
	}
	_, err := m.w.tryResend(c.id, Resend{Code: kind})
	m.expect(t, "resend", said(err), want)
	if want != "" {
		return
	}
	c.sent++
	c.failed = false
	code := m.expected(t, c)
	if same {
		if code != c.codes[c.gen] {
			t.Fatal("the same code was promised, and it is another")
		}
		return
	}
	c.gen, c.codeAt, c.end = c.gen+1, now, end
	c.codes = append(c.codes, code)
}

func (m *machine) verify(t *rapid.T) {
	m.guess(t, m.pick(t), rapid.SampledFrom([]string{"right", "right", "wrong", "old", "session", "another's", "format"}).Draw(t, "guess"))
}

// burn guesses until nothing is left, and once more.
func (m *machine) burn(t *rapid.T) {
	c := m.pick(t)
	for range rapid.IntRange(1, 6).Draw(t, "guesses") {
		m.guess(t, c, "wrong")
	}
}

func (m *machine) guess(t *rapid.T, c *modelled, kind string) {
	right := c.codes[c.gen]
	typed, binding := right, c.binding
	switch kind {
	case "wrong":
		typed = wrongs(right, 1)[0]
	case "old":
		typed = c.codes[max(c.gen-1, 1)]
	case "session":
		binding += "x"
	case "another's":
		typed = m.pick(t).codes[1]
	case "format":
		typed = right[1:]
		if len(right) > 7 {
			typed = right[2:]
		}
	}
	want := ""
	switch {
	case binding != c.binding:
		want = "not-found"
	case len(typed) != len(right):
		want = "invalid-code-format"
	case c.at(m.w.wall) != "pending":
		want = "gone/" + c.at(m.w.wall)
	case typed != right:
		want = "invalid-code"
	}
	got, err := m.w.tryVerify(app, c.id, Proof{Code: typed, Binding: binding})
	if err != nil {
		t.Fatal(err)
	}
	m.expect(t, "verify", said(got.Denied), want)
	switch want {
	case "":
		if got.To != phone1 {
			t.Fatal("another number was verified")
		}
		c.guesses++
		for _, o := range m.all {
			if o.purpose == c.purpose && o.at(m.w.wall) == "pending" {
				o.state = "superseded"
			}
		}
		c.state = "verified"
	case "invalid-code":
		if c.guesses++; c.guesses == 5 {
			c.state = "exhausted"
		}
		if got.Denied.AttemptsLeft != 5-c.guesses {
			t.Fatalf("%d attempts left after %d", got.Denied.AttemptsLeft, c.guesses)
		}
	}
}

func (m *machine) cancel(t *rapid.T) {
	c := m.pick(t)
	if rapid.IntRange(0, 2).Draw(t, "really") > 0 {
		t.Skip("seldom")
	}
	want := ""
	switch s := c.at(m.w.wall); s {
	case "pending":
		c.state = "cancelled"
	case "cancelled":
	default:
		want = "gone/" + s
	}
	var err error
	_ = m.w.Write(t.Context(), func(tx *store.Tx) error { _, err = m.w.Cancel(tx, app, c.id); return err })
	m.expect(t, "cancel", said(err), want)
}

// send takes what waits, and lets it come to something.
func (m *machine) send(t *rapid.T) {
	for _, msg := range m.w.claim(t) {
		var s sent
		err := m.w.Read(t.Context(), func(q *store.Snap) (err error) { s, _, err = store.Get[sent](q, sqlSent, msg.ID); return err })
		if err != nil {
			t.Fatal(err)
		}
		c := m.all[slices.IndexFunc(m.all, func(c *modelled) bool { return c.id == s.Challenge })]
		if c.at(m.w.wall) != "pending" || c.end.Sub(m.w.wall) <= lastSend || s.Gen != c.gen {
			t.Fatalf("a message leaves for code %d of a challenge that is %s at code %d", s.Gen, c.at(m.w.wall), c.gen)
		}
		if m.w.carried(t, msg) != c.codes[c.gen] {
			t.Fatal("a message carries another code than the right one")
		}
		to := rapid.SampledFrom([]outbox.State{outbox.Accepted, outbox.Accepted, outbox.Accepted, outbox.Failed, outbox.Unknown}).Draw(t, "outcome")
		noted["sent "+string(to)]++
		m.w.settle(t, msg, to, func(r *outbox.Result) {
			if to == outbox.Failed {
				r.Code = 131000
			}
		})
		c.failed = to == outbox.Failed
	}
}

// check compares every row.
func (m *machine) check(t *rapid.T) {
	for _, c := range m.all {
		var v View
		var ch challenge
		err := m.w.Read(t.Context(), func(q *store.Snap) (err error) {
			if v, err = m.w.View(q, app, c.id); err == nil {
				ch, _, err = store.Get[challenge](q, sqlChallenge, c.id)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s, %d attempts, %d resends left, until %v", v.State, v.AttemptsLeft, v.ResendsLeft, v.ExpiresAt)
		want := fmt.Sprintf("%s, %d attempts, %d resends left, until %v", c.at(m.w.wall), 5-c.guesses, 3-c.sent, c.end)
		if got != want {
			t.Fatalf("%s:\n%s, want\n%s", c.id, got, want)
		}
		if (ch.Seed == "") != (ch.State != Pending) {
			t.Fatalf("%s has a seed of %d digits", ch.State, len(ch.Seed))
		}
	}
}

// TestOnePhone does whatever may be done to the challenges of one phone, in any
// order, beside a model that knows nothing of tables.
func TestOnePhone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{w: newBareWorld(t)}
		defer m.w.close()
		t.Repeat(map[string]func(*rapid.T){
			"issue": m.issue, "another": m.issue, "and another": m.issue, "resend": m.resend, "and resend": m.resend, "verify": m.verify,
			"burn": m.burn, "cancel": m.cancel, "send": m.send, "resend twice": func(t *rapid.T) { m.resend(t); m.resend(t) },
			"time": func(t *rapid.T) {
				m.w.pass(rapid.SampledFrom([]time.Duration{time.Second, 31 * time.Second, time.Minute, 3 * time.Minute, 5 * time.Minute, 7 * time.Minute}).Draw(t, "time"))
			},
			"sweep": func(t *rapid.T) {
				if err := m.w.sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
			"not requested": func(t *rapid.T) {
				c := m.pick(t)
				if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
					t.Skip("seldom")
				}
				err := m.w.Write(t.Context(), func(tx *store.Tx) error {
					ch, _, err := store.Get[challenge](tx, sqlChallenge, c.id)
					if err == nil {
						err = m.w.NotRequested(tx, ch.Message)
					}
					if err == nil {
						_, err = m.w.Unlock(tx, whatsapp.Phone(phone1), "test") // or the machine would stand still
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if c.at(m.w.wall) == "pending" {
					noted["reported"]++
					c.state = "reported"
				}
			},
			"": m.check,
		})
	})
	if noted["issue "] < 300 || t.Failed() { // fewer checks were asked for
		return
	}
	for _, what := range []string{"issue rate-limited", "resend ", "resend rate-limited", "resend gone/verified", "resend gone/superseded",
		"verify ", "verify invalid-code", "verify not-found", "verify invalid-code-format", "verify gone/verified", "verify gone/superseded",
		"verify gone/exhausted", "cancel ", "sent accepted", "sent failed", "sent unknown", "reported"} {
		if noted[what] == 0 {
			t.Errorf("%q never came: the test is blind", what)
		}
	}
}
