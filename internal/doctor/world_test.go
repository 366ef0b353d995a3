package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"janela/internal/daemon"
	"janela/internal/guard"
	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp/webhook"
)

const (
	waba     = "100000000000001"
	numberID = "200000000000001"
	token    = "sandbox-token"
	secret   = "sandbox-app-secret"
	verify   = "sandbox-verify-token"
)

// place is a house in which everything is well, to break one thing of.
type place struct {
	t      *testing.T
	dir    string
	config string // text of config.toml
	meta   *sandbox.Sandbox
	graph  *httptest.Server
	hook   *httptest.Server // our own callback address
	answer http.HandlerFunc // in the place of hook's; nil: as it should be
	self   httpapi.Self
	health httpapi.Health
	silent bool              // no daemon answers
	faults tomlfile.Problems // beside those of config.toml
	unlock bool              // nobody holds the database's lock
	world  World
	db     *store.DB
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	p.hook = httptest.NewServer(http.HandlerFunc(p.serveHook))
	p.hook.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(p.hook.Close)
	var err error
	p.meta, err = sandbox.New(sandbox.Config{Token: token, AppSecret: secret, VerifyToken: verify, WebhookURL: p.hook.URL + "/webhooks/whatsapp", Profile: sandbox.Quiet(), Seed: 1,
		WABAs:     []sandbox.WABA{{ID: waba, Name: "Loja", Numbers: []sandbox.Number{{ID: numberID, Display: "+1 202-555-0100", VerifiedName: "Loja"}}}},
		Templates: sandbox.DefaultTemplates(waba)})
	if err != nil {
		t.Fatal(err)
	}
	p.graph = httptest.NewServer(p.meta)
	t.Cleanup(func() {
		p.graph.Close()
		_ = p.meta.Close()
	})
	for _, dir := range []string{"campaigns.d", "status", "db"} {
		if err := os.Mkdir(p.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p.write("token", token, 0o600)
	p.write("app-secret", secret, 0o600)
	p.write("verify-token", verify, 0o600)
	p.write("campaigns.d/natal.toml", natal, 0o600)
	p.config = fmt.Sprintf(configText, p.graph.URL, p.hook.URL)
	p.db, err = store.Open(t.Context(), store.Config{Path: p.path("db/janela.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	p.self = httpapi.Self{PID: 42, Version: "v1", Started: time.Now(), HTTP: "127.0.0.1:0", WebhookURL: p.hook.URL + "/webhooks/whatsapp",
		Numbers: []httpapi.SelfNumber{{Account: waba, ID: numberID, Name: "loja"}}}
	p.health = httpapi.Health{Ready: true}
	p.world = World{Version: "v1", FileSystem: func(string) (guard.FileSystem, error) { return guard.FileSystem{Name: "ext4"}, nil },
		Space: func(string) (guard.Space, error) { return guard.Space{Free: 100 << 30, Total: 200 << 30}, nil },
		Zone:  time.LoadLocation}
	return p
}

const configText = `[store]
path = "db/janela.db"
[whatsapp]
graph_url = "%s"
token_file = "token"
app_secret_file = "app-secret"
verify_token_file = "verify-token"
callback_url = "%s/webhooks/whatsapp"
[[whatsapp.accounts]]
id = "100000000000001"
  [[whatsapp.accounts.numbers]]
  id = "200000000000001"
  name = "loja"
[campaigns]
folder = "campaigns.d"
status = "status"
timezone = "America/Sao_Paulo"
[optin]
key_file = "optin.key"
[otp]
key_file = "otp.key"
[otp.purposes.login]
template = "codigo_acesso"
languages = ["pt_BR"]
[http]
listen = "127.0.0.1:0"
`

const natal = `id = "natal"
category = "marketing"
[template]
name = "oferta_natal"
language = "pt_BR"
[[template.body]]
column = "nome"
[[template.body]]
column = "desconto"
[[template.buttons]]
index = 1
column = "link"
[recipients]
file = "natal.csv"
phone_column = "telefone"
[schedule]
cron = "0 9 * * 1"
`

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, text string, mode os.FileMode) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chmod(p.path(name), mode); err != nil {
		p.t.Fatal(err)
	}
}

// swap changes what config.toml says.
func (p *place) swap(from, to string) {
	p.t.Helper()
	if !strings.Contains(p.config, from) {
		p.t.Fatalf("config.toml has no %q", from)
	}
	p.config = strings.ReplaceAll(p.config, from, to)
}

// app changes Meta's side.
func (p *place) app(c sandbox.AppChange) {
	p.t.Helper()
	if err := p.meta.SetApp(c); err != nil {
		p.t.Fatal(err)
	}
}

// serveHook is the callback address of a daemon that is well.
func (p *place) serveHook(w http.ResponseWriter, r *http.Request) {
	if p.answer != nil {
		p.answer(w, r)
		return
	}
	if r.Method == http.MethodGet {
		challenge, ok := webhook.Challenge(r.URL.Query(), verify)
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, challenge)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if !webhook.Verify([][]byte{[]byte(secret)}, r.Header.Get(webhook.SignatureHeader), body) {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// hold places a hold.
func (p *place) hold(h outbox.Hold) {
	p.t.Helper()
	err := p.db.Write(p.t.Context(), func(tx *store.Tx) error {
		_, err := outbox.Place(tx, h)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// run examines the place.
func (p *place) run(ctx context.Context) Report {
	p.t.Helper()
	p.write("config.toml", p.config, 0o600)
	if p.unlock {
		if err := p.db.Close(); err != nil {
			p.t.Fatal(err)
		}
	}
	w := p.world
	cfg, err := daemon.Load(p.path("config.toml"), nil)
	w.Config = cfg
	var faults tomlfile.Problems
	switch {
	case errors.As(err, &faults):
		w.Faults = faults
	case err != nil:
		w.Unread = err
	default:
		w.Faults = cfg.Warnings()
	}
	w.Faults = append(w.Faults, p.faults...)
	if !p.silent {
		w.Client = p.daemon()
		defer w.Client.Close()
	}
	return Run(ctx, w)
}

// daemon answers as a running one does.
func (p *place) daemon() *httpapi.Client {
	p.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/self", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(p.self) })
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(httpapi.Status{Version: p.self.Version, Health: &p.health})
	})
	dir, err := os.MkdirTemp("", "doc") // the path of a socket is short
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	lis, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		p.t.Fatal(err)
	}
	s := &httptest.Server{Listener: lis, Config: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}}
	s.Start()
	p.t.Cleanup(s.Close)
	c, err := httpapi.Dial(p.t.Context(), filepath.Join(dir, "s"))
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}
