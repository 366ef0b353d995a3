package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"janela/internal/whatsapp"
)

// dials counts the connections that are asked for.
type dials struct {
	mu sync.Mutex
	n  int
}

func (d *dials) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.n++
	d.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (d *dials) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

// Codes have connections of their own: what a campaign has open, or waits for,
// is not theirs, and theirs stay open for the next code.
func TestCodesHaveTheirOwnConnections(t *testing.T) {
	meta := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"messages":[{"id":"wamid.1"}]}`))
	}))
	defer meta.Close()
	var net dials
	token := func() ([]byte, error) { return []byte("t"), nil }
	d := &Daemon{opt: Options{Dial: net.dial}}
	from := &secrets{token: token, tokens: map[string]func() ([]byte, error){
		"2": func() ([]byte, error) { return nil, errors.New("no token of this account") }}}
	d.cfg.WhatsApp.GraphURL = meta.URL
	d.cfg.WhatsApp.Senders = 4
	d.cfg.WhatsApp.Accounts = []AccountConfig{{ID: "1"}, {ID: "2"}}
	d.clients.Store(newClients(d, &d.cfg, from))
	send := func(lane whatsapp.Lane, want int) {
		t.Helper()
		s, ok := d.sender("1", lane)
		if !ok {
			t.Fatalf("no client for the %s lane", lane)
		}
		if _, err := s.Send(t.Context(), "7", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		if n := net.count(); n != want {
			t.Errorf("after a send of the %s lane there are %d connections, want %d", lane, n, want)
		}
	}
	send(whatsapp.LaneMarketing, 1)
	send(whatsapp.LaneUtility, 1)
	send(whatsapp.LaneAuthentication, 2)
	send(whatsapp.LaneMarketing, 2)
	send(whatsapp.LaneAuthentication, 2)
	for _, lane := range []whatsapp.Lane{whatsapp.LaneAuthentication, whatsapp.LaneMarketing} {
		if _, ok := d.sender("3", lane); ok {
			t.Errorf("an account that is not configured has a client in the %s lane", lane)
		}
		if s, ok := d.sender("2", lane); !ok {
			t.Errorf("account 2 has no client in the %s lane", lane)
		} else if _, err := s.Send(t.Context(), "7", []byte(`{}`)); err == nil {
			t.Errorf("account 2 sends in the %s lane with the token of another", lane)
		}
	}
}
