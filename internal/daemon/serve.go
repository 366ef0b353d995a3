package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"janela/internal/httpapi"
	"janela/internal/store"
)

func dirOf(path string) string { return filepath.Dir(path) }

// server is a listener with its handler.
type server struct {
	name string
	lis  net.Listener
	http *http.Server
	tls  bool
}

// serve answers until ctx ends, then lets requests under way finish.
func (s *server) serve(ctx context.Context, log *slog.Logger) {
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.http.Shutdown(grace); err != nil {
			_ = s.http.Close()
		}
	})
	run := func() error { return s.http.Serve(s.lis) }
	if s.tls {
		run = func() error { return s.http.ServeTLS(s.lis, "", "") }
	}
	if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("a listener has ended", "listener", s.name, "error", err)
	}
	if !stop() { // Serve returns when Shutdown begins
		<-finished
	}
}

func newServer(name string, lis net.Listener, h http.Handler) *server {
	return &server{name: name, lis: lis, http: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second,
		WriteTimeout: 10 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ConnContext: httpapi.WithConn}}
}

// listenSandbox opens the sandbox's address: the Graph API that clients call.
func (d *Daemon) listenSandbox() error {
	lis, err := d.opt.Listen("tcp", d.cfg.Sandbox.Listen)
	if err != nil {
		return fmt.Errorf("listen for the sandbox on %s: %w; is another one there? change sandbox.listen", d.cfg.Sandbox.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("/sandbox/", http.StripPrefix("/sandbox", d.sandbox.Manage()))
	mux.Handle("/", d.sandbox)
	d.sandboxServer = newServer("sandbox", lis, mux)
	d.onStop("sandbox listener", d.sandboxServer.http.Close)
	return nil
}

func (d *Daemon) sandboxAddr() string { return d.sandboxServer.lis.Addr().String() }

// listen opens every address, before anything is started: what cannot be opened
// keeps the daemon from starting.
func (d *Daemon) listen() ([]*server, error) {
	lis, err := d.opt.Listen("tcp", d.cfg.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; is another program there? change http.listen", d.cfg.HTTP.Listen, err)
	}
	d.addr = lis.Addr().String()
	public := newPublic(lis, d.public())
	public.http.RegisterOnShutdown(d.api.EndWaits)
	d.onStop("http listener", public.http.Close)
	if _, err := d.secured(public, d.cfg.HTTP.TLSCert, d.cfg.HTTP.TLSKey); err != nil {
		return nil, err
	}
	out := []*server{public}
	callbacks := public
	webhook, err := d.listenWebhook()
	if err != nil {
		return nil, err
	}
	if webhook != nil {
		callbacks = webhook
		out = append(out, webhook)
	}
	d.callbacks = callbacks.url() + d.cfg.HTTP.WebhookPath
	pages, err := d.listenConsole()
	if err != nil {
		return nil, err
	}
	if pages != nil {
		out = append(out, pages)
	}
	socket, err := d.listenSocket()
	if err != nil {
		return nil, err
	}
	if socket != nil {
		out = append(out, socket)
	}
	if d.sandbox != nil {
		if callbacks.tls {
			if callbacks, err = d.listenSandboxCallbacks(); err != nil {
				return nil, err
			}
			out = append(out, callbacks)
		}
		if err := d.sandbox.SetWebhook(callbacks.url() + d.cfg.HTTP.WebhookPath); err != nil {
			return nil, err
		}
		d.log.Info("the embedded sandbox stands in for Meta: nothing leaves this machine", "management", "http://"+d.sandboxAddr()+"/sandbox/")
		out = append(out, d.sandboxServer)
	}
	return out, nil
}

// SocketPath is where the command line finds a running daemon: a socket beside
// the database that only its owner may open.
func (c *Config) SocketPath() string { return c.file(c.Store.Path) + ".sock" }

// ErrLocked says that another process holds the database.
var ErrLocked = store.ErrLocked

// Assist lets the API work without Run, for commands of a process of their own:
// what they read from Meta, the embedded sandbox answers. stop must be called
// before Close.
func (d *Daemon) Assist() (stop func()) {
	if d.sandbox == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.sandboxServer.serve(ctx, d.log) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// listenSocket opens the command line's socket; none when the network is
// replaced.
func (d *Daemon) listenSocket() (*server, error) {
	if d.opt.Dial != nil {
		return nil, nil
	}
	path := d.cfg.SocketPath()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // we hold the database's lock: the old one is dead
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	lis, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the command line's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, lis.Close())
	}
	s := newServer("socket", lis, d.api)
	d.onStop("socket", s.http.Close)
	return s, nil
}

// public is what the outside may reach: Meta's callbacks, the public face of the
// API for who has a key, health and metrics.
func (d *Daemon) public() http.Handler {
	mux := http.NewServeMux()
	metrics, readyz := d.metrics.handler(), d.readyz
	if reachedFromElsewhere(d.cfg.HTTP.Listen) { // they tell of the business, and have no key of their own
		metrics, readyz = d.api.Guard(metrics), d.api.Guard(http.HandlerFunc(readyz)).ServeHTTP
	}
	routes(mux, d.api.Public(), metrics, readyz)
	if d.cfg.Webhook.Listen == "" {
		mux.Handle(d.cfg.HTTP.WebhookPath, d.intake)
	}
	return mux
}

// url is how the listener is reached.
func (s *server) url() string {
	if s.tls {
		return "https://" + s.lis.Addr().String()
	}
	return "http://" + s.lis.Addr().String()
}

func routes(mux *http.ServeMux, face, metrics http.Handler, readyz http.HandlerFunc) {
	for _, at := range httpapi.PublicPaths() {
		mux.Handle(at, face)
		mux.Handle(at+"/", face)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", readyz)
	mux.Handle("GET /metrics", metrics)
}

// readyz says whether the daemon takes work, and what stands in its way.
func (d *Daemon) readyz(w http.ResponseWriter, r *http.Request) {
	report := d.health(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if !report.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(report)
}
