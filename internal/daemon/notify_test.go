package daemon

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
)

// heard gathers what the service manager is told, with a look at the moment.
type heard struct {
	mu   sync.Mutex
	all  []State
	text string
	at   func(State)
}

func (h *heard) notify(s State, sentence string) {
	h.mu.Lock()
	h.all, h.text = append(h.all, s), sentence
	h.mu.Unlock()
	if h.at != nil {
		h.at(s)
	}
}

func (h *heard) count(want State) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.all {
		if s == want {
			n++
		}
	}
	return n
}

// noNetwork listens nowhere, so that a daemon can run in a bubble.
type noNetwork struct{ closed chan struct{} }

func (l *noNetwork) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l *noNetwork) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8790} }
func (l *noNetwork) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// bubbled runs a daemon in fake time, with what config.toml says.
func bubbled(t *testing.T, config string, notify func(State, string), fn func(d *Daemon, path string)) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "campaigns.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		cfg, err := Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := New(context.Background(), Options{Config: cfg, Space: roomy, Notify: notify,
			Listen: func(string, string) (net.Listener, error) { return &noNetwork{make(chan struct{})}, nil },
			Dial:   func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		fn(d, path)
		cancel()
		wg.Wait()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

const smallest = `
[[whatsapp.accounts]]
id = "100000000000001"
  [[whatsapp.accounts.numbers]]
  id = "200000000000001"
  name = "loja"
`

// The watchdog is fed as long as everything makes progress, and not while the
// writer or a lane hangs. A disk on which nothing can be written is no hang.
func TestTheWatchdogIsFedByWhatMakesProgress(t *testing.T) {
	h := &heard{}
	bubbled(t, smallest, h.notify, func(d *Daemon, _ string) {
		fed := func(what string, want bool) {
			t.Helper()
			before := h.count(Alive)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if got := h.count(Alive) > before+1; got != want {
				t.Errorf("%s: the watchdog was fed: %v, want %v", what, got, want)
			}
		}
		if h.count(Ready) != 1 {
			t.Errorf("told %v at the start", h.all)
		}
		fed("as usual", true)
		if !strings.Contains(h.text, "0 messages queued") {
			t.Errorf("it says of itself %q", h.text)
		}

		resume := make(chan struct{})
		var hang sync.WaitGroup
		hang.Go(func() {
			_ = d.db.Write(context.Background(), func(*store.Tx) error { <-resume; return nil })
		})
		fed("the writer hangs", false)
		close(resume)
		hang.Wait()
		fed("the writer goes on", true)

		d.db.Break(true)
		fed("nothing can be written", true)
		d.db.Break(false)
		time.Sleep(time.Minute)
	})
	if h.count(Stopping) != 1 || h.all[len(h.all)-1] == Ready {
		t.Errorf("told at the end: %v", h.all[max(0, len(h.all)-3):])
	}
}
