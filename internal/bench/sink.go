package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The one account, number and template of every measurement.
const (
	waba     = "100000000000001"
	number   = "200000000000001"
	template = "oferta"
	language = "pt_BR"
)

// sink is a plain net/http server that answers POST /…/messages as Meta does,
// at once, and counts. It decodes no JSON, so that it takes as little as it can
// of a machine on which everything measured runs as well.
type sink struct {
	server *http.Server
	lis    net.Listener
	wg     sync.WaitGroup
	seed   maphash.Seed

	mu    sync.Mutex
	got   []arrival
	bytes int64
	first time.Time
	last  time.Time
	odd   int    // bodies without a recipient or a callback id
	next  uint64 // of wamids, over all resets

	keeping bool
	kept    []kept
	arrived chan<- arrivedAt // who posts their statuses; nil: nobody
	url     string           // of the callbacks
	ready   []callback
}

// arrival is one message: who it was for, and the hash of its callback id.
type arrival struct{ to, callback uint64 }

// Counts is what a sink received since it was reset.
type Counts struct {
	Total               int   `json:"total"`
	Odd                 int   `json:"odd"`                  // without a recipient or a callback id
	DuplicateCallbacks  int   `json:"duplicate_callbacks"`  // requests beyond the first with a callback id
	DuplicateRecipients int   `json:"duplicate_recipients"` // requests beyond the first to a recipient
	BodyBytes           int64 `json:"body_bytes"`
	First               int64 `json:"first"` // wall clock, ns; 0: none yet
	Last                int64 `json:"last"`
}

func newSink() *sink { return &sink{seed: maphash.MakeSeed()} }

// sinkAddress says where a sink listens.
type sinkAddress struct {
	Graph  string `json:"graph"`  // in place of https://graph.facebook.com
	Manage string `json:"manage"` // counts and reset
}

func (s *sink) verbs() map[string]func(context.Context, json.RawMessage) (any, error) {
	return map[string]func(context.Context, json.RawMessage) (any, error){
		"listen": verb(s.listen), "keep": verb(s.keep), "prepare": verb(s.prepare), "post": verb(s.post), "flow": verb(s.flow),
	}
}

func (s *sink) listen(context.Context, struct{}) (sinkAddress, error) {
	var err error
	if s.lis, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return sinkAddress{}, err
	}
	s.server = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	s.wg.Go(func() { _ = s.server.Serve(s.lis) })
	base := "http://" + s.lis.Addr().String()
	return sinkAddress{Graph: base, Manage: base + "/sink"}, nil
}

func (s *sink) close() error {
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	s.wg.Wait()
	return err
}

func (s *sink) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{version}/{number}/messages", s.message)
	mux.HandleFunc("GET /{version}/{account}/message_templates", s.templates)
	mux.HandleFunc("GET /{version}/{account}/phone_numbers", s.numbers)
	mux.HandleFunc("GET /sink/counts", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.counts()) })
	mux.HandleFunc("POST /sink/reset", func(w http.ResponseWriter, _ *http.Request) { s.reset(); writeJSON(w, Counts{}) })
	mux.HandleFunc("POST /sink/mark", func(w http.ResponseWriter, _ *http.Request) { s.mark(); writeJSON(w, Counts{}) })
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxMessage = 64 << 10

// message takes one message, whatever it is.
func (s *sink) message(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	buf := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(io.LimitReader(r.Body, maxMessage)); err != nil {
		return // who sent it has gone
	}
	to := field(buf.Bytes(), `"to":"+`)
	n := s.take(at, len(buf.Bytes()), to, field(buf.Bytes(), `"biz_opaque_callback_data":"`))
	answer := buf.AvailableBuffer()
	answer = append(append(answer, `{"messaging_product":"whatsapp","contacts":[{"input":"+`...), to...)
	answer = append(append(answer, `","wa_id":"`...), to...)
	answer = append(appendWamid(append(answer, `"}],"messages":[{"id":"`...), to, n), `"}]}`...)
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer)
}

// field returns what stands between a key and the next quote; nil if it is not
// there.
func field(body []byte, key string) []byte {
	_, rest, ok := bytes.Cut(body, []byte(key))
	if !ok {
		return nil
	}
	value, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok {
		return nil
	}
	return value
}

// take notes one message and returns its number.
func (s *sink) take(at time.Time, size int, to, callback []byte) uint64 {
	phone, err := strconv.ParseUint(string(to), 10, 64)
	a := arrival{phone, maphash.Bytes(s.seed, callback)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.got = append(s.got, a)
	s.bytes += int64(size)
	if err != nil || len(callback) == 0 {
		s.odd++
	}
	if s.keeping {
		s.kept = append(s.kept, kept{string(to), string(callback), s.next})
	}
	if s.arrived != nil {
		select {
		case s.arrived <- arrivedAt{kept{string(to), string(callback), s.next}, at}:
		default: // more came than were announced: the counts tell
		}
	}
	if s.first.IsZero() {
		s.first = at
	}
	s.last = at
	return s.next
}

// appendWamid appends a message id in Meta's form: the recipient, and nine bytes
// in no order.
func appendWamid(dst, to []byte, n uint64) []byte {
	var raw [64]byte
	b := append(raw[:0], 0x1c, 0x18, byte(len(to)))
	b = append(b, to...)
	b = append(b, 0x15, 0x02, 0x00, 0x11, 0x18, 18)
	var unique [9]byte
	binary.BigEndian.PutUint64(unique[:], scatter(n))
	unique[8] = byte(n)
	b = bytes.ToUpper(hex.AppendEncode(b, unique[:]))
	return base64.StdEncoding.AppendEncode(append(dst, "wamid."...), append(b, 0))
}

// scatter maps numbers to numbers, one to one, in no visible order (splitmix64).
func scatter(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func (s *sink) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.bytes, s.odd, s.first, s.last = s.got[:0], 0, 0, time.Time{}, time.Time{}
	s.keeping, s.kept, s.ready = false, nil, nil
}

// mark makes the next message the first, and forgets nothing else.
func (s *sink) mark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first, s.last = time.Time{}, time.Time{}
}

// counts looks for what came more than once. It sorts, so that taking a message
// costs no more the more there are.
func (s *sink) counts() Counts {
	s.mu.Lock()
	c := Counts{Total: len(s.got), Odd: s.odd, BodyBytes: s.bytes}
	got := slices.Clone(s.got)
	if !s.first.IsZero() {
		c.First, c.Last = s.first.UnixNano(), s.last.UnixNano()
	}
	s.mu.Unlock()
	repeated := func(of func(arrival) uint64) int {
		values := make([]uint64, len(got))
		for i, a := range got {
			values[i] = of(a)
		}
		slices.Sort(values)
		return len(values) - len(slices.Compact(values))
	}
	c.DuplicateCallbacks = repeated(func(a arrival) uint64 { return a.callback })
	c.DuplicateRecipients = repeated(func(a arrival) uint64 { return a.to })
	return c
}

func (s *sink) templates(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"data": []map[string]any{{"id": "300000000000001", "name": template, "language": language, "status": "APPROVED", "category": "MARKETING",
		"components": json.RawMessage(`[{"type":"BODY","text":"Oi {{1}}! {{2}} Responda SAIR para sair.","example":{"body_text":[["Ana","20% hoje."]]}}]`)}}})
}

func (s *sink) numbers(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"data": []map[string]any{{"id": number, "display_phone_number": "+1 202-555-0100", "verified_name": "Bench", "quality_rating": "GREEN",
		"status": "CONNECTED", "throughput": map[string]string{"level": "NOT_APPLICABLE"}, "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED"}}})
}

// manager speaks to a sink in another process.
type manager struct {
	base   string
	client *http.Client
}

func (m *manager) call(ctx context.Context, method, path string) (c Counts, err error) {
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, nil)
	if err != nil {
		return c, err
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c, errors.New("the sink answered " + resp.Status)
	}
	return c, json.NewDecoder(resp.Body).Decode(&c)
}

func (m *manager) reset(ctx context.Context) error {
	_, err := m.call(ctx, http.MethodPost, "/reset")
	return err
}

func (m *manager) mark(ctx context.Context) error {
	_, err := m.call(ctx, http.MethodPost, "/mark")
	return err
}

func (m *manager) counts(ctx context.Context) (Counts, error) {
	return m.call(ctx, http.MethodGet, "/counts")
}

// untilFirst waits for the first message.
func (m *manager) untilFirst(ctx context.Context, patience time.Duration) (Counts, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := m.counts(ctx)
		if err != nil || c.First != 0 {
			return c, err
		}
		select {
		case <-ctx.Done():
			return c, fmt.Errorf("nothing was sent within %s", patience)
		case <-time.After(waitPause):
		}
	}
}

// faults are what must not be, in words; n is how many messages were to come.
func (c Counts) faults(n int) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if c.Total != n {
		say("the sink received %d messages, and %d were to be sent", c.Total, n)
	}
	if c.DuplicateCallbacks > 0 {
		say("the sink received %d messages again (by callback id)", c.DuplicateCallbacks)
	}
	if c.DuplicateRecipients > 0 {
		say("the sink received %d messages to somebody who had got one", c.DuplicateRecipients)
	}
	if c.Odd > 0 {
		say("the sink received %d bodies without a recipient or a callback id", c.Odd)
	}
	return out
}

// started is a sink that runs.
type started struct {
	child *child
	sinkAddress
	manager
}

func (c *Config) startSink(ctx context.Context) (*started, error) {
	k, err := c.start(ctx, RoleSink)
	if err != nil {
		return nil, err
	}
	s := &started{child: k}
	if err := k.call("listen", nil, &s.sinkAddress); err != nil {
		return nil, errors.Join(err, k.stop())
	}
	if !strings.HasPrefix(s.Graph, "http://127.0.0.1:") {
		return nil, errors.Join(errors.New("the sink listens elsewhere than on loopback"), k.stop())
	}
	s.manager = manager{s.Manage, &http.Client{Timeout: time.Minute}}
	return s, nil
}

func (s *started) stop() error { return s.child.stop() }
