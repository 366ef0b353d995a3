package otp

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"janela/internal/store"
)

// nextAt asks when another message may go to a phone, for a challenge that began
// at a time (ms); 0 for never.
func (m *meter) nextAt(a sendAsk, began int64) (at int64) {
	m.Helper()
	err := m.Read(m.Context(), func(q *store.Snap) error {
		next, err := m.nextSend(q, a, began)
		at = store.Millis(next)
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	return at
}

// Random lives of a phone: resend_after is the first instant since the challenge
// began, and since the last send, that the model allows; it is the same whenever
// a caller looks, before and after it has passed; before it the phone's limits
// refuse, and from it on they do not.
func TestResendAfterIsOneInstant(t *testing.T) {
	m, seen := newMeter(t, 1_000_000), map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m.clear()
		m.advance(9 * day)
		l := phoneLimits(rt)
		m.cfg().Limits = l
		md := &model{max: 1_000_000, own: map[string]bool{}}
		for range rapid.IntRange(0, 25).Draw(rt, "acts") {
			m.live(rt, md, l)
		}
		m.advance(rapid.SampledFrom([]time.Duration{0, 0, time.Second, 40 * time.Second, 3 * time.Minute, 9 * time.Minute}).Draw(rt, "rest"))
		a := askFor("phone", l)
		began := m.clock.Load() - rapid.Int64Range(0, maxLife.Milliseconds()/2).Draw(rt, "age")
		at := m.nextAt(a, began)
		seen[md.agreesOnNext(rt, a, began, at)]++
		end := began + maxLife.Milliseconds()
		for _, look := range []int64{at - 1, at, at + 1, m.clock.Load() + rapid.Int64Range(0, maxLife.Milliseconds()).Draw(rt, "later"), end} {
			if look < m.clock.Load() || look > end {
				continue
			}
			if at > 0 && look < at {
				seen["looked before"]++
			} else if at > 0 {
				seen["looked after"]++
			}
			m.advance(time.Duration(look-m.clock.Load()) * time.Millisecond)
			m.write(func(tx *store.Tx) error { _, err := m.sweepLimits(tx, 1000); return err }) // as it runs in between
			if again := m.nextAt(a, began); again != at {
				rt.Fatalf("looked at %d ms after the beginning, it is %d ms instead of %d", look-began, again-began, at-began)
			}
			if _, d := m.try(a); (d == nil) != (at > 0 && look >= at) {
				rt.Fatalf("%d ms before it the limits say %v", at-look, d)
			}
		}
	})
	t.Log("instants:", seen)
	for _, kind := range []string{"at once", "to come", "looked before", "looked after"} {
		if seen[kind] == 0 {
			t.Errorf("none was %q", kind)
		}
	}
}

// phoneLimits are some of a phone's own; the others are off.
func phoneLimits(rt *rapid.T) Limits {
	l := quietLimits()
	if rapid.Bool().Draw(rt, ruleCooldown) {
		l.Cooldown = rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, 10 * time.Minute}).Draw(rt, "wait")
	}
	for _, f := range []struct {
		name  string
		limit *int
	}{{rulePhone10m, &l.Phone10m}, {rulePhoneHour, &l.PhoneHour}, {rulePhoneDay, &l.PhoneDay}, {ruleUnverified, &l.Unverified}} {
		if rapid.IntRange(0, 2).Draw(rt, f.name+" too") == 0 {
			*f.limit = rapid.IntRange(1, 4).Draw(rt, f.name)
			if rapid.IntRange(0, 29).Draw(rt, f.name+" forced") == 0 {
				*f.limit = 0
			}
		}
	}
	return l
}

// live lets time pass, or does something to the phone, whatever its limits say:
// other purposes have others.
func (m *meter) live(rt *rapid.T, md *model, l Limits) {
	now := m.clock.Load()
	act := rapid.IntRange(0, 9).Draw(rt, "act")
	if act < 3 {
		m.advance(rapid.SampledFrom([]time.Duration{time.Second, 45 * time.Second, 3 * time.Minute, 12 * time.Minute, 2 * time.Hour, day, 3 * day}).Draw(rt, "time"))
		return
	}
	if act < 5 && len(md.sent) > 0 {
		s := &md.sent[rapid.IntRange(0, len(md.sent)-1).Draw(rt, "earlier")]
		switch {
		case act == 3 && s.counted && s.verified == 0 && !s.again && now-s.at < maxLife.Milliseconds():
			s.verified = now
			m.verify(s.message)
		case act == 4 && now-s.at < maxLife.Milliseconds():
			s.counted = false
			m.write(func(tx *store.Tx) error { return m.refund(tx, s.message) })
		}
		return
	}
	a := askFor("phone", l)
	a.trusted = rapid.IntRange(0, 5).Draw(rt, "trusted") == 0
	s := modelSend{ask: a, at: now, counted: true, again: act == 5}
	m.message++
	s.message = m.message
	m.write(func(tx *store.Tx) error {
		return m.recordSend(tx, a, sendRow{message: s.message, challenge: challengeOf(s.message), gen: 1, again: s.again})
	})
	md.sent = append(md.sent, s)
}

// agreesOnNext compares an instant with the model, and says what kind it is.
func (md *model) agreesOnNext(rt *rapid.T, a sendAsk, began, at int64) string {
	from := began
	for _, s := range md.sent {
		if s.counted && s.ask.trusted == a.trusted {
			from = max(from, s.at)
		}
	}
	switch {
	case at == 0:
		if md.allows(a, from+365*msDay) {
			rt.Fatal("never, and in a year the model allows it")
		}
		return "never"
	case at < from:
		rt.Fatalf("%d ms before the last send", from-at)
	case !md.allows(a, at):
		rt.Fatalf("the model refuses at it, %d ms after the last send", at-from)
	}
	for early := int64(1); early <= at-from; early *= 2 {
		if md.allows(a, at-early) {
			rt.Fatalf("the model allows it %d ms earlier", early)
		}
	}
	if at == from {
		return "at once"
	}
	return "to come"
}

// try asks for a send, and takes it back.
func (m *meter) try(a sendAsk) (ok bool, d *Denied) {
	m.Helper()
	err := m.Write(m.Context(), func(tx *store.Tx) error {
		if err := m.admit(tx, a); err != nil {
			return err
		}
		return errTaken
	})
	switch said := said(err); {
	case errors.Is(err, errTaken):
		return true, nil
	case said == CodeRateLimited:
		return false, &Denied{Code: said}
	default:
		m.Fatal(err)
		return false, nil
	}
}

var errTaken = errors.New("taken back")

// What GET and the answers to POST say, for a message that was sent, for one that
// Meta refused, and for a phone where none was sent.
func TestViewsSayOneInstant(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Cooldown = 30 * time.Second })
	v := w.issue(t)
	if want := start.Add(30 * time.Second); !v.ResendAfter.Equal(want) {
		t.Fatalf("the first answer says %v, not %v", v.ResendAfter, want)
	}
	for range 12 {
		w.pass(20 * time.Second)
		if got := w.view(t, v.ID); !got.ResendAfter.Equal(v.ResendAfter) {
			t.Fatalf("after %v it is %v", w.wall.Sub(start), got.ResendAfter)
		}
	}
	w.deliver(t)
	w.resend(t, v.ID, Resend{})
	again := w.view(t, v.ID)
	if want := w.wall.Add(time.Minute); !again.ResendAfter.Equal(want) { // the wait has doubled
		t.Errorf("after another send it is %v, not %v", again.ResendAfter, want)
	}
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlAbsent, w.row(t, v.ID).PhoneKey, store.Millis(w.wall.Add(day)), store.Millis(w.wall))
		return err
	})
	w.pass(2 * time.Hour)
	absent := w.issue(t)
	for range 5 {
		w.pass(time.Minute)
		if got := w.view(t, absent.ID); !got.ResendAfter.Equal(absent.CreatedAt) {
			t.Fatalf("nothing was sent at %v, and %v later it is %v", absent.CreatedAt, w.wall.Sub(absent.CreatedAt), got.ResendAfter)
		}
	}
}

// A send that falls out of the week while somebody looks moves nothing.
func TestResendAfterKeepsItsWeek(t *testing.T) {
	m, l := newMeter(t, 1000), quietLimits()
	l.Unverified = 1
	a := askFor("phone", l)
	first, _ := m.ask(a)
	m.advance(week - 5*time.Minute)
	second, _ := m.ask(a)
	if first == 0 || second == 0 {
		t.Fatal("denied")
	}
	sent := m.clock.Load()
	for range 20 {
		if at := m.nextAt(a, sent); at != sent+4*msMinute {
			t.Fatalf("looked at %v after the second, it is %v after it", time.Duration(m.clock.Load()-sent)*time.Millisecond, time.Duration(at-sent)*time.Millisecond)
		}
		m.advance(time.Minute)
		m.write(func(tx *store.Tx) error { _, err := m.sweepLimits(tx, 1000); return err })
	}
}
