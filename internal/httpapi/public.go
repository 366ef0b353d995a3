package httpapi

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/store"
	"janela/otp"
)

// Public returns what the business's own systems call over TCP, each with an
// API key, at PublicPaths and below. It is made for servers: what a browser
// sends is refused. Whoever serves it calls EndWaits when it stops.
func (s *Server) Public() http.Handler { return s.public }

// EndWaits lets every request that waits for a change answer at once, now and
// from now on. For http.Server.RegisterOnShutdown.
func (s *Server) EndWaits() { s.public.waits.end() }

// public answers the business's own systems.
type public struct {
	server *Server
	db     *store.DB
	otp    *otp.OTP
	mac    MAC
	log    *slog.Logger
	waits  waits
	looks  lookLimits
	flying inFlight
	router router

	listeners listeners
	limits    keyLimits
}

func newPublic(s *Server, cfg Config) *public {
	p := &public{server: s, db: cfg.DB, otp: cfg.OTP, mac: cfg.MAC, log: cfg.Log, waits: waits{changed: make(chan struct{}), ended: make(chan struct{})}}
	if p.mac == nil && p.otp != nil {
		p.mac = p.otp.MAC
	}
	if p.otp != nil {
		p.waits.wake = p.db.Wakes(otp.Topic)
	}
	p.limits.perSecond = cfg.KeyPerSecond
	p.router = newRouter(p)
	return p
}

// call is one request on its way.
type call struct {
	*public
	w   http.ResponseWriter
	r   *http.Request
	id  string // of the request
	key access.Key
	mac MAC // of the Idempotency-Key and the body

	endpoint *endpoint
	words    []string // what stands in the path in place of its braces
}

// noStore is on every answer: none may be kept on the way.
var noStore = []string{"no-store"}

// ServeHTTP answers a request; what is no success is a Problem.
func (p *public) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.page(w, r) {
		return
	}
	c := &call{public: p, w: w, r: r, id: requestID(r), mac: p.mac}
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Request-Id"] = []string{c.id}
	defer c.rescue()
	a, err := c.serve()
	if err != nil {
		a = c.failed(err)
	}
	c.tell(a)
}

// requestID is the caller's, if it is harmless, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if len(id) < 1 || len(id) > 64 {
		return rand.Text()
	}
	for i := range len(id) {
		switch b := id[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '.', b == '_', b == '-':
		default:
			return rand.Text()
		}
	}
	return id
}

// PublicPaths are where the public face answers, there and below.
func PublicPaths() []string {
	var out []string
	for _, e := range endpoints() {
		if at := "/" + strings.Join(e.segments[:2], "/"); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return append(out, "/openapi.json", "/openapi.yaml", "/docs")
}

// serve finds the operation, asks who is calling, and runs it. Paths and
// methods are no secret, so they come first.
func (c *call) serve() (answer, error) {
	at, words := c.router.find(c.r.URL.Path)
	if len(at) == 0 {
		return answer{}, noPath()
	}
	c.words = words
	for _, e := range at {
		if e.method == c.r.Method {
			c.endpoint = e
			if err := c.enter(); err != nil {
				return answer{}, err
			}
			return e.run(c)
		}
	}
	methods := make([]string, len(at))
	for i, e := range at {
		methods[i] = e.method
	}
	c.w.Header()["Allow"] = []string{strings.Join(methods, ", ")}
	return answer{}, publicProblem(codeMethod, "this address takes "+strings.Join(methods, ", "))
}

// plausible keeps what can be no challenge's id from going any further.
func plausible(id string) bool {
	if !strings.HasPrefix(id, "otp_") || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if b := id[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '_' {
			return false
		}
	}
	return true
}

// enter checks the origin and, unless the operation does it in a snapshot of its
// own, the key.
func (c *call) enter() error {
	if site := c.r.Header["Sec-Fetch-Site"]; len(c.r.Header["Origin"]) > 0 || len(site) > 0 && (len(site) > 1 || site[0] != "none") {
		return publicProblem(codeBrowser, "a browser must ask its own server, which has the key and asks here")
	}
	if c.endpoint.method == http.MethodGet {
		return nil
	}
	return c.db.Read(c.r.Context(), func(q *store.Snap) error { return c.authenticate(q, c.endpoint.scope) })
}

// answer is what a call is told.
type answer struct {
	status   int
	body     []byte
	problem  *Problem // nil for a success; its headers go with it
	location string   // "" for none
	etag     string   // "" for none
	replayed bool     // it was told before
	kind     string   // media type of a success; "" for JSON
	stream   stream   // writes the body; nil: body is all of it
}

// tell writes an answer.
func (c *call) tell(a answer) {
	h := c.w.Header()
	if a.replayed {
		h["Idempotency-Replayed"] = []string{"true"}
	}
	if a.location != "" {
		h["Location"] = []string{a.location}
	}
	if a.etag != "" {
		h["Etag"] = []string{a.etag}
	}
	switch {
	case a.status == http.StatusNotModified:
	case a.status >= 400:
		h["Content-Type"] = []string{"application/problem+json"}
	case a.kind != "":
		h["Content-Type"] = []string{a.kind}
	default:
		h["Content-Type"] = []string{"application/json"}
	}
	if a.problem != nil {
		a.problem.headers(h)
	}
	c.w.WriteHeader(a.status)
	if a.stream != nil {
		c.pour(a.stream)
		return
	}
	_, _ = c.w.Write(a.body) // nobody is there any more to be told
}

// patience is how long a reader or writer of something long may stand still.
const patience = 30 * time.Second

// pour writes a long answer: its time is not bounded, but each write is.
func (c *call) pour(s stream) {
	w := &slow{c.w, http.NewResponseController(c.w)}
	if err := s(w); err != nil {
		if c.r.Context().Err() == nil {
			c.log.Warn("an answer broke off", "request", c.id, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// slow moves the connection's time limit on with every write.
type slow struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// Write implements io.Writer.
func (s *slow) Write(b []byte) (int, error) {
	_ = s.c.SetWriteDeadline(time.Now().Add(patience)) // in memory there is none
	return s.w.Write(b)
}

// Flush sends what was written so far.
func (s *slow) Flush() error { return s.c.Flush() }

// failed is the answer to what went wrong. What broke inside is logged, and not
// told.
func (c *call) failed(err error) answer {
	p := c.problem(err)
	if p.Status == http.StatusInternalServerError {
		c.log.Error("a request failed", "request", c.id, "method", c.r.Method, "error", err)
	}
	return p.answer()
}

// answer encodes the problem.
func (p *Problem) answer() answer {
	return answer{status: p.Status, body: line(p), problem: p}
}

// line encodes a reply as it is sent, kept and hashed.
func line(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // replies are plain structs: it is a fault of the program
		panic(fmt.Errorf("httpapi: encode a reply: %w", err))
	}
	return append(b, '\n')
}

// rescue turns a panic into a Problem. Its text is not logged unless it is the
// runtime's: a panic may hold anything.
func (c *call) rescue() {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // a panic's value, never wrapped
		panic(v)
	}
	text := fmt.Sprintf("%T", v)
	var fault runtime.Error
	if err, ok := v.(error); ok && errors.As(err, &fault) {
		text = fault.Error()
	}
	c.log.Error("a request panicked", "request", c.id, "method", c.r.Method, "panic", text, "stack", string(debug.Stack()))
	c.tell(c.problem(errors.New("panic")).answer())
}

// seconds writes a number of whole seconds.
func seconds(n int) []string { return []string{strconv.Itoa(n)} }
