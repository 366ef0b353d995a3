package otp

import (
	"context"
	"errors"
	"sync"
	"time"

	"janela/internal/store"
)

// hookTopic is woken when a code is queued for the fallback.
const hookTopic store.Topic = "otp.fallback"

const (
	hookAtOnce  = 16               // requests under way
	hookIdle    = 10 * time.Minute // a safety net: every commit with a code wakes the loop
	rescueBatch = 100
	claimRounds = 8 // of hookAtOnce rows that one turn looks at: those that are over make room
	lastTries   = 5 // to write the last answers, a second apart
)

// due is a queued row with what decides whether it may leave.
type due struct {
	handover
	Pending   bool
	Decoy     bool
	ChGen     int
	ExpiresAt int64
}

// Fields names the places of sqlHandoversDue.
func (d *due) Fields() []any {
	return append(d.handover.Fields(), &d.Pending, &d.Decoy, &d.ChGen, &d.ExpiresAt)
}

var (
	sqlHandoversDue = store.SQL(`SELECT ` + handoverColumns + `, COALESCE(c.state, '') = 'pending', COALESCE(c.decoy, 0), COALESCE(c.gen, 0), COALESCE(c.expires_at, 0)
		FROM code_fallbacks f LEFT JOIN challenges c ON c.id = f.challenge_id
		WHERE f.state = 'queued' AND f.not_before <= ?1 ORDER BY f.not_before LIMIT ?2`)
	sqlHandoverNext     = store.SQL(`SELECT not_before FROM code_fallbacks WHERE state = 'queued' ORDER BY not_before LIMIT 1`)
	sqlHandoversSending = store.SQL(`SELECT ` + handoverColumns + ` FROM code_fallbacks f WHERE f.state = 'sending' ORDER BY f.id LIMIT ?1`)
)

// courier hands codes over to the hook: a turn is one transaction that settles
// the answers that came in and claims what leaves next. Its fields are of the
// loop's goroutine alone.
type courier struct {
	o       *OTP
	done    chan answered // has room for every request under way
	flying  int
	answers []answered // not written yet
	missed  []handover // ended by the claim of this turn: they never leave, or not again
	wg      sync.WaitGroup
}

// handOver runs until ctx ends, and waits for the requests under way.
func (o *OTP) handOver(ctx context.Context) {
	c := &courier{o: o, done: make(chan answered, hookAtOnce)}
	wakes := o.deps.DB.Wakes(hookTopic)
	timer := time.NewTimer(0)
	defer timer.Stop()
	if !c.rescue(ctx) {
		return
	}
	for {
		select {
		case <-ctx.Done():
			c.drain()
			return
		case a := <-c.done:
			c.answers = append(c.answers, a)
		case <-wakes:
		case <-timer.C:
		}
		next, err := c.turn(ctx)
		if err != nil && ctx.Err() == nil {
			o.deps.Log.Error("handing codes to the fallback failed; trying again", "error", err)
			next = time.Second
		}
		timer.Reset(next)
	}
}

// turn returns how long the loop may sleep.
func (c *courier) turn(ctx context.Context) (time.Duration, error) {
	c.gather()
	c.missed = nil
	var leave []handover
	var next time.Duration
	var told []answered
	var now time.Time
	err := c.o.deps.DB.Write(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now()
		if told, err = c.settle(tx); err != nil {
			return err
		}
		leave, next, err = c.claim(tx, hookAtOnce-c.flying+len(c.answers))
		return err
	})
	if err != nil {
		return 0, err
	}
	c.flying += len(leave) - len(c.answers)
	c.answers = nil
	c.tell(told, now)
	for _, h := range leave {
		c.wg.Go(func() { c.done <- c.o.pass(ctx, h) })
	}
	return next, nil
}

// gather takes the answers that are there.
func (c *courier) gather() {
	for {
		select {
		case a := <-c.done:
			c.answers = append(c.answers, a)
		default:
			return
		}
	}
}

// settle writes what became of requests, and returns the answers as their rows
// stand then.
func (c *courier) settle(tx *store.Tx) (told []answered, err error) {
	for _, a := range c.answers {
		before := a.Detail
		if a.what != "" {
			a.Detail = a.what
		}
		switch a.fate {
		case taken:
			a.Detail = ""
			err = c.o.endHandover(tx, &a.handover, handedSent)
		case ended:
			err = c.o.endHandover(tx, &a.handover, a.lost())
		case unsent:
			err = a.again(tx, unsentPause(tx.Now().Sub(store.Time(a.At))))
		case doubtful:
			if a.Doubts++; a.Doubts < maxDoubts {
				err = a.again(tx, doubtPause)
			} else {
				err = c.o.endHandover(tx, &a.handover, a.lost())
			}
		}
		if err != nil {
			return nil, err
		}
		if a.EndedAt > 0 || a.Detail != before {
			told = append(told, a)
		}
	}
	return told, nil
}

// tell logs what an operator should know: each new way of failing once a code,
// and what was lost.
func (c *courier) tell(told []answered, now time.Time) {
	for i := range told {
		a := &told[i]
		switch {
		case a.fate == ended:
			c.missed = append(c.missed, a.handover)
		case a.State == handedSent:
			c.o.trouble.Store(nil)
			c.o.deps.Log.Debug("a code was handed to the fallback", "challenge", a.Challenge)
		case a.State == handedQueued:
			c.o.trouble.Store(&trouble{a.Detail, now})
			c.o.deps.Log.Warn("the fallback did not take a code; trying again", "challenge", a.Challenge, "failure", a.Detail)
		default:
			c.o.trouble.Store(&trouble{a.Detail, now})
			c.o.deps.Log.Error("the fallback did not take a code", "challenge", a.Challenge, "state", string(a.State), "failure", a.Detail)
		}
	}
	for i := range c.missed {
		switch h := &c.missed[i]; {
		case h.State == handedRefused:
			c.o.deps.Log.Info("a code may not fall back any more", "challenge", h.Challenge, "reason", h.Detail)
		case h.Detail != "": // it was tried
			c.o.deps.Log.Error("the fallback did not take a code, and is not asked again", "challenge", h.Challenge, "state", string(h.State), "failure", h.Detail)
		}
	}
	c.missed = nil
}

// trouble is why the hook did not take a code, and when it was last so.
type trouble struct {
	text string
	at   time.Time
}

// troubled is how long the alert stands, unless the hook takes a code before.
const troubled = time.Hour

// FallbackTrouble says why the fallback does not take codes, for an alert; ""
// when it does, or has not been asked for an hour.
func (o *OTP) FallbackTrouble(now time.Time) string {
	if t := o.trouble.Load(); t != nil && now.Sub(t.at) < troubled {
		return t.text
	}
	return ""
}

// claim takes what may leave, on disk, before its request. What has no code any
// more, or too little of its life left, is over.
func (c *courier) claim(tx *store.Tx, free int) (leave []handover, next time.Duration, err error) {
	now := store.Millis(tx.Now())
	for range claimRounds {
		rows, err := store.All[due](tx, sqlHandoversDue, now, free-len(leave))
		if err != nil || len(rows) == 0 {
			if err != nil {
				return nil, 0, err
			}
			break
		}
		for i := range rows {
			d := &rows[i]
			goes, err := c.judge(tx, d, now)
			switch {
			case err != nil:
				return nil, 0, err
			case goes:
				leave = append(leave, d.handover)
			default:
				c.missed = append(c.missed, d.handover)
			}
		}
	}
	if len(leave) == free {
		return leave, hookIdle, nil // an answer wakes the loop
	}
	at, ok, err := store.Value[int64](tx, sqlHandoverNext)
	if err != nil || !ok {
		return leave, hookIdle, err
	}
	return leave, min(store.Takes(tx, max(store.Time(at).Sub(tx.Now()), 0)+time.Millisecond), hookIdle), nil
}

// judge claims one row, or ends it.
func (c *courier) judge(tx *store.Tx, d *due, now int64) (goes bool, err error) {
	if c.o.hook() == nil || !d.Pending || d.ChGen != d.Gen || d.ExpiresAt-now <= lastSend.Milliseconds() {
		return false, c.o.endHandover(tx, &d.handover, d.lost())
	}
	err = c.o.stillMay(tx, d.Challenge)
	if no := (*Denied)(nil); errors.As(err, &no) {
		to := handedRefused
		if d.Doubts > 0 {
			to = d.lost()
		}
		d.Detail = no.Code
		return false, c.o.endHandover(tx, &d.handover, to)
	}
	if err != nil {
		return false, err
	}
	if d.Decoy { // nobody is asked to take it, and the answer is that somebody did
		tx.Wake(Topic)
		return false, tx.One(sqlHandoverEnd, d.ID, string(handedSent), 0, "", now)
	}
	d.State = handedSending
	return true, tx.One(sqlHandoverClaim, d.ID)
}

// rescue takes up what was under way when the last process ended: nobody knows
// whether the hook has it, so it is asked once more, with the same webhook-id.
// false: ctx ended first.
func (c *courier) rescue(ctx context.Context) bool {
	for n := rescueBatch; n == rescueBatch; {
		c.missed = nil
		err := c.o.deps.DB.Write(ctx, func(tx *store.Tx) error {
			rows, err := store.All[handover](tx, sqlHandoversSending, rescueBatch)
			n = len(rows)
			for i := range rows {
				if err == nil {
					err = c.revive(tx, &rows[i])
				}
			}
			return err
		})
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			c.tell(nil, time.Time{})
			continue
		}
		n = rescueBatch
		c.o.deps.Log.Error("what was on its way to the fallback when the last process ended could not be taken up; trying again", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
	return true
}

func (c *courier) revive(tx *store.Tx, h *handover) error {
	h.Detail = "janela ended before the answer came"
	if h.Doubts++; h.Doubts < maxDoubts {
		return h.again(tx, 0)
	}
	err := c.o.endHandover(tx, h, handedUnknown)
	c.missed = append(c.missed, *h)
	return err
}

// drain waits for the requests under way, and writes what became of them.
func (c *courier) drain() {
	c.wg.Wait()
	c.gather()
	if len(c.answers) == 0 {
		return
	}
	for tries := 1; ; tries++ {
		var told []answered
		var now time.Time
		err := c.o.deps.DB.Write(context.Background(), func(tx *store.Tx) (err error) {
			now = tx.Now()
			told, err = c.settle(tx)
			return err
		})
		if err == nil {
			c.tell(told, now)
			return
		}
		if errors.Is(err, store.ErrCrashed) || errors.Is(err, store.ErrClosed) {
			return
		}
		if tries == lastTries {
			c.o.deps.Log.Error("the last answers of the fallback could not be written; its codes are handed over again after the next start", "error", err)
			return
		}
		time.Sleep(time.Second)
	}
}
