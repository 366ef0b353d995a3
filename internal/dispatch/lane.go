package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/failpoint"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// lane is one of the three loops.
type lane struct {
	d     *Dispatcher
	lane  whatsapp.Lane
	slots chan struct{} // one per request in flight
	wg    sync.WaitGroup
	// ctx ends when the daemon stops: a ticket that has not begun by then goes
	// back. sendCtx ends when a request must give up.
	ctx, sendCtx context.Context

	own     map[int64]*bucket // streams that have a rate of their own
	streaks map[int64]streak  // by stream: errors in a row
	scans   map[scanKey]*scan // streams that wait for the messaging limit
	fresh   bool              // the limit was looked at for this turn
	turns   int               // rotates the order of streams
	got     int               // results since then
	since   time.Time         // when it was last reckoned how fast they come

	spare worked // for the next turn

	turning atomic.Pointer[time.Time] // since when it is in a turn; nil: it is in none

	mu      sync.Mutex
	results []result
	waiting map[string]int // tickets handed out whose request has not begun, per number
	flying  int            // tickets without a settled result
	most    int            // of flying, by how fast answers came lately
	hungry  bool           // more could be claimed than most allows
	done    chan struct{}  // capacity 1: a result is there
}

func newLane(d *Dispatcher, l whatsapp.Lane) *lane {
	return &lane{d: d, lane: l, slots: make(chan struct{}, d.cfg.Senders), own: map[int64]*bucket{}, streaks: map[int64]streak{}, scans: map[scanKey]*scan{},
		waiting: map[string]int{}, done: make(chan struct{}, 1), most: 2 * d.cfg.Senders}
}

// idle is how long a loop sleeps when nothing is due and nothing wakes it: a
// safety net, since every change wakes its lane.
const idle = time.Minute

func (l *lane) run(ctx context.Context) {
	wakes := l.d.cfg.DB.Wakes(outbox.Topic(l.lane))
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l.ctx, l.sendCtx = ctx, sendCtx
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time // when the next turn begins, whatever comes
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-wakes:
		case <-l.done:
			if !l.ripe() {
				timer.Reset(min(gather, max(time.Until(due), 0)))
				continue
			}
		case <-timer.C:
		}
		begun := time.Now()
		l.turning.Store(&begun)
		next, err := l.turn(ctx)
		l.turning.Store(nil)
		if err != nil && ctx.Err() == nil {
			l.d.cfg.Log.Error("a turn of the sender failed; trying again", "lane", l.lane, "error", err)
			next = time.Second
		}
		due = time.Now().Add(next)
		timer.Reset(next)
	}
	l.drain(cancel)
}

// drain waits for what is in flight, as long as the configuration allows, then
// gives the rest up as unknown, and settles all.
func (l *lane) drain(cancel context.CancelFunc) {
	timer := time.AfterFunc(l.d.live.Load().Drain, cancel)
	l.wg.Wait()
	timer.Stop()
	for tries := 1; ; {
		batch, _ := l.take()
		if len(batch) == 0 {
			return
		}
		judged := slices.Clone(batch)
		var now time.Time
		err := l.write(context.Background(), func(tx *store.Tx) (err error) {
			now = tx.Now()
			if err = l.settle(tx, judged); err != nil {
				return err
			}
			return failpoint.Err("dispatch.drain.commit")
		})
		if err == nil {
			failpoint.Hit("dispatch.drain.committed")
			l.after(batch)
			l.count(now, judged)
			continue
		}
		if errors.Is(err, store.ErrCrashed) {
			return
		}
		l.putBack(batch)
		if tries == lastTries {
			l.d.cfg.Log.Error("results of the last requests could not be written; their messages are unknown after the next start", "lane", l.lane, "error", err)
			return
		}
		tries++
		time.Sleep(time.Second)
	}
}

// lastTries is how often a stop tries to write the last results, a second
// apart: what is not written is unknown for ever.
const lastTries = 5

// write runs fn through the entrance of the lane: somebody waits for a code.
func (l *lane) write(ctx context.Context, fn func(*store.Tx) error) error {
	if l.lane == whatsapp.LaneAuthentication {
		return l.d.cfg.DB.Write(ctx, fn)
	}
	return l.d.cfg.DB.Bulk(ctx, fn)
}

// turn settles what has come in and claims what may leave, in one transaction,
// and says how long the loop may sleep.
func (l *lane) turn(ctx context.Context) (time.Duration, error) {
	batch, free := l.take()
	var judged []result
	var tickets []*ticket
	var next time.Duration
	var now time.Time
	if l.lane != whatsapp.LaneAuthentication {
		var err error
		if l.fresh, err = l.d.lookAtReach(ctx); err == nil {
			err = l.scanAll(ctx)
		}
		if err != nil {
			l.putBack(batch)
			return 0, err
		}
	}
	begun := time.Now() // before the transaction's Now: what is reckoned from it comes early rather than late
	err := l.write(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now()
		if judged, err = l.settleAll(tx, batch); err != nil {
			return err
		}
		if tickets, next, err = l.claim(tx, free-(len(batch)-len(judged))); err != nil {
			return err
		}
		return atCommit(judged, tickets)
	})
	if err != nil {
		l.unreached(now, tickets)
		l.putBack(batch)
		return 0, err
	}
	if len(judged) > 0 {
		failpoint.Hit("dispatch.settle.committed")
	}
	if len(tickets) > 0 {
		failpoint.Hit("dispatch.claim.committed")
	}
	l.putBack(batch[len(judged):])
	l.after(judged)
	l.count(now, judged)
	for _, t := range tickets {
		t.end = endOf(t.message.Deadline, t.closes, begun, now)
	}
	l.launch(tickets)
	l.reuse(batch, judged)
	return l.soon(next), nil
}

// atCommit is where a test breaks off a turn that is about to be written.
func atCommit(judged []result, tickets []*ticket) error {
	if len(judged) > 0 {
		if err := failpoint.Err("dispatch.settle.commit"); err != nil {
			return err
		}
	}
	if len(tickets) > 0 {
		return failpoint.Err("dispatch.claim.commit")
	}
	return nil
}

// chunk bounds what is settled, and what is claimed of one stream, between two
// looks whether somebody waits for the database: a login code waits for a
// campaign's transaction. Some milliseconds each.
const chunk = 100

// settleAll settles results until somebody waits, and returns those it settled.
func (l *lane) settleAll(tx *store.Tx, batch []result) (judged []result, err error) {
	judged = l.spare.judged[:0]
	for n := 0; n < len(batch) && (n == 0 || !l.hurry(tx)); n = len(judged) {
		judged = append(judged, batch[n:min(n+chunk, len(batch))]...)
		if err := l.settle(tx, judged[n:]); err != nil {
			return nil, err
		}
	}
	return judged, nil
}

// hurry says that the turn should end, because somebody waits. Nobody is to wait
// for more than a code.
func (l *lane) hurry(tx *store.Tx) bool { return l.lane != whatsapp.LaneAuthentication && tx.Hurry() }

// claim takes at most free messages, as the pacers and the streams' own rates
// allow. Streams take turns in being first, and take no more than a chunk each
// before the next one has its turn.
func (l *lane) claim(tx *store.Tx, free int) ([]*ticket, time.Duration, error) {
	open, opens, err := gate.Opens(tx, l.lane)
	if err != nil {
		return nil, 0, err
	}
	c := claiming{lane: l, tx: tx, now: time.Now(), taken: map[string]int{}, empty: map[int64]bool{}, waits: map[int64]time.Duration{}, free: free}
	l.turns++
	l.share(open, c.now)
	for before := -1; len(c.tickets) > before && (before < 0 || !l.hurry(tx)); {
		before = len(c.tickets)
		if err := c.round(open); err != nil {
			return c.tickets, 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hungry = c.free <= 0
	if l.hungry {
		return c.tickets, idle, nil // a result will wake the loop
	}
	sleep := idle
	if !opens.IsZero() {
		sleep = min(sleep, store.Takes(tx, max(opens.Sub(tx.Now()), 0)+time.Millisecond))
	}
	for _, wait := range c.waits {
		sleep = min(sleep, wait)
	}
	return c.tickets, sleep, nil
}

// claiming is one turn's claim.
type claiming struct {
	*lane
	tx      *store.Tx
	now     time.Time // pacing, not a decision about the message
	free    int
	taken   map[string]int          // by number
	empty   map[int64]bool          // streams that have nothing more
	waits   map[int64]time.Duration // when each stream should be looked at next
	tickets []*ticket
}

// round lets every stream claim a chunk.
func (c *claiming) round(open []gate.Open) error {
	for i := range open {
		o := open[(i+c.turns)%len(open)]
		if c.free <= 0 {
			return nil
		}
		if c.empty[o.ID] {
			continue
		}
		wait, err := c.from(o)
		if err != nil {
			return err
		}
		c.waits[o.ID] = wait
	}
	return nil
}

// from claims of one stream, and says when it should be looked at next.
func (c *claiming) from(o gate.Open) (time.Duration, error) {
	pacer := c.d.pacer(o, c.now)
	n := min(c.free, chunk, pacer.allowance(c.lane.lane, c.now)-c.waitingFor(o.Number)-c.taken[o.Number])
	own := c.limiter(o.Stream, c.tx.Now(), c.now)
	if own != nil {
		n = min(n, tokens(own, c.now))
	}
	if n <= 0 {
		return pause(pacer.lanes[c.lane.lane], own), nil
	}
	room, wait := c.room(o.Stream, c.tx.Now())
	wait = store.Takes(c.tx, wait)
	var ids []int64 // of messages to people who count already, where the limit lets nobody else through
	if room > 0 {
		n = min(n, room)
		c.notAll(o)
	} else {
		var again time.Duration
		ids, again = c.lane.free(o, n, c.now)
		if wait = min(wait, again); len(ids) == 0 {
			return wait, nil
		}
	}
	delayed := 0
	if c.lane.lane != whatsapp.LaneAuthentication {
		o.Turn = func(contact int64) time.Duration {
			d := pacer.turn(contact, c.now)
			if d > 0 {
				delayed++
			}
			return d
		}
	}
	claimed, out, err := gate.Claim(c.tx, o, n, ids...)
	if err != nil {
		return 0, err
	}
	if err := c.d.tell(c.tx, out); err != nil {
		return 0, err
	}
	shown, err := filesOf(c.tx, o.Stream, len(claimed))
	if err != nil {
		return 0, err
	}
	closes := o.Closes(c.tx.Now())
	tickets := make([]ticket, len(claimed))
	for i := range claimed {
		tickets[i] = ticket{message: &claimed[i], stream: &o.Stream, pacer: pacer, own: own, files: shown, closes: closes}
		c.tickets = append(c.tickets, &tickets[i])
	}
	if err := c.reached(c.tx, c.tickets[len(c.tickets)-len(claimed):]); err != nil {
		return 0, err
	}
	c.taken[o.Number] += len(claimed)
	c.free -= len(claimed)
	if own != nil && len(claimed) > 0 {
		own.take(c.now, len(claimed)) // charged also when the tokens are up to 100 ms away
	}
	if len(ids) > 0 {
		if len(claimed) < len(ids) {
			c.notAll(o)
		}
		return wait, nil
	}
	if delayed > 0 { // others of the stream may leave in their place
		return time.Millisecond, nil
	}
	if len(claimed) == n && n == chunk {
		return pause(pacer.lanes[c.lane.lane], own), nil // there is more
	}
	c.empty[o.ID] = true
	return c.again(c.tx, o, len(out), pacer, own)
}

// again says when a stream that was just looked at should be looked at next.
func (l *lane) again(tx *store.Tx, o gate.Open, moved int, p *pacer, own *bucket) (time.Duration, error) {
	due, ok, err := outbox.NextDue(tx, o.ID)
	if err != nil || !ok {
		return idle, err
	}
	if wait := store.Time(due).Sub(tx.Now()); due > 0 && wait > 0 {
		return store.Takes(tx, wait+time.Millisecond), nil
	}
	if moved == 0 {
		return time.Second, nil // nothing moved although something is due: a hold came between
	}
	return pause(p.lanes[l.lane], own), nil
}

// limiter is the bucket of a stream that has a rate of its own; at is the
// transaction's Now, from which a ramp is reckoned.
func (l *lane) limiter(s outbox.Stream, at, now time.Time) *bucket {
	perSecond := s.Rate(at)
	if perSecond <= 0 {
		return nil
	}
	lim, ok := l.own[s.ID]
	if !ok {
		if len(l.own) > 1000 { // streams that ended; a fresh bucket costs one burst
			clear(l.own)
		}
		lim = limiter(perSecond)
		l.own[s.ID] = lim
	}
	lim.setRate(now, perSecond)
	return lim
}

func (l *lane) waitingFor(number string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[number]
}
