package intake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp/webhook"
)

type callback struct {
	ID   int64
	At   int64
	Body []byte
}

// Fields names the places of sqlStored.
func (c *callback) Fields() []any { return []any{&c.ID, &c.At, &c.Body} }

var (
	sqlStored  = store.SQL(`SELECT id, received_at, body FROM callbacks WHERE state = 'stored' ORDER BY id LIMIT 50`)
	sqlApplied = store.SQL(`UPDATE callbacks SET state = ?2, note = ?3, applied_at = ?4 WHERE id = ?1 AND state = 'stored'`)
	// sqlUnderstood is sqlApplied for callbacks of which there is nothing to note.
	sqlUnderstood = store.SQLMany(`UPDATE callbacks SET state = 'applied', note = '', applied_at = ?1 WHERE id IN ({rows}) AND state = 'stored'`, `?r1`)
)

// Run applies stored callbacks until ctx ends.
func (in *Intake) Run(ctx context.Context) error {
	wakes := in.cfg.DB.Wakes(storedTopic)
	in.running.Store(true)
	defer in.running.Store(false)
	if err := in.retryOnce(ctx); err != nil && ctx.Err() == nil {
		in.cfg.Log.Error("what an earlier version could not apply could not be looked at; the next start tries again", "error", err)
	}
	for {
		n, err := in.applyStored(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			in.cfg.Log.Error("callbacks could not be applied; trying again", "error", err)
			if !sleep(ctx, time.Second) {
				return nil
			}
		case n == 0:
			select {
			case <-ctx.Done():
				return nil
			case <-wakes:
			}
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

// job is one callback and what it tells.
type job struct {
	callback
	events []webhook.Event
	said   []said // what each of them asks for
	err    error  // the body cannot be read
}

// perTurn bounds the events of one transaction to some ten milliseconds: who
// asks for a code, or sends one, waits for it. Meta puts up to 1,000 into one
// callback, and after an outage thousands of callbacks come at once.
const perTurn = 100

// applyStored applies the next callbacks and returns how many there were. Small
// ones go together in one transaction; if it fails, each alone, so that the one
// that cannot be applied is set aside and the others are not lost.
func (in *Intake) applyStored(ctx context.Context) (int, error) {
	var batch []callback
	err := in.cfg.DB.Read(ctx, func(s *store.Snap) error {
		var err error
		batch, err = store.All[callback](s, sqlStored)
		return err
	})
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	jobs := make([]job, len(batch))
	for i, c := range batch { // reading takes as long as applying: not in a transaction
		jobs[i].callback = c
		jobs[i].events, jobs[i].err = webhook.Decode(c.Body)
		jobs[i].said = in.listen(jobs[i].events)
	}
	for rest := jobs; len(rest) > 0; {
		n, size := 1, len(rest[0].events)
		for n < len(rest) && size+len(rest[n].events) <= perTurn {
			size += len(rest[n].events)
			n++
		}
		if err := in.applyGroup(ctx, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(batch), nil
}

// applyGroup applies callbacks together, else each alone. Its error is one
// after which the same should be tried again.
func (in *Intake) applyGroup(ctx context.Context, group []job) error {
	if in.applyAll(ctx, group) == nil {
		return nil
	}
	for i := range group {
		err := in.applyAll(ctx, group[i:i+1])
		if err == nil {
			continue
		}
		if ctx.Err() != nil || store.Passing(err) { // not the callback's fault: it may hold a STOP
			return err
		}
		if err := in.setAside(ctx, group[i].ID, err); err != nil {
			return err
		}
	}
	return nil
}

// applyAll applies callbacks in one transaction, or a single one that is too
// long for that in several. Should they break off, it begins anew: what a
// callback tells are facts, and hearing one again changes nothing.
func (in *Intake) applyAll(ctx context.Context, group []job) error {
	var notes []string
	for from := 0; ; from += perTurn {
		last := len(group) > 1 || from+perTurn >= len(group[0].events)
		unknown := 0
		err := in.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
			if err := in.hear(tx, group); err != nil {
				return err
			}
			seen := in.statuses(tx)
			understood := make([]int64, 0, len(group))
			for _, j := range group {
				strange, err := in.apply(tx, seen, j, from)
				if err != nil {
					return err
				}
				unknown += len(strange)
				notes = append(notes, strange...)
				if !last {
					continue
				}
				if len(notes) == 0 {
					understood = append(understood, j.ID)
					continue
				}
				if err := tx.One(sqlApplied, j.ID, "applied", strings.Join(notes, "; "), store.Millis(tx.Now())); err != nil {
					return err
				}
				notes = nil
			}
			if err := seen.write(); err != nil {
				return err
			}
			n, err := tx.ExecMany(sqlUnderstood, len(understood), func(i int, args []any) []any { return append(args, understood[i]) }, store.Millis(tx.Now()))
			if err != nil {
				return err
			}
			if n != int64(len(understood)) {
				return fmt.Errorf("%w: %d of %d callbacks were stored", store.ErrLost, n, len(understood))
			}
			return applying()
		})
		if err != nil {
			return err
		}
		applied()
		in.Stats.UnknownEvents.Add(int64(unknown)) // what was rolled back comes again
		if last {
			in.Stats.Applied.Add(int64(len(group)))
			return nil
		}
	}
}

// apply brings the events of a callback from one on into the ledgers, at most
// perTurn, and says which it did not understand. What a person wants comes
// first: a STOP in a callback forbids whatever else the callback may set going.
// Statuses gather in seen, and are written before anything else is applied.
func (in *Intake) apply(tx *store.Tx, seen *statusBatch, j job, from int) (strange []string, err error) {
	if j.err != nil {
		return nil, fmt.Errorf("the body cannot be read: %w", j.err)
	}
	if from == 0 {
		for i, e := range j.events {
			if _, ok := e.(webhook.Status); ok {
				continue // which asks for nothing
			}
			if err := seen.write(); err != nil {
				return nil, err
			}
			why, err := in.applyWish(tx, e, j.said[i])
			if err != nil {
				return nil, err
			}
			if why != "" {
				strange = append(strange, why)
			}
		}
	}
	for _, e := range j.events[from:min(from+perTurn, len(j.events))] {
		if s, ok := e.(webhook.Status); ok {
			if err := seen.apply(s); err != nil {
				return nil, err
			}
			continue
		}
		if err := seen.write(); err != nil {
			return nil, err
		}
		why, err := in.applyEvent(tx, e)
		if err != nil {
			return nil, err
		}
		if why != "" {
			strange = append(strange, why)
		}
	}
	return strange, nil
}

// setAside keeps a callback that cannot be applied, with the reason.
func (in *Intake) setAside(ctx context.Context, id int64, cause error) error {
	in.cfg.Log.Error("a callback cannot be applied; it is kept with state failed", "callback", id, "error", cause)
	in.Stats.Failed.Add(1)
	return in.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		return tx.One(sqlApplied, id, "failed", cause.Error(), store.Millis(tx.Now()))
	})
}
