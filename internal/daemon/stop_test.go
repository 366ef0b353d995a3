package daemon

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/account"
	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

const (
	waba, loja = "100000000000001", "200000000000001"
	graphAddr  = "127.0.0.1:9000"
	ana, bia   = "+5511900000001", "+5511900000002"
)

var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// wires are addresses joined by pipes in memory.
type wires struct {
	mu sync.Mutex
	at map[string]*wire
}

type wire struct {
	addr    string
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (w *wires) listen(_, addr string) (net.Listener, error) {
	l := &wire{addr: addr, backlog: make(chan net.Conn, 16), closed: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[addr] = l
	return l, nil
}

func (w *wires) dial(_ context.Context, _, addr string) (net.Conn, error) {
	w.mu.Lock()
	l := w.at[addr]
	w.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	if l == nil {
		return nil, refused
	}
	select { // first, because below both could be ready
	case <-l.closed:
		return nil, refused
	default:
	}
	near, far := net.Pipe()
	select {
	case <-l.closed:
		return nil, refused
	case l.backlog <- far:
		return near, nil
	}
}

func (l *wire) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *wire) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *wire) Addr() net.Addr { return l }

// Network and String make a wire its own address.
func (l *wire) Network() string { return "tcp" }
func (l *wire) String() string  { return l.addr }

// graph accepts every message after ten seconds.
type graph struct {
	mu    sync.Mutex
	calls int
}

func (g *graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/message_templates"):
		_, _ = io.WriteString(w, `{"data":[{"id":"1","name":"oferta","language":"pt_BR","category":"MARKETING","status":"APPROVED","components":[]}]}`)
	case strings.HasSuffix(r.URL.Path, "/phone_numbers"):
		_, _ = io.WriteString(w, `{"data":[{"id":"`+loja+`","status":"CONNECTED"}]}`)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		g.mu.Lock()
		g.calls++
		n := g.calls
		g.mu.Unlock()
		time.Sleep(10 * time.Second)
		_, _ = fmt.Fprintf(w, `{"messages":[{"id":"wamid.%d"}]}`, n)
	}
}

func (g *graph) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// configured loads a configuration with a real account at graphAddr.
func configured(t testing.TB, dir string) Config {
	t.Helper()
	for name, text := range map[string]string{"token": "t", "app-secret": "s", "verify-token": "v"} {
		file(t, dir, name, text, 0o600)
	}
	if err := os.MkdirAll(filepath.Join(dir, "campaigns.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(file(t, dir, "config.toml", `[whatsapp]
graph_url = "http://`+graphAddr+`"
token_file = "token"
app_secret_file = "app-secret"
verify_token_file = "verify-token"
`+small, 0o600), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// queue puts a marketing message for somebody who has opted in into the outbox.
func queue(t testing.TB, d *Daemon, phone string) (id int64) {
	t.Helper()
	err := d.DB().Write(context.Background(), func(tx *store.Tx) error {
		to := whatsapp.Phone(phone).Identity()
		r, err := optin.Record(tx, optin.Grant{Identity: to, Category: whatsapp.Marketing, Source: optin.SourceOperator, Actor: "test", At: tx.Now()})
		if err != nil {
			return err
		}
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: r.Contact, To: to, Params: "[]"}})
		id = ids[0]
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func state(t testing.TB, db *store.DB, id int64) (m outbox.Message) {
	t.Helper()
	err := db.Read(context.Background(), func(q *store.Snap) (err error) {
		m, _, err = outbox.ByID(q, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// On SIGTERM the daemon says that it is not ready and begins nothing, but waits
// for what is under way, and takes callbacks until that is settled. Then it
// closes its doors, and the database last.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	cfg := configured(t, dir)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(began))
		net := &wires{at: map[string]*wire{}}
		meta := &graph{}
		lis, _ := net.listen("tcp", graphAddr)
		server := &http.Server{Handler: meta}
		var rooms sync.WaitGroup
		rooms.Go(func() { _ = server.Serve(lis) })
		defer rooms.Wait()
		defer func() { _ = server.Close() }()
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		d, err := New(ctx, Options{Config: cfg, Space: roomy, Log: slog.New(slog.NewTextHandler(&log, nil)), Listen: net.listen, Dial: net.dial})
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{DialContext: net.dial, DisableKeepAlives: true}
		ask := func(method, path, body string) (int, string, error) {
			req, err := http.NewRequestWithContext(context.Background(), method, "http://127.0.0.1:8790"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			mac := hmac.New(sha256.New, []byte("s"))
			mac.Write([]byte(body))
			req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				return 0, "", err
			}
			defer func() { _ = resp.Body.Close() }()
			answer, err := io.ReadAll(resp.Body)
			return resp.StatusCode, string(answer), err
		}
		done := make(chan error, 1)
		rooms.Go(func() { done <- d.Run(ctx) })
		time.Sleep(time.Second)
		if code, body, err := ask("GET", "/readyz", ""); code != 200 {
			t.Fatalf("while running readyz says %d %s %v", code, body, err)
		}
		first := queue(t, d, ana)
		time.Sleep(time.Second)
		want(t, "requests under way", meta.count(), 1)

		cancel()
		stopped := time.Now()
		synctest.Wait()
		second := queue(t, d, bia)
		time.Sleep(time.Second)
		if code, body, err := ask("GET", "/readyz", ""); code != 503 || !strings.Contains(body, "starting or stopping") {
			t.Errorf("while stopping readyz says %d %s %v", code, body, err)
		}
		if code, _, err := ask("GET", "/healthz", ""); code != 200 {
			t.Errorf("while stopping healthz says %d %v", code, err)
		}
		m := state(t, d.DB(), first)
		want(t, "state under way", m.State, outbox.Sending)
		callback := whatsapp.CallbackID{DB: d.DB().Name(), Message: first, Attempt: m.Attempt}
		status := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":%q},"statuses":[{"id":"wamid.1","status":"delivered","timestamp":"%d","recipient_id":"5511900000001","biz_opaque_callback_data":%q}]}}]}]}`,
			waba, loja, time.Now().Unix(), callback)
		if code, body, err := ask("POST", "/webhooks/whatsapp", status); code != 200 {
			t.Errorf("while stopping a callback was answered %d %s %v", code, body, err)
		}
		synctest.Wait()
		want(t, "the callback was applied", state(t, d.DB(), first).State, outbox.Delivered)
		select {
		case <-done:
			t.Error("Run did not wait for the request under way")
		default:
		}
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		if took := time.Since(stopped); took < 8*time.Second || took > 10*time.Second {
			t.Errorf("the stop took %v, want the rest of the answer's ten seconds", took)
		}
		if _, _, err := ask("GET", "/healthz", ""); err == nil {
			t.Error("after Run somebody still listens")
		}
		one := state(t, d.DB(), first)
		want(t, "the answer counted too", []any{one.State, string(one.Wamid), one.AcceptedAt > 0}, []any{outbox.Delivered, "wamid.1", true})
		two := state(t, d.DB(), second)
		want(t, "what came at the stop was not begun", []any{two.State, two.Attempt, meta.count()}, []any{outbox.Queued, 0, 1})
		var names []string
		for _, s := range d.stops {
			names = append(names, s.name)
		}
		want(t, "to be closed, the last first", names, []string{"database", "http listener"})
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for _, c := range d.clients.Load().byAccount {
			c.Close()
		}
		for _, private := range []string{"5511900000001", "5511900000002"} {
			if strings.Contains(log.String(), private) {
				t.Errorf("the log holds %s", private)
			}
		}
		synctest.Wait()
	})
}

// Stops run last in, first out, all of them, and name what failed.
func TestCloseOrder(t *testing.T) {
	var order []string
	d := &Daemon{}
	for _, name := range []string{"database", "sandbox", "listener"} {
		d.onStop(name, func() error {
			order = append(order, name)
			if name == "sandbox" {
				return errors.New("it hangs")
			}
			return nil
		})
	}
	err := d.Close()
	want(t, "order", order, []string{"listener", "sandbox", "database"})
	if err == nil || err.Error() != "stop sandbox: it hangs" {
		t.Errorf("got %v", err)
	}
	if err := d.Close(); err != nil || len(order) != 3 {
		t.Errorf("a second Close did %v: %v", order[3:], err)
	}
}

// embedded builds a daemon with the sandbox in it, on addresses of the system's
// choosing.
func embedded(t *testing.T) *Daemon {
	t.Helper()
	cfg, err := Load(file(t, t.TempDir(), "config.toml", small+"[http]\nlisten = \"127.0.0.1:0\"\n", 0o600), nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(t.Context(), Options{Config: cfg, Space: roomy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestHealth(t *testing.T) {
	d := embedded(t)
	h := d.public()
	report := func() (int, Health) {
		t.Helper()
		w := get(h, "GET", "/readyz")
		var got Health
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		want(t, "content type", w.Header().Get("Content-Type"), "application/json")
		return w.Code, got
	}
	code, got := report()
	want(t, "before Run", []any{code, got}, []any{503, Health{Problems: []string{"starting or stopping"}}})
	want(t, "but alive", get(h, "GET", "/healthz").Body.String(), "ok\n")
	d.ready.Store(true)
	code, got = report()
	want(t, "running", []any{code, got}, []any{200, Health{Ready: true}})

	hold := func(scope outbox.Scope, target, reason string) {
		t.Helper()
		err := d.DB().Write(t.Context(), func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: scope, Target: target, Reason: reason, Actor: "meta", Detail: "error 190: the token is refused"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	hold(outbox.ScopeNumber, loja, "no_answers")
	hold(outbox.ScopeAccount, waba, "payment")
	code, _ = report()
	want(t, "with other holds", code, 200)
	hold(outbox.ScopeAccount, waba, account.ReasonBadToken)
	code, got = report()
	want(t, "with a refused token", []any{code, got}, []any{503, Health{Problems: []string{"account " + waba + ": error 190: the token is refused"}}})
	err := d.DB().Write(t.Context(), func(tx *store.Tx) error {
		_, err := outbox.Lift(tx, outbox.ScopeAccount, waba, account.ReasonBadToken, "sync")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	code, _ = report()
	want(t, "after it was lifted", code, 200)

	d.DB().Crash()
	code, got = report()
	if code != 503 || len(got.Problems) != 1 || !strings.HasPrefix(got.Problems[0], "the database does not answer") {
		t.Errorf("without a database: %d %+v", code, got)
	}
	want(t, "alive all the same", get(h, "GET", "/healthz").Code, 200)
}

func TestMetrics(t *testing.T) {
	d := embedded(t)
	queue(t, d, ana)
	queue(t, d, bia)
	d.metrics.sent(whatsapp.LaneMarketing, loja, outbox.Accepted, "", 40*time.Millisecond)
	if w := get(d.public(), "POST", "/webhooks/whatsapp"); w.Code != http.StatusUnauthorized {
		t.Errorf("an unsigned callback was answered %d", w.Code)
	}
	w := get(d.public(), "GET", "/metrics")
	want(t, "code", w.Code, 200)
	for _, line := range []string{
		`janela_messages{reason="",state="queued"} 2`,
		`janela_conversations_open 0`,
		`janela_callbacks_total{result="forged"} 1`,
		`janela_callbacks_total{result="stored"} 0`,
		`janela_sends_total{lane="marketing",number="200000000000001",reason="",result="accepted"} 1`,
		`janela_send_seconds_count{lane="marketing"} 1`,
		`janela_store_commits_total `,
		`janela_alerts 0`,
		`go_goroutines `,
	} {
		if !strings.Contains(w.Body.String(), "\n"+line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	if strings.Contains(w.Body.String(), "55119") {
		t.Error("/metrics holds a telephone number")
	}
}

func TestPublicServesNothingElse(t *testing.T) {
	h := embedded(t).public()
	for _, tt := range []struct {
		method, path string
		code         int
	}{{"GET", "/", 404}, {"GET", "/sandbox/", 404}, {"GET", "/v1/status", 401}, {"GET", "/v1/keys", 404}, {"POST", "/v1/recover", 404}, {"POST", "/healthz", 405}, {"POST", "/readyz", 405}, {"DELETE", "/metrics", 405},
		{"PUT", "/webhooks/whatsapp", 405}, {"GET", "/webhooks/whatsapp", 403}, {"GET", "/webhooks/whatsapp/more", 404}} {
		if w := get(h, tt.method, tt.path); w.Code != tt.code {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.code)
		}
	}
}

func TestPerSecond(t *testing.T) {
	d := &Daemon{cfg: Config{WhatsApp: WhatsAppConfig{Accounts: []AccountConfig{{Numbers: []NumberConfig{{ID: "1"}, {ID: "2", PerSecond: 0.5}}}}}}}
	d.live.Store(&d.cfg)
	of := func(id, level string) float64 { return d.perSecond(account.Number{ID: id, Throughput: level}) }
	want(t, "rates", []float64{of("1", ""), of("2", ""), of("3", ""), of("1", "HIGH"), of("2", "HIGH")}, []float64{80, 0.5, 80, 1000, 0.5})
}

// roomy is a disk with room, whatever this machine's has.
func roomy(string) (guard.Space, error) { return guard.Space{Free: 50 << 30, Total: 100 << 30}, nil }
