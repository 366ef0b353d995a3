package hooks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/store"
)

// Config says what Hooks work with.
type Config struct {
	DB      *store.DB
	Targets []Target
	// Transport carries the requests; nil for one of its own, which lets plain
	// http go to loopback and private addresses only.
	Transport http.RoundTripper
	Log       *slog.Logger

	Drain time.Duration // how long Run waits for requests under way when it ends; default 5 s
	Keep  time.Duration // how long dead deliveries are kept; default 7 days
}

// Hooks tell targets what happened. Make them with New and run them once. A nil
// *Hooks has no targets: its methods may be called, and do nothing.
type Hooks struct {
	cfg     Config
	client  *http.Client
	workers []*worker
	ran     atomic.Bool
}

// New returns Hooks that send nothing until Run; what is told meanwhile waits in
// the database. It refuses targets that Check finds faults in.
func New(ctx context.Context, cfg Config) (*Hooks, error) {
	if err := Check(cfg.Targets); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 5 * time.Second
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 7 * 24 * time.Hour
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport()
	}
	h := &Hooks{cfg: cfg, client: &http.Client{Transport: cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for _, t := range cfg.Targets {
		t.fill()
		h.workers = append(h.workers, newWorker(h, t))
	}
	if len(h.workers) == 0 {
		return h, nil
	}
	return h, cfg.DB.Write(ctx, h.declare)
}

var sqlDeclare = store.SQL(`INSERT INTO hook_targets (name, state, since, url_hash) VALUES (?1, 'active', ?2, ?3)
	ON CONFLICT (name) DO UPDATE SET url_hash = excluded.url_hash,
	state = CASE WHEN hook_targets.reason = 'gone' AND hook_targets.url_hash <> excluded.url_hash THEN 'active' ELSE hook_targets.state END,
	reason = CASE WHEN hook_targets.reason = 'gone' AND hook_targets.url_hash <> excluded.url_hash THEN '' ELSE hook_targets.reason END`)

// declare gives every target its row. A target that was gone and has another
// address now is active again.
func (h *Hooks) declare(tx *store.Tx) error {
	for _, w := range h.workers {
		if _, err := tx.Exec(sqlDeclare, w.target.Name, store.Millis(tx.Now()), w.target.urlHash()); err != nil {
			return err
		}
	}
	return nil
}

// transport sends https as it is configured, and plain http to near addresses
// only, never through a proxy.
type transport struct{ plain, secure *http.Transport }

func newTransport() *transport {
	of := func(d *net.Dialer) *http.Transport {
		return &http.Transport{DialContext: d.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 32, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10}
	}
	t := &transport{plain: of(&net.Dialer{Timeout: 10 * time.Second, Control: nearOnly}), secure: of(&net.Dialer{Timeout: 10 * time.Second})}
	t.secure.Proxy = http.ProxyFromEnvironment
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return t.secure.RoundTrip(r)
	}
	return t.plain.RoundTrip(r)
}

// CloseIdleConnections closes what no request uses.
func (t *transport) CloseIdleConnections() {
	t.plain.CloseIdleConnections()
	t.secure.CloseIdleConnections()
}

var errTwice = errors.New("hooks: Run was called twice")

// Run takes up again what was in flight when the last process ended, sends until
// ctx ends, and waits for the requests under way, at most as long as Drain. Where
// no answer came by then, the request is made again after the next start. Without
// targets it still sweeps what those of before have left.
func (h *Hooks) Run(ctx context.Context) error {
	if h == nil {
		<-ctx.Done()
		return nil
	}
	if h.ran.Swap(true) {
		return errTwice
	}
	defer h.client.CloseIdleConnections()
	if !h.insist(ctx, "what was in flight when the last process ended could not be taken up", h.rescue) {
		return nil
	}
	var wg sync.WaitGroup
	for _, w := range h.workers {
		wg.Go(func() { w.run(ctx) })
	}
	wg.Go(func() { h.sweepAll(ctx) })
	wg.Wait()
	return nil
}

// insist calls fn until it succeeds; false: ctx ended first.
func (h *Hooks) insist(ctx context.Context, what string, fn func(context.Context) error) bool {
	for {
		err := fn(ctx)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		h.cfg.Log.Error(what+"; trying again", "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
		}
	}
}

var sqlRescue = store.SQL(`UPDATE hook_deliveries SET state = 'queued' WHERE id IN
	(SELECT id FROM hook_deliveries WHERE state = 'sending' ORDER BY id LIMIT ?1)`)

// rescue queues again what an earlier process left in flight: whether it arrived
// nobody knows, and the receiver knows a repeat by its id.
func (h *Hooks) rescue(ctx context.Context) error {
	for n := int64(batch); n == batch; {
		err := h.cfg.DB.Bulk(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.Exec(sqlRescue, batch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// batch bounds the rows of one function (store.Bulk).
const batch = 200
