package retention

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"janela/internal/failpoint"
	"janela/internal/guard"
	"janela/internal/intake"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// The least that the policy may say. A callback that comes twice is known for as
// long as Meta may post it again, which is 7 days.
const (
	LeastMessages  = whatsapp.LastNews
	LeastCallbacks = 14 * 24 * time.Hour
)

const (
	// runEvery is how often it is asked what has grown old.
	runEvery = time.Hour
	// piece is how many messages one statement moves: some two milliseconds, for
	// which a code may have to wait. A transaction has at most pieces of them.
	piece, pieces = 50, 4
	// look is how many messages one snapshot looks through for the next.
	look = 5000
	// steadyFor is how long the time must have gone on as it should before anything
	// goes: at first, after a standstill and after a jump of the clock people have a
	// day to see what is about to happen.
	steadyFor = 24 * time.Hour
	// rest is the time between two transactions: others write as well.
	rest = 25 * time.Millisecond
)

// Policy says for how long what is kept.
type Policy struct {
	Messages  time.Duration // after a message has ended it is moved; 0: never
	Callbacks time.Duration // after a callback came it is removed; 0: never
}

// Config says what to work with.
type Config struct {
	DB     *store.DB
	Policy func() Policy // asked at every pass
	Log    *slog.Logger
}

// Stats counts what was done since the start.
type Stats struct{ Moved, Callbacks atomic.Int64 }

// Retention moves and removes.
type Retention struct {
	Stats
	cfg Config
}

// New makes one.
func New(cfg Config) *Retention {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Retention{cfg: cfg}
}

// Run goes through what has grown old every hour, until ctx ends.
func (r *Retention) Run(ctx context.Context) error {
	for {
		if err := r.Pass(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.Error("messages that ended long ago could not be moved; trying again in an hour", "error", err)
		}
		if !sleep(ctx, runEvery) {
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Pass goes through it once.
func (r *Retention) Pass(ctx context.Context) error {
	var wait bool
	err := r.cfg.DB.Read(ctx, func(q *store.Snap) error {
		alerts, err := guard.Alerts(q)
		wait = len(alerts) > 0
		return err
	})
	if err != nil || wait {
		return err
	}
	err = r.turn(ctx, func(tx *store.Tx) error {
		steady, err := outbox.Look(tx)
		wait = steady < steadyFor
		return err
	})
	if err != nil || wait {
		return err
	}
	moved, removed := r.Moved.Load(), r.Callbacks.Load()
	p := r.cfg.Policy()
	if p.Callbacks > 0 {
		if err := r.callbacks(ctx, p); err != nil {
			return err
		}
	}
	if err := r.messages(ctx, p); err != nil {
		return err
	}
	if moved, removed = r.Moved.Load()-moved, r.Callbacks.Load()-removed; moved+removed > 0 {
		r.cfg.Log.Info("what ended long ago was put away", "messages", moved, "callbacks", removed)
	}
	return nil
}

// messages moves those that ended long enough ago. The last transaction notes
// that all were looked at.
func (r *Retention) messages(ctx context.Context, p Policy) error {
	for after, more := int64(0), true; more; {
		var id, next int64
		if p.Messages > 0 {
			err := r.cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
				id, next, err = outbox.NextOver(q, after, q.Now().Add(-p.Messages), look)
				return err
			})
			if err != nil {
				return err
			}
		}
		if id == 0 && next > 0 {
			after = next
			continue
		}
		more = id > 0
		var moved int64
		err := r.turn(ctx, func(tx *store.Tx) (err error) {
			if moved = 0; more {
				moved, after, err = p.move(tx, id)
			} else {
				err = outbox.Ran(tx)
			}
			return err
		})
		if err != nil {
			return err
		}
		r.Moved.Add(moved)
		if more && !sleep(ctx, rest) {
			return ctx.Err()
		}
	}
	return nil
}

// turn is one transaction.
func (r *Retention) turn(ctx context.Context, fn func(tx *store.Tx) error) error {
	err := r.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return failpoint.Err("retention.turn.commit")
	})
	if err == nil {
		failpoint.Hit("retention.turn.committed")
	}
	return err
}

// move is the work of one transaction: some pieces from a message on, until
// somebody else has to write.
func (p Policy) move(tx *store.Tx, from int64) (moved, last int64, err error) {
	last = from - 1
	for range pieces {
		n, to, err := outbox.Retire(tx, last+1, tx.Now().Add(-p.Messages), piece)
		if err != nil {
			return 0, 0, err
		}
		moved, last = moved+n, max(last, to)
		if n == 0 || tx.Hurry() {
			break
		}
	}
	return moved, last, nil
}

// callbacks removes those that were applied long enough ago.
func (r *Retention) callbacks(ctx context.Context, p Policy) error {
	for after, more := int64(0), true; more; {
		removed := int64(0)
		err := r.cfg.DB.Bulk(ctx, func(tx *store.Tx) (err error) {
			removed, after, more, err = intake.Remove(tx, after, tx.Now().Add(-p.Callbacks), piece)
			return err
		})
		if err != nil {
			return err
		}
		r.Callbacks.Add(removed)
		if more && !sleep(ctx, rest) {
			return ctx.Err()
		}
	}
	return nil
}
