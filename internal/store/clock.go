package store

import (
	"sync"
	"time"
)

// jumpLeast is how far the wall clock must leave the monotonic one, between two
// looks, to have jumped; less is how clocks are kept right.
const jumpLeast = 2 * time.Second

// Jump is a step of the wall clock: somebody set it, or the machine slept.
type Jump struct {
	By time.Duration // less than zero: back
	To time.Time     // what the wall clock showed after it, UTC
}

// clock watches the wall clock by the monotonic one.
type clock struct {
	read func() (wall int64, mono time.Duration) // ms, and since Open

	mu      sync.Mutex
	wall    int64         // as last read
	mono    time.Duration // likewise
	jumped  time.Duration // when it last jumped, or was opened
	pending *Jump         // nobody has been told of it yet
}

// unsure is how long reading a clock may take for what it says to be compared
// with another one.
const unsure = 100 * time.Millisecond

// newClock reads wall, or where that is nil the machine's clock, which tells
// both times at once.
func newClock(wall func() time.Time) *clock {
	begun := time.Now()
	c := &clock{read: func() (int64, time.Duration) {
		t := time.Now()
		return t.UnixMilli(), t.Sub(begun)
	}}
	if wall != nil {
		c.read = func() (at int64, mono time.Duration) {
			for range 3 { // the process may have stood between two readings
				before := time.Since(begun)
				at = wall().UnixMilli()
				if mono = time.Since(begun); mono-before < unsure {
					break
				}
			}
			return at, mono
		}
	}
	c.wall, c.mono = c.read()
	return c
}

// look returns the wall clock in ms, and notes whether it has jumped.
func (c *clock) look() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, mono := c.read()
	by := time.Duration(wall-c.wall)*time.Millisecond - (mono - c.mono)
	c.wall, c.mono = wall, mono
	if by > jumpLeast || by < -jumpLeast {
		c.jumped = mono
		if c.pending != nil {
			by += c.pending.By
		}
		c.pending = &Jump{By: by.Round(time.Millisecond), To: Time(wall)}
	}
	return wall
}

// shown returns the wall clock as it was last read, in ms.
func (c *clock) shown() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

// take returns the jump that nobody has been told of, if there is one.
func (c *clock) take() *Jump {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.pending
	c.pending = nil
	return j
}

// giveBack returns a jump of which telling failed.
func (c *clock) giveBack(j *Jump) {
	if j == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil {
		c.pending.By += j.By
		return
	}
	c.pending = j
}

// OnJump names the function that hears of every jump of the wall clock, in the
// first transaction that sees the new time and before anything else in it. Call
// it once, before the database is used by others.
func (db *DB) OnJump(fn func(*Tx, Jump) error) { db.onJump = fn }

// Jumped looks at the clock, and reports whether it has jumped and OnJump's
// function has not run since: the next transaction calls it.
func (db *DB) Jumped() bool {
	db.current()
	db.clock.mu.Lock()
	defer db.clock.mu.Unlock()
	return db.clock.pending != nil
}

// Steady is how long the wall clock has not jumped, at most since Open.
func (db *DB) Steady() time.Duration {
	db.current()
	db.clock.mu.Lock()
	defer db.clock.mu.Unlock()
	return db.clock.mono - db.clock.jumped
}

// Now is what a transaction's Now would be: for the last look before something
// leaves that a transaction has decided.
func (db *DB) Now() time.Time { return Time(db.current()) }

// Ahead is how far Now is ahead of the wall clock, because that was set back:
// Now stands until the wall clock has caught up.
func (db *DB) Ahead() time.Duration {
	now := db.current()
	return time.Duration(max(now-db.clock.shown(), 0)) * time.Millisecond
}

// Takes says how long a loop must sleep for Now to advance by d: longer while
// Now stands, because the wall clock was set back.
func Takes(q Querier, d time.Duration) time.Duration { return d + max(q.Now().Sub(q.Wall()), 0) }

// Wall is the wall clock as the transaction found it, UTC: earlier than Now while
// that stands. Only what is about the time of day people live by asks it.
func (tx *Tx) Wall() time.Time { return Time(tx.wall) }

// Wall is the wall clock as the snapshot found it; see Tx.Wall.
func (s *Snap) Wall() time.Time { return Time(s.wall) }

// AcceptWall makes Now the wall clock again where that was set back, when the
// transaction commits: the one time that Now goes back. It returns both. What
// was written meanwhile keeps the times it has.
func (tx *Tx) AcceptWall() (was, is time.Time) {
	if tx.wall < tx.now {
		tx.accept = true
	}
	return tx.Now(), tx.Wall()
}

// told runs OnJump's function where the clock has jumped; one that fails is told
// again. It is false when that lost the whole transaction.
func (w *writer) told(tx *Tx) bool {
	w.jump = w.db.clock.take()
	if w.jump == nil || w.db.onJump == nil {
		return true
	}
	first := &job{fn: func(tx *Tx) error { return w.db.onJump(tx, *w.jump) }}
	if !w.apply(tx, first) {
		return false
	}
	if first.err != nil || first.panic != nil {
		w.db.clock.giveBack(w.jump)
		w.jump = nil
	}
	return true
}

// JumpTopic is woken when the clock has jumped, as every other topic is then.
const JumpTopic Topic = "store.jump"

// wakeEvery wakes every loop: whatever is due must be looked at again.
func (db *DB) wakeEvery() {
	db.wakes.Lock()
	topics := make([]Topic, 0, len(db.wakes.subscribers))
	for t := range db.wakes.subscribers {
		topics = append(topics, t)
	}
	db.wakes.Unlock()
	for _, t := range topics {
		db.wake(t)
	}
}
