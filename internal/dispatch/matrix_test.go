package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// fault is one way in which the first request of a message goes wrong. Every
// later request would be accepted.
type fault struct {
	name   string
	takes  bool                     // Meta has the message all the same
	answer http.HandlerFunc         // after the request was read; nil: it is never read
	dial   func() (net.Conn, error) // in place of the first connection
	ends   []outbox.State           // where the message may be afterwards; nil: accepted by a later request
}

// cell is one fault for one category over one protocol, with an account, a
// number and a template of its own, so that what an error stops stops no other.
type cell struct {
	fault    fault
	category whatsapp.Category
	http2    bool
	waba     string
	message  int64

	mu    sync.Mutex
	calls int // requests that were read whole
	taken int // messages that Meta has
	dials int
}

func (c *cell) name() string {
	proto := "HTTP/1.1"
	if c.http2 {
		proto = "HTTP/2"
	}
	return fmt.Sprintf("%s, %s, %s", c.fault.name, c.category, proto)
}

const wamidAnswer = `{"messaging_product":"whatsapp","contacts":[{"input":"x","wa_id":"1"}],"messages":[{"id":%q}]}`

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func graphError(httpStatus, code int) http.HandlerFunc {
	return status(httpStatus, fmt.Sprintf(`{"error":{"message":"no","type":"OAuthException","code":%d,"fbtrace_id":"A"}}`, code))
}

func header(name, value string, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.Header().Set(name, value); then(w, r) }
}

func moved(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, code) }
}

func aborts(after string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			_, _ = io.WriteString(w, after)
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

func resets(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2: the stream is reset
		panic(http.ErrAbortHandler)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func hangs(after string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if after != "" {
			_, _ = io.WriteString(w, after)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
}

// faults are the rows of the matrix.
func faults() []fault {
	unknown := []outbox.State{outbox.Unknown}
	waits := []outbox.State{outbox.Queued, outbox.Accepted} // behind a hold, or for some time
	failed := []outbox.State{outbox.Failed}
	refused := func() (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	return []fault{
		{name: "no connection: refused", dial: refused},
		{name: "no connection: name unknown", dial: func() (net.Conn, error) { return nil, &net.DNSError{Err: "no such host", IsNotFound: true} }},
		{name: "no connection: reset in the handshake", dial: func() (net.Conn, error) {
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("reset by peer")}
		}},
		{name: "connection that ends at once", takes: false, dial: func() (net.Conn, error) {
			near, far := net.Pipe()
			return near, far.Close()
		}, ends: []outbox.State{outbox.Unknown, outbox.Accepted}}, // with TLS no request can begin: surely not sent
		{name: "reset after processing", takes: true, answer: resets, ends: unknown},
		{name: "end after processing", takes: true, answer: aborts(""), ends: unknown},
		{name: "no headers in time", takes: true, answer: hangs(""), ends: unknown},
		{name: "no body in time", takes: true, answer: hangs(`{"messaging_product"`), ends: unknown},
		{name: "body cut", takes: true, answer: aborts(wamidAnswer[:60]), ends: unknown},
		{name: "200 empty", takes: true, answer: status(200, ""), ends: unknown},
		{name: "200 of a captive portal", takes: true, answer: status(200, "<html>Welcome</html>"), ends: unknown},
		{name: "200 without an id", takes: true, answer: status(200, `{"messages":[]}`), ends: unknown},
		{name: "204", takes: true, answer: status(204, ""), ends: unknown},
		{name: "301", takes: true, answer: moved(301), ends: unknown},
		{name: "302", takes: true, answer: moved(302), ends: unknown},
		{name: "307", takes: true, answer: moved(307), ends: unknown},
		{name: "308", takes: true, answer: moved(308), ends: unknown},
		{name: "500 empty", takes: true, answer: status(500, ""), ends: unknown},
		{name: "502 of a proxy", takes: true, answer: status(502, "<html>"), ends: unknown},
		{name: "503 of a proxy, Retry-After: 0", takes: true, answer: header("Retry-After", "0", status(503, "<html>")), ends: unknown},
		{name: "503, Retry-After: -5", takes: true, answer: header("Retry-After", "-5", status(503, "")), ends: unknown},
		{name: "503, Retry-After overflows", takes: true, answer: header("Retry-After", "99999999999999999999", status(503, "")), ends: unknown},
		{name: "503, Retry-After is a date", takes: true, answer: header("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT", status(503, "")), ends: unknown},
		{name: "504 of a proxy", takes: true, answer: status(504, "<html>"), ends: unknown},
		{name: "429 of a proxy", takes: true, answer: header("Retry-After", "0", status(429, "slow down")), ends: unknown},
		{name: "408 of a proxy", takes: true, answer: status(408, ""), ends: unknown},
		{name: "400 of a proxy", takes: true, answer: status(400, "<html>"), ends: unknown},
		{name: "code 1", takes: true, answer: graphError(400, 1), ends: unknown},
		{name: "code 131000", takes: true, answer: graphError(500, 131000), ends: unknown},
		{name: "undocumented code with 500", takes: true, answer: graphError(500, 999999), ends: unknown},
		{name: "undocumented code with 400", answer: graphError(400, 999999), ends: failed},
		{name: "code 2: service down", answer: graphError(503, 2)},
		{name: "code 131016: not available", answer: graphError(500, 131016)},
		{name: "code 130429: too fast", answer: graphError(400, 130429)},
		{name: "code 130429, Retry-After: 1", answer: header("Retry-After", "1", graphError(429, 130429))},
		{name: "code 131056: too many to this person", answer: graphError(400, 131056), ends: []outbox.State{outbox.Queued, outbox.Accepted}},
		{name: "code 131057: maintenance", answer: graphError(500, 131057), ends: waits},
		{name: "code 190: token", answer: graphError(401, 190), ends: waits},
		{name: "code 368: account", answer: graphError(400, 368), ends: waits},
		{name: "code 131042: payment", answer: graphError(400, 131042), ends: waits},
		{name: "code 131048: number", answer: graphError(400, 131048), ends: waits},
		{name: "code 132015: template", answer: graphError(400, 132015), ends: waits},
		{name: "code 131026: person", answer: graphError(400, 131026), ends: failed},
	}
}

// TestFaultMatrix puts every fault before every category over both protocols,
// through the whole door: the queue, the claim, the client, the settling and
// the next turns. Meta never has a message twice. What it surely has not is sent
// again where that makes sense, and arrives.
func TestFaultMatrix(t *testing.T) {
	var cells []*cell
	for _, f := range faults() {
		for _, category := range whatsapp.TemplateCategories {
			for _, http2 := range []bool{false, true} {
				cells = append(cells, &cell{fault: f, category: category, http2: http2, waba: fmt.Sprintf("3%014d", len(cells))})
			}
		}
	}
	h := &house{t: t, path: filepath.Join(t.TempDir(), "janela.db")}
	h.openDB()
	defer func() { _ = h.db.Close() }()
	clients := matrixServers(t, cells)
	matrixRows(h, cells)

	d := New(Config{DB: h.db, Log: slog.New(slog.NewTextHandler(&h.log, nil)), Senders: 256,
		Sender:    func(waba string, _ whatsapp.Lane) (cloudapi.Sender, bool) { c, ok := clients[waba]; return c, ok },
		PerSecond: func(account.Number) float64 { return 80 },
		Reveal:    func(context.Context, outbox.Message) (string, string, error) { return "[]", "", nil }})
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = d.Run(ctx) })
	settled := func() bool {
		if slices.ContainsFunc(cells, (*cell).twice) {
			return true // worse cannot come
		}
		return !slices.ContainsFunc(cells, func(c *cell) bool { return !c.settled(h.message(c.message).State) })
	}
	for begun := time.Now(); !settled() && time.Since(begun) < 3*time.Minute; {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(1500 * time.Millisecond) // for what would come again
	stop()
	run.Wait()

	taken := 0
	for _, c := range cells {
		m := h.message(c.message)
		settled := c.settled(m.State)
		c.mu.Lock()
		if c.taken > 1 {
			t.Errorf("%s: Meta has the message %d times (%d requests)", c.name(), c.taken, c.calls)
		}
		if !settled {
			t.Errorf("%s: the message is %s (%s, code %d) after %d attempts", c.name(), m.State, m.Reason, m.Code, m.Attempt)
		}
		if has := c.taken == 1; has != (m.State == outbox.Accepted || m.State == outbox.Unknown && c.fault.takes) {
			t.Errorf("%s: the message is %s, and Meta has it: %t", c.name(), m.State, has)
		}
		taken += c.taken
		c.mu.Unlock()
	}
	t.Logf("%d cells, %d faults; Meta has %d messages, none twice", len(cells), len(faults()), taken)
}

func (c *cell) twice() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken > 1
}

func (c *cell) settled(s outbox.State) bool {
	if c.fault.ends == nil {
		return s == outbox.Accepted
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls+c.dials == 0 {
		return false // it has not begun
	}
	return slices.Contains(c.fault.ends, s)
}

// ServeHTTP is Meta for one cell.
func (c *cell) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	c.mu.Lock()
	c.calls++
	first := c.calls == 1 && c.fault.answer != nil
	if !first || c.fault.takes {
		c.taken++
	}
	n := c.calls
	c.mu.Unlock()
	if first {
		c.fault.answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, wamidAnswer, fmt.Sprintf("wamid.%s-%d", c.waba, n))
}

// matrixServers starts a server for each protocol and returns a client for each
// cell, by account.
func matrixServers(t *testing.T, cells []*cell) map[string]*cloudapi.Client {
	byNumber := map[string]*cell{}
	for _, c := range cells {
		byNumber["4"+c.waba[1:]] = c
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		byNumber[strings.Split(r.URL.Path, "/")[2]].ServeHTTP(w, r)
	})
	servers := map[bool]*httptest.Server{}
	for _, http2 := range []bool{false, true} {
		s := httptest.NewUnstartedServer(handler)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		if s.EnableHTTP2 = http2; http2 {
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		servers[http2] = s
	}
	clients := map[string]*cloudapi.Client{}
	for _, c := range cells {
		rt := servers[c.http2].Client().Transport.(*http.Transport).Clone()
		var dialer net.Dialer
		rt.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c.mu.Lock()
			c.dials++
			broken := c.dials == 1 && c.fault.dial != nil
			c.mu.Unlock()
			if broken {
				return c.fault.dial()
			}
			return dialer.DialContext(ctx, network, address)
		}
		patience := 30 * time.Second // a slow machine must not add faults of its own
		if strings.HasSuffix(c.fault.name, "in time") {
			patience = time.Second
		}
		client := cloudapi.New(cloudapi.Config{BaseURL: servers[c.http2].URL, Transport: rt, SendTimeout: patience,
			Token: func() (string, error) { return "t", nil }})
		t.Cleanup(client.Close)
		clients[c.waba] = client
	}
	return clients
}

// matrixRows declares the numbers and templates of the cells, and queues a
// message in each.
func matrixRows(h *house, cells []*cell) {
	h.write(func(tx *store.Tx) error {
		var numbers []account.Number
		for _, c := range cells {
			numbers = append(numbers, account.Number{ID: "4" + c.waba[1:], Name: c.waba, WABA: c.waba})
		}
		return account.Declare(tx, numbers)
	})
	byWABA := map[string]*cell{}
	var wabas []string
	for _, c := range cells {
		byWABA[c.waba] = c
		wabas = append(wabas, c.waba)
	}
	s := account.NewSyncer(account.Config{DB: h.db, Accounts: wabas, Log: slog.New(slog.DiscardHandler), Reader: func(waba string) (cloudapi.Reader, bool) {
		return listing{all: []cloudapi.Template{{ID: "t", Name: "modelo", Language: "pt_BR", Status: "APPROVED", Category: strings.ToUpper(string(byWABA[waba].category))}}}, true
	}})
	if err := s.Sync(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	for i, c := range cells {
		c.message = h.queueFor(outbox.Stream{Number: "4" + c.waba[1:], WABA: c.waba, Category: c.category, Template: "modelo", Language: "pt_BR"}, i, 1, 48*time.Hour)[0]
	}
}
