package cloudapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"janela/internal/whatsapp"
)

// graph writes a Graph error.
func graph(w http.ResponseWriter, status, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":"(#%d) refused","type":"OAuthException","code":%d,"error_data":{"messaging_product":"whatsapp","details":"because"},"fbtrace_id":"AbC"}}`, code, code)
}

func page(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func refuses(status, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { graph(w, status, code) }
}

func waits(value string, status int, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", value)
		w.Header().Set("Date", "Mon, 23 Nov 2026 10:00:00 GMT")
		if then != nil {
			then(w, r)
			return
		}
		w.WriteHeader(status)
	}
}

func resets(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2: a stream reset
		panic(http.ErrAbortHandler)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = conn.Write([]byte(text))
		_ = conn.Close()
	}
}

func cut(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(body))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// The fault matrix: every way an answer can go wrong after the message was
// processed, over both protocols. The message is never processed twice, and the
// verdict is the one the queue may act on.
func TestSendFaultMatrix(t *testing.T) {
	type cell struct {
		name    string
		answer  http.HandlerFunc
		class   whatsapp.Class
		notSent bool
		wait    time.Duration
	}
	const unknown = whatsapp.ClassUnknown
	cells := []cell{
		{"reset after processing", resets, unknown, false, 0},
		{"aborted before headers", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unknown, false, 0},
		{"garbage in place of HTTP", raw("SSH-2.0-OpenSSH_9.2\r\n"), unknown, false, 0},
		{"headers cut", raw("HTTP/1.1 200 OK\r\nContent-Le"), unknown, false, 0},
		{"slow headers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, unknown, false, 0},
		{"slow body", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(accepted[:40]))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, unknown, false, 0},
		{"body cut", cut(accepted[:120]), unknown, false, 0},
		{"body cut at once", cut(""), unknown, false, 0},
		{"error body cut", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			cut(`{"error":{"code":100,"type":"OAuth`)(w, r)
		}, unknown, false, 0},
		{"endless body", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, unknown, false, 0},
		{"200 empty", page(200, ""), unknown, false, 0},
		{"200 null", page(200, "null"), unknown, false, 0},
		{"200 HTML", page(200, "<html>Welcome to the hotel</html>"), unknown, false, 0},
		{"200 without an id", page(200, `{"messaging_product":"whatsapp","messages":[]}`), unknown, false, 0},
		{"200 with an empty id", page(200, `{"messages":[{"id":""}]}`), unknown, false, 0},
		{"200 with messages of another type", page(200, `{"messages":"yes"}`), unknown, false, 0},
		{"204", page(204, ""), unknown, false, 0},
		{"200 that holds a refusal", func(w http.ResponseWriter, _ *http.Request) { graph(w, 200, 131026) }, whatsapp.ClassSuppressUser, true, 0},
		{"301", redirect(301), unknown, false, 0},
		{"302", redirect(302), unknown, false, 0},
		{"303", redirect(303), unknown, false, 0},
		{"307", redirect(307), unknown, false, 0},
		{"308", redirect(308), unknown, false, 0},
		{"304", page(304, ""), unknown, false, 0},
		{"307 with a refusal in it", func(w http.ResponseWriter, _ *http.Request) { graph(w, 307, 100) }, unknown, false, 0},
		{"500 empty", page(500, ""), unknown, false, 0},
		{"502 HTML", page(502, "<html>Bad Gateway</html>"), unknown, false, 0},
		{"504 HTML", page(504, "<html>Gateway Timeout</html>"), unknown, false, 0},
		{"429 of a proxy", waits("7", 429, nil), unknown, false, 7 * time.Second},
		{"503 of a proxy, a day", waits("86400", 503, nil), unknown, false, time.Hour},
		{"503 of a proxy, overflow", waits("99999999999999999999", 503, nil), unknown, false, time.Hour},
		{"503 of a proxy, negative", waits("-5", 503, nil), unknown, false, 0},
		{"503 of a proxy, a date", waits("Mon, 23 Nov 2026 10:00:30 GMT", 503, nil), unknown, false, 30 * time.Second},
		{"503 of a proxy, a date long past", waits("Fri, 31 Dec 1999 23:59:59 GMT", 503, nil), unknown, false, 0},
		{"503 of a proxy, a far date", waits("Mon, 23 Nov 2099 10:00:00 GMT", 503, nil), unknown, false, time.Hour},
		{"503 of a proxy, nonsense", waits("soon", 503, nil), unknown, false, 0},
		{"404 HTML", page(404, "<html>Not Found</html>"), unknown, false, 0},
		{"429 with a proxy's own JSON", page(429, `{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}`), unknown, false, 0},
		{"400 with an error of another API", page(400, `{"error":"invalid_request"}`), unknown, false, 0},
		{"400 with an error without code", page(400, `{"error":{"message":"no","type":"OAuthException"}}`), unknown, false, 0},
		{"code 1", refuses(400, 1), unknown, false, 0},
		{"code 131000", refuses(500, 131000), unknown, false, 0},
		{"undocumented 5xx", refuses(500, 999999), unknown, false, 0},
		{"undocumented 4xx", refuses(400, 999999), whatsapp.ClassDrop, true, 0},
		{"code 0", refuses(401, 0), whatsapp.ClassHaltAuth, true, 0},
		{"code 2", refuses(503, 2), whatsapp.ClassRetry, true, 0},
		{"code 3 as 500", refuses(500, 3), whatsapp.ClassHaltAuth, true, 0},
		{"code 100", refuses(400, 100), whatsapp.ClassStopCampaign, true, 0},
		{"code 130429 as 400", refuses(400, 130429), whatsapp.ClassThrottleNumber, true, 0},
		{"code 130429, a day", waits("86400", 429, refuses(429, 130429)), whatsapp.ClassThrottleNumber, true, time.Hour},
		{"code 130429, 3 s", waits("3", 429, refuses(429, 130429)), whatsapp.ClassThrottleNumber, true, 3 * time.Second},
		{"code 80007 with Meta's estimate", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Business-Use-Case-Usage", `{"1":[{"type":"messaging","estimated_time_to_regain_access":19}],"2":[{"estimated_time_to_regain_access":"3"}]}`)
			graph(w, 400, 80007)
		}, whatsapp.ClassThrottleApp, true, 19 * time.Minute},
		{"code 131016", refuses(500, 131016), whatsapp.ClassRetry, true, 0},
		{"code 131049", refuses(400, 131049), whatsapp.ClassDropDefer, true, time.Hour},
		{"code 131056", refuses(429, 131056), whatsapp.ClassPair, true, 0},
		{"code 131057", refuses(500, 131057), whatsapp.ClassWaitNumber, true, 10 * time.Second},
		{"code 132001", refuses(404, 132001), whatsapp.ClassPauseTemplate, true, 0},
	}
	for _, h2 := range []bool{false, true} {
		for _, c := range cells {
			t.Run(fmt.Sprintf("h2=%t/%s", h2, c.name), func(t *testing.T) {
				t.Parallel()
				srv := serve(t, h2, c.answer)
				answer, err := srv.client(t).Send(t.Context(), "106540352242922", testBody())
				if n := srv.arrived.Load(); n != 1 || srv.processed.Load() != 1 {
					t.Errorf("arrived %d times, processed %d times", n, srv.processed.Load())
				}
				e := checkError(t, err)
				if e == nil {
					t.Fatalf("no error but the answer %+v", answer)
				}
				if e.Class != c.class || e.NotSent != c.notSent || e.RetryAfter != c.wait {
					t.Errorf("class %s, not sent %t, wait %s; want %s, %t, %s\n%v", e.Class, e.NotSent, e.RetryAfter, c.class, c.notSent, c.wait, err)
				}
				if answer != (Answer{}) {
					t.Errorf("an answer came with the error: %+v", answer)
				}
			})
		}
	}
}

func redirect(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"?again=1", status) }
}

// checkError checks what holds for every error.
func checkError(t *testing.T, err error) *Error {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("not an *Error: %v", err)
	}
	if e.Class == "" || e.Op == "" || e.Hint() == "" || e.RetryAfter < 0 || e.RetryAfter > time.Hour {
		t.Errorf("incomplete: %#v", *e)
	}
	if e.NotSent && e.Class == whatsapp.ClassUnknown {
		t.Errorf("surely not sent, yet unknown: %v", err)
	}
	for chain := error(e); chain != nil; chain = errors.Unwrap(chain) {
		if _, ours := chain.(scrubbed); !ours && chain != error(e) {
			break // below stand net/http's own errors, which nobody prints
		}
		for _, secret := range []string{testToken, "0123456789abcdef", "900000001", "90000-0001", "access_token"} {
			if strings.Contains(chain.Error(), secret) {
				t.Errorf("%q stands in the error: %v", secret, chain)
			}
		}
	}
	return e
}

// The Marketing Messages API has an address of its own, and nothing else is
// different.
func TestSendMarketing(t *testing.T) {
	var asked []string
	srv := serve(t, true, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
		if len(asked) == 2 {
			graph(w, 500, 134102)
			return
		}
		_, _ = w.Write([]byte(accepted))
	})
	c := srv.client(t)
	got, err := c.SendMarketing(t.Context(), "106540352242922", testBody())
	if err != nil || got.Wamid == "" {
		t.Errorf("%#v, %v", got, err)
	}
	_, err = c.SendMarketing(t.Context(), "106540352242922", testBody())
	var e *Error
	if !errors.As(err, &e) || e.Code != 134102 || !e.NotSent || e.Class != whatsapp.ClassStopCampaign {
		t.Errorf("%v", err)
	}
	for _, a := range asked {
		if a != "POST /v25.0/106540352242922/marketing_messages Bearer "+testToken {
			t.Error(a)
		}
	}
}

func TestSendAccepted(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, c := range []struct {
			body string
			want Answer
		}{
			{accepted, Answer{Wamid: "wamid.HBgMTEST", WaID: "551190000001", UserID: "BR.13491208655302741918"}},
			{`{"contacts":[{"input":"BR.1","user_id":"BR.1"}],"messages":[{"id":"wamid.A","message_status":"held_for_quality_assessment"}]}`, Answer{Wamid: "wamid.A", UserID: "BR.1", Held: true}},
			{`{"messages":[{"id":"wamid.B","message_status":"paused"}]}`, Answer{Wamid: "wamid.B", Paused: true}},
			{`{"contacts":[{"wa_id":551190000001}],"messages":[{"id":"wamid.C"}],"new":{}}`, Answer{Wamid: "wamid.C", WaID: "551190000001"}},
			{`{"contacts":null,"messages":[{"id":"wamid.D"}]}`, Answer{Wamid: "wamid.D"}},
		} {
			srv := serve(t, h2, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.URL.String() != "/v25.0/106540352242922/messages" {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				if got := r.Header.Get("Authorization"); got != "Bearer "+testToken {
					t.Errorf("Authorization %q", got)
				}
				if r.Header.Get("Content-Type") != "application/json" || r.ContentLength != int64(len(testBody())) {
					t.Errorf("headers %v, length %d", r.Header, r.ContentLength)
				}
				for _, h := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
					if r.Header.Get(h) != "" { // net/http would take the POST for replayable
						t.Errorf("%s is set", h)
					}
				}
				_, _ = w.Write([]byte(c.body))
			})
			got, err := srv.client(t).Send(t.Context(), "106540352242922", testBody())
			if err != nil || got != c.want {
				t.Errorf("h2=%t: %#v, %v", h2, got, err)
			}
		}
	}
}

// HTTP/2 frames that make net/http itself write a request again, if it could.
func TestSendStreamResets(t *testing.T) {
	for name, reply := range map[string]func(uint32) []byte{
		"NO_ERROR":          rstStream(0),
		"PROTOCOL_ERROR":    rstStream(1),
		"INTERNAL_ERROR":    rstStream(2),
		"REFUSED_STREAM":    rstStream(7),
		"CANCEL":            rstStream(8),
		"ENHANCE_YOUR_CALM": rstStream(11),
		"GOAWAY below":      goAway(0, 0),
		"GOAWAY above":      goAway(1<<30, 2),
		"garbage":           func(uint32) []byte { return []byte("HTTP/1.1 200 OK\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, rt := serveFrames(t, reply)
			_, err := testClient(t, srv.address, rt).Send(t.Context(), "1", testBody())
			if n := srv.processed.Load(); n != 1 {
				t.Errorf("processed %d times", n)
			}
			if e := checkError(t, err); e == nil || e.NotSent || e.Class != whatsapp.ClassUnknown {
				t.Errorf("%v", err)
			}
		})
	}
}

// A kept-alive connection that the server closes just as we write.
func TestSendOnClosingConnection(t *testing.T) {
	var first atomic.Bool
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			_, _ = w.Write([]byte(accepted))
			return
		}
		resets(w, r)
	})
	client := srv.client(t)
	if _, err := client.Send(t.Context(), "1", testBody()); err != nil {
		t.Fatal(err)
	}
	_, err := client.Send(t.Context(), "1", testBody())
	if e := checkError(t, err); e == nil || e.NotSent || e.Class != whatsapp.ClassUnknown {
		t.Errorf("%v", err)
	}
	if n := srv.processed.Load(); n != 2 {
		t.Errorf("two sends were processed %d times", n)
	}
}

// Nothing left the machine: surely not sent, and worth another try.
func TestSendNeverConnected(t *testing.T) {
	boom := errors.New("no route to host for EAATESTTOKEN0123456789abcdef")
	var dials atomic.Int64
	failing := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		return nil, boom
	}}
	hanging := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	untrusted := serve(t, true, page(200, accepted))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + ln.Addr().String()
	_ = ln.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	reset := tcpResetter(t)

	for _, c := range []struct {
		name string
		ctx  context.Context
		base string
		rt   http.RoundTripper
		is   error
	}{
		{"dial fails", t.Context(), "http://127.0.0.1:1", failing, boom},
		{"dial hangs", t.Context(), "http://127.0.0.1:1", hanging, context.DeadlineExceeded},
		{"refused", t.Context(), refused, &http.Transport{}, syscall.ECONNREFUSED},
		{"certificate not trusted", t.Context(), untrusted.URL, &http.Transport{ForceAttemptHTTP2: true}, nil},
		{"TLS to a server that hangs up", t.Context(), "https://" + reset, &http.Transport{}, nil},
		{"context ended before", cancelled, refused, &http.Transport{}, context.Canceled},
		{"address without a scheme", t.Context(), "graph.example.com", &http.Transport{}, nil},
		{"address that is none", t.Context(), "http://[::1", &http.Transport{}, nil},
	} {
		_, err := testClient(t, c.base, c.rt).Send(c.ctx, "1", testBody())
		e := checkError(t, err)
		if e == nil || !e.NotSent || e.Class != whatsapp.ClassRetry {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v does not unwrap to %v", c.name, err, c.is)
		}
	}
	if n := dials.Load(); n != 3 {
		t.Errorf("%d dials, want the first and two quick retries", n)
	}
	if untrusted.arrived.Load() != 0 {
		t.Error("a request reached the untrusted server")
	}
}

func tcpResetter(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// The quick retry: the first dial fails, the second works, one message goes.
func TestSendQuickRetry(t *testing.T) {
	srv := serve(t, false, page(200, accepted))
	var dials atomic.Int64
	rt := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			return nil, errors.New("a lost packet")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	if _, err := testClient(t, srv.URL, rt).Send(t.Context(), "1", testBody()); err != nil {
		t.Error(err)
	}
	if srv.processed.Load() != 1 || dials.Load() != 2 {
		t.Errorf("processed %d times after %d dials", srv.processed.Load(), dials.Load())
	}
}

// The deadline passes while all connections are busy: our request never left.
func TestSendWaitingForConnection(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write([]byte(accepted))
	})
	rt := srv.Client().Transport.(*http.Transport).Clone()
	rt.MaxConnsPerHost = 1
	client := testClient(t, srv.URL, rt)
	client.sendTimeout = 5 * time.Second
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := client.Send(t.Context(), "1", testBody()); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
	for srv.processed.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Send(ctx, "1", testBody())
	close(release)
	wg.Wait()
	if e := checkError(t, err); e == nil || !e.NotSent || e.Class != whatsapp.ClassRetry {
		t.Errorf("%v", err)
	}
	if n := srv.processed.Load(); n != 1 {
		t.Errorf("processed %d times", n)
	}
}

// A transport that says nothing of its connections proves nothing.
func TestSendThroughSilentTransport(t *testing.T) {
	var calls int
	rt := roundTripper(func(*http.Request) (*http.Response, error) {
		calls++
		return nil, errors.New("broken")
	})
	_, err := testClient(t, "http://127.0.0.1:1", rt).Send(t.Context(), "1", testBody())
	if e := checkError(t, err); e == nil || e.NotSent || e.Class != whatsapp.ClassUnknown || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSendTokenFaults(t *testing.T) {
	srv := serve(t, false, page(200, accepted))
	for name, token := range map[string]func() (string, error){
		"none":   nil,
		"fails":  func() (string, error) { return "", errors.New("permission denied") },
		"empty":  func() (string, error) { return " \n", nil },
		"a line": func() (string, error) { return testToken + "\nX-Other: 1", nil },
	} {
		client := srv.client(t)
		client.token = token
		_, err := client.Send(t.Context(), "1", testBody())
		if e := checkError(t, err); e == nil || !e.NotSent || e.Class != whatsapp.ClassHaltAuth {
			t.Errorf("%s: %v", name, err)
		}
	}
	if srv.arrived.Load() != 0 {
		t.Error("a request was made without a token")
	}
	client := srv.client(t)
	client.token = func() (string, error) { return testToken + "\n", nil } // as a file ends
	if _, err := client.Send(t.Context(), "1", testBody()); err != nil {
		t.Error(err)
	}
}

func BenchmarkSend(b *testing.B) {
	srv := serve(b, false, page(200, accepted))
	client := New(Config{BaseURL: srv.URL, Transport: srv.Client().Transport, Token: func() (string, error) { return testToken, nil }})
	body := testBody()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Send(b.Context(), "1", body); err != nil {
			b.Fatal(err)
		}
	}
}

// Over HTTP/2 a call is made anew for each send.
func BenchmarkSendHTTP2(b *testing.B) {
	srv := serve(b, true, page(200, accepted))
	client := New(Config{BaseURL: srv.URL, Transport: srv.Client().Transport, Token: func() (string, error) { return testToken, nil }})
	body := testBody()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Send(b.Context(), "1", body); err != nil {
			b.Fatal(err)
		}
	}
}
