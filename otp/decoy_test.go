package otp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

var (
	everyDecoy   = store.SQL(`SELECT ` + decoyColumns + ` FROM code_decoys ORDER BY message_id DESC`)
	countGrants  = store.SQL(`SELECT COUNT(*) FROM consent_events`)
	countDecoys  = store.SQL(`SELECT COALESCE(SUM(sent), 0) FROM code_counts WHERE scope = 'decoy:US'`)
	setVerified  = store.SQL(`UPDATE challenges SET state = 'verified' WHERE id = ?1`)
	setOfMessage = store.SQL(`UPDATE challenges SET message_id = ?2 WHERE id = ?1`)
)

func asDecoy(r *Request) { r.Decoy = true }

// twins are two databases with the same life, one of them of decoys: what the
// decoys' messages would do, the real ones do.
type twins struct {
	real, fake *world
	ids        [2][]string // of challenges, by twin
	decoys     []decoy     // as the fake twin's rows say, the oldest first
	messages   []int64     // of the real twin: as many
	claimed    map[int64]outbox.Message
}

func newTwins(t checker, change ...func(*Config)) *twins {
	w := &twins{real: newBareWorld(t, change...), fake: newBareWorld(t, change...), claimed: map[int64]outbox.Message{}}
	w.fake.random = func() float64 { return 0.4 }
	return w
}

func (w *twins) close() { w.real.close(); w.fake.close() }

// pass lets time go by in both, and everything happen in it.
func (w *twins) pass(t checker, d time.Duration) {
	w.act(t)
	for end := w.fake.wall.Add(d); w.fake.wall.Before(end); w.act(t) {
		next := end
		for _, d := range w.decoys {
			for _, at := range []int64{d.ClaimedAt, d.AcceptedAt, d.SentSeen, d.DeliveredSeen, d.ReadSeen} {
				if e := store.Time(at); at > 0 && e.After(w.fake.wall) && e.Before(next) {
					next = e
				}
			}
		}
		w.real.wall, w.fake.wall = next, next
	}
}

// act does to the real messages what is due at this instant.
func (w *twins) act(t checker) {
	now := store.Millis(w.fake.wall)
	for i := range w.decoys {
		d := &w.decoys[i]
		if d.ClaimedAt == now {
			for _, m := range w.real.claim(t) {
				w.claimed[m.ID] = m
				w.real.carried(t, m)
			}
		}
		m, left := w.claimed[w.messages[i]]
		if left && d.AcceptedAt == now {
			w.real.settle(t, m, outbox.Accepted)
		}
		for _, s := range []struct {
			status   string
			at, seen int64
		}{{"sent", d.SentAt, d.SentSeen}, {"delivered", d.DeliveredAt, d.DeliveredSeen}, {"read", d.ReadAt, d.ReadSeen}} {
			if left && s.seen == now {
				w.real.statusAt(t, m, s.status, s.at)
			}
		}
	}
}

func (w *world) statusAt(t checker, m outbox.Message, status string, at int64) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		out, found, err := outbox.Observe(tx, outbox.Observation{Message: m.ID, Attempt: m.Attempt, Wamid: whatsapp.Wamid(fmt.Sprint("wamid.s", m.ID)),
			Status: status, At: store.Time(at)})
		if err != nil || !found {
			return fmt.Errorf("found %v: %w", found, err)
		}
		return w.Outcomes(tx, out)
	})
}

// both does the same to both, and compares what they say.
func (w *twins) both(t checker, what string, do func(w *world, twin int) (any, error)) error {
	t.Helper()
	var said [2]string
	var first error
	for i, one := range []*world{w.real, w.fake} {
		v, err := do(one, i)
		if i == 0 {
			first = err
		}
		said[i] = tell(v, err, w.ids[i])
	}
	if said[0] != said[1] {
		t.Fatalf("%s: a real one says\n%s\na decoy says\n%s", what, said[0], said[1])
	}
	return first
}

// tell is everything that an answer says, with ids by their order.
func tell(v any, err error, ids []string) string {
	if d, ok := v.(Verdict); ok && d.Denied != nil {
		err = d.Denied
	}
	if view, ok := v.(View); ok {
		view.ChangesAt = time.Time{} // told to nobody
		v = view
	}
	b, _ := json.Marshal(v)
	out := fmt.Sprintf("%s %v", b, err)
	if d := (*Denied)(nil); errors.As(err, &d) {
		b, _ = json.Marshal(d)
		out = string(b)
	}
	for i, id := range ids {
		out = strings.ReplaceAll(out, id, fmt.Sprint("id ", i))
	}
	return out
}

func (w *twins) issue(t checker, change ...func(*Request)) error {
	t.Helper()
	err := w.both(t, "a request", func(one *world, i int) (any, error) {
		r := asks(change...)
		r.Decoy = i == 1
		v, err := one.tryIssue(app, r)
		if err == nil {
			w.ids[i] = append(w.ids[i], v.ID)
		}
		return v, err
	})
	w.note(t)
	return err
}

// note takes up what was sent: both have sent as many.
func (w *twins) note(t checker) {
	t.Helper()
	w.decoys, w.messages = nil, nil
	w.fake.read(t, func(q *store.Snap) (err error) { w.decoys, err = store.All[decoy](q, everyDecoy); return err })
	w.real.read(t, func(q *store.Snap) error {
		list, err := store.All[sent](q, allSends)
		for _, s := range list {
			w.messages = append(w.messages, s.Message)
		}
		return err
	})
	if len(w.decoys) != len(w.messages) {
		t.Fatalf("%d decoys and %d messages", len(w.decoys), len(w.messages))
	}
}

func (w *twins) look(t checker, n int) {
	t.Helper()
	_ = w.both(t, "a look", func(one *world, i int) (v any, err error) {
		err = one.Read(t.Context(), func(q *store.Snap) (err error) { v, err = one.View(q, app, w.ids[i][n]); return err })
		return v, err
	})
}

func (w *twins) resend(t checker, n int, r Resend) {
	t.Helper()
	_ = w.both(t, "another message", func(one *world, i int) (any, error) { return one.tryResend(w.ids[i][n], r) })
	w.note(t)
}

// miss guesses what is right in neither.
func (w *twins) miss(t checker, n int, change ...func(*Proof)) {
	t.Helper()
	p := Proof{Code: "000000", ClientIP: someIP}
	if ch := w.real.row(t, w.ids[0][n]); ch.State == Pending {
		p.Code = wrongs(w.real.right(t, ch.ID), 1)[0]
	}
	for _, c := range change {
		c(&p)
	}
	_ = w.both(t, "a guess", func(one *world, i int) (any, error) { return one.tryVerify(app, w.ids[i][n], p) })
}

// A decoy's life, from its request to its end, is that of a real challenge that
// nobody verifies: every answer is the same, byte for byte.
func TestDecoyLooksReal(t *testing.T) {
	w := newTwins(t, func(c *Config) { c.Limits = DefaultLimits() })
	defer w.close()
	states := map[string]bool{}
	look := func() {
		w.look(t, len(w.ids[0])-1)
		states[w.fake.view(t, w.ids[1][len(w.ids[1])-1]).Delivery.State] = true
	}
	session := func(r *Request) { r.Binding, r.Metadata = "a", map[string]string{"k": "v"} }
	if err := w.issue(t, session); err != nil {
		t.Fatal(err)
	}
	for range 100 { // as it is delivered
		w.pass(t, 100*time.Millisecond)
		look()
	}
	w.miss(t, 0)
	w.miss(t, 0, func(p *Proof) { p.Binding = "a" })
	w.miss(t, 0, func(p *Proof) { p.Binding, p.Code = "a", "12345" })
	w.resend(t, 0, Resend{}) // too early
	w.pass(t, 30*time.Second)
	w.resend(t, 0, Resend{})
	look()
	w.pass(t, time.Minute)
	w.resend(t, 0, Resend{Code: "new"})
	w.pass(t, 10*time.Second)
	look()
	for range 5 {
		w.miss(t, 0, func(p *Proof) { p.Binding = "a" })
		look()
	}
	for range 3 {
		w.pass(t, 4*time.Minute)
		_ = w.issue(t, session) // and again, until the phone's limits are reached
		look()
	}
	w.pass(t, 11*time.Minute)
	look()
	_ = w.issue(t)
	_ = w.both(t, "giving up", func(one *world, i int) (v any, err error) {
		err = one.Write(t.Context(), func(tx *store.Tx) (err error) { v, err = one.Cancel(tx, app, w.ids[i][len(w.ids[i])-1]); return err })
		return v, err
	})
	look()
	for _, s := range []string{"queued", "accepted", "sent", "delivered", "failed"} {
		if !states[s] {
			t.Errorf("%q was never compared: %v", s, states)
		}
	}
}

// Whatever is done to one, in any order and with the limits of every day.
func TestDecoysAgreeWithRealOnes(t *testing.T) {
	answers := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := newTwins(rt, func(c *Config) {
			c.Limits = DefaultLimits()
			c.Limits.Lock, c.Limits.Unverified = 7, 8
		})
		defer w.close()
		var sessions []string
		pick := func(rt *rapid.T) int {
			if len(w.ids[0]) == 0 {
				rt.Skip("there is none yet")
			}
			return max(0, len(w.ids[0])-1-rapid.IntRange(0, 2).Draw(rt, "which"))
		}
		ask := func(rt *rapid.T) {
			session, known := rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "session"), rapid.IntRange(0, 4).Draw(rt, "known device") == 0
			address := rapid.SampledFrom([]string{someIP, "203.0.113.9", "2001:db8::1"}).Draw(rt, "address")
			err := w.issue(rt, func(r *Request) { r.Binding, r.Trusted, r.ClientIP = session, known, address })
			if answers[said(err)]++; err == nil {
				sessions = append(sessions, session)
			}
		}
		guess := func(rt *rapid.T) {
			n := pick(rt)
			session := sessions[n]
			if rapid.IntRange(0, 4).Draw(rt, "another's session") == 0 {
				session += "x"
			}
			for range rapid.IntRange(1, 4).Draw(rt, "guesses") {
				w.miss(rt, n, func(p *Proof) { p.Binding = session })
			}
			answers["state "+string(w.fake.row(rt, w.ids[1][n]).State)]++
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ask": ask, "ask again": ask, "guess": guess, "guess again": guess, "and again": guess,
			"resend": func(rt *rapid.T) {
				n, kind := pick(rt), rapid.SampledFrom([]string{"auto", "new"}).Draw(rt, "code")
				w.resend(rt, n, Resend{Code: kind})
			},
			"cancel": func(rt *rapid.T) {
				n := pick(rt)
				_ = w.both(rt, "giving up", func(one *world, i int) (v any, err error) {
					err = one.Write(rt.Context(), func(tx *store.Tx) (err error) { v, err = one.Cancel(tx, app, w.ids[i][n]); return err })
					return v, err
				})
			},
			"time": func(rt *rapid.T) {
				w.pass(rt, rapid.SampledFrom([]time.Duration{7 * time.Millisecond, 100 * time.Millisecond, time.Second, 31 * time.Second, 2 * time.Minute, 11 * time.Minute, 25 * time.Hour}).Draw(rt, "time"))
			},
			"sweep": func(rt *rapid.T) {
				for _, one := range []*world{w.real, w.fake} {
					if err := one.sweep(rt.Context()); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"": func(rt *rapid.T) {
				for n := range w.ids[0] {
					w.look(rt, n)
				}
			},
		})
	})
	if answers[""] < 200 || t.Failed() {
		return
	}
	for _, a := range []string{"", "rate-limited", "phone-locked", "state exhausted", "state superseded", "state expired", "state pending"} {
		if answers[a] == 0 {
			t.Errorf("%q never came: %v", a, answers)
		}
	}
}

// A request and a guess run as many statements for a decoy as for a person whose
// consent stands: nothing of their work tells them apart.
func TestDecoysCostTheSame(t *testing.T) {
	w := newTwins(t)
	defer w.close()
	var ran [2]map[string]int
	var code string
	for i, one := range []*world{w.real, w.fake} {
		ran[i] = map[string]int{}
		var id string
		count := func(what string, do func(tx *store.Tx) error) {
			one.write(t, func(tx *store.Tx) error {
				before := tx.Statements()
				err := do(tx)
				ran[i][what] = tx.Statements() - before
				return err
			})
		}
		for _, what := range []string{"the first request", "a request"} {
			count(what, func(tx *store.Tx) error {
				v, err := one.Issue(tx, app, asks(func(r *Request) { r.Decoy = i == 1 }))
				id = v.ID
				return err
			})
		}
		if i == 0 {
			one.claim(t)
			code = wrongs(one.right(t, id), 1)[0]
		}
		one.pass(time.Second)
		for n := range 5 {
			count(fmt.Sprint("guess ", n), func(tx *store.Tx) error {
				v, err := one.Verify(tx, app, id, Proof{Code: code, ClientIP: someIP})
				if said(v.Denied) != CodeInvalidCode {
					t.Error(said(v.Denied))
				}
				return err
			})
		}
		count("a guess at what is over", func(tx *store.Tx) error {
			_, err := one.Verify(tx, app, id, Proof{Code: code, ClientIP: someIP})
			return err
		})
	}
	t.Log(ran[0])
	if diff := cmp.Diff(ran[0], ran[1]); diff != "" || ran[0]["a request"] < 10 {
		t.Errorf("- real, + decoy:\n%s", diff)
	}
}

// Nothing leaves for a decoy, nothing is recorded of a person, and no code is
// right for it, not even the one that its row would give.
func TestDecoyIsNothing(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Attempts = 100 })
	count := func(stmt *store.Stmt) (n int) {
		w.read(t, func(q *store.Snap) (err error) { n, _, err = store.Value[int](q, stmt); return err })
		return n
	}
	const stranger = "+12025550177"
	messages, grants := count(countMessages), count(countGrants)
	v := w.issue(t, asDecoy, func(r *Request) {
		r.To, r.Consent = stranger, &Consent{Source: "login_form", Text: "Yes."}
	})
	w.pass(time.Second)
	w.resend(t, v.ID, Resend{Code: "new"})
	if got := w.claim(t); len(got) > 0 || count(countMessages) != messages || count(countGrants) != grants {
		t.Errorf("%d messages leave; %d messages, %d events of consent were written", len(got), count(countMessages)-messages, count(countGrants)-grants)
	}
	w.read(t, func(q *store.Snap) error {
		if c, ok, err := contacts.Find(q, whatsapp.Phone(stranger).Identity()); err != nil || ok {
			t.Errorf("it has a contact: %v %v", c.ID, err)
		}
		return nil
	})
	if n := count(countDecoys); n != 2 {
		t.Errorf("%d of what was sent count as decoys", n)
	}
	ch := w.row(t, v.ID)
	for _, number := range []whatsapp.Phone{nobody, stranger, phone1} {
		code, ok, err := w.code(&ch, number)
		if err != nil || !ok {
			t.Fatal(err)
		}
		if got := w.verify(t, v.ID, code.Reveal()); got != CodeInvalidCode {
			t.Errorf("the code of %v: %s", number == nobody, got)
		}
	}
	// A message that was turned to it carries nothing, and its row cannot be
	// written as verified.
	w.issue(t)
	for _, m := range w.claim(t) {
		w.write(t, func(tx *store.Tx) error {
			if err := tx.One(setOfMessage, v.ID, m.ID); err == nil {
				t.Error("a decoy may have a message")
			}
			if err := tx.One(setVerified, v.ID); err == nil {
				t.Error("a decoy may be verified")
			}
			return nil
		})
	}
	if _, _, err := w.Reveal(t.Context(), outbox.Message{ID: ch.Message, Kind: whatsapp.KindPhone, Address: stranger}); err == nil {
		t.Error("a decoy's message would carry a code")
	}
}

// The gate binds a decoy as far as it binds everybody: no template, no code. What
// is known of the person changes nothing.
func TestGateOfDecoys(t *testing.T) {
	w := newWorld(t)
	w.write(t, func(tx *store.Tx) error {
		_, out, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{whatsapp.Phone(phone1).Identity()},
			Categories: []whatsapp.Category{whatsapp.Authentication}, Source: optin.SourceOperator, Actor: "test", At: tx.Now()})
		if err != nil {
			return err
		}
		return w.Outcomes(tx, out)
	})
	if _, err := w.tryIssue(app, asks()); said(err) != "opted-out/opted_out" {
		t.Errorf("a real one: %s", said(err))
	}
	w.issue(t, asDecoy)
	w.write(t, func(tx *store.Tx) error { return template(tx, "codigo/pt_BR", whatsapp.TemplatePaused) })
	_, real := w.tryIssue(app, asks(func(r *Request) { r.To = phone2 }))
	_, fake := w.tryIssue(app, asks(asDecoy))
	if said(real) != said(fake) || !strings.HasPrefix(said(fake), CodeChannel) {
		t.Errorf("%s and %s", said(real), said(fake))
	}
}

// Where nobody uses codes, numbers that once did still get them, and decoys, that
// cost nothing, with them: else who is refused would be who has no account.
func TestDecoysPassTheBudgetOfTheUnproven(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.CountryHour = 2 })
	old := w.issue(t)
	if got := w.verify(t, old.ID, w.right(t, old.ID)); got != "" {
		t.Fatal(got)
	}
	for range 3 {
		_, _ = w.tryIssue(app, asks(func(r *Request) { r.To = phone2 }))
	}
	if _, err := w.tryIssue(app, asks(func(r *Request) { r.To = phone2 })); said(err) != CodePumping {
		t.Errorf("a number that nobody knows: %v", err)
	}
	if _, err := w.tryIssue(app, asks()); err != nil {
		t.Errorf("a number that verified a code: %v", err)
	}
	if _, err := w.tryIssue(app, asks(asDecoy, func(r *Request) { r.To = "+12025550177" })); err != nil {
		t.Errorf("a decoy: %v", err)
	}
}

// ks is the largest distance of two samples' distributions, and how likely one at
// least as large is when they are the same (Kolmogorov and Smirnov).
func ks(a, b []float64) (d, p float64) {
	slices.Sort(a)
	slices.Sort(b)
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		d = max(d, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	n := math.Sqrt(float64(len(a)) * float64(len(b)) / float64(len(a)+len(b)))
	lambda := (n + 0.12 + 0.11/n) * d
	for k := 1; k <= 100; k++ {
		p += 2 * math.Pow(-1, float64(k-1)) * math.Exp(-2*float64(k*k)*lambda*lambda)
	}
	return d, min(max(p, 0), 1)
}

// The test that is used below tells different samples from equal ones.
func TestKS(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sample := func(shift float64) (out []float64) {
		for range 300 {
			out = append(out, rng.NormFloat64()+shift)
		}
		return out
	}
	if d, p := ks(sample(0), sample(0)); p < 0.01 || d > 0.14 {
		t.Errorf("equal ones: distance %.3f, p %.4f", d, p)
	}
	if d, p := ks(sample(0), sample(0.5)); p > 0.001 {
		t.Errorf("different ones: distance %.3f, p %.4f", d, p)
	}
}

// stages are how long after they were queued messages came to each state.
type stages map[string][]float64

func (s stages) add(v View) {
	for _, state := range []string{"accepted", "sent", "delivered", "read"} {
		took := -1e9 // it never did
		if at := v.Delivery.At[state]; !at.IsZero() {
			took = at.Sub(v.Delivery.At["queued"]).Seconds()
		}
		s[state] = append(s[state], took)
	}
}

// Decoys are delivered as the messages of the last day were: by each stage's
// delays the two cannot be told apart. Where nothing was sent yet, they are as
// messages usually are; that test must tell them from these.
func TestDecoysAreDeliveredAsRealOnesAre(t *testing.T) {
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(11, 5))
	w.random = rng.Float64
	real, early, fake := stages{}, stages{}, stages{}
	decoys := func(n int, into stages) {
		for range n {
			w.pass(time.Duration(rng.IntN(5000)) * time.Millisecond)
			v := w.issue(t, asDecoy, func(r *Request) { r.Binding = "a" })
			w.pass(5 * time.Minute)
			into.add(w.view(t, v.ID))
		}
	}
	if err := w.learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	decoys(200, early)
	for range 200 { // a slow day at Meta's
		w.pass(time.Duration(60_000+rng.IntN(5000)) * time.Millisecond)
		v := w.issue(t)
		w.pass(3 * time.Millisecond)
		m := w.claim(t)[0]
		w.pass(time.Duration(200+rng.ExpFloat64()*400) * time.Millisecond)
		w.settle(t, m, outbox.Accepted)
		sent := w.wall.Add(time.Duration(rng.ExpFloat64() * float64(2*time.Second)))
		w.statusAt(t, m, "sent", sent.Truncate(time.Second).UnixMilli())
		if delivered := sent.Add(time.Duration(rng.ExpFloat64() * float64(8*time.Second))); rng.IntN(10) > 0 {
			w.statusAt(t, m, "delivered", delivered.Truncate(time.Second).UnixMilli())
			if rng.IntN(3) == 0 {
				w.statusAt(t, m, "read", delivered.Add(3*time.Second).Truncate(time.Second).UnixMilli())
			}
		}
		real.add(w.view(t, v.ID))
		if _, err := w.cancel(t, v.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(10 * time.Minute)
	if err := w.learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	decoys(400, fake)
	for _, stage := range []string{"accepted", "sent", "delivered", "read"} {
		d, p := ks(real[stage], fake[stage])
		t.Logf("%s: distance %.3f, p %.3f", stage, d, p)
		if p < 0.01 {
			t.Errorf("%s of decoys can be told from that of real ones: distance %.3f, p %.4f", stage, d, p)
		}
	}
	if _, p := ks(real["delivered"], early["delivered"]); p > 0.001 {
		t.Errorf("what is usual is taken for a slow day (p %.3f): this test is blind", p)
	}
	for stage, took := range map[string]float64{"accepted": 0.3, "delivered": 2.5} {
		list := slices.Sorted(slices.Values(early[stage]))
		if median := list[len(list)/2]; median < took/2 || median > took*2 {
			t.Errorf("%s usually after %.2f s", stage, median)
		}
	}
}

// Another way is offered, asked for and shown for a decoy too, and nobody is
// asked to bring its code.
func TestDecoysFallBackToNobody(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t, asDecoy)
		h.pass(30 * time.Second)
		if got := h.resend(t, v.ID, Resend{Channel: sms}); got.Channel != sms || got.Delivery.State != "queued" || got.Delivery.Fallback != "sent" {
			t.Errorf("%+v", got.Delivery)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := h.view(t, v.ID).Delivery; got.State != "sent" || got.Fallback != "sent" || got.At["sent"].IsZero() {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, dials := len(h.smsc.log()), len(h.smsc.dialled()); n+dials > 0 {
			t.Errorf("%d requests, %d connections", n, dials)
		}
		if got := h.verify(t, v.ID, "123456"); got != CodeInvalidCode {
			t.Error(got)
		}
	})
}
