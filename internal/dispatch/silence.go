package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"janela/internal/account"
	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Policy says what becomes of utility messages of which nothing is heard.
// Marketing is never sent again by a machine, and codes have a rule of their own.
type Policy struct {
	// ResendAfter is how long after an outcome became unknown the message goes
	// out once more; 0: never. Only while its deadline allows, and only if news of
	// messages that were claimed later on its number have come.
	ResendAfter time.Duration
	// ResendExpired: what outlived the time to live that its template sets goes
	// out once more while its deadline allows.
	ResendExpired bool
}

const (
	// sweepEvery is how often deadlines and unknown messages are looked at.
	sweepEvery = 30 * time.Second
	// silenceEvery is how often it is asked what has outlived its time to live.
	silenceEvery = 5 * time.Minute
	// sweepBatch bounds the messages of one transaction.
	sweepBatch = 200
	// silenceSlack is what Meta, the telephone and the callback are given beyond a
	// message's time to live.
	silenceSlack = 15 * time.Minute
	// longestTTL is the time to live of what sets none (Meta: time-to-live;
	// of codes 10 minutes, but 30 days in templates from before 23 October 2024,
	// and a template does not say how old it is).
	longestTTL = 30 * 24 * time.Hour
	// walkPiece is how many messages of a run are looked at in one go, and
	// walkEvery how long a run that was walked may rest.
	walkPiece = 2000
	walkEvery = 6 * time.Hour
	// longestOwnTTL is the most that a utility template can set.
	longestOwnTTL = 12 * time.Hour
)

// Sweep does what time alone brings, until ctx ends: it expires queued messages
// whose deadline has passed (those of held streams are met by no claim), sends
// unknown ones again where the policy says so, and presumes to have expired what
// outlived its time to live in silence.
func (d *Dispatcher) Sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	jumps := d.cfg.DB.Wakes(store.JumpTopic)
	for n := 0; ; n++ {
		err := d.batches(ctx, d.expire)
		if d.live.Load().Policy.ResendAfter > 0 {
			err = errors.Join(err, d.batches(ctx, d.resend))
		}
		if n%int(silenceEvery/sweepEvery) == 0 {
			err = errors.Join(err, d.presume(ctx))
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			d.cfg.Log.Error("what time brings could not be written; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-jumps:
		}
	}
}

// batches runs fn in transactions of their own until one does less than a whole
// batch.
func (d *Dispatcher) batches(ctx context.Context, fn func(*store.Tx) (int, error)) error {
	for n := sweepBatch; n == sweepBatch; {
		err := d.cfg.DB.Bulk(ctx, func(tx *store.Tx) (err error) { n, err = fn(tx); return err })
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Dispatcher) expire(tx *store.Tx) (int, error) {
	out, err := outbox.Expire(tx, sweepBatch)
	if err != nil {
		return 0, err
	}
	if err := d.tell(tx, out); err != nil {
		return 0, err
	}
	return len(out), failpoint.Err("dispatch.expire.commit")
}

// resend queues unknown utility messages once more.
func (d *Dispatcher) resend(tx *store.Tx) (int, error) {
	rows, err := outbox.Unanswered(tx, d.live.Load().Policy.ResendAfter, sweepBatch)
	if err != nil {
		return 0, err
	}
	return len(rows), d.again(tx, rows)
}

// again queues messages a second time and notes each in the audit log.
func (d *Dispatcher) again(tx *store.Tx, rows []outbox.Message) error {
	for _, m := range rows {
		out, err := outbox.Again(tx, m, "janela")
		if err != nil {
			return err
		}
		if d.cfg.Note != nil {
			if err := d.cfg.Note(tx, "resend", "message "+strconv.FormatInt(m.ID, 10), string(m.State)+" "+m.Reason, "queued again, by policy"); err != nil {
				return err
			}
		}
		if err := d.tell(tx, out); err != nil {
			return err
		}
	}
	return nil
}

// presume ends what outlived its time to live in silence, stream by stream.
func (d *Dispatcher) presume(ctx context.Context) error {
	var silent []outbox.SilentStream
	err := d.cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
		silent, err = outbox.SilentStreams(q)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range silent {
		if s.Run > 0 {
			err = d.presumeOfRun(ctx, s)
		} else {
			err = d.presumeSingle(ctx, s.Stream)
		}
		if err != nil {
			return err
		}
	}
	maps.DeleteFunc(d.walked, func(id int64, _ time.Time) bool {
		return !slices.ContainsFunc(silent, func(s outbox.SilentStream) bool { return s.ID == id })
	})
	return nil
}

// presumeSingle does it for a stream of single messages.
func (d *Dispatcher) presumeSingle(ctx context.Context, s outbox.Stream) error {
	var some []outbox.Message
	look := func(q store.Querier, limit int) error {
		before, ok, err := overdue(q, s)
		if err == nil && ok {
			some, err = outbox.Silent(q, s.ID, before, limit)
		}
		return err
	}
	if err := d.cfg.DB.Read(ctx, func(q *store.Snap) error { return look(q, 1) }); err != nil || len(some) == 0 {
		return err
	}
	return d.batches(ctx, func(tx *store.Tx) (int, error) {
		if err := look(tx, sweepBatch); err != nil {
			return 0, err
		}
		return len(some), d.giveUp(tx, s, some)
	})
}

// presumeOfRun walks a run's messages, a piece at a time, once its oldest may
// have outlived its time; and again only after a while.
func (d *Dispatcher) presumeOfRun(ctx context.Context, s outbox.SilentStream) error {
	var now, due time.Time
	err := d.cfg.DB.Read(ctx, func(q *store.Snap) error {
		ttl, _, err := ttlOf(q, s.Stream)
		now, due = q.Now(), store.Time(s.CreatedAt).Add(ttl+silenceSlack)
		if again := d.walked[s.ID]; !again.IsZero() {
			due = again.Add(min(max(ttl/10, silenceEvery), walkEvery))
		}
		return err
	})
	if err != nil || now.Before(due) {
		return err
	}
	for after := int64(0); ; {
		var some []outbox.Message
		next, heard := int64(0), false
		look := func(q store.Querier) error {
			before, ok, err := overdue(q, s.Stream)
			if heard = ok; err == nil && ok {
				some, next, err = outbox.SilentOfRun(q, s.Run, after, before, walkPiece, sweepBatch)
			}
			return err
		}
		err := d.cfg.DB.Read(ctx, func(q *store.Snap) error { return look(q) })
		if err == nil && len(some) > 0 {
			err = d.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
				if err := look(tx); err != nil {
					return err
				}
				return d.giveUp(tx, s.Stream, some)
			})
		}
		switch {
		case err != nil || !heard:
			return err
		case next == 0:
			d.walked[s.ID] = now
			return nil
		case len(some) < sweepBatch:
			after = next
		}
	}
}

// giveUp presumes messages to have expired, and where the policy says so lets
// them go out once more.
func (d *Dispatcher) giveUp(tx *store.Tx, s outbox.Stream, rows []outbox.Message) error {
	out, err := outbox.PresumeExpired(tx, rows)
	if err != nil {
		return err
	}
	if err := d.tell(tx, out); err != nil {
		return err
	}
	ttl, own, err := ttlOf(tx, s)
	if err != nil || !d.live.Load().Policy.ResendExpired || s.Category != whatsapp.Utility || !own || ttl > longestOwnTTL {
		return err
	}
	var again []outbox.Message
	for _, m := range rows {
		_, before, err := outbox.ResendOf(tx, m.ID)
		if err != nil {
			return err
		}
		if !before && !m.Held && (m.Deadline == 0 || m.Deadline > store.Millis(tx.Now())) {
			m.State = outbox.PresumedExpired
			again = append(again, m)
		}
	}
	return d.again(tx, again)
}

// overdue says which messages of a stream have outlived their time to live, with
// some slack. Silence proves it only if news have come of a message that was
// claimed after that time was over: ok is false when none ever came. What Meta
// held back may have begun to live late.
func overdue(q store.Querier, s outbox.Stream) (b outbox.Before, ok bool, err error) {
	end, err := outbox.Watermark(q, s.Number)
	if err != nil || end.IsZero() {
		return b, false, err
	}
	ttl, _, err := ttlOf(q, s)
	if slack := q.Now().Add(-silenceSlack); slack.Before(end) {
		end = slack
	}
	return outbox.Before{Claimed: end.Add(-ttl), Held: end.Add(-longestTTL)}, true, err
}

// ttlOf returns how long Meta tries to deliver a stream's messages; own says
// that its template sets it.
func ttlOf(q store.Querier, s outbox.Stream) (ttl time.Duration, own bool, err error) {
	if s.Template == "" {
		return longestTTL, false, nil
	}
	t, ok, err := account.Lookup(q, s.Ref())
	if err != nil || !ok || t.TTLSeconds <= 0 {
		return longestTTL, false, err
	}
	return min(time.Duration(t.TTLSeconds)*time.Second, longestTTL), true, nil
}
