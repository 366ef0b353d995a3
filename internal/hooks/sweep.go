package hooks

import (
	"context"
	"time"

	"janela/internal/store"
)

// sweepEvery is how often what nobody waits for is looked at: deliveries whose
// time is over, also of targets that are paused or no longer configured, and
// dead ones that were kept long enough.
const sweepEvery = time.Minute

var (
	sqlTargets = store.SQL(`SELECT name FROM hook_targets ORDER BY name`)
	sqlOverdue = store.SQL(`SELECT ` + deliveryColumns + ` FROM hook_deliveries
		WHERE target = ?1 AND state <> 'dead' AND state <> 'sending' AND deadline <= ?2 ORDER BY deadline, id LIMIT ?3`)
	sqlKept = store.SQL(`SELECT ` + deliveryColumns + ` FROM hook_deliveries
		WHERE target = ?1 AND state = 'dead' AND ended_at <= ?2 ORDER BY ended_at, id LIMIT ?3`)
)

// sweepAll sweeps now and every minute until ctx ends.
func (h *Hooks) sweepAll(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for h.insist(ctx, "old webhooks could not be swept", h.sweep) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep gives up what is overdue and removes what was kept long enough, at most
// batch rows a transaction.
func (h *Hooks) sweep(ctx context.Context) error {
	overdue, kept, err := h.due(ctx)
	if err != nil {
		return err
	}
	for _, name := range overdue {
		if w := h.worker(name); w != nil && w.target().Mode == Stream {
			if _, err := h.sweepOne(ctx, name, func(tx *store.Tx) (int, error) {
				return each(tx, sqlOverdue, name, store.Millis(tx.Now()), func(r *delivery) (bool, error) { return removeRead(tx, r) })
			}); err != nil {
				return err
			}
			continue
		}
		died, err := h.sweepOne(ctx, name, func(tx *store.Tx) (int, error) { return expire(tx, name) })
		if err != nil {
			return err
		}
		if died > 0 {
			h.cfg.Log.Error("webhooks were given up after their time; janela keeps them for a while", "target", name, "deliveries", died)
			if w := h.worker(name); w != nil {
				w.stats.dead.Add(int64(died))
			}
		}
	}
	for _, name := range kept {
		if _, err := h.sweepOne(ctx, name, func(tx *store.Tx) (int, error) { return forget(tx, name, tx.Now().Add(-h.cfg.Keep)) }); err != nil {
			return err
		}
	}
	return nil
}

// due names the targets that have something to sweep, without writing: mostly
// there is none.
func (h *Hooks) due(ctx context.Context) (overdue, kept []string, err error) {
	err = h.cfg.DB.Read(ctx, func(s *store.Snap) error {
		names, err := store.All[store.Col[string]](s, sqlTargets)
		if err != nil {
			return err
		}
		for _, name := range names {
			_, some, err := store.Get[delivery](s, sqlOverdue, name.V, store.Millis(s.Now()), 1)
			if err != nil {
				return err
			}
			if some {
				overdue = append(overdue, name.V)
			}
			if _, some, err = store.Get[delivery](s, sqlKept, name.V, store.Millis(s.Now().Add(-h.cfg.Keep)), 1); err != nil {
				return err
			}
			if some {
				kept = append(kept, name.V)
			}
		}
		return nil
	})
	return overdue, kept, err
}

// sweepOne runs fn in a transaction of its own until it finds no more.
func (h *Hooks) sweepOne(ctx context.Context, target string, fn func(*store.Tx) (int, error)) (total int, err error) {
	for n := 1; n > 0; total += n {
		err := h.cfg.DB.Bulk(ctx, func(tx *store.Tx) (err error) {
			if n, err = fn(tx); n > 0 {
				tx.Wake(topicOf(target)) // those behind may go now
			}
			return err
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// expire gives up deliveries whose deadline has passed.
func expire(tx *store.Tx, target string) (int, error) {
	return each(tx, sqlOverdue, target, store.Millis(tx.Now()), func(r *delivery) (bool, error) { return kill(tx, r) })
}

// forget removes dead deliveries that ended at or before then.
func forget(tx *store.Tx, target string, then time.Time) (int, error) {
	return each(tx, sqlKept, target, store.Millis(then), func(r *delivery) (bool, error) { return remove(tx, r, sqlForgot) })
}

func each(tx *store.Tx, of *store.Stmt, target string, until int64, fn func(*delivery) (bool, error)) (n int, err error) {
	all, err := store.All[delivery](tx, of, target, until, batch)
	if err != nil {
		return 0, err
	}
	for i := range all {
		ok, err := fn(&all[i])
		if err != nil {
			return 0, err
		}
		if ok {
			n++
		}
	}
	return n, nil
}

func (h *Hooks) worker(name string) *worker {
	for _, w := range h.all() {
		if w.target().Name == name {
			return w
		}
	}
	return nil
}
