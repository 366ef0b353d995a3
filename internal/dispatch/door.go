package dispatch

import (
	"context"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

// end is when a ticket must have left: its message's deadline, or the end of
// the window that was open when it was claimed. It is kept as an instant of the
// database's and counted by the clock that is never set: the one knows that the
// machine slept, the other that somebody set the clock back.
type end struct {
	until  time.Time // zero for none
	ends   int64     // ms; 0 for none
	window bool      // it is the end of a window
}

// endOf reckons from the claim: begun is when its transaction began, now its
// Now, which is cut to milliseconds.
func endOf(deadline int64, closes, begun, now time.Time) end {
	l := end{ends: deadline}
	if c := store.Millis(closes); c > 0 && (deadline == 0 || c < deadline) {
		l = end{ends: c, window: true}
	}
	if l.ends > 0 {
		l.until = begun.Add(store.Time(l.ends).Sub(now) - time.Millisecond)
	}
	return l
}

// late reports whether its time has passed.
func (l end) late(now time.Time) bool { return !l.until.IsZero() && !now.Before(l.until) }

// mayLeave is the last look at a ticket before its request: how long it waited
// for its turn, nobody knew when it was claimed. Where it may not leave, r takes
// it back.
func (d *Dispatcher) mayLeave(t *ticket) (r result, may bool) {
	now := d.cfg.DB.Now()
	switch {
	case t.late(time.Now()) || t.ends > 0 && store.Millis(now) >= t.ends:
		if t.window {
			return t.back(time.Time{}), false // the gate says when the next one opens
		}
		return t.back(store.Time(t.message.Deadline)), false // not before its deadline: it expires
	case d.stopped(t, now):
		return t.back(time.Time{}), false
	default:
		return r, true
	}
}

// stopped reports whether a hold that was placed after its claim stops a ticket.
// One that stood before let it through, to see whether its cause is gone.
func (d *Dispatcher) stopped(t *ticket, now time.Time) bool {
	holds := d.holds.Load()
	if holds == nil {
		return false
	}
	for i := range *holds {
		h := &(*holds)[i]
		if h.Since > t.message.ClaimedAt && !h.Over(now) && h.Stops(t.stream) {
			return true
		}
	}
	return false
}

// watchHolds keeps the holds at hand that stand, until ctx ends.
func (d *Dispatcher) watchHolds(ctx context.Context, wakes <-chan struct{}) {
	for {
		err := d.cfg.DB.Read(ctx, func(q *store.Snap) error {
			all, err := outbox.Holds(q)
			if err == nil {
				d.holds.Store(&all)
			}
			return err
		})
		var again <-chan time.Time
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("the holds could not be read; trying again", "error", err)
			again = time.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case <-wakes:
		case <-again:
		}
	}
}
