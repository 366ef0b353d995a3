package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// served runs h behind the public listener, in fake time, and f against it.
func served(t *testing.T, h http.Handler, f func(t *testing.T, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wires{at: map[string]*wire{}}
		lis, err := w.listen("tcp", "127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var rooms sync.WaitGroup
		s := newPublic(lis, h)
		rooms.Go(func() { s.serve(ctx, slog.New(slog.DiscardHandler)) })
		var conns []net.Conn
		f(t, func() net.Conn {
			c, err := w.dial(t.Context(), "tcp", "127.0.0.1:1")
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
			return c
		})
		for _, c := range conns {
			_ = c.Close()
		}
		cancel()
		_ = lis.Close()
		rooms.Wait()
	})
}

// closedAfter says when the server hung up, while somebody writes a byte of
// text every second and then nothing.
func closedAfter(t *testing.T, c net.Conn, head, drip string) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	var end time.Duration
	var reading sync.WaitGroup
	reading.Go(func() {
		_, _ = io.Copy(io.Discard, c)
		end = time.Since(began)
	})
	for i := range len(drip) {
		if _, err := c.Write([]byte{drip[i]}); err != nil {
			break
		}
		time.Sleep(time.Second)
	}
	reading.Wait()
	return end
}

func TestSlowClientsAreCutOff(t *testing.T) {
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	served(t, read, func(t *testing.T, dial func() net.Conn) {
		for _, tt := range []struct {
			name, head, drip string
			want             time.Duration
		}{
			{"says nothing", "", "", headTime},
			{"a head without end", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", strings.Repeat("x", 100), headTime},
			{"a body without end", "POST /v1/otp HTTP/1.1\r\nHost: x\r\nContent-Length: 4096\r\n\r\n", strings.Repeat("x", 100), readTime},
			{"a chunked body without end", "POST /v1/otp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 20), readTime},
			{"nothing after a request", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "", idleTime},
			{"nothing after a body", "POST /v1/otp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "", idleTime},
		} {
			got := closedAfter(t, dial(), tt.head, tt.drip)
			if got < tt.want || got > tt.want+2*time.Second {
				t.Errorf("%s: cut off after %v, want %v", tt.name, got, tt.want)
			}
		}
	})
}

// A request that was read whole may wait for news for half a minute, with a body
// and without.
func TestWaitingIsNotReading(t *testing.T) {
	const wait = 40 * time.Second
	waits := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		select {
		case <-time.After(wait):
			_, _ = fmt.Fprintf(w, "%s %v", body, err)
		case <-r.Context().Done():
			w.WriteHeader(http.StatusTeapot)
		}
	})
	served(t, waits, func(t *testing.T, dial func() net.Conn) {
		for _, head := range []string{
			"GET /v1/otp/otp_x HTTP/1.1\r\nHost: x\r\n\r\n",
			"POST /v1/otp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
			"POST /v1/otp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		} {
			c, began := dial(), time.Now()
			in := bufio.NewReader(c)
			for range 2 { // the connection is as good as new afterwards
				if _, err := io.WriteString(c, head); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("%q: %v after %v", head, err, time.Since(began))
				}
				text, err := io.ReadAll(resp.Body)
				if resp.StatusCode != 200 || err != nil || !strings.HasSuffix(string(text), "<nil>") {
					t.Errorf("%q: %d %q %v after %v", head, resp.StatusCode, text, err, time.Since(began))
				}
			}
			if took := time.Since(began); took < 2*wait {
				t.Errorf("%q: answered after %v", head, took)
			}
		}
	})
}

// Whoever hangs up while waiting is waited for no longer.
func TestHangingUpEndsTheWait(t *testing.T) {
	ended := make(chan time.Time, 1)
	waits := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
		ended <- time.Now()
	})
	served(t, waits, func(t *testing.T, dial func() net.Conn) {
		c := dial()
		if _, err := io.WriteString(c, "POST /v1/otp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		left := time.Now()
		_ = c.Close()
		if at := <-ended; at.Sub(left) > time.Second {
			t.Errorf("it waited for %v more", at.Sub(left))
		}
	})
}

// A stop waits for requests under way.
func TestStopLetsRequestsFinish(t *testing.T) {
	const takes = 3 * time.Second
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(takes)
		_, _ = io.WriteString(w, "done")
	})
	synctest.Test(t, func(t *testing.T) {
		w := &wires{at: map[string]*wire{}}
		lis, err := w.listen("tcp", "127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var rooms sync.WaitGroup
		s, ended := newPublic(lis, slow), false
		rooms.Go(func() { s.serve(ctx, slog.New(slog.DiscardHandler)); ended = true })
		c, err := w.dial(ctx, "tcp", "127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		if ended {
			t.Error("the server did not wait for the request under way")
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if string(text) != "done" || err != nil {
			t.Errorf("%q %v", text, err)
		}
		_ = c.Close()
		rooms.Wait()
	})
}

func TestHeadsAreBounded(t *testing.T) {
	served(t, http.NotFoundHandler(), func(t *testing.T, dial func() net.Conn) {
		c := dial()
		var writing sync.WaitGroup
		writing.Go(func() {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
		})
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%+v %v", resp, err)
		}
		_ = c.Close()
		writing.Wait()
	})
}
