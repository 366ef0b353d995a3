package otp

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
)

// guessBook is what a phone's guesses were, for the model.
type guessBook struct {
	wrong  map[bool][]int64 // by trusted
	row    int              // untrusted, since the last right one
	locked bool
}

func (b *guessBook) allows(trusted bool, l Limits, now int64) bool {
	if b.locked && !trusted {
		return false
	}
	n := 0
	for _, at := range b.wrong[trusted] {
		if at > now-msDay {
			n++
		}
	}
	return l.Failures < 0 || n < l.Failures
}

// Guesses over many challenges of two phones: the bound of 24 hours, the lock,
// and the device that is trusted, as the model has them.
func TestGuessesAgreeWithTheModel(t *testing.T) {
	m := newMeter(t, 1000)
	locks, refusals := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m.clear()
		m.advance(2 * day)
		l := quietLimits()
		l.Failures, l.Lock = rapid.SampledFrom([]int{-1, 0, 1, 3, 15}).Draw(rt, "failures"), rapid.SampledFrom([]int{-1, 0, 1, 4, 20}).Draw(rt, "lock")
		books := map[string]*guessBook{}
		for range rapid.IntRange(1, 60).Draw(rt, "acts") {
			phone := fmt.Sprint("phone ", rapid.IntRange(0, 1).Draw(rt, "phone"))
			trusted := rapid.IntRange(0, 3).Draw(rt, "trusted") == 0
			b := books[phone]
			if b == nil {
				b = &guessBook{wrong: map[bool][]int64{}}
				books[phone] = b
			}
			now := m.clock.Load()
			switch rapid.IntRange(0, 11).Draw(rt, "act") {
			case 0, 1:
				m.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Minute, 7 * time.Hour, day}).Draw(rt, "time"))
			case 2:
				if !b.allows(trusted, l, now) {
					break
				}
				m.write(func(tx *store.Tx) error { return m.guessedRight(tx, phone, trusted, "") })
				b.row = 0
				b.locked = b.locked && !trusted
			default:
				before := m.state()
				locked, d := m.guess(phone, "", trusted, l)
				if b.allows(trusted, l, now) != (d == nil) {
					rt.Fatalf("the model says %v, the limits %v", b.allows(trusted, l, now), d)
				}
				if d != nil {
					refusals++
					m.denied(rt, b, d, trusted, l, before)
					break
				}
				b.wrong[trusted] = append(b.wrong[trusted], now)
				if !trusted {
					b.row++
				}
				lockedNow := !trusted && !b.locked && l.Lock >= 0 && b.row >= l.Lock
				if lockedNow != locked {
					rt.Fatalf("locked %v after %d wrong in a row of %d", locked, b.row, l.Lock)
				}
				if lockedNow {
					b.locked = true
					locks++
				}
			}
		}
	})
	t.Logf("%d locks, %d refusals", locks, refusals)
	if locks == 0 || refusals == 0 {
		t.Error("nothing was ever locked or refused")
	}
}

// denied checks a refusal: it costs nothing, and its time is the first that
// passes.
func (m *meter) denied(rt *rapid.T, b *guessBook, d *Denied, trusted bool, l Limits, before []string) {
	if diff := cmp.Diff(before, m.state()); diff != "" {
		rt.Fatalf("a refused guess took something: %s", diff)
	}
	now, wait := m.clock.Load(), d.RetryAfter.Milliseconds()
	switch {
	case d.Code != CodePhoneLocked:
		rt.Fatalf("refused with %s", d.Code)
	case wait == 0 && b.allows(trusted, l, now+365*msDay):
		rt.Fatal("no time is named, and there is one")
	case wait > 0 && (b.allows(trusted, l, now+wait-1) || !b.allows(trusted, l, now+wait)):
		rt.Fatalf("told to wait %s, which is not the first time that passes", d.RetryAfter)
	}
}

// A lock binds everybody but a device that is trusted, whose right code opens it.
func TestLock(t *testing.T) {
	m := newMeter(t, 1000)
	l := DefaultLimits()
	l.Lock = 3
	for i := range 3 {
		if locked, d := m.guess("phone", "", false, l); d != nil || locked != (i == 2) {
			t.Fatalf("guess %d: locked %v, %v", i, locked, d)
		}
	}
	if _, d := m.guess("phone", "", false, l); ruleOf(d) != ruleLock || d.RetryAfter != 0 {
		t.Errorf("a locked phone: %v", d)
	}
	if _, d := m.ask(askFor("phone", l)); ruleOf(d) != ruleLock {
		t.Errorf("a code for a locked phone: %v", d)
	}
	m.advance(30 * day)
	if _, d := m.guess("phone", "", false, l); ruleOf(d) != ruleLock {
		t.Errorf("the lock ended by itself: %v", d)
	}
	known := askFor("phone", l)
	known.trusted = true
	if _, d := m.ask(known); d != nil {
		t.Errorf("the known device gets no code: %v", d)
	}
	if _, d := m.guess("phone", "", true, l); d != nil {
		t.Errorf("the known device may not guess: %v", d)
	}
	m.write(func(tx *store.Tx) error { return m.guessedRight(tx, "phone", false, "") })
	if _, d := m.guess("phone", "", false, l); ruleOf(d) != ruleLock {
		t.Errorf("a right code of an unknown device opened the lock: %v", d)
	}
	m.write(func(tx *store.Tx) error { return m.guessedRight(tx, "phone", true, "") })
	if _, d := m.guess("phone", "", false, l); d != nil {
		t.Errorf("the right code of the known device did not open it: %v", d)
	}
}

// The identity key is kept from one right code to the next.
func TestIdentityIsKept(t *testing.T) {
	m := newMeter(t, 1000)
	for _, identity := range []string{"", "first", "", "second", ""} {
		m.write(func(tx *store.Tx) error { return m.guessedRight(tx, "phone", false, identity) })
	}
	if got := m.state(); !cmp.Equal(got, []string{"phone 0 0 second"}) {
		t.Error(got)
	}
}

// Guesses from one address, over many phones: sixty at once, then one a second.
// A refused one is not looked at, and takes nothing of the rate.
func TestGuessesOfAnAddress(t *testing.T) {
	m := newMeter(t, 1000)
	l, looked := DefaultLimits(), []int64{}
	for i := range 600 {
		_, d := m.guess(fmt.Sprint("phone ", i), "address", false, l)
		switch {
		case d == nil:
			looked = append(looked, m.clock.Load())
		case d.Rule != ruleVerifyIP || d.Scope != "source" || d.RetryAfter <= 0 || d.RetryAfter > time.Second:
			t.Fatalf("%+v", d)
		}
		m.advance(200 * time.Millisecond)
	}
	if n := mostIn(looked, time.Second); n > 5 {
		t.Errorf("%d in a second: the test asks for five", n)
	}
	if n := len(looked); n < 178 || n > 181 { // 60 and one a second for two minutes
		t.Errorf("%d guesses were looked at in two minutes", n)
	}
	if _, d := m.guess("another phone", "another address", false, l); d != nil {
		t.Errorf("another address: %v", d)
	}
	if _, d := m.guess("another phone", "", false, l); d != nil {
		t.Errorf("no address: %v", d)
	}
}
