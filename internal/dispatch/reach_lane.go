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

// How often the limit is looked at, and the people are counted again: what
// nobody tells us of (two contacts that are one person) is found so.
const (
	limitEvery = time.Second
	countEvery = time.Hour
)

// lookAtReach brings the limit up to date, and counts the people where that is
// due. fresh is false when it was looked at a moment ago.
func (d *Dispatcher) lookAtReach(ctx context.Context) (fresh bool, err error) {
	r, now := &d.reach, time.Now()
	if !r.lookDue(now) {
		return false, nil
	}
	err = d.cfg.DB.Read(ctx, func(q *store.Snap) error {
		numbers, err := account.Numbers(q)
		if err != nil {
			return err
		}
		limit := limitOf(numbers)
		if !r.countDue(limit, now) {
			return nil
		}
		var all []conversations.Person
		if err := conversations.Reached(q, Counted, func(p conversations.Person) { all = append(all, p) }); err != nil {
			return err
		}
		r.recount(limit, store.Millis(q.Now()), all)
		return nil
	})
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.looked, r.counted = time.Time{}, time.Time{}
		return false, fmt.Errorf("dispatch: count the people within the messaging limit: %w", err)
	}
	return true, nil
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
		r.forget()
		return false
	case r.counted.IsZero() || now.Sub(r.counted) >= countEvery:
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
	n, next := l.d.reach.left(store.Millis(now), l.lane)
	if n > 0 {
		return n, 0
	}
	if l.d.reach.warn(store.Millis(now)) {
		l.d.cfg.Log.Warn("the messaging limit is used up: "+l.d.Reach(now).String(), "lane", l.lane)
	}
	if wait = store.Time(next).Sub(now); !l.fresh { // a new limit may wait to be seen
		wait = min(wait, limitEvery)
	}
	return 0, wait
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
func (l *lane) reached(tx *store.Tx, tickets []*ticket) error {
	if !l.d.reach.known() {
		return nil
	}
	var roots []int64
	for _, t := range tickets {
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
	l.d.reach.claim(store.Millis(tx.Now()), l.lane, roots)
	return nil
}

// unreached takes back tickets whose claim was not written.
func (l *lane) unreached(now time.Time, tickets []*ticket) {
	for _, t := range tickets {
		if t.root > 0 {
			l.d.reach.settle(store.Millis(now), t.root, outbox.Queued)
		}
	}
}

// Outcomes hears what statuses say of messages, in the transaction in which they
// are applied: what was not delivered does not count within the messaging limit,
// and what was delivered late counts from then. What sends themselves came to,
// Run knows.
func (d *Dispatcher) Outcomes(tx *store.Tx, out []outbox.Outcome) error {
	if !d.reach.known() {
		return nil
	}
	freed := false
	for _, o := range out {
		if o.From == outbox.Sending || o.From == outbox.Queued || o.Contact == 0 || o.Category == whatsapp.Service {
			continue
		}
		var err error
		switch o.To {
		case outbox.Failed, outbox.PresumedExpired:
			freed = true
			err = d.heard(tx, o.Contact, o.Category, true)
		case outbox.Sent, outbox.Delivered, outbox.Read:
			err = d.heard(tx, o.Contact, o.Category, false)
		}
		if err != nil {
			return err
		}
	}
	if freed { // somebody who waits may have room now
		tx.Wake(outbox.Topic(whatsapp.LaneUtility))
		tx.Wake(outbox.Topic(whatsapp.LaneMarketing))
	}
	return nil
}

// Heard hears that somebody else sent a message of a category to a contact from
// one of our numbers.
func (d *Dispatcher) Heard(tx *store.Tx, contact int64, c whatsapp.Category) error {
	if !d.reach.known() || c == "" || c == whatsapp.Service {
		return nil
	}
	return d.heard(tx, contact, c, false)
}

// Waits says whether a message of a stream to a contact waits for the messaging
// limit, and until when it does at least.
func (d *Dispatcher) Waits(q store.Querier, s outbox.Stream, contact int64) (until time.Time, wait bool, err error) {
	if s.Lane == whatsapp.LaneAuthentication || s.Category == whatsapp.Service || s.DryRun {
		return until, false, nil
	}
	now := store.Millis(q.Now())
	n, next := d.reach.left(now, s.Lane)
	if n > 0 {
		return until, false, nil
	}
	root, ok, err := store.Value[int64](q, sqlRoot, contact)
	if err != nil || !ok || d.reach.counts(now, root) {
		return until, false, err
	}
	return store.Time(next), true, nil
}

// heard asks the messages when a person last began to count, where that can
// differ from what is known.
func (d *Dispatcher) heard(tx *store.Tx, contact int64, c whatsapp.Category, less bool) error {
	now := store.Millis(tx.Now())
	root, ok, err := store.Value[int64](tx, sqlRoot, contact)
	if err != nil || !ok || !less && !d.reach.later(now, root) {
		return err
	}
	last, err := conversations.ReachedAt(tx, root, Counted)
	if err == nil {
		d.reach.heard(now, root, last, c.Lane())
	}
	return err
}

// Tier says how far the messaging limit is used for messages of a category: how
// many people it allows (0: none is known), how many of them are kept for the
// lanes before, and who counts now, by the root of their contact, until when (ms).
// Before Run it asks the database.
func (d *Dispatcher) Tier(q store.Querier, c whatsapp.Category) (limit, kept int, counts map[int64]int64, err error) {
	r := &d.reach
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.looked.IsZero() {
		fresh := reach{codes: r.codes, people: map[int64]*person{}}
		numbers, err := account.Numbers(q)
		if err != nil || limitOf(numbers) == 0 {
			return 0, 0, nil, err
		}
		var all []conversations.Person
		if err := conversations.Reached(q, Counted, func(p conversations.Person) { all = append(all, p) }); err != nil {
			return 0, 0, nil, err
		}
		fresh.recount(limitOf(numbers), store.Millis(q.Now()), all)
		r = &fresh
	}
	if r.limit == 0 {
		return 0, 0, nil, nil
	}
	r.prune(store.Millis(q.Now()))
	counts = make(map[int64]int64, len(r.people))
	for root, p := range r.people {
		counts[root] = max(p.until, store.Millis(q.Now().Add(time.Millisecond)))
	}
	return r.limit, r.limit - len(r.people) - r.room(c.Lane()), counts, nil
}
