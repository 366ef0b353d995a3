package scripttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"janela/internal/daemon"
	"janela/internal/guard"
	"janela/internal/hooks"
	"janela/internal/sandbox"
	"janela/internal/store"
)

// world is everything that a script plays in.
type world struct {
	script  *script
	dir     string
	net     *network
	logs    *logs
	env     map[string]string // settings laid over config.toml
	free    atomic.Int64      // bytes on the disk
	past    bool              // the database forgot what was sent
	skew    atomic.Int64      // how far janela's wall clock is from the true one, ns
	meta    *meta
	house   *house            // nil while janela is not running
	alerts  map[string]bool   // every alert that was seen at an expectation
	consent map[string][]wish // by number: what the script made people want
	secrets []string          // must be in no log
	codes   codes
	talk    talk
	noted   noted
	sms     smsSystem
	replies []string // what the API answered
	last    string   // what verb api was answered last
	plan    string   // the hash of the plan that was seen last
	event   string   // the id of the event that was heard last
	metrics string   // of the last life that was stopped

	hooks     map[string]string // systems that hear, by name: mode and filters
	receivers *receivers
}

// house is one life of the daemon.
type house struct {
	d      *daemon.Daemon
	host   *host
	cancel context.CancelFunc
	done   chan error
}

const (
	graphAddr  = "127.0.0.1:9000"
	listenAddr = "127.0.0.1:8790"
	waba       = "100000000000001"
	number     = "200000000000001"
	token      = "script-token-4f1c9a"
	appSecret  = "script-app-secret-77b0e2"
	verify     = "script-verify-token-1d63"
)

// baseConfig is what a script says that has no config.toml of its own. Whatever
// polls does it slowly: an hour should cost nothing.
const baseConfig = `
[whatsapp]
graph_url = "http://` + graphAddr + `"
token_file = "token"
app_secret_file = "app-secret"
verify_token_file = "verify-token"
sync_every = "1h"
[[whatsapp.accounts]]
id = "` + waba + `"
  [[whatsapp.accounts.numbers]]
  id = "` + number + `"
  name = "loja"
[campaigns]
poll = "15s"
stable = "5s"
timezone = "America/Sao_Paulo"
approval = "off"
[otp]
countries = ["BR", "US"]
[otp.purposes.login]
template = "codigo_acesso"
languages = ["pt_BR", "en_US"]
[otp.purposes.signup]
template = "codigo_acesso"
languages = ["pt_BR"]
[otp.purposes.recovery]
template = "codigo_seguro"
languages = ["pt_BR"]
digits = 8
step_up_required = true
[otp.purposes.step_up]
template = "codigo_seguro"
languages = ["pt_BR"]
[otp.fallback]
url = "http://` + smsAddr + `/codes"
secret_file = "sms-secret"
[http]
listen = "` + listenAddr + `"
`

func newWorld(s *script, dir string) *world {
	w := &world{script: s, dir: dir, net: newNetwork(), logs: &logs{}, env: map[string]string{}, meta: newMeta(),
		alerts: map[string]bool{}, consent: map[string][]wish{}, secrets: []string{token, appSecret, verify, smsSecret},
		hooks: map[string]string{}, receivers: &receivers{secret: hooks.NewSecret(), got: map[string]map[string]string{}, said: map[string][]string{}},
		talk: talk{}, noted: noted{}, codes: codes{keys: map[string]string{}, challenges: map[string]*challenge{}}}
	w.free.Store(50 << 30)
	return w
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *world) database() string { return w.path("var", "janela.db") }

func (w *world) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// prepare writes the configuration and the secrets, once.
func (w *world) prepare() error {
	if _, err := os.Stat(w.path("config.toml")); err == nil {
		return nil
	}
	config := []byte(baseConfig)
	if f, err := w.script.file("config.toml"); err == nil {
		config = f.Data
	}
	config = append(slices.Clone(config), w.hookConfig()...)
	w.secrets = append(w.secrets, w.receivers.secret)
	for name, data := range map[string][]byte{"hook-secret": []byte(w.receivers.secret), "config.toml": config, "token": []byte(token), "app-secret": []byte(appSecret), "verify-token": []byte(verify), "sms-secret": []byte(smsSecret)} {
		if err := os.WriteFile(w.path(name), data, 0o600); err != nil {
			return err
		}
	}
	return os.MkdirAll(w.path("campaigns.d"), 0o700)
}

// start brings janela up, with whatever the last life left on disk.
func (w *world) start() error {
	if w.house != nil {
		return errors.New("janela runs already")
	}
	if err := w.prepare(); err != nil {
		return err
	}
	var environ []string
	for k, v := range w.env {
		environ = append(environ, k+"="+v)
	}
	cfg, err := daemon.Load(w.path("config.toml"), environ)
	if err != nil {
		return err
	}
	if err := errors.Join(w.meta.up(w, cfg), w.sms.up(w)); err != nil {
		return err
	}
	h := &house{host: w.net.host(), done: make(chan error, 1)}
	var ctx context.Context
	ctx, h.cancel = context.WithCancel(context.Background())
	h.d, err = daemon.New(ctx, daemon.Options{Config: cfg, Log: w.log(), Listen: h.host.listen, Dial: h.host.dial, Version: "script",
		Wall: func() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }, Look: 15 * time.Second,
		Space: func(string) (guard.Space, error) { return guard.Space{Free: w.free.Load(), Total: 100 << 30}, nil }})
	if err != nil {
		h.cancel()
		return err
	}
	w.meta.running.Go(func() { h.done <- h.d.Run(ctx) })
	w.house = h
	synctest.Wait()
	select {
	case err := <-h.done:
		w.house = nil
		h.cancel()
		return fmt.Errorf("janela did not start: %w", errors.Join(err, h.d.Close()))
	default:
		return nil
	}
}

// stop ends janela as SIGTERM does.
func (w *world) stop() error {
	h := w.house
	if h == nil {
		return errors.New("janela does not run")
	}
	w.house = nil
	scraped := w.scrape()
	h.cancel()
	err := errors.Join(scraped, <-h.done, h.d.Close())
	h.host.kill() // what a process leaves open, the system closes
	synctest.Wait()
	return err
}

// scrape reads what janela tells Prometheus of its own; the rest is Go's.
func (w *world) scrape() error {
	probe := w.net.host()
	defer probe.kill()
	client := &http.Client{Transport: &http.Transport{DialContext: probe.dial, DisableKeepAlives: true}}
	ctx, cancel := within(time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listenAddr+"/metrics", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil //nolint:nilerr // it does not listen in this script, or has ended by itself
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if w.metrics = ""; err == nil && !strings.Contains(string(b), "\njanela_") {
		return errors.New("the metrics say nothing of janela")
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "janela_") {
			w.metrics += line
		}
	}
	return err
}

// crash ends janela as kill -9 does: from this instant nothing is committed and
// nothing goes out or comes in.
func (w *world) crash() error {
	h := w.house
	if h == nil {
		return errors.New("janela does not run")
	}
	w.house = nil
	h.d.DB().Crash()
	h.host.kill()
	h.cancel()
	<-h.done
	_ = h.d.Close()
	synctest.Wait()
	return nil
}

// running returns the daemon.
func (w *world) running() (*daemon.Daemon, error) {
	if w.house == nil {
		return nil, errors.New("janela does not run; write start first")
	}
	return w.house.d, nil
}

// write is one transaction of the daemon that runs.
func (w *world) write(fn func(d *daemon.Daemon, tx *store.Tx) error) error {
	d, err := w.running()
	if err != nil {
		return err
	}
	ctx, cancel := within(time.Minute)
	defer cancel()
	return d.DB().Write(ctx, func(tx *store.Tx) error { return fn(d, tx) })
}

// close ends everything in the bubble.
func (w *world) close() error {
	var err error
	if w.house != nil {
		err = w.stop()
	}
	w.receivers.down()
	return errors.Join(err, w.meta.down(), w.sms.down())
}

// settle waits until everything that can happen now has happened.
func (w *world) settle() { synctest.Wait() }

// logs keeps every line that janela and the sandbox wrote.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(l.text()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// meta is Meta's side: the sandbox behind a server of its own. It outlives
// janela, and its ledger is the oracle.
type meta struct {
	cfg     sandbox.Config
	box     *sandbox.Sandbox // nil before the first start
	host    *host
	server  *http.Server
	cancel  context.CancelFunc
	running sync.WaitGroup
	later   []func(*sandbox.Sandbox) error // what was asked before the first start
	tier    string                         // the messaging limit of its numbers
}

func newMeta() *meta {
	return &meta{cfg: sandbox.Config{Token: token, AppSecret: appSecret, VerifyToken: verify, Seed: 1, Profile: sandbox.Quiet(),
		WebhookURL: "http://" + listenAddr + "/webhooks/whatsapp"}}
}

// up makes the sandbox at the first start of janela.
func (m *meta) up(w *world, cfg daemon.Config) error {
	if m.box != nil {
		return nil
	}
	m.host = w.net.host()
	m.cfg.Logger = w.log().With("part", "sandbox")
	m.cfg.Transport = &http.Transport{DialContext: m.host.dial, IdleConnTimeout: 30 * time.Second}
	for i, a := range cfg.WhatsApp.Accounts {
		account := sandbox.WABA{ID: a.ID, Name: "Script"}
		for j, n := range a.Numbers {
			account.Numbers = append(account.Numbers, sandbox.Number{ID: n.ID, Display: fmt.Sprintf("+1 202-555-01%02d", 90-10*i+j), VerifiedName: n.Name, MessagingLimit: m.tier})
		}
		m.cfg.WABAs = append(m.cfg.WABAs, account)
		m.cfg.Templates = append(m.cfg.Templates, templates(a.ID)...)
	}
	var err error
	if m.box, err = sandbox.New(m.cfg); err != nil {
		return err
	}
	lis, err := m.host.listen("tcp", graphAddr)
	if err != nil {
		return err
	}
	m.server = &http.Server{Handler: m.box, ErrorLog: slog.NewLogLogger(m.cfg.Logger.Handler(), slog.LevelWarn)}
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	m.running.Go(func() { _ = m.server.Serve(lis) })
	m.running.Go(func() { _ = m.box.Run(ctx) })
	for _, fn := range m.later {
		if err := fn(m.box); err != nil {
			return err
		}
	}
	return nil
}

// do asks Meta for something, now or when it is there.
func (m *meta) do(fn func(*sandbox.Sandbox) error) error {
	if m.box == nil {
		m.later = append(m.later, fn)
		return nil
	}
	return fn(m.box)
}

func (m *meta) down() error {
	if m.box == nil {
		return nil
	}
	m.cancel()
	err := errors.Join(m.server.Close(), m.box.Close())
	m.host.kill()
	m.running.Wait()
	return err
}
