package httpapi

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/store"
)

// cutting breaks every connection of a listener at the first byte of an answer.
type cutting struct{ now atomic.Bool }

type cutListener struct {
	net.Listener
	cut *cutting
}

func (l cutListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return cutConn{c, l.cut}, nil
}

type cutConn struct {
	net.Conn
	cut *cutting
}

func (c cutConn) Write(b []byte) (int, error) {
	if c.cut.now.Load() {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// serveOn is serve behind a listener that can break.
func (d *desk) serveOn(s *Server, cut *cutting) string {
	srv := httptest.NewUnstartedServer(s.Public())
	srv.Listener = cutListener{srv.Listener, cut}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	d.t.Cleanup(srv.Close)
	return srv.URL
}

// servers are several of them over the same database, each with a listener.
func (d *desk) servers(n int) []string {
	urls := make([]string, n)
	for i := range urls {
		urls[i] = d.serve(New(Config{DB: d.db, OTP: d.otp}))
	}
	return urls
}

// parallel makes n requests at once, and counts the answers by status and code.
func (d *desk) parallel(c *http.Client, urls []string, n int, path string, body func(i int) string, header func(i int) []string) map[string]int {
	var mu sync.Mutex
	got := map[string]int{}
	var start, all sync.WaitGroup
	start.Add(1)
	for i := range n {
		all.Go(func() {
			start.Wait()
			a, err := d.try(c, urls[i%len(urls)], "POST", path, d.keys["app"], body(i), header(i)...)
			what := http.StatusText(a.status)
			if err != nil {
				what = err.Error()
			} else if a.status >= 400 {
				var p Problem
				_ = json.Unmarshal(a.body, &p)
				what = p.Code
				if p.Reason != "" {
					what += " " + p.Reason
				}
			}
			mu.Lock()
			defer mu.Unlock()
			got[what]++
		})
	}
	start.Done()
	all.Wait()
	return got
}

func client64() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
}

func rounds(t *testing.T, n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// The right code succeeds once, however many try it at the same time, through
// however many servers.
func TestRightCodeOnce(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	c, urls := client64(), d.servers(3)
	defer c.CloseIdleConnections()
	none := func(int) []string { return nil }
	for range rounds(t, 500) {
		id := d.issue(d.phone())
		body := guess(d.code(id))
		got := d.parallel(c, urls, 64, "/v1/otp/"+id+"/verify", func(int) string { return body }, none)
		if got["OK"] != 1 || got["gone verified"] != 63 {
			t.Fatalf("%v", got)
		}
		d.told = nil
	}
}

// Of wrong guesses at the same time, five are compared.
func TestFiveGuesses(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	c, urls := client64(), d.servers(3)
	defer c.CloseIdleConnections()
	none := func(int) []string { return nil }
	for range rounds(t, 500) {
		id := d.issue(d.phone())
		code := d.code(id)
		got := d.parallel(c, urls, 64, "/v1/otp/"+id+"/verify", func(i int) string { return guess(other(code, i)) }, none)
		if got["invalid-code"] != 5 || got["gone exhausted"] != 59 {
			t.Fatalf("%v", got)
		}
		d.ask("POST", "/v1/otp/"+id+"/verify", "app", guess(code)).wantCode(t, 410, "gone")
		d.told = nil
	}
}

// The same request at the same time has one effect: who comes meanwhile is told
// to wait, or gets the first one's answer.
func TestOneRequestOfManyRepeats(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	c, urls := client64(), d.servers(3)
	defer c.CloseIdleConnections()
	for range rounds(t, 20) {
		body, key := requestFor(d.phone()), unique()
		got := d.parallel(c, urls, 64, "/v1/otp", func(int) string { return body }, func(int) []string { return []string{"Idempotency-Key", key} })
		if got["Accepted"] < 1 || got["Accepted"]+got["idempotency-in-flight"] != 64 {
			t.Fatalf("%v", got)
		}
		id := d.ask("POST", "/v1/otp", "app", body, "Idempotency-Key", key).want(t, 202).ID
		for _, a := range d.told {
			var r codeReply
			if i := indexBody(a); json.Unmarshal(a[i:], &r) == nil && r.Status == "pending" && r.ID != id {
				t.Fatalf("two challenges: %s and %s", id, r.ID)
			}
		}
		d.told = nil
	}
}

// indexBody finds where the headers of a remembered answer end.
func indexBody(a []byte) int {
	for i, b := range a {
		if b == '{' {
			return i
		}
	}
	return len(a)
}

// While the first request runs, a repeat is told so.
func TestInFlight(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	id := d.issue(d.phone())
	held, gate := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	var all sync.WaitGroup
	all.Go(func() { // the writer is busy
		_ = d.db.Write(t.Context(), func(*store.Tx) error { close(held); <-gate; return nil })
	})
	<-held
	key := unique()
	first := make(chan told, 1)
	all.Go(func() {
		a, err := d.try(http.DefaultClient, d.url, "POST", "/v1/otp/"+id+"/cancel", d.keys["app"], "", "Idempotency-Key", key)
		if err != nil {
			t.Error(err)
		}
		first <- a
	})
	for d.server.public.flying.len() == 0 {
		runtime.Gosched()
	}
	impatient := &http.Client{Timeout: 20 * time.Second} // else a request that is not told would wait for us
	a, err := d.try(impatient, d.url, "POST", "/v1/otp/"+id+"/cancel", d.keys["app"], "", "Idempotency-Key", key)
	if err != nil {
		t.Fatal(err)
	}
	if a.wantCode(t, 409, "idempotency-in-flight"); a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a.header)
	}
	release()
	all.Wait()
	(<-first).want(t, 200)
	if a := d.ask("POST", "/v1/otp/"+id+"/cancel", "app", "", "Idempotency-Key", key); a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	if n := d.server.public.flying.len(); n != 0 {
		t.Errorf("%d keys are still in flight", n)
	}
}

func (f *inFlight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.keys)
}
