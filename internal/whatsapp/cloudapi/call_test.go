package cloudapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/whatsapp"
)

// The second try is a send as well: it follows no redirect.
func TestSendQuickRetryOfARedirect(t *testing.T) {
	srv := serve(t, false, redirect(302))
	var dials atomic.Int64
	rt := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			return nil, errors.New("a lost packet")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	_, err := testClient(t, srv.URL, rt).Send(t.Context(), "1", testBody())
	if e := checkError(t, err); e == nil || e.NotSent || e.HTTPStatus != 302 || e.Class != whatsapp.ClassUnknown {
		t.Errorf("%v", err)
	}
	if srv.arrived.Load() != 1 || srv.processed.Load() != 1 || dials.Load() != 2 {
		t.Errorf("arrived %d times after %d dials", srv.arrived.Load(), dials.Load())
	}
}

// A call that is used again knows nothing of the send before it: neither that a
// connection was there, nor when that had to leave.
func TestSendWithACallUsedAgain(t *testing.T) {
	srv := serve(t, false, page(200, accepted))
	var broken atomic.Bool
	rt := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if broken.Load() {
			return nil, errors.New("no route")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	client := testClient(t, srv.URL, rt)
	ok := func(ctx context.Context) {
		t.Helper()
		if _, err := client.Send(ctx, "1", testBody()); err != nil {
			t.Fatal(err)
		}
	}
	ok(LeaveBy(t.Context(), time.Now().Add(150*time.Millisecond)))
	first := client.calls.idle[0]
	ok(t.Context())
	ok(LeaveBy(t.Context(), time.Now().Add(time.Hour)))
	if len(client.calls.idle) != 1 || client.calls.idle[0] != first {
		t.Fatalf("%d calls wait, and the first is not used again", len(client.calls.idle))
	}
	time.Sleep(200 * time.Millisecond) // the first one's time to leave passes
	ok(t.Context())
	time.Sleep(300 * time.Millisecond) // so does the time of all
	ok(t.Context())

	other, cancel := context.WithCancel(t.Context())
	ok(other)
	if len(client.calls.idle) != 1 || client.calls.idle[0] == first {
		t.Error("a call was used for another context than its own")
	}
	cancel()
	if _, err := client.Send(other, "1", testBody()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	ok(t.Context())

	broken.Store(true)
	rt.CloseIdleConnections()
	_, err := client.Send(t.Context(), "1", testBody())
	if e := checkError(t, err); e == nil || !e.NotSent || e.Class != whatsapp.ClassRetry {
		t.Errorf("no connection, after sends that had one: %v", err)
	}
	if len(client.calls.idle) != 0 {
		t.Error("a call that failed is to be used again")
	}
	broken.Store(false)
	ok(t.Context())
	client.Close()
	if len(client.calls.idle) != 0 {
		t.Error("a closed client keeps calls")
	}
}

// A request may end later than it may leave, and is not cut short by that; the
// time in which it must end is kept all the same.
func TestLeaveByCutsNothingShort(t *testing.T) {
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
		}
		_, _ = w.Write([]byte(accepted))
	})
	client := srv.client(t)
	if _, err := client.Send(LeaveBy(t.Context(), time.Now().Add(30*time.Millisecond)), "1", testBody()); err != nil {
		t.Errorf("cut short: %v", err)
	}
	client.sendTimeout = 60 * time.Millisecond
	_, err := client.Send(LeaveBy(t.Context(), time.Now().Add(30*time.Millisecond)), "1", testBody())
	if e := checkError(t, err); e == nil || e.NotSent || e.Class != whatsapp.ClassUnknown || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	hanging := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }}
	client = testClient(t, "http://127.0.0.1:1", hanging)
	client.sendTimeout = time.Minute
	_, err = client.Send(LeaveBy(t.Context(), time.Now().Add(30*time.Millisecond)), "1", testBody())
	if e := checkError(t, err); e == nil || !e.NotSent || e.Class != whatsapp.ClassRetry {
		t.Errorf("%v", err)
	}
}

// Many senders over a bad line, all of whose calls are used again and again: each
// gets the answer to its own message, nothing is processed twice, and what is
// said not to be sent never arrived.
func TestSendManyOverABadLine(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2=%t", h2), func(t *testing.T) {
			t.Parallel()
			manyOverABadLine(t, h2)
		})
	}
}

func manyOverABadLine(t *testing.T, h2 bool) {
	const senders, each = 16, 60
	var seen sync.Map // by message: *atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fate := rand.IntN(20)
		if fate == 0 { // an answer before the message was read
			w.Header().Set("Connection", "close")
			graph(w, 400, 100)
			return
		}
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		_, id, _ := strings.Cut(string(raw), `"body":"`)
		id, _, _ = strings.Cut(id, `"`)
		n, _ := seen.LoadOrStore(id, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		switch fate {
		case 1:
			resets(w, r)
		case 2:
			w.WriteHeader(502)
		case 3:
			refuses(400, 131026)(w, r)
		case 4:
			cut(accepted[:100])(w, r)
		case 5:
			time.Sleep(100 * time.Millisecond)
			fallthrough
		default:
			_, _ = fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":"+5511900000001","wa_id":"551190000001"}],"messages":[{"id":"wamid.%s"}]}`, id)
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if srv.EnableHTTP2 = h2; h2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	rt := srv.Client().Transport.(*http.Transport).Clone()
	rt.MaxIdleConnsPerHost = senders
	rt.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if rand.IntN(3) == 0 {
			return nil, errors.New("a lost packet")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	client := testClient(t, srv.URL, rt)
	client.sendTimeout = 80 * time.Millisecond
	var sent, unsent, unknown, refused atomic.Int64
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("m%d-%d", s, i)
				ctx := t.Context()
				if i%2 == 0 {
					ctx = LeaveBy(ctx, time.Now().Add(time.Duration(i%7)*time.Millisecond))
				}
				a, err := client.Send(ctx, "1", AppendMessage(nil, Message{To: whatsapp.Phone("+5511900000001").Identity(), Text: id}))
				times := int64(0)
				if n, ok := seen.Load(id); ok {
					times = n.(*atomic.Int64).Load()
				}
				e := checkError(t, err)
				switch {
				case times > 1:
					t.Errorf("%s was processed %d times", id, times)
				case e == nil:
					if sent.Add(1); a.Wamid != whatsapp.Wamid("wamid."+id) || times != 1 {
						t.Errorf("%s got the answer %+v, processed %d times", id, a, times)
					}
				case e.Coded:
					refused.Add(1)
				case e.NotSent:
					if unsent.Add(1); times != 0 {
						t.Errorf("%s was not sent, and processed: %v", id, err)
					}
				default:
					unknown.Add(1)
				}
			}
		})
	}
	wg.Wait()
	seen.Range(func(id, n any) bool {
		if n.(*atomic.Int64).Load() != 1 {
			t.Errorf("%s was processed %d times", id, n.(*atomic.Int64).Load())
		}
		return true
	})
	if sent.Load() == 0 || unsent.Load() == 0 || unknown.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d sent, %d not sent, %d unknown, %d refused: something of this did not happen", sent.Load(), unsent.Load(), unknown.Load(), refused.Load())
	}
}
