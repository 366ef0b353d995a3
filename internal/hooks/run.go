package hooks

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/failpoint"
	"janela/internal/store"
)

// worker is the loop of one target. It shares nothing with those of the others
// but the database.
type worker struct {
	h     *Hooks
	now   atomic.Pointer[Target]
	topic store.Topic
	stop  func()        // ends the loop, when the target is taken out
	ended chan struct{} // it has; nil before it was begun
	wg    sync.WaitGroup
	done  chan struct{} // capacity 1: an answer is there
	stats counts

	// Of the loop's goroutine alone.
	health  health
	flying  int   // requests under way
	bytes   int64 // of their payloads
	dropped int64 // as last seen in the target's row
	retried int64 // likewise
	silent  bool  // it was said that the target is away

	mu      sync.Mutex
	results []result
}

// counts is what happened since the start.
type counts struct{ delivered, failed, dead atomic.Int64 }

func newWorker(h *Hooks, t Target) *worker {
	w := &worker{h: h, topic: topicOf(t.Name), stop: func() {}, done: make(chan struct{}, 1), dropped: -1}
	w.now.Store(&t)
	return w
}

// target is what is configured now.
func (w *worker) target() *Target { return w.now.Load() }

func topicOf(target string) store.Topic { return store.Topic("hooks." + target) }

// idle is how long a loop sleeps when nothing is due and nothing wakes it: a
// safety net, since every commit with a delivery wakes its target.
const idle = 10 * time.Minute

func (w *worker) run(ctx context.Context) {
	wakes := w.h.cfg.DB.Wakes(w.topic)
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-wakes:
		case <-w.done:
		case <-timer.C:
		}
		next, err := w.turn(ctx, sendCtx)
		if err != nil && ctx.Err() == nil {
			w.h.cfg.Log.Error("a turn of a webhook target failed; trying again", "target", w.target(), "error", err)
			next = time.Second
		}
		timer.Reset(next)
	}
	w.drain(cancel)
}

// drain waits for the requests under way, as long as the configuration allows,
// breaks the others off, and settles all.
func (w *worker) drain(cancel context.CancelFunc) {
	timer := time.AfterFunc(w.h.cfg.Drain, cancel)
	w.wg.Wait()
	timer.Stop()
	for tries := 1; ; {
		results := w.take()
		if len(results) == 0 {
			return
		}
		var s settled
		err := w.write(context.Background(), func(tx *store.Tx) (err error) {
			s, err = w.settle(tx, results)
			return err
		})
		if err == nil {
			w.count(s)
			continue
		}
		if errors.Is(err, store.ErrCrashed) || errors.Is(err, store.ErrClosed) {
			return
		}
		w.putBack(results)
		if tries == lastTries {
			w.h.cfg.Log.Error("the last answers of a webhook target could not be written; its requests are made again after the next start", "target", w.target(), "error", err)
			return
		}
		tries++
		time.Sleep(time.Second)
	}
}

// lastTries is how often a stop tries to write the last answers, a second apart.
const lastTries = 5

// write runs fn through the entrance of the mode: a person waits for the bot
// behind a callback, nobody for an event.
func (w *worker) write(ctx context.Context, fn func(*store.Tx) error) error {
	if w.target().Mode == Passthrough {
		return w.h.cfg.DB.Write(ctx, fn)
	}
	return w.h.cfg.DB.Bulk(ctx, fn)
}

// turn settles the answers that came in and claims what may leave, in one
// transaction, and says how long the loop may sleep.
func (w *worker) turn(ctx, sendCtx context.Context) (time.Duration, error) {
	results := w.take()
	var s settled
	var c claimed
	err := w.write(ctx, func(tx *store.Tx) (err error) {
		if s, err = w.settle(tx, results); err != nil {
			return err
		}
		if c, err = w.claim(tx, &s.health, w.flying-len(results), w.bytes-s.bytes); err != nil {
			return err
		}
		return failpoint.Err("hooks.turn.commit")
	})
	if err != nil {
		w.putBack(results)
		return 0, err
	}
	failpoint.Hit("hooks.turn.committed")
	w.flying += len(c.tickets) - len(results)
	w.bytes += c.bytes - s.bytes
	w.count(s)
	w.stats.dead.Add(int64(c.dead))
	w.note(s, c)
	for _, t := range c.tickets {
		w.wg.Go(func() { w.keep(w.send(sendCtx, t)) })
	}
	return c.next, nil
}

// keep hands an answer to the loop.
func (w *worker) keep(r result) {
	w.mu.Lock()
	w.results = append(w.results, r)
	w.mu.Unlock()
	select {
	case w.done <- struct{}{}:
	default:
	}
}

// take removes all answers: no more than requests were under way.
func (w *worker) take() []result {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.results
	w.results = nil
	return all
}

// putBack returns answers whose transaction failed.
func (w *worker) putBack(results []result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results = append(results, w.results...)
}

// random is the jitter of pauses.
func random() float64 { return rand.Float64() }

func (w *worker) count(s settled) {
	w.stats.delivered.Add(int64(s.arrived))
	w.stats.failed.Add(int64(s.failed))
}

// note remembers what a turn found and says what a person should know: once when
// a target goes away and once when it is back, not for every request.
func (w *worker) note(s settled, c claimed) {
	log := w.h.cfg.Log
	w.health = s.health
	if c.dead > 0 {
		log.Error("webhooks were given up after their time; janela keeps them for a while", "target", w.target(), "deliveries", c.dead)
	}
	if s.gone {
		log.Error("a webhook target answered 410 (gone); it is paused until it is resumed or has another address", "target", w.target())
	}
	switch down := w.health.down(); {
	case down && !w.silent:
		log.Warn("a webhook target does not take what is sent; it is tried again and again, what comes meanwhile waits", "target", w.target(), "failure", s.failure)
		w.silent = true
	case !down && w.silent && s.arrived > 0:
		log.Info("a webhook target is back", "target", w.target())
		w.silent = false
	}
	if w.dropped >= 0 && c.dropped > w.dropped {
		log.Error("a webhook target's queue is full; deliveries are dropped", "target", w.target(), "dropped", c.dropped-w.dropped, "max_bytes", w.target().MaxBytes)
	}
	w.dropped, w.retried = c.dropped, c.retried
}
