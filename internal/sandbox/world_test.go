package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	ana    = "+5511900000001"
	bob    = "+12025550101"
	secret = "app-secret"
	numA   = "111100001111"
	numB   = "111100002222"
	waba   = "999900001111"
)

// pipes is a network in memory: it listens and dials by net.Pipe, so that real
// servers and transports run inside a synctest bubble.
type pipes struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), gone: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.gone) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.gone:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// received is one webhook as it arrived.
type received struct {
	At   time.Duration // since the world began
	Body []byte
}

// receiver is the business's side of the webhooks.
type receiver struct {
	mu     sync.Mutex
	t      *testing.T
	begun  time.Time
	posts  []received
	status int                            // 0: 200
	answer func(http.ResponseWriter, int) // when set, with the number of the post
	count  int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if q.Method == http.MethodGet {
		if q.URL.Query().Get("hub.verify_token") != "verify-me" || q.URL.Query().Get("hub.mode") != "subscribe" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, q.URL.Query().Get("hub.challenge"))
		return
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); q.Header.Get("X-Hub-Signature-256") != want {
		r.t.Errorf("signature %q, want %q", q.Header.Get("X-Hub-Signature-256"), want)
	}
	r.mu.Lock()
	r.count++
	n, status := r.count, r.status
	if status == 0 {
		r.posts = append(r.posts, received{time.Since(r.begun), body})
	}
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, n)
		return
	}
	if status != 0 {
		w.WriteHeader(status)
	}
}

func (r *receiver) set(status int) {
	r.mu.Lock()
	r.status = status
	r.mu.Unlock()
}

// all returns what was accepted so far.
func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.posts...)
}

// statuses returns "status" or "failed code" of one callback key, in the order
// of arrival.
func (r *receiver) statuses(key string) []string {
	var list []string
	for _, p := range r.all() {
		var n struct {
			Entry []struct {
				Changes []struct {
					Value struct {
						Statuses []statusValue `json:"statuses"`
					} `json:"value"`
				} `json:"changes"`
			} `json:"entry"`
		}
		if err := json.Unmarshal(p.Body, &n); err != nil {
			continue
		}
		for _, e := range n.Entry {
			for _, c := range e.Changes {
				for _, st := range c.Value.Statuses {
					if st.Callback != key {
						continue
					}
					text := st.Status
					if len(st.Errors) > 0 {
						text += " " + jsonOf(st.Errors[0].Code)
					}
					list = append(list, text)
				}
			}
		}
	}
	return list
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// world is a sandbox, a business that sends through it, and its webhook.
type world struct {
	t      *testing.T
	cfg    Config
	s      *Sandbox
	hook   *receiver
	client *http.Client
	stop   func()
}

func testConfig() Config {
	return Config{
		Token: "sandbox-token", AppSecret: secret, VerifyToken: "verify-me",
		WABAs: []WABA{{ID: waba, Numbers: []Number{
			{ID: numA, Display: "+1 202-555-0100", VerifiedName: "Loja"},
			{ID: numB, Display: "+55 11 90000-0100", VerifiedName: "Loja BR"},
		}}},
		Templates: DefaultTemplates(waba),
		Seed:      7,
		Profile:   Quiet(),
	}
}

// inBubble runs f in a world of fake time.
func inBubble(t *testing.T, change func(*Config), f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, cfg: testConfig(), hook: &receiver{t: t, begun: time.Now()}}
		if change != nil {
			change(&w.cfg)
		}
		w.start()
		f(w)
		w.stop()
	})
}

// start opens the sandbox (again, after a stop).
func (w *world) start() {
	hooks, graph := newPipes(), newPipes()
	cfg := w.cfg
	cfg.WebhookURL = "http://hook.example/webhook"
	cfg.Transport = &http.Transport{DialContext: hooks.dial}
	s, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
	mux := http.NewServeMux()
	mux.Handle("/_sandbox/", http.StripPrefix("/_sandbox", s.Manage()))
	mux.Handle("/", s)
	servers := []*http.Server{{Handler: w.hook}, {Handler: mux}}
	transport := &http.Transport{DialContext: graph.dial}
	w.client = &http.Client{Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i, l := range []*pipes{hooks, graph} {
		running.Go(func() { _ = servers[i].Serve(l) })
	}
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		_ = s.Close()
		transport.CloseIdleConnections()
		for _, srv := range servers {
			_ = srv.Close()
		}
		running.Wait()
	})
}

// do asks the sandbox and returns status and body; err is a broken connection.
func (w *world) do(method, path, body string) (int, string, error) {
	req, err := http.NewRequest(method, "http://graph.example"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sandbox-token")
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

func (w *world) must(method, path, body string) string {
	w.t.Helper()
	status, text, err := w.do(method, path, body)
	if err != nil || status != http.StatusOK {
		w.t.Fatalf("%s %s: status %d, %v: %s", method, path, status, err, text)
	}
	return text
}

const sendPath = "/v25.0/" + numA + "/messages"

// oferta is a correct send of oferta_natal.
func oferta(to, key string) string {
	return `{"messaging_product":"whatsapp","recipient_type":"individual","to":"` + to + `","type":"template",
 "biz_opaque_callback_data":"` + key + `","template":{"name":"oferta_natal","language":{"code":"pt_BR"},"components":[
 {"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"20%"}]},
 {"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"STOP:natal26"}]},
 {"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"n3mtql"}]}]}}`
}

func text(to, key string) string {
	return `{"messaging_product":"whatsapp","to":"` + to + `","type":"text","text":{"body":"Recebido."},"biz_opaque_callback_data":"` + key + `"}`
}

func codeOf(body string) int {
	var e errorBody
	if json.Unmarshal([]byte(body), &e) != nil {
		return -1
	}
	return e.Error.Code
}

// golden compares a JSON text with testdata/<name>.json.
func golden(t *testing.T, name, got string) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(got), "", "  "); err != nil {
		t.Fatalf("%s: not JSON: %v\n%s", name, err, got)
	}
	pretty.WriteByte('\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func debugLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
