package otp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
)

// arrival is a request that the business's system got.
type arrival struct {
	at     time.Time
	id     string // webhook-id
	header http.Header
	body   []byte
	passed
}

// smsc is the business's own system that sends text messages, reached by pipes in
// memory: connections are real, and all time is the bubble's.
type smsc struct {
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
	server  *http.Server

	mu    sync.Mutex
	away  bool // nobody answers a dial
	dials []time.Time
	got   []arrival
	does  http.HandlerFunc
}

func newSMSC() *smsc {
	s := &smsc{backlog: make(chan net.Conn, 256), closed: make(chan struct{})}
	s.server = &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	return s
}

func (s *smsc) Accept() (net.Conn, error) {
	select {
	case c := <-s.backlog:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *smsc) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000} }

func (s *smsc) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

func (s *smsc) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	s.dials = append(s.dials, time.Now())
	away := s.away
	s.mu.Unlock()
	if away {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	near, far := net.Pipe()
	select {
	case s.backlog <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *smsc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a := arrival{at: time.Now(), id: r.Header.Get("webhook-id"), header: r.Header.Clone(), body: body}
	_ = json.Unmarshal(body, &a.passed)
	s.mu.Lock()
	s.got = append(s.got, a)
	does := s.does
	s.mu.Unlock()
	if does != nil {
		does(w, r)
	}
}

// answers replaces what it does from now on; nil: 200.
func (s *smsc) answers(does http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does = does
}

func (s *smsc) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *smsc) log() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *smsc) dialled() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dials)
}

func answer(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// town is a world in a bubble, with its loops running, beside a system that sends
// text messages.
type town struct {
	*world
	t        *testing.T
	smsc     *smsc
	wrap     func(http.RoundTripper) http.RoundTripper
	change   []func(*Config)
	lines    *lines
	fellBack map[string]int // by reason and result, of Stats
	rooms    sync.WaitGroup
	cancel   context.CancelFunc
	done     chan struct{}
}

// inTown plays a test in a bubble. The fallback is manual, unless change says
// otherwise.
func inTown(t *testing.T, play func(t *testing.T, h *town), change ...func(*Config)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		h := &town{t: t, world: &world{dir: dir}, smsc: newSMSC(), lines: &lines{}, fellBack: map[string]int{}}
		h.change = append([]func(*Config){func(c *Config) { c.Fallback, c.Limits.Live = withHook(), -1 }}, change...)
		h.rooms.Go(func() { _ = h.smsc.server.Serve(h.smsc) })
		h.begin()
		h.furnish(t)
		h.run()
		defer func() { // also after a Fatal
			h.stop()
			_ = h.smsc.server.Close()
			h.rooms.Wait()
			if err := h.DB.Close(); err != nil {
				t.Error(err)
			}
			h.canary()
		}()
		play(t, h)
	})
}

// begin opens what the last life left on disk.
func (h *town) begin() {
	h.t.Helper()
	var transport http.RoundTripper = &http.Transport{DialContext: h.smsc.dial, DialTLSContext: h.smsc.dial, // certificates are net/http's affair
		DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10}
	if h.wrap != nil {
		transport = h.wrap(transport)
	}
	h.given = Deps{Transport: transport, Log: slog.New(slog.NewTextHandler(h.lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Stats: Stats{FellBack: func(reason, result string) { h.fellBack[reason+" "+result]++ }}}
	h.open(h.t, h.dir, h.change...)
}

// run starts the loops.
func (h *town) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done, o := make(chan struct{}), h.OTP
	h.cancel, h.done = cancel, done
	h.rooms.Go(func() { _ = o.Run(ctx); close(done) })
	synctest.Wait()
}

func (h *town) stop() {
	h.cancel()
	<-h.done
}

// crash ends the process as kill -9 does, and starts another.
func (h *town) crash() {
	h.DB.Crash()
	h.reopen()
}

// reopen starts a process after one that was killed.
func (h *town) reopen() {
	h.stop()
	h.begin()
	h.run()
}

// handovers are all rows of the table.
func (h *town) handovers() (all []handover) {
	h.t.Helper()
	h.read(h.t, func(q *store.Snap) (err error) { all, err = store.All[handover](q, allHandovers); return err })
	return all
}

// states are those of all rows, in order.
func (h *town) states() string {
	h.t.Helper()
	var out []string
	for _, r := range h.handovers() {
		out = append(out, string(r.State))
	}
	return strings.Join(out, " ")
}

// counted says how many sends the limits see, of all and by the fallback.
func (h *town) counted() (all, fellBack int) {
	h.t.Helper()
	h.read(h.t, func(q *store.Snap) (err error) {
		if all, _, err = store.Value[int](q, sumOf, "all"); err == nil {
			fellBack, _, err = store.Value[int](q, sumOf, scopeFallback("US"))
		}
		return err
	})
	return all, fellBack
}

var (
	allHandovers = store.SQL(`SELECT ` + handoverColumns + ` FROM code_fallbacks f ORDER BY f.id`)
	sumOf        = store.SQL(`SELECT COALESCE(SUM(sent), 0) FROM code_counts WHERE scope = ?1`)
)

// missing lets the code that waits find no WhatsApp at its number.
func (h *town) missing() {
	h.t.Helper()
	m, _ := h.deliver(h.t)
	h.status(h.t, m, "failed", codeNotOnWhatsApp)
	synctest.Wait()
}

// bySMS asks for the challenge's code by the fallback, and lets it arrive.
func (h *town) bySMS(id string) View {
	h.t.Helper()
	v := h.resend(h.t, id, Resend{Channel: sms})
	synctest.Wait()
	return v
}

// canary: no code, no number and no secret stands in a log or a file.
func (h *town) canary() {
	h.t.Helper()
	planted := []string{phone1[1:], phone2[1:], strings.TrimPrefix(hookSecret, "whsec_"), strings.TrimPrefix(newSecret, "whsec_")}
	for _, a := range h.smsc.log() {
		if len(a.Code) == 8 { // one of six digits is found in any database by chance
			planted = append(planted, a.Code)
		}
	}
	text := h.lines.String()
	for _, a := range h.smsc.log() {
		planted := append(planted, a.Code)
		for _, p := range planted {
			if strings.Contains(text, p) {
				h.t.Errorf("%q stands in the log", p)
			}
		}
	}
	files, err := os.ReadDir(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(h.dir + "/" + f.Name())
		if err != nil {
			h.t.Fatal(err)
		}
		for _, p := range planted[2:] { // numbers stand in the contacts
			if bytes.Contains(b, []byte(p)) {
				h.t.Errorf("%q stands in %s", p, f.Name())
			}
		}
	}
}

// signedBy checks a request as a receiver does, by the text of Standard Webhooks
// 1.0 and not by our own function.
func signedBy(a arrival, secret string, now time.Time) error {
	id, at := a.header.Get("webhook-id"), a.header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || strings.Contains(id, ".") {
		return fmt.Errorf("id %q, timestamp %q", id, at)
	}
	if d := now.Sub(time.Unix(seconds, 0)); d > 5*time.Minute || d < -5*time.Minute {
		return fmt.Errorf("the timestamp is %s away", d)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(a.body)))
	want := mac.Sum(nil)
	for _, s := range strings.Split(a.header.Get("webhook-signature"), " ") {
		version, coded, _ := strings.Cut(s, ",")
		if got, err := base64.StdEncoding.DecodeString(coded); version == "v1" && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return fmt.Errorf("no signature of it matches")
}
