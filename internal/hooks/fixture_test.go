package hooks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
)

const (
	loja   = "200000000000001"
	filial = "200000000000002"
)

// began is when every test begins: a bubble's clock starts before WhatsApp did.
var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// arrival is one request that a receiver got.
type arrival struct {
	At     time.Time
	ID     string
	Header http.Header
	Body   []byte
	Path   string
	User   string // of basic authentication
}

func (a arrival) since() time.Duration { return a.At.Sub(began) }

// receiver is a system of the business, reached by pipes in memory, so that
// connections and resets are real and all time is the bubble's.
type receiver struct {
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
	server  *http.Server

	mu     sync.Mutex
	away   bool // nobody answers a dial
	conns  []net.Conn
	dials  int
	got    []arrival
	flying int
	most   int // requests at once
	does   http.HandlerFunc
}

func newReceiver() *receiver {
	r := &receiver{backlog: make(chan net.Conn, 256), closed: make(chan struct{})}
	r.server = &http.Server{Handler: r, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	return r
}

func (r *receiver) Accept() (net.Conn, error) {
	select {
	case c := <-r.backlog:
		return c, nil
	case <-r.closed:
		return nil, net.ErrClosed
	}
}

func (r *receiver) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000} }

func (r *receiver) Close() error { r.once.Do(func() { close(r.closed) }); return nil }

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}

func (r *receiver) dial(ctx context.Context) (net.Conn, error) {
	r.mu.Lock()
	r.dials++
	away := r.away
	r.mu.Unlock()
	if away {
		return nil, errRefused
	}
	near, far := net.Pipe()
	r.mu.Lock()
	r.conns = append(r.conns, far)
	r.mu.Unlock()
	select {
	case r.backlog <- far:
		return near, nil
	case <-r.closed:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	user, _, _ := q.BasicAuth()
	r.mu.Lock()
	r.got = append(r.got, arrival{time.Now(), q.Header.Get("webhook-id"), q.Header.Clone(), body, q.URL.Path, user})
	r.flying++
	r.most = max(r.most, r.flying)
	does := r.does
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.flying--
		r.mu.Unlock()
	}()
	if does != nil {
		q.Body = io.NopCloser(bytes.NewReader(body))
		does(w, q)
	}
}

// answers replaces what the receiver does from now on; nil: 200.
func (r *receiver) answers(does http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.does = does
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// setAway takes the receiver off the network, and puts it back.
func (r *receiver) setAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
	if away {
		for _, c := range r.conns {
			_ = c.Close()
		}
		r.conns = nil
	}
}

func (r *receiver) log() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) tried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dials
}

// lines is a writer for the log that several goroutines may use.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// house is hooks over a real database, inside of a bubble.
type house struct {
	t     testing.TB
	path  string
	db    *store.DB
	peers map[string]*receiver // by host
	rooms sync.WaitGroup
	log   lines

	targets []Target
	cfg     Config // laid over the defaults at the next start
	wrap    func(http.RoundTripper) http.RoundTripper

	transport *http.Transport
	h         *Hooks
	cancel    context.CancelFunc
	done      chan error
}

// bubble runs a test in fake time, with everything made and closed inside.
func bubble(t *testing.T, fn func(h *house)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, filepath.Join(dir, "janela.db"))
		defer h.close()
		fn(h)
	})
}

func open(t testing.TB, path string) *house {
	time.Sleep(time.Until(began))
	h := &house{t: t, path: path, peers: map[string]*receiver{}}
	h.openDB()
	return h
}

func (h *house) openDB() {
	var err error
	if h.db, err = store.Open(context.Background(), store.Config{Path: h.path}); err != nil {
		h.t.Fatal(err)
	}
}

// peer returns the receiver behind a host, made when first asked for.
func (h *house) peer(host string) *receiver {
	r, ok := h.peers[host]
	if !ok {
		r = newReceiver()
		h.peers[host] = r
		h.rooms.Go(func() { _ = r.server.Serve(r) })
	}
	return r
}

// aSecret signs in every test.
const aSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func secrets(all ...string) func() [][]byte {
	return func() (out [][]byte) {
		for _, s := range all {
			out = append(out, []byte(s))
		}
		return out
	}
}

// events is a target for events, whose host is its name.
func events(name string, change ...func(*Target)) Target {
	t := Target{Name: name, URL: "https://" + name + "/in", Mode: Events, Secrets: secrets(aSecret)}
	for _, fn := range change {
		fn(&t)
	}
	return t
}

// bot is a target for Meta's callbacks.
func bot(name string, change ...func(*Target)) Target {
	t := Target{Name: name, URL: "https://" + name + "/webhook", Mode: Passthrough}
	for _, fn := range change {
		fn(&t)
	}
	return t
}

// start runs new hooks over the database as it is.
func (h *house) start(targets ...Target) {
	h.t.Helper()
	if len(targets) > 0 {
		h.targets = targets
	}
	h.transport = &http.Transport{DisableCompression: true, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 32, MaxResponseHeaderBytes: 64 << 10}
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(addr)
		r, ok := h.peers[host]
		if !ok {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return r.dial(ctx)
	}
	h.transport.DialContext, h.transport.DialTLSContext = dial, dial // certificates are net/http's affair
	for _, t := range h.targets {
		h.peer(strings.SplitN(strings.TrimPrefix(t.URL, "https://"), "/", 2)[0])
	}
	cfg := h.cfg
	cfg.DB, cfg.Targets, cfg.Transport, cfg.Log = h.db, h.targets, h.transport, slog.New(slog.NewTextHandler(&h.log, nil))
	if h.wrap != nil {
		cfg.Transport = h.wrap(h.transport)
	}
	var err error
	if h.h, err = New(context.Background(), cfg); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.done = cancel, make(chan error, 1)
	h.rooms.Go(func() { h.done <- h.h.Run(ctx) })
	synctest.Wait()
}

// stop ends the hooks as SIGTERM does.
func (h *house) stop() {
	h.t.Helper()
	if h.h == nil {
		return
	}
	h.h = nil
	h.cancel()
	if err := <-h.done; err != nil {
		h.t.Errorf("Run ended with %v", err)
	}
	h.transport.CloseIdleConnections()
}

// crash ends the process as kill -9 does, and opens the file again.
func (h *house) crash() {
	h.db.Crash()
	h.reopen()
}

func (h *house) reopen() {
	h.h = nil
	h.cancel()
	<-h.done
	h.transport.CloseIdleConnections()
	synctest.Wait()
	h.openDB()
}

func (h *house) close() {
	h.stop()
	if err := h.db.Close(); err != nil {
		h.t.Error(err)
	}
	for _, r := range h.peers {
		_ = r.server.Close()
		_ = r.Close()
	}
	h.rooms.Wait()
	time.Sleep(time.Minute) // handlers that sleep
}

// pass lets time go by and everything that then can happen happen.
func (h *house) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *house) write(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) read(fn func(*store.Snap) error) {
	h.t.Helper()
	if err := h.db.Read(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// emit tells of n events of one key in one transaction each, numbered from one.
func (h *house) emit(kind, key string, n int) {
	h.t.Helper()
	for i := range n {
		h.emitOne(Event{Type: kind, Key: key, Data: map[string]any{"key": key, "n": i + 1}})
	}
	synctest.Wait()
}

// emitOne tells of events in one transaction.
func (h *house) emitOne(all ...Event) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		for _, e := range all {
			if err := h.h.Emit(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// reports are the target rows by name.
func (h *house) reports() map[string]Report {
	h.t.Helper()
	out := map[string]Report{}
	h.read(func(q *store.Snap) error {
		all, err := h.h.Reports(q)
		for _, r := range all {
			out[r.Name] = r
		}
		return err
	})
	return out
}

func (h *house) list(target string, dead bool) (out []Delivery) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		out, err = h.h.List(q, target, dead, 1000)
		return err
	})
	return out
}

type text struct{ v string }

func (t *text) Fields() []any { return []any{&t.v} }

var unsound = []*store.Stmt{
	store.SQL(`SELECT 'counts of ' || t.name || ' are ' || t.waiting || '/' || t.dead || '/' || t.bytes FROM hook_targets t WHERE
		t.waiting <> (SELECT count(*) FROM hook_deliveries d WHERE d.target = t.name AND d.state <> 'dead') OR
		t.dead <> (SELECT count(*) FROM hook_deliveries d WHERE d.target = t.name AND d.state = 'dead') OR
		t.bytes <> (SELECT coalesce(sum(d.bytes), 0) FROM hook_deliveries d WHERE d.target = t.name)`),
	store.SQL(`SELECT 'payload ' || p.id || ' has no delivery' FROM hook_payloads p WHERE NOT EXISTS (SELECT 1 FROM hook_deliveries d WHERE d.payload_id = p.id)`),
	store.SQL(`SELECT 'delivery ' || d.id || ' has no payload' FROM hook_deliveries d WHERE NOT EXISTS (SELECT 1 FROM hook_payloads p WHERE p.id = d.payload_id)`),
	store.SQL(`SELECT 'delivery ' || d.id || ' waits for nobody before it' FROM hook_deliveries d WHERE d.state = 'waiting' AND d.key <> '' AND
		(SELECT count(*) FROM hook_deliveries o WHERE o.target = d.target AND o.key = d.key AND o.id < d.id AND o.state IN ('queued','sending')) <> 1`),
}

// sound checks what must be true at every instant.
func (h *house) sound() {
	h.t.Helper()
	h.read(func(q *store.Snap) error {
		for _, s := range unsound {
			bad, err := store.All[text](q, s)
			if err != nil {
				return err
			}
			for _, b := range bad {
				h.t.Error(b.v)
			}
		}
		return nil
	})
}

var sqlLeft = store.SQL(`SELECT (SELECT count(*) FROM hook_payloads) + (SELECT count(*) FROM hook_deliveries)`)

// left is how many rows there are.
func (h *house) left() (n int) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		n, _, err = store.Value[int](q, sqlLeft)
		return err
	})
	return n
}

// firsts drops repeats: what a receiver that knows webhook-id keeps.
func firsts(all []arrival) []arrival {
	seen := map[string]bool{}
	var out []arrival
	for _, a := range all {
		if !seen[a.ID] {
			seen[a.ID] = true
			out = append(out, a)
		}
	}
	return out
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}
