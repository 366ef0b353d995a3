package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
	"janela/optin"
)

const (
	waba   = "100000000000001"
	loja   = "200000000000001"
	filial = "200000000000002"
)

// began is when every test begins: a bubble's clock starts before WhatsApp did.
var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// wire joins the dispatcher with the stand-in for Meta by pipes in memory, so
// that connections, httptrace and resets are real and all time is the bubble's.
type wire struct {
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once

	mu   sync.Mutex
	away bool         // nobody answers a dial
	slow atomic.Int64 // how long a dial takes, ns
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.backlog:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000} }

func (w *wire) Close() error { w.once.Do(func() { close(w.closed) }); return nil }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	away := w.away
	w.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	if d := time.Duration(w.slow.Load()); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if away {
		return nil, refused
	}
	near, far := net.Pipe()
	select {
	case w.backlog <- far:
		return near, nil
	case <-w.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) setAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

// call is one request that arrived at Meta.
type call struct {
	At       time.Time
	Number   string
	To       string
	Template string
	ID       int64 // of our message
	Attempt  int
}

// since is when the call arrived, from the beginning of the test.
func (c call) since() time.Duration { return c.At.Sub(began) }

// answer is what Meta does with one call. The zero answer accepts at once.
type answer struct {
	after time.Duration
	code  int    // a Graph error of that code
	hang  bool   // no answer ever comes
	cut   bool   // the connection breaks after the request was read
	page  bool   // a proxy answers with a page of its own
	state string // message_status of an acceptance
}

// graph is the stand-in for Meta: it writes down every call and answers as the
// test says.
type graph struct {
	mu      sync.Mutex
	calls   []call
	flying  int
	most    int // calls at once
	respond func(c call) answer
	wamids  int
}

func (g *graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		To       string `json:"to"`
		Callback string `json:"biz_opaque_callback_data"`
		Template struct {
			Name string `json:"name"`
		} `json:"template"`
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(raw, &body) != nil {
		panic(fmt.Sprintf("a request that Meta could not read: %s %v", raw, err))
	}
	id, _ := whatsapp.ParseCallbackID(body.Callback)
	parts := strings.Split(r.URL.Path, "/")
	c := call{At: time.Now(), Number: parts[2], To: body.To, Template: body.Template.Name, ID: id.Message, Attempt: id.Attempt}
	g.mu.Lock()
	g.calls = append(g.calls, c)
	g.flying++
	g.most = max(g.most, g.flying)
	a := answer{}
	if g.respond != nil {
		a = g.respond(c)
	}
	g.wamids++
	wamid := fmt.Sprintf("wamid.test%06d", g.wamids)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.flying--
	}()
	if a.hang {
		<-r.Context().Done()
		return
	}
	time.Sleep(a.after)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case a.cut:
		panic(http.ErrAbortHandler)
	case a.page:
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>bad gateway</html>")
	case a.code != 0:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"no","type":"OAuthException","code":%d,"fbtrace_id":"A"}}`, a.code)
	default:
		status := ""
		if a.state != "" {
			status = `,"message_status":"` + a.state + `"`
		}
		_, _ = fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":%q,"wa_id":%q}],"messages":[{"id":%q%s}]}`,
			body.To, strings.TrimPrefix(body.To, "+"), wamid, status)
	}
}

// says replaces how Meta answers from now on.
func (g *graph) says(fn func(c call) answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.respond = fn
}

func (g *graph) log() []call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// of returns the calls of one template, in the order they came.
func (g *graph) of(template string) []call {
	return slices.DeleteFunc(g.log(), func(c call) bool { return c.Template != template })
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

// house is a dispatcher over a real database, inside of a bubble.
type house struct {
	t      testing.TB
	path   string
	db     *store.DB
	net    *wire
	meta   *graph
	server *http.Server
	rooms  sync.WaitGroup
	log    lines

	cfg       Config // laid over the defaults at the next start
	rates     rates
	transport *http.Transport
	d         *Dispatcher
	cancel    context.CancelFunc
	done      chan error

	ids []int64 // of the messages of a plan

	mu       sync.Mutex
	outcomes []outbox.Outcome
	failNext error // of the follower of outcomes: the turn's transaction fails
	resyncs  int
	ledger   bool // conversations are kept, as the daemon does
	noCodes  bool // nobody reveals any
	refuse   func(out []outbox.Outcome) error
}

// rates are the configured rates by number; a test changes them while they are
// asked for.
type rates struct{ by sync.Map }

func (r *rates) set(number string, perSecond float64) { r.by.Store(number, perSecond) }

func (r *rates) of(number string) float64 {
	v, _ := r.by.Load(number)
	perSecond, _ := v.(float64)
	return perSecond
}

// bubble runs a test in fake time, with everything made and closed inside.
func bubble(t *testing.T, fn func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, filepath.Join(t.TempDir(), "janela.db"))
		defer h.close()
		fn(h)
	})
}

func open(t testing.TB, path string) *house {
	time.Sleep(time.Until(began))
	h := &house{t: t, path: path, meta: &graph{}}
	h.net = &wire{backlog: make(chan net.Conn, 256), closed: make(chan struct{})}
	h.server = &http.Server{Handler: h.meta, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	h.rooms.Go(func() { _ = h.server.Serve(h.net) })
	h.openDB()
	h.write(func(tx *store.Tx) error {
		return account.Declare(tx, []account.Number{{ID: loja, Name: "loja", WABA: waba}, {ID: filial, Name: "filial", WABA: waba}})
	})
	h.templates("oferta", "MARKETING", "aviso", "UTILITY", "codigo", "AUTHENTICATION")
	return h
}

func (h *house) openDB() {
	var err error
	if h.db, err = store.Open(context.Background(), store.Config{Path: h.path}); err != nil {
		h.t.Fatal(err)
	}
}

// listing is Meta's answer about the account.
type listing struct {
	cloudapi.Reader
	all []cloudapi.Template
}

func (l listing) Templates(_ context.Context, _ string, each func(cloudapi.Template) error) error {
	for _, t := range l.all {
		if err := each(t); err != nil {
			return err
		}
	}
	return nil
}

func (l listing) Numbers(context.Context, string) ([]cloudapi.Number, error) { return nil, nil }

// templates lists pairs of name and category as approved.
func (h *house) templates(pairs ...string) {
	var l listing
	for i := 0; i < len(pairs); i += 2 {
		l.all = append(l.all, cloudapi.Template{ID: pairs[i], Name: pairs[i], Language: "pt_BR", Status: "APPROVED", Category: pairs[i+1]})
	}
	s := account.NewSyncer(account.Config{DB: h.db, Accounts: []string{waba}, Log: slog.New(slog.DiscardHandler),
		Reader: func(string) (cloudapi.Reader, bool) { return l, true }})
	if err := s.Sync(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) close() {
	if h.d != nil {
		h.stop()
	}
	if err := h.db.Close(); err != nil {
		h.t.Error(err)
	}
	_ = h.server.Close()
	h.rooms.Wait()
}

// start runs a new dispatcher over the database as it is.
func (h *house) start() {
	h.transport = &http.Transport{DialContext: h.net.dial, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second}
	client := cloudapi.New(cloudapi.Config{BaseURL: "http://meta.test", Transport: h.transport, Token: func() (string, error) { return "t", nil },
		SendTimeout: 30 * time.Second})
	cfg := h.cfg
	cfg.DB, cfg.Log = h.db, slog.New(slog.NewTextHandler(&h.log, nil))
	if cfg.Sender == nil {
		cfg.Sender = func(string, whatsapp.Lane) (cloudapi.Sender, bool) { return client, true }
	}
	if cfg.Reveal == nil && !h.noCodes {
		cfg.Reveal = func(context.Context, outbox.Message) (string, string, error) { return "[]", "", nil }
	}
	var d *Dispatcher
	cfg.Resync = h.resync
	cfg.Outcomes = func(tx *store.Tx, out []outbox.Outcome) error {
		return errors.Join(h.follow(tx, out), d.Outcomes(tx, out)) // as the daemon does
	}
	cfg.PerSecond = func(n account.Number) float64 { return n.PerSecond(h.rates.of(n.ID)) }
	d = New(cfg)
	h.d = d
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.done = cancel, make(chan error, 1)
	h.rooms.Go(func() { h.done <- h.d.Run(ctx) })
	synctest.Wait()
}

func (h *house) follow(tx *store.Tx, out []outbox.Outcome) error {
	if h.ledger {
		if err := recompute(tx, out); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.failNext; err != nil {
		h.failNext = nil
		return err
	}
	if h.refuse != nil {
		if err := h.refuse(out); err != nil {
			return err
		}
	}
	h.outcomes = append(h.outcomes, out...)
	return nil
}

// recompute brings the conversations up to date with outcomes.
func recompute(tx *store.Tx, out []outbox.Outcome) error {
	var touches []conversations.Touch
	for _, o := range out {
		if o.Since.IsZero() || o.Contact == 0 {
			continue
		}
		t := conversations.Touch{Number: o.Number, Contact: o.Contact, Since: o.Since}
		if o.To == outbox.Accepted {
			t.Accepted, t.Category = o.Message, o.Category
		}
		touches = append(touches, t)
	}
	_, err := conversations.Recompute(tx, touches...)
	return err
}

func (h *house) resync() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resyncs++
}

// failTurn makes the next transaction with an outcome fail, as a full disk does.
func (h *house) failTurn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failNext = errors.New("the disk is full")
}

// stop ends the dispatcher as SIGTERM does, and checks that its accounts are
// even.
func (h *house) stop() {
	d := h.d
	h.d = nil
	h.cancel()
	if err := <-h.done; err != nil {
		h.t.Errorf("Run ended with %v", err)
	}
	h.transport.CloseIdleConnections()
	for _, l := range d.lanes {
		if n := l.inFlight(); n != 0 {
			h.t.Errorf("after the stop the %s lane counts %d messages in flight", l.lane, n)
		}
	}
}

func (l *lane) inFlight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying
}

// crash ends the process as kill -9 does, and opens the file again.
func (h *house) crash() {
	h.d = nil
	h.db.Crash()
	h.net.setAway(true)
	h.cancel()
	// What is under way breaks off when the last process is gone.
	h.transport.CloseIdleConnections()
	<-h.done
	synctest.Wait()
	h.net.setAway(false)
	h.openDB()
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

// categories of the templates that every house has.
var categories = map[string]whatsapp.Category{"oferta": whatsapp.Marketing, "aviso": whatsapp.Utility, "codigo": whatsapp.Authentication}

// stream is where messages of a template go, from loja unless told otherwise.
func stream(template string, change ...func(*outbox.Stream)) outbox.Stream {
	s := outbox.Stream{Number: loja, WABA: waba, Category: categories[template], Template: template, Language: "pt_BR"}
	for _, fn := range change {
		fn(&s)
	}
	return s
}

func from(number string) func(*outbox.Stream) { return func(s *outbox.Stream) { s.Number = number } }

func perSecond(n float64) func(*outbox.Stream) { return func(s *outbox.Stream) { s.PerSecond = n } }

// queue puts one message each for the people from first on into the outbox; all
// have opted in.
func (h *house) queue(s outbox.Stream, first, n int) []int64 {
	h.t.Helper()
	return h.queueFor(s, first, n, 0)
}

// queueFor is queue for messages that live only so long; 0: for days.
func (h *house) queueFor(s outbox.Stream, first, n int, life time.Duration) []int64 {
	h.t.Helper()
	var ids []int64
	for n > 0 {
		some := min(n, 200)
		h.write(func(tx *store.Tx) error {
			made, err := outbox.OpenStream(tx, s)
			if err != nil {
				return err
			}
			var rows []outbox.New
			deadline := began.Add(48 * time.Hour)
			if life > 0 {
				deadline = tx.Now().Add(life)
			}
			for i := range some {
				to := whatsapp.Phone(fmt.Sprintf("+55119%08d", first+i)).Identity()
				r, err := optin.Record(tx, optin.Grant{Identity: to, Category: s.Category, Source: optin.SourceOperator, Actor: "test", At: began.Add(-time.Hour)})
				if err != nil {
					return err
				}
				rows = append(rows, outbox.New{Contact: r.Contact, To: to, Params: "[]", Deadline: deadline})
			}
			some, _, err := outbox.Enqueue(tx, made, rows)
			ids = append(ids, some...)
			return err
		})
		first, n = first+some, n-some
	}
	return ids
}

func (h *house) message(id int64) outbox.Message {
	h.t.Helper()
	var m outbox.Message
	h.read(func(q *store.Snap) error {
		var err error
		m, _, err = outbox.ByID(q, id)
		return err
	})
	return m
}

// states counts all messages by state.
func (h *house) states() map[outbox.State]int64 {
	h.t.Helper()
	out := map[outbox.State]int64{}
	h.read(func(q *store.Snap) error {
		tallies, err := outbox.Tallies(q)
		for _, t := range tallies {
			if t.N != 0 {
				out[t.State] += t.N
			}
		}
		return err
	})
	return out
}

// holds names the holds that stand, "scope reason".
func (h *house) holds() []string {
	h.t.Helper()
	out := []string{}
	h.read(func(q *store.Snap) error {
		all, err := outbox.Holds(q)
		for _, o := range all {
			out = append(out, string(o.Scope)+" "+o.Reason)
		}
		return err
	})
	return out
}

func (h *house) hold(o outbox.Hold) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		_, err := outbox.Place(tx, o)
		return err
	})
}
