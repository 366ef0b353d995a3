package dispatch

import (
	"context"
	"fmt"
	"time"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// How often the limit is looked at, and the people are counted again while it
// is used up.
const (
	limitEvery = time.Second
	countEvery = time.Minute
)

// lookAtReach brings the limit up to date, and counts the people where that is
// due. Without codes nothing is kept for them.
func (d *Dispatcher) lookAtReach(ctx context.Context) error {
	r, now := &d.reach, time.Now()
	if d.cfg.Reveal == nil || !r.lookDue(now) {
		return nil
	}
	err := d.cfg.DB.Read(ctx, func(q *store.Snap) error {
		numbers, err := account.Numbers(q)
		if err != nil {
			return err
		}
		limit := limitOf(numbers)
		if !r.countDue(limit, now) {
			return nil
		}
		until := map[int64]int64{}
		if err := conversations.Reached(q, func(root, expires int64) { until[root] = max(until[root], expires) }); err != nil {
			return err
		}
		r.recount(limit, store.Millis(q.Now()), until)
		return nil
	})
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.looked, r.counted = time.Time{}, time.Time{}
		return fmt.Errorf("dispatch: count the people within the messaging limit: %w", err)
	}
	return nil
}

func (r *reach) lookDue(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.looked.IsZero() && now.Sub(r.looked) < limitEvery {
		return false
	}
	r.looked = now
	return true
}

// countDue says whether the people must be counted for a limit; if not, the
// limit holds at once.
func (r *reach) countDue(limit int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case limit == 0:
		r.limit, r.people, r.full, r.counted = 0, map[int64]person{}, false, time.Time{}
		return false
	case r.counted.IsZero() || r.full && now.Sub(r.counted) >= countEvery:
		r.counted = now
		return true
	default:
		r.limit = limit
		return false
	}
}

var sqlRoot = store.SQL(`SELECT root FROM contacts WHERE id = ?1`)

// bounded reports whether messages of a stream wait when the limit is used up:
// free-form replies go only to those who wrote to us, whom it does not count.
func (l *lane) bounded(s outbox.Stream) bool {
	return l.lane != whatsapp.LaneAuthentication && s.Category != whatsapp.Service && !s.DryRun
}

// room is how many messages of a stream the messaging limit allows now; if
// none, how long the stream waits.
func (l *lane) room(s outbox.Stream, now time.Time) (n int, wait time.Duration) {
	if !l.bounded(s) {
		return chunk, 0
	}
	n, next := l.d.reach.left(store.Millis(now))
	if n > 0 {
		return n, 0
	}
	if l.d.reach.warn(store.Millis(now)) {
		at := l.d.Reach(now)
		l.d.cfg.Log.Warn("the messaging limit is used up but for what is kept for codes; campaigns and notices wait",
			"people", at.People, "limit", at.Limit, "kept", at.Reserve, "until", at.Opens)
	}
	return 0, store.Time(next).Sub(now)
}

// warn is true once a day at most: at the limit somebody leaves, and another
// comes, all the time.
func (r *reach) warn(now int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.warned > 0 && now-r.warned < conversations.Length.Milliseconds() {
		return false
	}
	r.warned = now
	return true
}

// reached counts the recipients of tickets just claimed.
func (l *lane) reached(tx *store.Tx, tickets []ticket) error {
	if !l.d.reach.known() {
		return nil
	}
	var roots []int64
	for i := range tickets {
		t := &tickets[i]
		if t.stream.Category == whatsapp.Service || t.message.Contact == 0 {
			continue
		}
		root, ok, err := store.Value[int64](tx, sqlRoot, t.message.Contact)
		if err != nil {
			return err
		}
		if ok {
			t.root = root
			roots = append(roots, root)
		}
	}
	l.d.reach.claim(store.Millis(tx.Now()), roots)
	return nil
}

func (r *reach) known() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limit > 0
}

// unreached takes back tickets whose claim was not written.
func (l *lane) unreached(now time.Time, tickets []ticket) {
	for _, t := range tickets {
		if t.root > 0 {
			l.d.reach.settle(store.Millis(now), t.root, outbox.Queued)
		}
	}
}
