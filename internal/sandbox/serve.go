package sandbox

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var versionPrefix = regexp.MustCompile(`^v(\d+)\.\d+$`)

// call is one request on Meta's side of the sandbox.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	version int // major Graph version; 0 when the path has none
	id      string
	edge    string // what stands behind the id, may be empty
}

// ServeHTTP is the Graph API. Any version prefix is accepted, and none.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if m := versionPrefix.FindStringSubmatch(parts[0]); m != nil {
		c.version, _ = strconv.Atoi(m[1])
		parts = parts[1:]
	}
	s.mu.Lock()
	oldest, skew := s.app.oldest, s.app.skew
	s.mu.Unlock()
	if c.version > 0 { // an expired version is answered as the oldest there is (Meta: Graph API versioning)
		c.version = max(c.version, oldest)
	}
	shown := c.version
	if shown == 0 {
		shown = max(24, oldest)
	}
	w.Header().Set("Facebook-Api-Version", "v"+strconv.Itoa(shown)+".0")
	w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
	if len(parts) == 0 || len(parts) > 2 || parts[0] == "" {
		s.answerError(w, noObject(r.Method, strings.Join(parts, "/")))
		return
	}
	c.id = parts[0]
	if len(parts) == 2 {
		c.edge = parts[1]
	}
	token, ofApp := s.bearer(r)
	if ofApp && s.ofApp(c, true) {
		return
	}
	if !token {
		s.answerError(w, badToken())
		return
	}
	if e := s.permitted(c); e != nil {
		s.answerError(w, e)
		return
	}
	s.route(c)
}

func (s *Sandbox) route(c *call) {
	s.mu.Lock()
	num, acc := s.numbers[c.id], s.accounts[c.id]
	s.mu.Unlock()
	verb := c.r.Method + " " + c.edge
	if num != nil && (verb == "POST messages" || verb == "POST marketing_messages") {
		s.postMessage(c, num)
		return
	}
	// Everything else is read or management: faults of those kinds apply, with
	// neither recipient nor template to match.
	kind := "read"
	if verb == "POST media" {
		kind = "media"
	}
	matched := s.takeFault(facts{kind: kind, number: c.id})
	if s.faultBefore(c, matched) {
		return
	}
	answer := func() { s.dispatch(c, verb, num, acc) }
	if matched == nil || matched.Kind.answers() {
		s.faultAfter(c, matched, answer)
		return
	}
	// The request takes effect, but the client never sees its answer.
	w := c.w
	c.w = &swallow{header: http.Header{}}
	answer()
	c.w = w
	s.faultAfter(c, matched, nil)
}

func (s *Sandbox) dispatch(c *call, verb string, num *number, acc *account) {
	switch {
	case num != nil && verb == "GET ":
		s.getNumber(c, num)
	case num != nil && (verb == "GET settings" || verb == "POST settings"):
		s.numberSettings(c, num)
	case num != nil && verb == "POST media":
		s.postMedia(c)
	case acc != nil && verb == "GET ":
		s.getAccount(c, acc)
	case acc != nil && verb == "GET phone_numbers":
		s.listNumbers(c, acc)
	case acc != nil && verb == "GET message_templates":
		s.listTemplates(c, acc)
	case acc != nil && verb == "POST message_templates":
		s.answerError(c.w, refuse(100, "the sandbox does not emulate creating templates; list them in its configuration"))
	case acc != nil && strings.HasSuffix(verb, " subscribed_apps"):
		s.subscribedApps(c, acc)
	case num == nil && acc == nil && s.ofApp(c, false):
	case num == nil && acc == nil && c.edge == "":
		s.getOther(c)
	default:
		s.answerError(c.w, noObject(c.r.Method, c.id))
	}
}

// swallow takes an answer that a fault keeps from the client.
type swallow struct{ header http.Header }

func (w *swallow) Header() http.Header         { return w.header }
func (w *swallow) Write(b []byte) (int, error) { return len(b), nil }
func (w *swallow) WriteHeader(int)             {}

// pause waits, unless the client goes or the sandbox ends before. d <= 0 waits
// without end when forever is set.
func (s *Sandbox) pause(r *http.Request, d time.Duration, forever bool) {
	if d <= 0 && !forever {
		return
	}
	var fire <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		fire = t.C
	}
	select {
	case <-fire:
	case <-r.Context().Done():
	case <-s.done:
	}
}
