package dispatch

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

func deadlines(life time.Duration) func(h *house, ids []int64) {
	return func(h *house, ids []int64) {
		for _, id := range ids {
			h.write(func(tx *store.Tx) error { return tx.One(sqlDeadlineOf, id, store.Millis(began.Add(life))) })
		}
	}
}

// No message of a campaign leaves at its deadline, or at the end of its window,
// or later, whatever it waited for. One that did is never cut short.
func TestNothingLeavesWhenItsTimeIsOver(t *testing.T) {
	const life = 3 * time.Second
	minute := began.Hour()*60 + began.Minute()
	closing := func(s *outbox.Stream) { // three seconds after the test begins
		s.Windows = outbox.Windows{Zone: "UTC", List: []outbox.Window{{Days: []time.Weekday{began.Weekday()}, From: 0, To: minute}, {Days: []time.Weekday{began.Weekday()}, From: minute + 30, To: minute + 60}}}
	}
	for _, way := range []struct {
		name  string
		begin func(h *house)
		sent  int // in time, of eight
	}{
		{"nothing in the way", func(*house) {}, 8},
		{"one sender, and Meta takes two seconds", func(h *house) {
			h.cfg.Senders = 1
			h.meta.says(func(call) answer { return answer{after: 2 * time.Second} })
		}, 2},
		{"few requests may be under way", func(h *house) { h.meta.says(func(call) answer { return answer{after: 10 * time.Second} }) }, 5},
		{"the number is slow", func(h *house) { h.rates.set(loja, 1) }, 3},
		{"no connection until then", func(h *house) { h.net.setAway(true) }, 0},
		{"no connection, and a queue", func(h *house) { h.net.setAway(true); h.cfg.Senders = 1 }, 0},
		{"dialling takes too long", func(h *house) { h.net.slow.Store(int64(4 * time.Second)) }, 0},
		{"Meta asks for a retry later", func(h *house) { h.meta.says(func(call) answer { return answer{code: 131056} }) }, 8},
		{"Meta is overloaded", func(h *house) { h.meta.says(func(call) answer { return answer{code: 2} }) }, 8},
	} {
		for _, by := range []string{"deadline", "window"} {
			t.Run(way.name+"/"+by, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "janela.db")
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(time.Until(began.Add(-life)))
					if by == "deadline" {
						time.Sleep(life)
					}
					h := open(t, path)
					defer h.close()
					way.begin(h)
					over := began.Add(life)
					if by == "deadline" {
						deadlines(life)(h, h.queue(stream("oferta"), 1, 8))
					} else {
						over = began
						h.queue(stream("oferta", closing), 1, 8)
					}
					ctx, cancel := context.WithCancel(context.Background())
					h.start()
					h.rooms.Go(func() { _ = h.d.Sweep(ctx) })
					h.rooms.Go(func() {
						time.Sleep(life + time.Second)
						h.net.setAway(false)
						h.net.slow.Store(0)
					})
					h.pass(20 * time.Minute)
					cancel()
					in := map[int64]bool{}
					for _, c := range h.meta.log() {
						in[c.ID] = true
						if !c.At.Before(over) {
							t.Errorf("a message left %v after its time", c.At.Sub(over))
						}
					}
					if len(in) != way.sent && by == "deadline" || len(in) > way.sent {
						t.Errorf("%d messages left in time, want %d", len(in), way.sent)
					}
					states := h.states()
					if states[outbox.Unknown] > 0 || states[outbox.Sending] > 0 {
						t.Errorf("it ended so: %v", states)
					}
					if by == "deadline" && states[outbox.Queued] > 0 || by == "window" && states[outbox.Expired] > 0 {
						t.Errorf("it ended so: %v", states)
					}
					if by == "window" { // the next one
						h.meta.says(nil)
						h.pass(time.Hour)
						h.wantStates(map[outbox.State]int64{outbox.Accepted: 8})
						h.once()
					}
				})
			})
		}
	}
}

// A machine that slept: the clock of waiting stood, and that of the day went on.
// A clock that was set back: it is the other way round.
func TestNothingLeavesLateByEitherClock(t *testing.T) {
	for _, c := range []struct {
		by   time.Duration // the clock of the day, after five seconds
		want map[outbox.State]int64
	}{
		{0, map[outbox.State]int64{outbox.Accepted: 1, outbox.Expired: 3}},
		{8 * time.Hour, map[outbox.State]int64{outbox.Accepted: 1, outbox.Expired: 3}},
		// What was claimed before expires; what is claimed afterwards is in time by
		// the clock as it is then.
		{-8 * time.Hour, map[outbox.State]int64{outbox.Accepted: 2, outbox.Expired: 2}},
	} {
		t.Run(c.by.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "janela.db")
			synctest.Test(t, func(t *testing.T) {
				h := open(t, path)
				defer h.close()
				if err := h.db.Close(); err != nil {
					t.Fatal(err)
				}
				var skew atomic.Int64
				var err error
				h.db, err = store.Open(context.Background(), store.Config{Path: path, Wall: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
				if err != nil {
					t.Fatal(err)
				}
				h.cfg.Senders = 1
				h.meta.says(func(call) answer { return answer{after: 20 * time.Second} })
				deadlines(15*time.Second)(h, h.queue(stream("oferta"), 1, 4))
				h.start()
				h.pass(5 * time.Second)
				skew.Store(int64(c.by))
				h.pass(time.Hour)
				h.wantStates(c.want)
				h.wantCalls(int(c.want[outbox.Accepted]))
			})
		})
	}
}

// A hold stops also what was claimed before it and has not left: it goes back and
// burns no attempt. What is under way is not cut short.
func TestAHoldStopsWhatWaitsForItsTurn(t *testing.T) {
	for _, hold := range []outbox.Hold{
		{Scope: outbox.ScopeAll, Reason: "operator", Actor: "maria"},
		{Scope: outbox.ScopeCategory, Target: "marketing", Reason: "operator", Actor: "maria"},
		{Scope: outbox.ScopeNumber, Target: loja, Reason: "operator", Actor: "maria"},
		{Scope: outbox.ScopeCategory, Target: "utility", Reason: "operator", Actor: "maria"},
	} {
		t.Run(fmt.Sprint(hold.Scope, hold.Target), func(t *testing.T) {
			bubble(t, func(h *house) {
				h.meta.says(func(call) answer { return answer{after: 10 * time.Second} })
				h.queue(stream("oferta"), 1, 100)
				h.start()
				h.pass(time.Second)
				sent := len(h.meta.log())
				if waiting := h.states()[outbox.Sending] - int64(sent); waiting < 5 {
					t.Fatalf("%d messages wait for their turn: the test proves nothing", waiting)
				}
				h.hold(hold)
				h.pass(time.Hour)
				if hold.Target == "utility" {
					h.wantStates(map[outbox.State]int64{outbox.Accepted: 100})
					return
				}
				h.wantCalls(sent)
				h.wantStates(map[outbox.State]int64{outbox.Accepted: int64(sent), outbox.Queued: int64(100 - sent)})
				h.write(func(tx *store.Tx) error {
					_, err := outbox.Lift(tx, hold.Scope, hold.Target, "", "maria")
					return err
				})
				h.pass(time.Hour)
				h.wantStates(map[outbox.State]int64{outbox.Accepted: 100})
				for _, c := range h.meta.log() {
					if c.Attempt != 1 {
						t.Errorf("message %d left as attempt %d", c.ID, c.Attempt)
					}
				}
				h.once()
			})
		})
	}
}
