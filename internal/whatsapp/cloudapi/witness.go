package cloudapi

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"janela/internal/failpoint"
)

// witness watches one logical send over all its tries. As long as no
// connection was obtained, not one byte of the message can have left; error
// texts and types prove nothing of the kind.
type witness struct {
	asked atomic.Bool // a connection was asked for: the transport honours httptrace
	got   atomic.Bool // a connection was obtained, in any try; never reset
	trace httptrace.ClientTrace
}

type witnessKey struct{}

// watch returns a context that carries a new witness into the transport and
// into retryUnsent.
func watch(ctx context.Context, honest bool) (context.Context, *witness) {
	w := &witness{}
	w.watch(honest)
	ctx = context.WithValue(ctx, witnessKey{}, w)
	return httptrace.WithClientTrace(ctx, &w.trace), w
}

// watch makes the trace. A transport that is not honest has to call GetConn
// before its silence about GotConn proves anything.
func (w *witness) watch(honest bool) {
	w.asked.Store(honest)
	w.trace.GetConn = func(string) { w.asked.Store(true) }
	w.trace.GotConn = func(httptrace.GotConnInfo) {
		w.got.Store(true)
		failpoint.Hit("cloudapi.got_conn")
	}
	w.trace.WroteHeaders = func() { failpoint.Hit("cloudapi.wrote_headers") }
	w.trace.WroteRequest = func(httptrace.WroteRequestInfo) { failpoint.Hit("cloudapi.wrote_request") }
}

func (w *witness) notSent() bool { return w.asked.Load() && !w.got.Load() }

// retryUnsent is the retry rule of everything that is not a GET: again at once
// only when the request surely never left. Everything else goes back to the
// durable queue, which knows the message's deadline.
func retryUnsent(ctx context.Context, _ *http.Response, err error) (bool, error) {
	w, ok := ctx.Value(witnessKey{}).(*witness)
	return ok && err != nil && ctx.Err() == nil && w.notSent(), nil
}
