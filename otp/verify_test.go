package otp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"

	"github.com/google/go-cmp/cmp"
)

func TestVerify(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	m, code := w.deliver(t)
	w.pass(time.Minute)
	if got := w.verify(t, v.ID, wrongs(code, 1)[0]); got != "invalid-code" {
		t.Fatal(got)
	}
	if got := w.view(t, v.ID); got.AttemptsLeft != 4 || got.State != Pending {
		t.Errorf("%s with %d attempts left", got.State, got.AttemptsLeft)
	}
	w.pass(time.Minute)
	got, err := w.tryVerify(app, v.ID, Proof{Code: code})
	if err != nil {
		t.Fatal(err)
	}
	want := Verdict{ID: v.ID, To: phone1, Purpose: "login", Channel: "whatsapp", VerifiedAt: start.Add(2 * time.Minute)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	row := w.row(t, v.ID)
	if row.State != Verified || row.Seed != "" || row.Attempts != 2 || row.EndedAt != store.Millis(w.wall) {
		t.Errorf("%s, %d attempts, seed of %d digits", row.State, row.Attempts, len(row.Seed))
	}
	view := w.view(t, v.ID)
	if view.State != Verified || view.Reason != "verified" || !view.VerifiedAt.Equal(w.wall) || !view.ResendAfter.IsZero() {
		t.Errorf("%+v", view)
	}
	if again := w.verify(t, v.ID, code); again != "gone/verified" {
		t.Errorf("a second time: %s", again)
	}
	// Whoever lost the answer gets it again, and nobody else.
	w.pass(time.Minute)
	w.read(t, func(q *store.Snap) error {
		again, err := w.VerifiedNumber(q, app, v.ID)
		if diff := cmp.Diff(want, again); diff != "" || err != nil {
			t.Error(diff, err)
		}
		for _, c := range []Caller{{Client: "shop"}, {Client: "app", Purposes: []string{"recovery"}}, {}} {
			if _, err := w.VerifiedNumber(q, c, v.ID); said(err) != CodeNotFound {
				t.Errorf("%+v: %v", c, err)
			}
		}
		return nil
	})
	if _, _, err := w.Reveal(t.Context(), m); !errors.Is(err, ErrNoCode) {
		t.Errorf("its message still has a code: %v", err)
	}
}

// The sixth guess is not looked at, be it right.
func TestAttemptsEnd(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	_, code := w.deliver(t)
	for i, c := range wrongs(code, 5) {
		got, err := w.tryVerify(app, v.ID, Proof{Code: c})
		if err != nil || said(got.Denied) != "invalid-code" || got.Denied.AttemptsLeft != 4-i || got.To != "" {
			t.Fatalf("guess %d: %+v, %v", i, got, err)
		}
	}
	for _, c := range append(wrongs(code, 2), code) {
		if got := w.verify(t, v.ID, c); got != "gone/exhausted" {
			t.Errorf("after the last: %s", got)
		}
	}
	if row := w.row(t, v.ID); row.State != Exhausted || row.Seed != "" || row.Attempts != 5 {
		t.Errorf("%s after %d", row.State, row.Attempts)
	}
}

func TestCodesAsPeopleTypeThem(t *testing.T) {
	for typed, want := range map[string]string{
		"755224": "755224", "755 224": "755224", "755-224": "755224", " 755224\n": "755224", "７５５２２４": "755224",
		"755\u00a0224": "755224", "\u202a755224\u202c": "755224", "755\u2013224": "755224", "755\u2212224": "755224", "7 5 5 2 2 4": "755224",
		"755\u200b224": "755224", "75522418": "75522418", "7552241": "7552241",
		"": "", "-": "", "75522": "", "755224189": "", "75522a": "", "７５５２２": "", "+755224": "", "0x755224": "", "755.224": "", "755,224": "",
		"75522\x004": "", strings.Repeat(" ", 60) + "755224": "",
	} {
		got, ok := readCode(typed)
		if ok != (want != "") || (ok && got != want) {
			t.Errorf("%q: %q %v, want %q", typed, got, ok, want)
		}
	}
}

func FuzzReadCode(f *testing.F) {
	for _, s := range []string{"755224", "７５５ ２２４", "\u202e755-224", "\xff\xfe755224"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := readCode(typed)
		if !ok {
			return
		}
		if len(code) < 6 || len(code) > 8 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q was read as %q", typed, code)
		}
		if again, ok := readCode(code); !ok || again != code {
			t.Fatalf("%q is read as %q", code, again)
		}
	})
}

// What cannot be a code costs nothing, and neither does what is not ours.
func TestFormatCostsNothing(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	_, code := w.deliver(t)
	for _, typed := range []string{"", "abc", code + "0", code + "00", code[:5], "12345678"} {
		if got := w.verify(t, v.ID, typed); got != "invalid-code-format" {
			t.Errorf("%q: %s", typed, got)
		}
	}
	if got := w.verify(t, v.ID, code, func(p *Proof) { p.ClientIP = "nowhere" }); got != "malformed" {
		t.Error(got)
	}
	if got := w.verify(t, v.ID, code, func(p *Proof) { p.Binding = strings.Repeat("x", 257) }); got != "malformed" {
		t.Error(got)
	}
	if row := w.row(t, v.ID); row.Attempts != 0 {
		t.Errorf("%d attempts", row.Attempts)
	}
	spelt := []string{code[:3] + "-" + code[3:]}
	if got := w.verify(t, v.ID, spelt[0]); got != "" {
		t.Errorf("with a hyphen: %s", got)
	}
}

// A code belongs to the client, the session and the purpose that asked for it:
// for any other it does not exist, right or wrong, and nothing is counted.
func TestBoundToClientAndSession(t *testing.T) {
	w := newWorld(t)
	bound := w.issue(t, func(r *Request) { r.Binding = "session-1" })
	_, code := w.deliver(t)
	unbound := w.issue(t, func(r *Request) { r.To = phone2 })
	_, code2 := w.deliver(t)
	for _, c := range []struct {
		name   string
		caller Caller
		id     string
		proof  Proof
	}{
		{"another client", Caller{Client: "shop"}, bound.ID, Proof{Binding: "session-1"}},
		{"no client", Caller{}, bound.ID, Proof{Binding: "session-1"}},
		{"a key of another purpose", Caller{Client: "app", Purposes: []string{"recovery"}}, bound.ID, Proof{Binding: "session-1"}},
		{"another session", app, bound.ID, Proof{Binding: "session-2"}},
		{"no session", app, bound.ID, Proof{}},
		{"the stored hash as session", app, bound.ID, Proof{Binding: w.row(t, bound.ID).Binding}},
		{"a session for one without", app, unbound.ID, Proof{Binding: "session-1"}},
		{"another id", app, "otp_aaaaaaaaaaaaaaaaaaaaaaaaaa", Proof{Binding: "session-1"}},
		{"no id", app, "", Proof{}},
	} {
		right := code
		if c.id == unbound.ID {
			right = code2
		}
		var answers []*Denied
		for _, typed := range []string{right, wrongs(right, 1)[0]} {
			c.proof.Code = typed
			got, err := w.tryVerify(c.caller, c.id, c.proof)
			if err != nil || said(got.Denied) != CodeNotFound {
				t.Fatalf("%s: %+v, %v", c.name, got, err)
			}
			answers = append(answers, got.Denied)
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			t.Errorf("%s: the answer tells right from wrong: %s", c.name, diff)
		}
	}
	for _, id := range []string{bound.ID, unbound.ID} {
		if row := w.row(t, id); row.Attempts != 0 || row.State != Pending {
			t.Errorf("%s after %d", row.State, row.Attempts)
		}
	}
	if got := w.verify(t, bound.ID, code, func(p *Proof) { p.Binding = "session-1" }); got != "" {
		t.Error(got)
	}
	for _, do := range []func(tx *store.Tx, c Caller) error{
		func(tx *store.Tx, c Caller) error { _, err := w.Resend(tx, c, unbound.ID, Resend{}); return err },
		func(tx *store.Tx, c Caller) error { _, err := w.Cancel(tx, c, unbound.ID); return err },
		func(tx *store.Tx, c Caller) error { _, err := w.View(tx, c, unbound.ID); return err },
	} {
		for _, c := range []Caller{{Client: "shop"}, {Client: "app", Purposes: []string{"recovery"}}} {
			if err := w.Write(t.Context(), func(tx *store.Tx) error { return do(tx, c) }); said(err) != CodeNotFound {
				t.Errorf("%+v: %v", c, err)
			}
		}
	}
}

var (
	setPurpose = store.SQL(`UPDATE challenges SET purpose = 'recovery' WHERE id = ?1`)
	setClient  = store.SQL(`UPDATE challenges SET client = 'shop' WHERE id = ?1`)
	setBinding = store.SQL(`UPDATE challenges SET binding = ?2 WHERE id = ?1`)
	setPhone   = store.SQL(`UPDATE challenges SET phone_mac = ?2 WHERE id = ?1`)
	setSeed    = store.SQL(`UPDATE challenges SET seed = ?2 WHERE id = ?1`)
	setKID     = store.SQL(`UPDATE challenges SET kid = 'k99' WHERE id = ?1`)
	setDigits  = store.SQL(`UPDATE challenges SET digits = 3 WHERE id = ?1`)
	setGuesses = store.SQL(`UPDATE challenges SET attempts = ?2 WHERE id = ?1`)
	setGen     = store.SQL(`UPDATE challenges SET gen = gen + 1 WHERE id = ?1`)
	setMessage = store.SQL(`UPDATE challenges SET message_id = ?2 WHERE id = ?1`)
)

// Whoever can write rows cannot turn a code to another number, session, client
// or purpose: it is another code then, or none.
func TestTamperedRows(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(w *world, tx *store.Tx, id string, m outbox.Message, other challenge) error
		caller Caller
		proof  Proof
		want   string // of the code that was sent; the second time
	}{
		{"nothing", func(*world, *store.Tx, string, outbox.Message, challenge) error { return nil }, app, Proof{}, ""},
		{"the message's address", func(w *world, tx *store.Tx, id string, m outbox.Message, _ challenge) error {
			return tx.One(moveMessage, m.ID, phone2)
		}, app, Proof{}, "gone/code_unavailable"},
		{"the row's number", func(w *world, tx *store.Tx, id string, m outbox.Message, other challenge) error {
			return tx.One(setPhone, id, other.PhoneMAC)
		}, app, Proof{}, "gone/code_unavailable"},
		{"both", func(w *world, tx *store.Tx, id string, m outbox.Message, other challenge) error {
			return errors.Join(tx.One(moveMessage, m.ID, phone2), tx.One(setPhone, id, other.PhoneMAC))
		}, app, Proof{}, "invalid-code"},
		{"another's message", func(w *world, tx *store.Tx, id string, m outbox.Message, other challenge) error {
			return tx.One(setMessage, id, other.Message)
		}, app, Proof{}, "gone/code_unavailable"},
		{"purpose", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setPurpose, id)
		}, app, Proof{}, "invalid-code"},
		{"client", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setClient, id)
		}, Caller{Client: "shop"}, Proof{}, "invalid-code"},
		{"session", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setBinding, id, w.MAC("binding", []byte("mine")))
		}, app, Proof{Binding: "mine"}, "invalid-code"},
		{"another's seed", func(w *world, tx *store.Tx, id string, _ outbox.Message, other challenge) error {
			return tx.One(setSeed, id, other.Seed)
		}, app, Proof{}, "invalid-code"},
		{"a short seed", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setSeed, id, "00")
		}, app, Proof{}, "gone/code_unavailable"},
		{"no seed", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setSeed, id, "")
		}, app, Proof{}, "gone/code_unavailable"},
		{"an unknown key", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setKID, id)
		}, app, Proof{}, "gone/code_unavailable"},
		{"few digits", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setDigits, id)
		}, app, Proof{}, "invalid-code-format"},
		{"all guesses spent", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setGuesses, id, 5)
		}, app, Proof{}, "gone/exhausted"},
		{"a later code", func(w *world, tx *store.Tx, id string, _ outbox.Message, _ challenge) error {
			return tx.One(setGen, id)
		}, app, Proof{}, "invalid-code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			v, other := w.issue(t), w.issue(t, func(r *Request) { r.To = phone2 })
			ms := w.claim(t)
			if ms[0].Address != phone1 {
				ms[0], ms[1] = ms[1], ms[0]
			}
			code := w.carried(t, ms[0])
			w.write(t, func(tx *store.Tx) error { return c.tamper(w, tx, v.ID, ms[0], w.row(t, other.ID)) })
			var m outbox.Message // as dispatch would have claimed it now
			w.read(t, func(q *store.Snap) (err error) { m, _, err = outbox.ByID(q, ms[0].ID); return err })
			params, _, err := w.Reveal(t.Context(), m)
			if c.name == "nothing" || c.name == "another's message" { // of which this one knows nothing
				if err != nil || codeIn(t, params) != code {
					t.Errorf("%v", err)
				}
			} else if err == nil && codeIn(t, params) == code {
				t.Error("the code is revealed all the same")
			}
			c.proof.Code = code
			got, err := w.tryVerify(c.caller, v.ID, c.proof)
			if err != nil || said(got.Denied) != c.want {
				t.Errorf("%s, %v; want %s", said(got.Denied), err, c.want)
			}
			if c.want == "gone/code_unavailable" {
				if row := w.row(t, v.ID); row.State != Failed || row.Seed != "" || row.Reason != codeUnavailable {
					t.Errorf("%s %s, seed of %d digits", row.State, row.Reason, len(row.Seed))
				}
			}
		})
	}
}

// racers lets n callers guess at the same time, and counts the answers.
func racers(n int, try func(i int) (string, error)) (map[string]int, error) {
	var (
		mu    sync.Mutex
		said  = map[string]int{}
		wg    sync.WaitGroup
		gate  = make(chan struct{})
		fault error
	)
	for i := range n {
		wg.Go(func() {
			<-gate
			got, err := try(i)
			mu.Lock()
			defer mu.Unlock()
			said[got]++
			fault = errors.Join(fault, err)
		})
	}
	close(gate)
	wg.Wait()
	return said, fault
}

const parallel = 64

func rounds() int {
	if testing.Short() {
		return 50
	}
	return 500
}

func TestParallelRightCodesSucceedOnce(t *testing.T) {
	w := newWorld(t)
	for range rounds() {
		v := w.issue(t)
		_, code := w.deliver(t)
		got, err := racers(parallel, func(int) (string, error) {
			v, err := w.tryVerify(app, v.ID, Proof{Code: code})
			return said(v.Denied), err
		})
		if want := map[string]int{"": 1, "gone/verified": parallel - 1}; err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

func TestParallelWrongCodesAreFive(t *testing.T) {
	w := newWorld(t)
	for range rounds() {
		v := w.issue(t)
		_, code := w.deliver(t)
		bad := wrongs(code, parallel)
		got, err := racers(parallel, func(i int) (string, error) {
			v, err := w.tryVerify(app, v.ID, Proof{Code: bad[i]})
			return said(v.Denied), err
		})
		if want := map[string]int{"invalid-code": 5, "gone/exhausted": parallel - 5}; err != nil || !cmp.Equal(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
		if row := w.row(t, v.ID); row.Attempts != 5 || row.State != Exhausted {
			t.Fatalf("%d attempts, %s", row.Attempts, row.State)
		}
	}
}

// naive is what other systems do: read the row, compare, then write what came of
// it. The race is at its worst: all have read before one writes.
func (w *world) naive(id, typed string, compared *atomic.Int64, read *sync.WaitGroup) (string, error) {
	var right, alive bool
	var attempts int
	ctx := context.Background()
	err := w.Read(ctx, func(q *store.Snap) error {
		ch, _, err := store.Get[challenge](q, sqlChallenge, id)
		if err != nil || ch.State != Pending || ch.Attempts >= ch.MaxAttempts {
			return err
		}
		p, _, err := w.address(q, &ch)
		if err != nil {
			return err
		}
		code, _, err := w.code(&ch, p)
		alive, right, attempts = true, code.Equal(typed), ch.Attempts
		return err
	})
	read.Done()
	read.Wait()
	if err != nil || !alive {
		return "gone", err
	}
	compared.Add(1)
	if right {
		return "", w.Write(ctx, func(tx *store.Tx) error { _, err := tx.Exec(sqlEnd, id, "verified", "", 1); return err })
	}
	return "invalid-code", w.Write(ctx, func(tx *store.Tx) error { _, err := tx.Exec(setGuesses, id, attempts+1); return err })
}

// The naive way lets every racer in, where the one above lets one or five.
func TestCheckThenActLosesBothRaces(t *testing.T) {
	w := newWorld(t)
	for _, right := range []bool{true, false} {
		v := w.issue(t)
		_, code := w.deliver(t)
		bad := wrongs(code, parallel)
		var compared atomic.Int64
		var read sync.WaitGroup
		read.Add(parallel)
		got, err := racers(parallel, func(i int) (string, error) {
			if right {
				bad[i] = code
			}
			return w.naive(v.ID, bad[i], &compared, &read)
		})
		switch {
		case err != nil:
			t.Fatal(err)
		case right && got[""] != parallel:
			t.Errorf("%v: the race is not run", got)
		case !right && (compared.Load() != parallel || w.row(t, v.ID).Attempts != 1):
			t.Errorf("%d compared, %d counted: the race is not run", compared.Load(), w.row(t, v.ID).Attempts)
		}
		_, _ = w.cancel(t, v.ID)
	}
}

// One guess from each of ten thousand addresses: five are looked at.
func TestGuessesOfACrowd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits = DefaultLimits() })
	v := w.issue(t)
	_, code := w.deliver(t)
	bad, answers := wrongs(code, 10_000), map[string]int{}
	w.write(t, func(tx *store.Tx) error {
		for i, typed := range bad {
			got, err := w.Verify(tx, app, v.ID, Proof{Code: typed, ClientIP: fmt.Sprintf("2001:db8:%x::1", i)})
			if err != nil {
				return err
			}
			answers[said(got.Denied)]++
		}
		return nil
	})
	if want := map[string]int{"invalid-code": 5, "gone/exhausted": 9_995}; !cmp.Equal(answers, want) {
		t.Error(answers)
	}
	if got := w.verify(t, v.ID, code); got != "gone/exhausted" {
		t.Errorf("the right one after them: %s", got)
	}
}

// A challenge that has expired, and that nobody has swept yet, stays expired
// whatever happens to its phone.
func TestExpiredStaysExpired(t *testing.T) {
	for name, do := range map[string]func(w *world, old challenge){
		"another's success": func(w *world, _ challenge) {
			v := w.issue(t)
			if got := w.verify(t, v.ID, w.right(t, v.ID)); got != "" {
				t.Error(got)
			}
		},
		"the session's next": func(w *world, _ challenge) { w.issue(t, func(r *Request) { r.Binding = "a" }) },
		"a report":           func(w *world, old challenge) { w.report(t, old.Message) },
		"a changed identity": func(w *world, old challenge) {
			w.status(t, outbox.Message{ID: old.Message, Attempt: 1}, "failed", 137000)
		},
	} {
		w := newWorld(t)
		v := w.issue(t, func(r *Request) { r.Binding = "a" })
		w.deliver(t)
		w.pass(10 * time.Minute)
		do(w, w.row(t, v.ID))
		if err := w.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if row := w.row(t, v.ID); row.State != Expired || row.Seed != "" {
			t.Errorf("after %s it is %s", name, row.State)
		}
	}
}

// Success is for one purpose and phone; and a known device's success opens what
// others locked.
func TestSuccessEndsTheOthers(t *testing.T) {
	w := newWorld(t)
	first := w.issue(t, func(r *Request) { r.Binding = "a" })
	w.deliver(t)
	second := w.issue(t, func(r *Request) { r.Binding = "b" }) // its message still waits
	otherPurpose := w.issue(t, func(r *Request) { r.Purpose = "recovery" })
	otherPhone := w.issue(t, func(r *Request) { r.To = phone2 })
	if got := w.verify(t, first.ID, w.right(t, first.ID), func(p *Proof) { p.Binding = "a" }); got != "" {
		t.Fatal(got)
	}
	row := w.row(t, second.ID)
	if row.State != Superseded || row.Seed != "" || w.state(t, row.Message) != outbox.Cancelled || w.counts(t, row.Message) != 0 {
		t.Errorf("the other session's is %s, its message %s, counted %d", row.State, w.state(t, row.Message), w.counts(t, row.Message))
	}
	for _, v := range []View{otherPurpose, otherPhone} {
		if row := w.row(t, v.ID); row.State != Pending || w.state(t, row.Message) != outbox.Queued {
			t.Errorf("%s is %s", row.Purpose, row.State)
		}
	}
}

func TestStepUp(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t, func(r *Request) { r.Purpose = "recovery" })
	if !v.StepUpRequired {
		t.Error("nothing says so before")
	}
	_, code := w.deliver(t)
	got, err := w.tryVerify(app, v.ID, Proof{Code: code})
	if err != nil || !got.StepUpRequired || got.IdentityChanged || len(code) != 8 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestExpiry(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	m, code := w.deliver(t)
	w.pass(10*time.Minute - time.Millisecond)
	if got := w.verify(t, v.ID, wrongs(code, 1)[0]); got != "invalid-code" {
		t.Error(got)
	}
	w.pass(time.Millisecond)
	for _, c := range []string{code, wrongs(code, 1)[0]} {
		if got := w.verify(t, v.ID, c); got != "gone/expired" {
			t.Errorf("at its end: %s", got)
		}
	}
	if _, _, err := w.Reveal(t.Context(), m); !errors.Is(err, ErrNoCode) {
		t.Errorf("its message would still leave: %v", err)
	}
	if got := w.view(t, v.ID); got.State != Expired || got.Reason != "expired" || got.AttemptsLeft != 4 || !got.ResendAfter.IsZero() {
		t.Errorf("%+v", got)
	}
	if _, err := w.tryResend(v.ID, Resend{}); said(err) != "gone/expired" {
		t.Errorf("%v", err)
	}
	if _, err := w.cancel(t, v.ID); said(err) != "gone/expired" {
		t.Errorf("%v", err)
	}
	w.wall = w.wall.Add(-time.Hour) // the clock steps back: nothing comes to life again
	if got := w.verify(t, v.ID, code); got != "gone/expired" {
		t.Errorf("after the clock stepped back: %s", got)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	for range 2 {
		got, err := w.cancel(t, v.ID)
		if err != nil || got.State != Cancelled || got.Reason != "cancelled" || got.Delivery.State != "failed" {
			t.Errorf("%+v, %v", got, err)
		}
		w.pass(time.Minute)
	}
	row := w.row(t, v.ID)
	if row.Seed != "" || row.EndedAt != store.Millis(start) || w.state(t, row.Message) != outbox.Cancelled || w.counts(t, row.Message) != 0 {
		t.Errorf("seed of %d digits, ended %d, message %s, counted %d", len(row.Seed), row.EndedAt, w.state(t, row.Message), w.counts(t, row.Message))
	}
	if got := w.verify(t, v.ID, "123456"); got != "gone/cancelled" {
		t.Error(got)
	}
	if len(w.claim(t)) != 0 {
		t.Error("its message leaves")
	}
}

// A person who takes the grant back gets no more codes; the challenge stays what
// it is, and its message never leaves.
func TestRevokedMeanwhile(t *testing.T) {
	w := newWorld(t)
	v := w.issue(t)
	w.write(t, func(tx *store.Tx) error {
		_, out, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{whatsapp.Phone(phone1).Identity()},
			Categories: []whatsapp.Category{whatsapp.Authentication}, Source: optin.SourceOperator, Actor: "test", At: tx.Now()})
		if err != nil {
			return err
		}
		return w.Outcomes(tx, out)
	})
	if len(w.claim(t)) != 0 || w.counts(t, w.row(t, v.ID).Message) != 0 {
		t.Error("it left, or still counts")
	}
	if _, err := w.tryResend(v.ID, Resend{}); said(err) != "opted-out/opted_out" {
		t.Errorf("%v", err)
	}
	if d := w.view(t, v.ID).Delivery; d.State != "failed" || d.Reason != unknownReason {
		t.Errorf("%+v", d)
	}
}

// Nothing that a caller or a log gets shows a code or a number.
func TestNothingShowsCodeOrNumber(t *testing.T) {
	w := newWorld(t)
	var out strings.Builder
	note := func(things ...any) {
		for _, x := range things {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				fmt.Fprintf(&out, verb+"\n", x)
			}
			if err, ok := x.(error); ok {
				out.WriteString(err.Error())
			}
		}
	}
	v := w.issue(t, func(r *Request) { r.Binding = "canary-session" })
	m, code := w.deliver(t)
	_, err := w.tryIssue(app, asks(func(r *Request) { r.To = phone1 + "x" }))
	note(v, err)
	_, err = w.tryIssue(app, asks(func(r *Request) { r.Purpose = "canary-purpose" }))
	note(err)
	for _, p := range []Proof{{Code: code}, {Code: "canary"}, {Code: code + "00", Binding: "canary-session"}, {Code: wrongs(code, 1)[0], Binding: "canary-session"},
		{Code: code, ClientIP: "canary-ip"}} {
		got, err := w.tryVerify(app, v.ID, p)
		note(got.Denied, err)
	}
	v2, err := w.tryResend(v.ID, Resend{Channel: "canary-channel"})
	note(v2, err)
	_, err = w.tryResend(v.ID, Resend{Code: "canary-code"})
	note(err)
	note(w.resend(t, v.ID, Resend{Code: "new"}))
	code2 := w.right(t, v.ID)
	_, _, err = w.Reveal(t.Context(), m)
	note(err, w.view(t, v.ID))
	got, err := w.tryVerify(app, v.ID, Proof{Code: code2, Binding: "canary-session"})
	if err != nil || got.Denied != nil || got.To != phone1 {
		t.Fatal(said(got.Denied), err)
	}
	got.To = ""
	note(got, w.view(t, v.ID))
	if err := w.DB.Close(); err != nil { // looked at with all that it holds, which nobody may change meanwhile
		t.Fatal(err)
	}
	note(w.OTP)
	for _, leak := range []string{code, code2, phone1, phone1[1:], phone1[4:], "canary"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is shown", leak)
		}
	}
	if !strings.Contains(out.String(), "+12*******01") {
		t.Error("the masked number is missing; was anything printed at all?")
	}
}
