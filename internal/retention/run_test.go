package retention

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/store"
)

var putCallback = store.SQL(`INSERT INTO callbacks (id, received_at, hash, body, state) VALUES (?1, ?2, ?3, CAST('{}' AS BLOB), 'applied')`)

// past says what was put away.
func (a *aged) past(t *testing.T) (p outbox.Past) {
	t.Helper()
	if err := a.Read(t.Context(), func(q *store.Snap) (err error) { p, err = outbox.PastOf(q); return err }); err != nil {
		t.Fatal(err)
	}
	return p
}

// A pass moves and removes what is old, and all of it; a second one finds
// nothing. While the machine cannot be trusted nothing moves, and without a
// policy nothing ever does.
func TestPass(t *testing.T) {
	const people = 450
	a := newAged(t, 1, people, false)
	a.write(t, func(tx *store.Tx) error {
		for i := range 120 {
			if err := tx.One(putCallback, i+1, store.Millis(tx.Now().AddDate(0, 0, i-119)), i); err != nil {
				return err
			}
		}
		return nil
	})
	a.wall = a.wall.AddDate(0, 6, 0)
	pass := func(p Policy) *Retention {
		t.Helper()
		r := New(Config{DB: a.DB, Policy: func() Policy { return p }})
		if err := r.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 24 { // the time goes on as it should
		if r := pass(Policy{Messages: LeastMessages}); r.Moved.Load() > 0 {
			t.Fatal("it moves at once")
		}
		a.wall = a.wall.Add(time.Hour)
	}
	const days90 = 90 * 24 * time.Hour
	policy := Policy{Messages: days90, Callbacks: 250 * 24 * time.Hour}
	hold := outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: guard.ReasonClockJump, Actor: "janela"}
	a.write(t, func(tx *store.Tx) error { _, err := outbox.Place(tx, hold); return err })
	if r := pass(policy); r.Moved.Load()+r.Callbacks.Load() != 0 || a.past(t) != (outbox.Past{}) {
		t.Errorf("while the clock cannot be trusted %d messages and %d callbacks go", r.Moved.Load(), r.Callbacks.Load())
	}
	a.write(t, func(tx *store.Tx) error {
		_, err := outbox.Lift(tx, hold.Scope, hold.Target, hold.Reason, "janela")
		return err
	})
	now := store.Millis(a.wall)
	if r := pass(Policy{}); r.Moved.Load()+r.Callbacks.Load() != 0 || a.past(t) != (outbox.Past{RanAt: now}) {
		t.Errorf("without a policy: %d, %d, %+v", r.Moved.Load(), r.Callbacks.Load(), a.past(t))
	}
	if r := pass(policy); r.Moved.Load() != people || a.past(t) != (outbox.Past{Messages: people, RanAt: now}) || r.Callbacks.Load() != 52 {
		t.Errorf("%d messages and %d callbacks went; %+v", r.Moved.Load(), r.Callbacks.Load(), a.past(t))
	}
	if r := pass(policy); r.Moved.Load()+r.Callbacks.Load() != 0 {
		t.Errorf("the second time %d messages and %d callbacks went", r.Moved.Load(), r.Callbacks.Load())
	}
	// After a day without a pass, or when the clock went back, it waits again.
	young := Policy{Callbacks: LeastCallbacks}
	for _, gap := range []time.Duration{27 * time.Hour, 10 * 365 * 24 * time.Hour} {
		a.wall = a.wall.Add(gap)
		if r := pass(young); r.Callbacks.Load() != 0 {
			t.Errorf("after %v without a look %d callbacks go at once", gap, r.Callbacks.Load())
		}
	}
	a.wall = a.wall.Add(25 * time.Hour) // a night and a day off
	if r := pass(young); r.Callbacks.Load() != 68 {
		t.Errorf("a day later %d callbacks go", r.Callbacks.Load())
	}
}

// Whoever has to write while messages move waits for one piece and no more.
func TestMovingMakesWay(t *testing.T) {
	a := newAged(t, 1, 300, false)
	a.wall = a.wall.AddDate(0, 6, 0)
	p := Policy{Messages: LeastMessages}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for _, want := range []int64{piece * pieces, piece} {
		var moved int64
		err := a.Bulk(t.Context(), func(tx *store.Tx) (err error) {
			if want == piece {
				waiting.Go(func() { _ = a.Write(t.Context(), func(*store.Tx) error { return nil }) })
				for !tx.Hurry() {
					runtime.Gosched()
				}
			}
			moved, _, err = p.move(tx, 1)
			return err
		})
		if err != nil || moved != want {
			t.Errorf("%d messages moved in one transaction, want %d: %v", moved, want, err)
		}
	}
}
