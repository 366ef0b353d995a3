package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"janela/internal/failpoint"
	"janela/internal/store"
)

const (
	sleepMax   = time.Minute // the wall clock may have been set meanwhile
	backoffMin = time.Second
	backoffMax = time.Minute
)

var (
	sqlActive = store.SQL(`SELECT key FROM schedules WHERE active = 1 ORDER BY key`)

	sqlReady = store.SQL(`SELECT s.schedule_key FROM slots s
		JOIN schedules c ON c.key = s.schedule_key AND c.active = 1
		WHERE s.state = 'due' AND s.due_at <= ?1 ORDER BY s.due_at, s.id`)

	sqlSoonest = store.SQL(`SELECT s.due_at FROM slots s
		JOIN schedules c ON c.key = s.schedule_key AND c.active = 1
		WHERE s.state = 'due' AND s.due_at > ?1 ORDER BY s.due_at LIMIT 1`)
)

// Loop fires slots when they are due.
type Loop struct {
	db     *store.DB
	fire   func(*store.Tx, Firing) error
	log    *slog.Logger
	wakes  <-chan struct{}
	failed map[string]failure // by schedule key
}

// failure is when a schedule that failed is tried again, by the monotonic clock:
// a step of the wall clock must not stop it.
type failure struct {
	tries int
	until time.Time
}

// NewLoop makes the loop. fire is called in the transaction that marks the slot
// as fired; its error or panic undoes both, and it is called again after a
// back-off of 1 s to 1 min, until the slot's max_lateness. Slots of one schedule
// fire in order; a schedule that fails does not hold up the others.
func NewLoop(db *store.DB, fire func(*store.Tx, Firing) error, log *slog.Logger) *Loop {
	return &Loop{db: db, fire: fire, log: log, wakes: db.Wakes(Topic), failed: map[string]failure{}}
}

// Run fires slots until ctx ends, which is no error. It returns an error only
// when the database is closed.
func (l *Loop) Run(ctx context.Context) error {
	// Every schedule is looked at once: a new version may have brought new rules
	// for a zone's clock, which move slots that were planned before.
	keys, err := l.active(ctx)
	for ctx.Err() == nil {
		if err == nil {
			l.steps(ctx, keys)
		}
		var wait time.Duration
		keys, wait, err = l.look(ctx)
		switch {
		case errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrCrashed):
			return fmt.Errorf("scheduler: %w", err)
		case err != nil && ctx.Err() == nil:
			l.log.Error("scheduler cannot read its slots; it tries again", "error", err)
			wait = backoffMax
		}
		if len(keys) == 0 {
			l.sleep(ctx, wait)
		}
	}
	return nil
}

func (l *Loop) active(ctx context.Context) (keys []string, err error) {
	err = l.db.Read(ctx, func(q *store.Snap) error {
		keys, err = column(q, sqlActive)
		return err
	})
	return keys, err
}

// look returns the schedules that have something to do now, or else how long
// there is nothing to do.
func (l *Loop) look(ctx context.Context) (keys []string, wait time.Duration, err error) {
	wait = sleepMax
	err = l.db.Read(ctx, func(q *store.Snap) error {
		now := store.Millis(q.Now())
		ready, err := column(q, sqlReady, now)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, key := range ready {
			if seen[key] {
				continue
			}
			seen[key] = true
			if left := time.Until(l.failed[key].until); left > 0 {
				wait = min(wait, left)
			} else {
				keys = append(keys, key)
			}
		}
		soonest, ok, err := store.Value[int64](q, sqlSoonest, now)
		if ok {
			wait = min(wait, store.Takes(q, time.Duration(soonest-now)*time.Millisecond))
		}
		return err
	})
	return keys, wait, err
}

func column(q store.Querier, s *store.Stmt, args ...any) (out []string, err error) {
	err = store.Each(q, s, func(c *store.Col[string]) error { out = append(out, c.V); return nil }, args...)
	return out, err
}

// sleep returns after d, when a schedule changed, or when ctx ends.
func (l *Loop) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.wakes:
	case <-ctx.Done():
	}
}

// steps fires at most one slot of each schedule, so that a long catch-up of one
// lets the others in between.
func (l *Loop) steps(ctx context.Context, keys []string) {
	for _, key := range keys {
		if ctx.Err() != nil {
			return
		}
		var out outcome
		err := l.db.Write(ctx, func(tx *store.Tx) (err error) {
			if out, err = step(tx, key, fireIn(tx, l.fire)); err != nil {
				return err
			}
			return failpoint.Err("scheduler.slot.commit")
		})
		if err != nil {
			l.fail(ctx, key, err)
			continue
		}
		failpoint.Hit("scheduler.slot.committed")
		delete(l.failed, key)
		l.tell(out)
	}
}

// fail puts a schedule off, and notes on its slot that it was tried in time.
func (l *Loop) fail(ctx context.Context, key string, cause error) {
	if ctx.Err() != nil || errors.Is(cause, store.ErrClosed) || errors.Is(cause, store.ErrCrashed) {
		return // nothing failed: the house is closing
	}
	f := l.failed[key]
	wait := min(backoffMin<<min(f.tries, 10), backoffMax)
	l.failed[key] = failure{f.tries + 1, time.Now().Add(wait)}
	l.log.Error("a schedule could not fire; it is tried again", "schedule", key, "tries", f.tries+1, "wait", wait, "error", cause)

	var out outcome
	err := l.db.Write(ctx, func(tx *store.Tx) (err error) {
		out, err = step(tx, key, markIn(tx))
		return err
	})
	if err != nil {
		l.log.Error("a schedule's failure could not be noted", "schedule", key, "error", err)
		return
	}
	out.fired = nil
	l.tell(out)
}

func (l *Loop) tell(out outcome) {
	if out.unlisted > 0 {
		l.log.Warn("a long absence: not every missed slot is listed", "schedule", out.key, "unlisted", out.unlisted)
	}
	for _, s := range out.settled {
		l.log.Warn("a slot did not fire", "schedule", s.slot.Key, "civil", s.slot.Civil, "zone", s.slot.Zone, "state", s.state, "note", s.note)
	}
	if f := out.fired; f != nil {
		l.log.Info("a slot fired", "schedule", f.Key, "civil", f.Civil, "zone", f.Zone, "late", f.Late.String())
	}
}
