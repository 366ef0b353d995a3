package httpapi

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"janela/otp"
)

// How long a request may wait (Prefer: wait, RFC 7240).
const (
	maxWaitSend = 10 * time.Second // for Meta to take the message
	maxWaitLook = 30 * time.Second // for any change
)

// preferred reads how long the caller would like to wait, at most longest. What
// cannot be read is no preference.
func (c *call) preferred(longest time.Duration) time.Duration {
	for _, f := range c.r.Header["Prefer"] {
		for one := range strings.SplitSeq(f, ",") {
			one, _, _ = strings.Cut(one, ";")
			name, value, _ := strings.Cut(one, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil || n == 0 {
				return 0
			}
			return min(time.Duration(n)*time.Second, longest)
		}
	}
	return 0
}

// await looks at a challenge, and again whenever it may have changed, until
// enough says that this is it, or the time is over, or the daemon stops.
func (c *call) await(id string, wait time.Duration, enough func(otp.View) bool) error {
	if !c.waits.enter() {
		return nil
	}
	defer c.waits.leave()
	c.w.Header()["Preference-Applied"] = []string{"wait=" + strconv.Itoa(int(wait/time.Second))}
	ctx, cancel := context.WithTimeout(c.r.Context(), wait)
	defer cancel()
	for more := true; ; {
		changed := c.waits.next() // from before the look: what happens during it is not missed
		v, now, err := c.view(id)
		if err != nil || enough(v) || !more {
			return err
		}
		more = c.waits.sleep(ctx, changed, soon(v, now))
	}
}

// soon fires when a view changes by time alone: the hint that a message is
// late, and the code's end. nil: it does not.
func soon(v otp.View, now time.Time) <-chan time.Time {
	var in time.Duration
	for _, at := range []time.Time{lateAt(v), endsAt(v), v.ChangesAt} {
		if d := at.Sub(now); d > 0 && (in == 0 || d < in) {
			in = d
		}
	}
	if in == 0 {
		return nil
	}
	return time.After(in)
}

func endsAt(v otp.View) time.Time {
	if v.State != otp.Pending {
		return time.Time{}
	}
	return v.ExpiresAt
}

func lateAt(v otp.View) time.Time {
	at := v.Delivery.At["accepted"]
	if at.IsZero() || v.Delivery.State != "accepted" && v.Delivery.State != "sent" {
		return time.Time{}
	}
	return at.Add(otp.DelayedAfter)
}

// waits fans the store's wake-ups out to the requests that wait. It needs no
// loop: whoever of them hears the store tells the others. A wake-up that comes
// while nobody waits stays in the channel, and costs the next one a look.
type waits struct {
	wake  <-chan struct{} // of the store
	ended chan struct{}

	mu      sync.Mutex
	n       int           // requests that wait
	changed chan struct{} // closed at the next wake-up
	over    bool
}

// maxWaiting bounds how many requests wait; one more is answered at once.
const maxWaiting = 2000

func (w *waits) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.n >= maxWaiting {
		return false
	}
	w.n++
	return true
}

func (w *waits) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n--
}

// next returns the channel that the next wake-up closes.
func (w *waits) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

func (w *waits) broadcast() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

// end lets everybody go, for good.
func (w *waits) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.over = true
		close(w.ended)
	}
}

// pause is how long after a wake-up a request looks. Every change of any
// challenge wakes all, so that the pause grows with their number: together they
// look at most two thousand times a second.
func (w *waits) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return 2*time.Millisecond + time.Duration(w.n)*500*time.Microsecond
}

// sleep returns when it is worth looking again; false says that the wait is over
// and this look is the last.
func (w *waits) sleep(ctx context.Context, changed <-chan struct{}, soon <-chan time.Time) bool {
	select {
	case <-changed:
	case <-w.wake:
		w.broadcast()
	case <-soon:
		return true
	case <-ctx.Done():
		return false
	case <-w.ended:
		return false
	}
	select {
	case <-time.After(w.pause()):
		return true
	case <-ctx.Done():
		return false
	case <-w.ended:
		return false
	}
}
