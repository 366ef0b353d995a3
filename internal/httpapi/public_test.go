package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/store"
	"janela/otp"
)

// Whatever is no call of the API is answered as a Problem too.
func TestPublicAddresses(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	id := d.issue(d.phone())
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1/otp", 405, "POST"},
		{"PUT", "/v1/otp", 405, "POST"},
		{"POST", "/v1/otp/" + id, 405, "GET"},
		{"HEAD", "/v1/otp/" + id, 405, "GET"},
		{"DELETE", "/v1/otp/" + id, 405, "GET"},
		{"GET", "/v1/otp/" + id + "/verify", 405, "POST"},
		{"OPTIONS", "/v1/otp/" + id + "/resend", 405, "POST"},
		{"GET", "/v1/otp/" + id + "/cancel", 405, "POST"},
		{"GET", "/v1/otp/", 404, ""},
		{"GET", "/v1/otp/" + id + "/", 404, ""},
		{"GET", "/v1/otp/" + id + "/code", 404, ""},
		{"POST", "/v1/otp/" + id + "/verify/again", 404, ""},
		{"POST", "/v1/otp//verify", 404, ""},
		{"GET", "/v1/otpx", 404, ""},
		{"POST", "/v1/campaigns", 405, "GET"},
		{"GET", "/v1/keys", 404, ""}, // the command line's alone
		{"GET", "/", 404, ""},
	} {
		a := d.ask(c.method, c.path, "app", "")
		code := map[int]string{404: "not-found", 405: "method-not-allowed"}[c.status]
		if c.method == "HEAD" { // without a body
			if a.status != c.status {
				t.Errorf("%s %s: %d", c.method, c.path, a.status)
			}
			continue
		}
		a.wantCode(t, c.status, code)
		if a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, a.header.Get("Allow"), c.allow)
		}
	}
}

// Without the room nothing is there.
func TestPublicWithoutCodes(t *testing.T) {
	h := newHouse(t)
	w := httptest.NewRecorder()
	h.server.Public().ServeHTTP(w, httptest.NewRequest("POST", "/v1/otp", strings.NewReader("{}")))
	told{w.Code, w.Header(), w.Body.Bytes()}.wantCode(t, 404, "not-found")
	h.server.EndWaits()
}

// The API is for servers: a browser's requests are refused before anything is
// looked at, and no answer invites it.
func TestBrowsersAreRefused(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	for _, header := range [][]string{
		{"Origin", "https://app.example"},
		{"Origin", "null"},
		{"Origin", ""},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-origin"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", ""},
	} {
		for _, method := range []string{"POST", "GET"} {
			path := map[string]string{"POST": "/v1/otp", "GET": "/v1/otp/otp_x"}[method]
			a := d.ask(method, path, "app", "", header...)
			a.wantCode(t, 403, "browser-refused")
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control") {
					t.Errorf("%v: the answer has %s", header, name)
				}
			}
		}
	}
	a := d.ask("POST", "/v1/otp", "app", requestFor(d.phone()), "Sec-Fetch-Site", "none", "Idempotency-Key", unique())
	a.want(t, 202)
}

// Every way of having no valid key is the same answer.
func TestKeysAreNeeded(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	id := d.issue(d.phone())
	good := d.keys["app"]
	var revoked access.Key
	d.keys["revoked"] = ""
	d.write(func(tx *store.Tx) (err error) {
		d.keys["revoked"], revoked, err = access.NewKey(tx, access.KeyRequest{Client: "app", Scopes: access.Scopes})
		return err
	})
	expiring := d.key(access.KeyRequest{Client: "app", Scopes: access.Scopes, ExpiresAt: d.now.Add(time.Minute)})
	d.ask("GET", "/v1/otp/"+id, "revoked", "").want(t, 200)
	d.write(func(tx *store.Tx) error { return access.RevokeKey(tx, revoked.ID, "maria") })
	d.advance(time.Minute)

	broken := []byte(good)
	broken[len(broken)-1] ^= 1
	var first string
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic " + good, good, "Bearer " + good + "x", "Bearer " + good[:40], "Bearer jnl_aaaaaaaaaaaa_" + good[17:],
		"Bearer " + string(broken), "Bearer " + d.keys["revoked"], "Bearer " + expiring, "Bearer " + strings.Repeat("x", 8000)} {
		for _, call := range []string{"POST /v1/otp", "GET /v1/otp/" + id, "GET /v1/otp/nothing", "POST /v1/otp/" + id + "/verify", "POST /v1/otp/" + id + "/resend", "POST /v1/otp/" + id + "/cancel"} {
			method, path, _ := strings.Cut(call, " ")
			a := d.ask(method, path, "", "", "Authorization", authorization, "X-Request-Id", "same")
			a.wantCode(t, 401, "unauthorized")
			if a.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%q: WWW-Authenticate is %q", authorization, a.header.Get("WWW-Authenticate"))
			}
			if first == "" {
				first = string(a.body)
			}
			if string(a.body) != first {
				t.Errorf("%q is told apart:\n%s\n%s", authorization, a.body, first)
			}
		}
	}
	d.ask("GET", "/v1/otp/"+id, "app", "", "Authorization", "bearer  "+good).want(t, 200) // RFC 9110: schemes know no case
}

// A key does what its scopes say, and nothing else.
func TestScopes(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	id := d.issue(d.phone())
	for _, scope := range access.Scopes {
		d.keys[scope] = d.key(access.KeyRequest{Client: "app", Scopes: []string{scope}})
	}
	// Those of other faces open nothing here.
	for call, needs := range map[string]string{
		"POST /v1/otp":                   "otp:send",
		"POST /v1/otp/" + id + "/resend": "otp:send",
		"POST /v1/otp/" + id + "/cancel": "otp:send",
		"POST /v1/otp/" + id + "/verify": "otp:verify",
		"GET /v1/otp/" + id:              "otp:read",
	} {
		method, path, _ := strings.Cut(call, " ")
		for _, has := range access.Scopes {
			a := d.ask(method, path, has, "")
			if has == needs {
				if a.status == 403 || a.status == 401 {
					t.Errorf("%s with %s: %d %s", call, has, a.status, a.body)
				}
				continue
			}
			p := a.wantCode(t, 403, "scope")
			if want := `Bearer error="insufficient_scope", scope="` + needs + `"`; a.header.Get("WWW-Authenticate") != want || !strings.Contains(p.Detail, needs) {
				t.Errorf("%s: %q, %q", call, a.header.Get("WWW-Authenticate"), p.Detail)
			}
		}
	}
}

// A request has the caller's id where it is harmless, else one of ours.
func TestRequestIDs(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	for id, taken := range map[string]bool{
		"abc": true, "A.b_c-9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "+5511900000001": false, "é": false, "a\"b": false, "a/b": false,
	} {
		a := d.ask("GET", "/v1/otp/x", "app", "", "X-Request-Id", id)
		p := a.wantCode(t, 404, "not-found")
		if (p.Instance == id) != taken {
			t.Errorf("%q became %q", id, p.Instance)
		}
	}
	one, two := d.ask("GET", "/v1/otp/x", "app", "").header.Get("X-Request-Id"), d.ask("GET", "/v1/otp/x", "app", "").header.Get("X-Request-Id")
	if one == two || len(one) < 20 {
		t.Errorf("made %q and %q", one, two)
	}
}

// The otp room says with which status each of its codes goes out.
func TestStatusOfEveryCode(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "otp", "denied.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || v.Comment == nil {
			return true
		}
		code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		status, err := strconv.Atoi(regexp.MustCompile(`[0-9]{3}`).FindString(v.Comment.Text()))
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		found++
		c := &call{id: "r"}
		if p := c.problem(&otp.Denied{Code: code}); p.Status != status || p.Code != code {
			t.Errorf("%s: %d %s, want %d", code, p.Status, p.Code, status)
		}
		return true
	})
	if found < 16 {
		t.Errorf("only %d codes were found", found)
	}
	titles := map[string]string{}
	for code, c := range publicCodes {
		if was, twice := titles[c.title]; twice {
			t.Errorf("%s and %s have one title", code, was)
		}
		titles[c.title] = code
	}
}

// What a Denied tells, and what it keeps to itself.
func TestDeniedProblems(t *testing.T) {
	five := 5
	for _, c := range []struct {
		in      otp.Denied
		want    Problem
		headers map[string]string
	}{
		{otp.Denied{Code: otp.CodeRateLimited, Scope: "phone", Rule: "phone_10m", Detail: "later", RetryAfter: 1500 * time.Millisecond},
			Problem{Status: 429, Scope: "phone", RetryAfter: 2, Detail: "later"}, map[string]string{"Retry-After": "2", "RateLimit": `"phone";r=0;t=2`}},
		{otp.Denied{Code: otp.CodeRateLimited, Scope: "service", RetryAfter: time.Nanosecond},
			Problem{Status: 429, Scope: "service", RetryAfter: 1}, map[string]string{"Retry-After": "1"}},
		{otp.Denied{Code: otp.CodePhoneLocked, Scope: "phone", Rule: "guesses_in_a_row"}, Problem{Status: 429, Scope: "phone"}, map[string]string{"Retry-After": "", "RateLimit": ""}},
		{otp.Denied{Code: otp.CodeGone, Reason: "expired", RetryAfter: time.Hour}, Problem{Status: 410, Reason: "expired"}, map[string]string{"Retry-After": ""}},
		{otp.Denied{Code: otp.CodeInvalidCode, AttemptsLeft: 5}, Problem{Status: 422, AttemptsLeft: &five}, nil},
		{otp.Denied{Code: otp.CodeInvalidCode}, Problem{Status: 422, AttemptsLeft: new(int)}, nil},
		{otp.Denied{Code: otp.CodeInvalidFormat, AttemptsLeft: 5}, Problem{Status: 400}, nil},
		{otp.Denied{Code: otp.CodeChannel, Reason: "held"}, Problem{Status: 503, Reason: "held", RetryAfter: 1}, map[string]string{"Retry-After": "1"}},
		{otp.Denied{Code: otp.CodeChannel, RetryAfter: 90 * time.Second}, Problem{Status: 503, RetryAfter: 90}, map[string]string{"Retry-After": "90", "RateLimit": ""}},
		{otp.Denied{Code: otp.CodeNoOptIn, Reason: "no_opt_in"}, Problem{Status: 403, Reason: "no_opt_in"}, nil},
	} {
		c.want.Type, c.want.Code, c.want.Title, c.want.Instance = "/problems/"+c.in.Code, c.in.Code, publicCodes[c.in.Code].title, "r"
		p := (&call{id: "r"}).problem(fmt.Errorf("wrapped: %w", &c.in))
		got, want := string(line(p)), string(line(c.want))
		if got != want {
			t.Errorf("%+v:\n got %swant %s", c.in, got, want)
		}
		h := http.Header{}
		p.headers(h)
		for name, value := range c.headers {
			if h.Get(name) != value {
				t.Errorf("%+v: %s is %q, want %q", c.in, name, h.Get(name), value)
			}
		}
		if c.in.Rule != "" && strings.Contains(got, c.in.Rule) {
			t.Errorf("the rule is told: %s", got)
		}
	}
	// Whatever the room says of one that is not found, it is the same answer.
	if one, two := line((&call{}).problem(&otp.Denied{Code: otp.CodeNotFound, Detail: "another session's", Reason: "x"})), line((&call{}).problem(unknownChallenge())); string(one) != string(two) {
		t.Errorf("%s%s", one, two)
	}
}

// What breaks inside is logged under the request's id, and not told.
func TestErrorsAreNotTold(t *testing.T) {
	const secret = "+5511900000001 code 123456"
	c := &call{id: "r"}
	for _, e := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New(secret), 500, "internal"},
		{fmt.Errorf("%s: %w", secret, store.ErrLost), 500, "internal"},
		{&otp.Denied{Code: secret, Detail: secret}, 500, "internal"},
		{fmt.Errorf("%s: %w", secret, store.ErrClosed), 503, "channel-unavailable"},
		{fmt.Errorf("%s: %w", secret, context.Canceled), 503, "channel-unavailable"},
		{fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), 503, "channel-unavailable"},
		{fmt.Errorf("%s: %w", secret, access.ErrUnauthorized), 401, "unauthorized"},
		{fmt.Errorf("%s: %w", secret, access.ErrKeyReused), 422, "idempotency-key-reused"},
	} {
		p := c.problem(e.err)
		if p.Status != e.status || p.Code != e.code || strings.Contains(string(line(p)), secret) || p.Status == 503 && p.RetryAfter == 0 {
			t.Errorf("%v: %s", e.err, line(p))
		}
	}

	d := newDesk(t, unlimited(), nil)
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/otp", strings.NewReader(requestFor(ana)))
	r.Header.Set("Authorization", "Bearer "+d.keys["app"])
	d.server.Public().ServeHTTP(w, r)
	told{w.Code, w.Header(), w.Body.Bytes()}.wantCode(t, 503, "channel-unavailable")
	if w.Header().Get("Retry-After") == "" {
		t.Error("a closed database names no time to come again")
	}
}

// A panic is a Problem, and what it held stays inside.
func TestPanicsAreProblems(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	d.server.public.db = nil // the next request falls over it
	a := d.ask("POST", "/v1/otp", "app", requestFor(ana), "X-Request-Id", "fell", "Idempotency-Key", unique())
	a.wantCode(t, 500, "internal")
	d.server.public.db = d.db
	if log := d.log.String(); !strings.Contains(log, "request=fell") || !strings.Contains(log, "nil pointer") || strings.Contains(log, ana[1:]) {
		t.Errorf("the log:\n%s", log)
	}
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("an aborted answer was answered")
			}
		}()
		c := &call{public: d.server.public}
		defer c.rescue()
		panic(http.ErrAbortHandler)
	}()
	w := httptest.NewRecorder()
	func() {
		c := &call{public: d.server.public, w: w, r: httptest.NewRequest("GET", "/v1/otp/x", nil), id: "r"}
		defer c.rescue()
		panic("secret " + ana)
	}()
	if w.Code != 500 || strings.Contains(d.log.String(), ana[1:]) {
		t.Errorf("%d, or the panic's text is in the log", w.Code)
	}
}

// The command line's Problems are as they were.
func TestCommandsProblemsHaveNoNewFields(t *testing.T) {
	got, err := json.Marshal(invalid("no").hint("so"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"title":"the request is not valid","status":400,"detail":"no","code":"invalid","hint":"so"}`; string(got) != want {
		t.Errorf("%s", got)
	}
}

func TestBearer(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want string
	}{
		{nil, ""}, {[]string{""}, ""}, {[]string{"Bearer"}, ""}, {[]string{"Bearer "}, ""}, {[]string{"Bearer x", "Bearer x"}, ""}, {[]string{"Basic x"}, ""},
		{[]string{"Bearer x"}, "x"}, {[]string{"BEARER  x"}, "x"}, {[]string{"bearer x y"}, "x y"},
	} {
		got, ok := bearer(c.in)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%q: %q, %v", c.in, got, ok)
		}
	}
}

func TestMatches(t *testing.T) {
	const e = `"a"`
	for _, in := range [][]string{{`"a"`}, {`W/"a"`}, {`"b", "a"`}, {`"b"`, `"a"`}, {"*"}, {`"b",W/"a"`}} {
		if !matches(in, e) {
			t.Errorf("%q does not match", in)
		}
	}
	for _, in := range [][]string{nil, {""}, {"a"}, {`"b"`}, {`"A"`}, {`W/"b"`}} {
		if matches(in, e) {
			t.Errorf("%q matches", in)
		}
	}
}

// Limiters are forgotten by generations; one that is in use is kept.
func TestLookLimits(t *testing.T) {
	var l lookLimits
	now := began
	allowed := func(key string, times int) (n int) {
		for range times {
			if l.allow(key, now) {
				n++
			}
		}
		return n
	}
	if n := allowed("a", 20); n != 5 {
		t.Errorf("a burst of %d, want 5", n)
	}
	now = now.Add(time.Second)
	if n := allowed("a", 20); n != 2 {
		t.Errorf("%d in the next second, want 2", n)
	}
	for i := range 5 * looksKept {
		l.allow(strconv.Itoa(i), now)
		if i%looksKept == 0 && allowed("a", 1) != 0 {
			t.Fatal("a limiter in use was forgotten")
		}
	}
	if n := len(l.young) + len(l.old); n > 2*looksKept {
		t.Errorf("%d limiters are kept", n)
	}
	if n := allowed("9", 9); n != 5 {
		t.Errorf("a forgotten one begins anew: %d", n)
	}
}

func TestPreferred(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"": 0, "wait=3": 3 * time.Second, "wait=30": 10 * time.Second, "wait=99999999999999": 0, "wait": 0, "wait=x": 0, "wait=-1": 0, "wait=0": 0,
		"respond-async, wait=4": 4 * time.Second, `WAIT="5"`: 5 * time.Second, "wait=6; foo=bar": 6 * time.Second, "return=minimal": 0, "waiting=3": 0, "wait = 7": 7 * time.Second,
	} {
		c := &call{r: &http.Request{Header: http.Header{"Prefer": {in}}}}
		if got := c.preferred(10 * time.Second); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}
