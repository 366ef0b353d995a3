package cloudapi

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"janela/internal/failpoint"
)

// witness watches one logical send over all its tries. As long as no
// connection was obtained, not one byte of the message can have left; error
// texts and types prove nothing of the kind.
type witness struct {
	asked atomic.Bool // a connection was asked for: the transport honours httptrace
	got   atomic.Bool // a connection was obtained, in any try; never reset
	trace httptrace.ClientTrace

	late *time.Timer // ends the wait for a connection; nil where that has no end
	stop context.CancelFunc
}

type witnessKey struct{}

type leaveByKey struct{}

// LeaveBy returns a context with which a Send begins no request at that instant
// or after it: where no connection was obtained by then, it fails, and the
// message was surely not sent. A request that has begun is not cut short.
func LeaveBy(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, leaveByKey{}, at)
}

// close ends what watch began.
func (w *witness) close() {
	if w.late != nil {
		w.late.Stop()
		w.stop()
	}
}

// watch returns a context that carries a new witness into the transport and
// into retryUnsent. A transport that is not honest has to call GetConn before
// its silence about GotConn proves anything.
func watch(ctx context.Context, honest bool) (context.Context, *witness) {
	w := &witness{}
	w.asked.Store(honest)
	w.trace.GetConn = func(string) { w.asked.Store(true) }
	w.trace.GotConn = func(httptrace.GotConnInfo) {
		w.got.Store(true)
		if w.late != nil {
			w.late.Stop()
		}
		failpoint.Hit("cloudapi.got_conn")
	}
	w.trace.WroteHeaders = func() { failpoint.Hit("cloudapi.wrote_headers") }
	w.trace.WroteRequest = func(httptrace.WroteRequestInfo) { failpoint.Hit("cloudapi.wrote_request") }
	if at, ok := ctx.Value(leaveByKey{}).(time.Time); ok {
		ctx, w.stop = context.WithCancel(ctx)
		w.late = time.AfterFunc(time.Until(at), func() {
			if !w.got.Load() {
				w.stop()
			}
		})
	}
	ctx = context.WithValue(ctx, witnessKey{}, w)
	return httptrace.WithClientTrace(ctx, &w.trace), w
}

func (w *witness) notSent() bool { return w.asked.Load() && !w.got.Load() }

// retryUnsent is the retry rule of everything that is not a GET: again at once
// only when the request surely never left. Everything else goes back to the
// durable queue, which knows the message's deadline.
func retryUnsent(ctx context.Context, _ *http.Response, err error) (bool, error) {
	w, ok := ctx.Value(witnessKey{}).(*witness)
	return ok && err != nil && ctx.Err() == nil && w.notSent(), nil
}
