package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

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
	own   map[int64]*rate.Limiter // streams that have a rate of their own
	turns int                     // rotates the order of streams

	mu      sync.Mutex
	results []result
	waiting map[string]int // tickets handed out whose request has not begun, per number
	flying  int            // tickets without a result
	done    chan struct{}  // capacity 1: a result is there
}

func newLane(d *Dispatcher, l whatsapp.Lane) *lane {
	return &lane{d: d, lane: l, slots: make(chan struct{}, d.cfg.Senders), own: map[int64]*rate.Limiter{},
		waiting: map[string]int{}, done: make(chan struct{}, 1)}
}

// idle is how long a loop sleeps when nothing is due and nothing wakes it: a
// safety net, since every change wakes its lane.
const idle = time.Minute

func (l *lane) run(ctx context.Context) {
	wakes := l.d.cfg.DB.Wakes(outbox.Topic(l.lane))
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-wakes:
		case <-l.done:
		case <-timer.C:
		}
		next, err := l.turn(ctx, sendCtx)
		if err != nil && ctx.Err() == nil {
			l.d.cfg.Log.Error("a turn of the sender failed; trying again", "lane", l.lane, "error", err)
			next = time.Second
		}
		timer.Reset(next)
	}
	l.drain(cancel)
}

// drain waits for what is in flight, as long as the configuration allows, then
// gives the rest up as unknown, and settles all.
func (l *lane) drain(cancel context.CancelFunc) {
	timer := time.AfterFunc(l.d.cfg.Drain, cancel)
	l.wg.Wait()
	timer.Stop()
	for tries := 1; ; {
		batch := l.take(maxTurn)
		if len(batch) == 0 {
			return
		}
		var judged []result
		var now time.Time
		err := l.write(context.Background(), func(tx *store.Tx) (err error) {
			now = tx.Now()
			judged, err = l.settle(tx, batch)
			return err
		})
		if err == nil {
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
func (l *lane) turn(ctx, sendCtx context.Context) (time.Duration, error) {
	batch := l.take(maxTurn)
	var judged []result
	var tickets []ticket
	var next time.Duration
	var now time.Time
	if l.lane != whatsapp.LaneAuthentication {
		if err := l.d.lookAtReach(ctx); err != nil {
			l.putBack(batch)
			return 0, err
		}
	}
	begun := time.Now() // before the transaction's Now: what is reckoned from it comes early rather than late
	err := l.write(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now()
		if judged, err = l.settle(tx, batch); err != nil {
			return err
		}
		tickets, next, err = l.claim(tx, l.inFlight()-len(batch))
		return err
	})
	if err != nil {
		l.unreached(now, tickets)
		l.putBack(batch)
		return 0, err
	}
	l.after(batch)
	l.count(now, judged)
	for _, t := range tickets {
		if d := t.message.Deadline; d > 0 { // Now is cut to milliseconds
			t.until = begun.Add(store.Time(d).Sub(now) - time.Millisecond)
		}
		l.launch(ctx, sendCtx, t)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.results) > 0 {
		next = 0
	}
	return next, nil
}

// maxTurn bounds the results, and the claims, of one turn to some ten
// milliseconds each: a login code waits for a campaign's transaction.
const maxTurn = 100

// claim takes what the pacers, the streams' own rates and the free senders
// allow. flying is what is in flight once this turn's results are settled: were
// they counted, the last of them could end the turn with nothing claimed and
// nothing left to wake the loop. Streams take turns in being first.
func (l *lane) claim(tx *store.Tx, flying int) ([]ticket, time.Duration, error) {
	open, opens, err := gate.Opens(tx, l.lane)
	if err != nil {
		return nil, 0, err
	}
	now := time.Now() // pacing, not a decision about the message
	free := min(2*cap(l.slots)-flying, maxTurn)
	sleep := idle
	if !opens.IsZero() {
		sleep = min(sleep, max(opens.Sub(tx.Now()), 0)+time.Millisecond)
	}
	var tickets []ticket
	taken := map[string]int{}
	l.turns++
	for i := range open {
		o := open[(i+l.turns)%len(open)]
		if free <= 0 {
			break // a result will wake the loop
		}
		pacer := l.d.pacer(o.Number)
		n := min(free, pacer.allowance(l.lane, now)-l.waitingFor(o.Number)-taken[o.Number])
		own := l.limiter(o.Stream)
		if own != nil {
			n = min(n, tokens(own, now))
		}
		if n <= 0 {
			sleep = min(sleep, pause(pacer.lanes[l.lane], own))
			continue
		}
		room, wait := l.room(o.Stream, tx.Now())
		if room == 0 {
			sleep = min(sleep, wait)
			continue
		}
		claimed, out, err := gate.Claim(tx, o, min(n, room))
		if err != nil {
			return tickets, 0, err
		}
		if err := l.d.tell(tx, out); err != nil {
			return tickets, 0, err
		}
		for _, m := range claimed {
			tickets = append(tickets, ticket{message: m, stream: o.Stream, pacer: pacer, own: own})
		}
		if err := l.reached(tx, tickets[len(tickets)-len(claimed):]); err != nil {
			return tickets, 0, err
		}
		taken[o.Number] += len(claimed)
		free -= len(claimed)
		if own != nil && len(claimed) > 0 {
			own.ReserveN(now, len(claimed)) // charged also when the tokens are up to 100 ms away
		}
		more, err := l.again(tx, o, len(out), pacer, own)
		if err != nil {
			return tickets, 0, err
		}
		sleep = min(sleep, more)
	}
	return tickets, sleep, nil
}

// again says when a stream that was just looked at should be looked at next.
func (l *lane) again(tx *store.Tx, o gate.Open, moved int, p *pacer, own *rate.Limiter) (time.Duration, error) {
	due, ok, err := outbox.NextDue(tx, o.ID)
	if err != nil || !ok {
		return idle, err
	}
	if wait := store.Time(due).Sub(tx.Now()); due > 0 && wait > 0 {
		return wait + time.Millisecond, nil
	}
	if moved == 0 {
		return time.Second, nil // nothing moved although something is due: a hold came between
	}
	return pause(p.lanes[l.lane], own), nil
}

// pause is how long until another token is there, at least a millisecond.
func pause(limiters ...*rate.Limiter) time.Duration {
	d := time.Millisecond
	for _, l := range limiters {
		if l == nil || l.Limit() <= 0 {
			continue
		}
		d = max(d, min(time.Duration(float64(time.Second)/float64(l.Limit())), ahead/2))
		if l.Limit() < 10 { // slower than the look-ahead: wait for the token itself
			missing := 1 - l.Tokens()
			d = max(d, time.Duration(missing/float64(l.Limit())*float64(time.Second))-ahead)
		}
	}
	return d
}

func (l *lane) limiter(s outbox.Stream) *rate.Limiter {
	if s.PerSecond <= 0 {
		return nil
	}
	lim, ok := l.own[s.ID]
	if !ok {
		if len(l.own) > 1000 { // streams that ended; a fresh bucket costs one burst
			clear(l.own)
		}
		lim = limiter(s.PerSecond)
		l.own[s.ID] = lim
	}
	return lim
}

func (l *lane) inFlight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying
}

func (l *lane) waitingFor(number string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[number]
}

// take removes at most n results, oldest first.
func (l *lane) take(n int) []result {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.results))
	batch := l.results[:n:n]
	l.results = l.results[n:]
	return batch
}

// putBack returns results whose transaction failed.
func (l *lane) putBack(batch []result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results = append(batch, l.results...)
}

// after forgets settled tickets.
func (l *lane) after(batch []result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying -= len(batch)
}
