package hooks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
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
	workers atomic.Pointer[[]*worker]
	ran     atomic.Bool

	mu      sync.Mutex               // one Set at a time
	running context.Context          // of Run, while it runs
	wg      sync.WaitGroup           // its loops
	leaving map[string]chan struct{} // of targets that were taken out, by name
}

// all are the loops of the targets that are configured now.
func (h *Hooks) all() []*worker { return *h.workers.Load() }

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
	h.workers.Store(new([]*worker))
	h.leaving = map[string]chan struct{}{}
	return h, h.Set(ctx, cfg.Targets)
}

// Set changes the targets, also while Run runs, or returns all that Check finds
// wrong with them and changes nothing. Requests under way are not broken off.
// What waits for a target that is taken out stays until its time is over.
func (h *Hooks) Set(ctx context.Context, targets []Target) error {
	if err := Check(targets); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	filled := slices.Clone(targets)
	for i := range filled {
		filled[i].fill()
	}
	if len(filled) > 0 {
		err := h.cfg.DB.Write(ctx, func(tx *store.Tx) error { return declare(tx, filled) })
		if err != nil {
			return err
		}
	}
	var next []*worker
	for _, t := range filled {
		w := h.worker(t.Name)
		if w == nil {
			w = newWorker(h, t)
			h.start(w)
		}
		w.now.Store(&t)
		next = append(next, w)
	}
	before := h.all()
	h.workers.Store(&next)
	for _, w := range before {
		if !slices.Contains(next, w) {
			w.stop()
			h.leaving[w.target().Name] = w.ended
			continue
		}
		select { // look again
		case w.done <- struct{}{}:
		default:
		}
	}
	return nil
}

// start begins the loop of a target, if Run runs.
func (h *Hooks) start(w *worker) {
	if h.running == nil {
		return
	}
	ctx, stop := context.WithCancel(h.running)
	w.stop = stop
	name := w.target().Name
	before := h.leaving[name]
	delete(h.leaving, name)
	w.ended = make(chan struct{})
	h.wg.Go(func() {
		defer close(w.ended)
		if before != nil { // it was taken out and is back: two loops of one target never run
			<-before
		}
		w.run(ctx)
	})
}

var sqlDeclare = store.SQL(`INSERT INTO hook_targets (name, state, since, url_hash) VALUES (?1, 'active', ?2, ?3)
	ON CONFLICT (name) DO UPDATE SET url_hash = excluded.url_hash,
	state = CASE WHEN hook_targets.reason = 'gone' AND hook_targets.url_hash <> excluded.url_hash THEN 'active' ELSE hook_targets.state END,
	reason = CASE WHEN hook_targets.reason = 'gone' AND hook_targets.url_hash <> excluded.url_hash THEN '' ELSE hook_targets.reason END`)

// declare gives every target its row. A target that was gone and has another
// address now is active again.
func declare(tx *store.Tx, targets []Target) error {
	for _, t := range targets {
		if _, err := tx.Exec(sqlDeclare, t.Name, store.Millis(tx.Now()), t.urlHash()); err != nil {
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
	h.mu.Lock()
	h.running = ctx
	for _, w := range h.all() {
		h.start(w)
	}
	h.mu.Unlock()
	h.sweepAll(ctx)
	h.mu.Lock()
	h.running = nil // nobody joins any more
	h.mu.Unlock()
	h.wg.Wait()
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
