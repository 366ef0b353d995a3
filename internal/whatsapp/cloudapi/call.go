package cloudapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// call is one Send under way, and its request's context. One that ended well is
// used again: of what a send allocates, most would be contexts, timers and
// headers that are the same each time.
//
// After an error, and where not all of an answer was read, a call is thrown away:
// a late sign of one send must not be taken for one of another.
type call struct {
	context.Context // ends by cancel, or with parent
	witness
	parent  context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	leaveBy time.Time // without a connection by then it is over; zero: no such time
	end     time.Time
	rang    atomic.Bool // the timer
	req     retryablehttp.Request
	first   *http.Request // of its first try; another has a copy
	limit   io.LimitedReader
}

// calls are those that wait to be used again, no more than there are connections.
type calls struct {
	mu   sync.Mutex
	idle []*call
	most int
}

// get returns a call whose context ends with parent, and its time not begun.
func (cs *calls) get(parent context.Context, honest bool) *call {
	cs.mu.Lock()
	var k *call
	if n := len(cs.idle); n > 0 {
		k, cs.idle[n-1] = cs.idle[n-1], nil
		cs.idle = cs.idle[:n-1]
	}
	cs.mu.Unlock()
	if k != nil {
		// Contexts of other kinds may not be comparable.
		if reflect.TypeOf(parent).Kind() == reflect.Pointer && parent == k.parent {
			k.asked.Store(honest)
			k.got.Store(false)
			return k
		}
		k.drop()
	}
	return newCall(parent, honest)
}

// put keeps a call that ended well for another. It must not be used afterwards.
func (cs *calls) put(k *call) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.idle) < cs.most {
		cs.idle = append(cs.idle, k)
		return
	}
	k.drop()
}

// clear lets those go that wait.
func (cs *calls) clear() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, k := range cs.idle {
		k.drop()
	}
	cs.idle = nil
}

func newCall(parent context.Context, honest bool) *call {
	k := &call{parent: parent}
	k.watch(honest)
	ctx, cancel := context.WithCancelCause(parent)
	k.Context, k.cancel = httptrace.WithClientTrace(ctx, &k.trace), cancel
	k.timer = time.AfterFunc(time.Hour, k.ring)
	k.timer.Stop()
	return k
}

// Value carries the witness.
func (k *call) Value(key any) any {
	if key == (witnessKey{}) {
		return &k.witness
	}
	return k.Context.Value(key)
}

// Err says that the time was over, where it was.
func (k *call) Err() error {
	err := k.Context.Err()
	if err != nil && errors.Is(context.Cause(k.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// begin lets the time run.
func (k *call) begin(timeout time.Duration, leaveBy time.Time) {
	now := time.Now()
	k.leaveBy, k.end = leaveBy, now.Add(timeout)
	if !leaveBy.IsZero() {
		timeout = min(timeout, leaveBy.Sub(now))
	}
	k.timer.Reset(timeout)
}

// ring ends a call whose time is over: the one in which a request may begin, or
// the one in which it must end.
func (k *call) ring() {
	k.rang.Store(true)
	left := time.Until(k.end)
	switch {
	case left <= 0:
		k.cancel(context.DeadlineExceeded)
	case !k.leaveBy.IsZero() && !k.got.Load():
		k.cancel(context.Canceled)
	default:
		k.timer.Reset(left)
	}
}

// leaving is the context that LeaveBy returns.
type leaving struct {
	context.Context
	at time.Time
}

type leaveByKey struct{}

func (l *leaving) Value(key any) any {
	if key == (leaveByKey{}) {
		return l
	}
	return l.Context.Value(key)
}

// LeaveBy returns a context with which a Send begins no request at that instant
// or after it: where no connection was obtained by then, it fails, and the
// message was surely not sent. A request that has begun is not cut short.
func LeaveBy(ctx context.Context, at time.Time) context.Context { return &leaving{ctx, at} }

// request makes the call's request that of a message.
func (k *call) request(u *url.URL, header http.Header, body []byte) error {
	if k.first == nil { // as http.NewRequest makes one, without reading the address again
		k.first = (&http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(k)
		k.req.Request = k.first
	}
	k.req.URL, k.req.Host, k.req.Header = u, u.Host, header
	// The body's reader is not used again: an answer may come while the transport
	// still reads it.
	if err := k.req.SetBody(body); err != nil {
		return err
	}
	// net/http writes a request again by itself (HTTP/2 stream resets) when it
	// can get the body again. Only retryUnsent may decide that.
	k.req.GetBody = nil
	return nil
}

// over ends a call whose answer was read to its end, and reports whether it may be
// used again: only where nothing ran beside it that might still look at it.
func (k *call) over() bool { return k.timer.Stop() && !k.rang.Load() && k.req.Request == k.first }

// drop ends a call for good.
func (k *call) drop() {
	k.timer.Stop()
	k.cancel(nil)
}
