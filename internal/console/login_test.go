package console

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/httpapi"
	"janela/internal/store"
)

const phrase = "correct horse battery"

var doorBegan = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// door is a console over a real database, with a clock to turn.
type door struct {
	testing.TB
	db      *store.DB
	console *Console
	said    *strings.Builder

	mu  sync.Mutex
	now time.Time
}

func newDoor(t testing.TB, secure bool) *door {
	d := &door{TB: t, now: doorBegan, said: &strings.Builder{}}
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "janela.db"), Wall: d.wall})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	d.db = db
	d.console = d.build(secure)
	return d
}

// build makes a console as a start of the daemon does.
func (d *door) build(secure bool) *Console {
	log := slog.New(slog.NewTextHandler(d.said, nil))
	api := httpapi.New(httpapi.Config{DB: d.db, Log: log, Account: account.NewSyncer(account.Config{DB: d.db, Log: log})})
	return New(Config{DB: d.db, API: api, Logins: access.NewLogins(d.db, log), Zone: func() *time.Location { return time.UTC }, Secure: secure,
		FourEyes: func() bool { return false }, Log: log})
}

func (d *door) wall() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *door) wait(long time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(long)
}

func (d *door) write(fn func(tx *store.Tx) error) {
	d.Helper()
	if err := d.db.Write(d.Context(), fn); err != nil {
		d.Fatal(err)
	}
}

func (d *door) operator(name string, role access.Role) {
	d.Helper()
	p, err := access.HashPassword(d.Context(), name, phrase)
	if err != nil {
		d.Fatal(err)
	}
	d.write(func(tx *store.Tx) error { return access.AddOperator(tx, name, role, p, "root") })
}

func (d *door) link() (token string) {
	d.Helper()
	d.write(func(tx *store.Tx) (err error) { token, _, err = access.MakeLink(tx, "joana"); return err })
	return token
}

// sessions is how many there are.
func (d *door) sessions() (n int) {
	d.Helper()
	d.write(func(tx *store.Tx) error {
		for _, how := range []string{"password", "key", "link"} {
			for _, name := range []string{"maria", "bia", "rui", "site", "joana"} {
				all, err := access.Sessions(tx, access.Session{How: how, Name: name})
				if err != nil {
					return err
				}
				n += len(all)
			}
		}
		return nil
	})
	return n
}

// browser keeps cookies, and follows nothing.
type browser struct {
	*door
	cookies map[string]*http.Cookie
	header  map[string]string
	remote  string
}

func (d *door) browser() *browser {
	return &browser{door: d, cookies: map[string]*http.Cookie{}, header: map[string]string{"Accept-Language": "en"}, remote: "192.0.2.7:1234"}
}

// answer is what came back.
type answer struct {
	*http.Response
	text string
}

func (b *browser) do(method, path string, form url.Values) answer {
	b.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(b.Context(), method, path, body)
	r.RemoteAddr = b.remote
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range b.header {
		r.Header.Set(k, v)
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.console.ServeHTTP(w, r)
	resp := w.Result()
	for _, c := range resp.Cookies() {
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return answer{resp, w.Body.String()}
}

func (b *browser) get(path string) answer { b.Helper(); return b.do("GET", path, nil) }

func (b *browser) post(path string, pairs ...string) answer {
	b.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do("POST", path, form)
}

// in logs in with a password.
func (b *browser) in(name string) *browser {
	b.Helper()
	b.post("/login", "name", name, "password", phrase).wantTo(b.TB, "/")
	return b
}

func (b *browser) token() string {
	if c := b.cookies[b.console.sessionCookie()]; c != nil {
		return c.Value
	}
	return ""
}

func (a answer) want(t testing.TB, status int, texts ...string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("%d to %q, want %d", a.StatusCode, a.Header.Get("Location"), status)
	}
	for _, text := range texts {
		if !strings.Contains(a.text, text) {
			t.Errorf("%q is missing in\n%s", text, a.text)
		}
	}
}

func (a answer) wantTo(t testing.TB, to string) {
	t.Helper()
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != to {
		t.Errorf("%d to %q, want %q\n%s", a.StatusCode, a.Header.Get("Location"), to, a.text)
	}
}

// wantIn says whether the browser's token opens the account page.
func (b *browser) wantIn(in bool) {
	b.Helper()
	if a := b.get("/account"); in {
		a.want(b.TB, http.StatusOK)
	} else {
		a.wantTo(b.TB, "/login?next=%2Faccount")
	}
}

// own are changes that concern nobody but the visitor: every role may make them.
var own = []string{"/account/password", "/account/sessions/end"}

// looks are POST for what must stand in no address: they change nothing.
var looks = []string{"/contacts"}

// withoutSession is all that answers to whoever has not logged in.
var withoutSession = []string{"GET /login", "POST /login", "POST /login/key", "POST /login/once", "POST /logout", "POST /language", "POST /theme"}

// Every address for every role: nothing runs without a session, and a viewer
// changes nothing.
func TestEveryRouteAsksForItsRole(t *testing.T) {
	d := newDoor(t, false)
	tokens := map[access.Role]*browser{"": d.browser()}
	for name, role := range map[string]access.Role{"maria": access.RoleViewer, "bia": access.RoleOperator, "rui": access.RoleApprover} {
		d.operator(name, role)
		tokens[role] = d.browser().in(name)
	}
	var open []string
	some := route{method: "POST", path: "/-", role: access.RoleOperator} // whatever pages there are: these two always
	for _, to := range append(routes(), some, route{method: "POST", path: "/-", role: access.RoleApprover}) {
		name := to.method + " " + to.path
		if to.open {
			open = append(open, name)
		} else if !slices.Contains(access.Roles, to.role) {
			t.Errorf("%s needs the role %q, which nobody has", name, to.role)
		}
		if to.method != "GET" && to.method != "POST" {
			t.Errorf("%s: links and forms know GET and POST", name)
		}
		if to.method == "POST" && !to.open && !slices.Contains(own, to.path) && !slices.Contains(looks, to.path) && access.RoleViewer.May(to.role) {
			t.Errorf("%s: a viewer may change something", name)
		}
		for role, b := range tokens {
			ran := false
			stub := to
			stub.run = func(v *visit) error {
				ran = true
				v.w.WriteHeader(http.StatusNoContent)
				return nil
			}
			r := httptest.NewRequestWithContext(t.Context(), to.method, "/x", nil)
			for _, c := range b.cookies {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			d.console.serve(stub)(w, r)
			want := http.StatusNoContent
			switch {
			case to.open:
			case role == "":
				want = http.StatusSeeOther
				if at := w.Header().Get("Location"); !strings.HasPrefix(at, "/login") {
					t.Errorf("%s sends nobody to %q", name, at)
				}
			case slices.Index(access.Roles, role) < slices.Index(access.Roles, to.role):
				want = http.StatusForbidden
			}
			if w.Code != want || ran != (want == http.StatusNoContent) {
				t.Errorf("%s for %q: %d, ran %v; want %d", name, role, w.Code, ran, want)
			}
		}
		// As it is served: nobody gets past the door.
		if path := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(strings.TrimSuffix(to.path, "{$}"), "1"); !to.open && !to.sandbox && to.path != "/-" {
			nobody := d.browser()
			nobody.cookies[d.console.sessionCookie()] = &http.Cookie{Name: d.console.sessionCookie(), Value: strings.Repeat("A", 43)}
			if a := nobody.do(to.method, path, url.Values{}); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/login") {
				t.Errorf("%s answers nobody: %d", name, a.StatusCode)
			}
		}
	}
	slices.Sort(open)
	if want := slices.Sorted(slices.Values(withoutSession)); !slices.Equal(open, want) {
		t.Errorf("without a session there are %v, want %v", open, want)
	}
	if a := d.browser().get("/live"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("/live answers nobody: %d", a.StatusCode)
	}
}

func TestLoginByPassword(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", secure), func(t *testing.T) {
			d := newDoor(t, secure)
			d.operator("maria", access.RoleViewer)
			b := d.browser()
			b.get("/account?x=1&y=2").wantTo(t, "/login?next=%2Faccount%3Fx%3D1%26y%3D2")
			b.get("/login?next=%2Faccount%3Fx%3D1").want(t, 200, `name="next" value="/account?x=1"`, `type="password"`)
			a := b.post("/login", "name", `<script>"maria`, "password", "wrong", "next", "/account?x=1")
			a.want(t, 403, "That does not open the console.", `value="&lt;script&gt;&#34;maria"`, `name="next" value="/account?x=1"`)
			if strings.Contains(a.text, "wrong") || b.token() != "" || len(a.Cookies()) != 0 {
				t.Errorf("a refused login leaves %v", a.Cookies())
			}
			a = b.post("/login", "name", "maria", "password", phrase, "next", "/account?x=1")
			a.wantTo(t, "/account?x=1")
			name := map[bool]string{false: "janela_session", true: "__Host-janela"}[secure]
			if len(a.Cookies()) != 1 {
				t.Fatalf("cookies %v", a.Cookies())
			}
			c := a.Cookies()[0]
			if c.Name != name || !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" ||
				c.MaxAge != 7*24*3600 || len(c.Value) != 43 {
				t.Errorf("the cookie is %v", c)
			}
			b.wantIn(true)
			b.get("/login?next=/account").wantTo(t, "/account") // who is in need not log in
			other := d.browser()
			other.cookies["x"] = &http.Cookie{Name: map[bool]string{true: "janela_session", false: "__Host-janela"}[secure], Value: c.Value} // of the other kind
			other.wantIn(false)
			b.post("/logout").wantTo(t, "/login")
			if b.token() != "" {
				t.Error("the browser keeps its token")
			}
			b.cookies[name] = c // somebody had copied it
			b.wantIn(false)
			if n := d.sessions(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
			if strings.Contains(d.said.String(), phrase) || strings.Contains(d.said.String(), c.Value) || !strings.Contains(d.said.String(), "address=192.0.2.7") {
				t.Errorf("the log says %s", d.said)
			}
		})
	}
}

func TestLoginByKey(t *testing.T) {
	d := newDoor(t, false)
	var plain, without string
	var key access.Key
	d.write(func(tx *store.Tx) (err error) {
		if plain, key, err = access.NewKey(tx, access.KeyRequest{Client: "site", Scopes: []string{access.ScopeConsoleView}, Actor: "root"}); err != nil {
			return err
		}
		without, _, err = access.NewKey(tx, access.KeyRequest{Client: "site", Scopes: []string{access.ScopeStatusRead}, Actor: "root"})
		return err
	})
	b := d.browser()
	a := b.post("/login/key", "key", without, "next", "/account")
	a.want(t, 403, "That does not open the console.", "<details open>")
	if strings.Contains(a.text, without) {
		t.Error("the page repeats a key")
	}
	b.post("/login/key", "key", plain, "next", "/account").wantTo(t, "/account")
	a = b.get("/account")
	a.want(t, 200, "site", "key:site", "with an API key", "sees everything, changes nothing")
	if strings.Contains(a.text, "/account/password") {
		t.Error("a key has no password to change")
	}
	b.post("/account/password", "old", phrase, "password", phrase, "again", phrase).want(t, 409)
	d.write(func(tx *store.Tx) error { return access.RevokeKey(tx, key.ID, "root") })
	b.wantIn(false)
}

// A link is used up by the button, not by looking at it, and lets in once.
func TestLoginByLink(t *testing.T) {
	d := newDoor(t, false)
	link := d.link()
	for range 3 { // programs that look at links before people do
		a := d.browser().get("/login?once=" + link)
		a.want(t, 200, `<form method="post" action="/login/once"`, `value="`+link+`"`)
		d.browser().do("HEAD", "/login?once="+link, nil).want(t, 200)
		if len(a.Cookies()) != 0 || d.sessions() != 0 {
			t.Fatal("looking at a link lets in")
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var in []*browser
	refused := 0
	for range 32 {
		wg.Go(func() {
			b := d.browser()
			a := b.post("/login/once", "once", link)
			mu.Lock()
			defer mu.Unlock()
			switch a.StatusCode {
			case http.StatusSeeOther:
				in = append(in, b)
			case http.StatusForbidden:
				refused++
			}
		})
	}
	wg.Wait()
	if len(in) != 1 || refused != 31 || d.sessions() != 1 {
		t.Fatalf("%d came in, %d were refused, there are %d sessions", len(in), refused, d.sessions())
	}
	in[0].get("/account").want(t, 200, "joana", "with a link from the machine")
	d.browser().post("/login/once", "once", link).want(t, 403, "This link was used already", "janela console")
	late := d.link()
	d.wait(access.LinkLife)
	d.browser().post("/login/once", "once", late).want(t, 403, "older than five minutes")
	d.browser().post("/login/once").want(t, 403)
	// Whoever is in already is somebody else afterwards, and not both.
	d.operator("maria", access.RoleViewer)
	b := d.browser().in("maria")
	b.get("/login?once="+late).want(t, 200, `action="/login/once"`)
	b.post("/login/once", "once", d.link()).wantTo(t, "/")
	b.get("/account").want(t, 200, "joana")
	if n := d.sessions(); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// Whatever token a browser comes with, it leaves with another one.
func TestNoFixation(t *testing.T) {
	d := newDoor(t, false)
	d.operator("maria", access.RoleViewer)
	b := d.browser()
	planted := strings.Repeat("A", 43)
	b.cookies["janela_session"] = &http.Cookie{Name: "janela_session", Value: planted}
	b.in("maria")
	first := b.token()
	b.in("maria")
	if second := b.token(); first == planted || second == first {
		t.Error("the token stays")
	}
	for _, old := range []string{planted, first} {
		thief := d.browser()
		thief.cookies["janela_session"] = &http.Cookie{Name: "janela_session", Value: old}
		thief.wantIn(false)
	}
	if n := d.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A login leads to a page of ours, whatever the address says.
func TestOpenRedirects(t *testing.T) {
	d := newDoor(t, false)
	d.operator("maria", access.RoleViewer)
	for _, next := range []string{"https://a.example/", "//a.example", "///a.example", `/\a.example`, `\\a.example`, "/\t/a.example", "/\n/a.example", "javascript:alert(1)",
		"a.example", "", "http:/a.example", "/%zz", " /account", "data:text/html,x"} {
		b := d.browser()
		b.get("/login?next="+url.QueryEscape(next)).want(t, 200, `name="next" value="/"`)
		b.post("/login", "name", "maria", "password", phrase, "next", next).wantTo(t, "/")
		b.get("/login?next="+url.QueryEscape(next)).wantTo(t, "/")
	}
}

// Another site cannot log anybody in or out.
func TestLoginFromElsewhere(t *testing.T) {
	d := newDoor(t, false)
	d.operator("maria", access.RoleViewer)
	b := d.browser().in("maria")
	for _, h := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://a.example"}, {"Origin": "null"}} {
		b.header = h
		for _, path := range []string{"/login", "/login/key", "/login/once", "/logout", "/account/password", "/account/sessions/end"} {
			b.post(path, "name", "maria", "password", phrase, "once", d.link()).want(t, 403)
		}
	}
	b.header = map[string]string{"Sec-Fetch-Site": "same-origin"}
	b.wantIn(true)
	b.post("/logout").wantTo(t, "/login")
}

func TestGuessesWait(t *testing.T) {
	d := newDoor(t, false)
	d.operator("maria", access.RoleViewer)
	b := d.browser()
	for range 5 {
		b.post("/login", "name", "maria", "password", "wrong").want(t, 403)
	}
	a := b.post("/login", "name", "maria", "password", phrase)
	a.want(t, 429, "Too many attempts, wait 1 s.")
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	b.header["Accept-Language"] = "pt-BR"
	b.post("/login/key", "key", "jnl_x").want(t, 429, "Tentativas demais, espere 1 s.")
	d.wait(time.Second)
	b.in("maria").wantIn(true)
	// One proxy on this machine brings everybody; who is behind it is counted.
	for i := range 6 {
		proxy := d.browser()
		proxy.remote, proxy.header["X-Forwarded-For"] = "127.0.0.1:9", fmt.Sprint("203.0.113.99, 198.51.100.", i)
		proxy.post("/login", "name", fmt.Sprint("n", i), "password", "wrong").want(t, 403)
	}
}

func TestAddressOfAVisitor(t *testing.T) {
	for _, c := range []struct {
		remote, told, want string
	}{
		{"192.0.2.7:1234", "", "192.0.2.7"},
		{"192.0.2.7:1234", "198.51.100.1", "192.0.2.7"},
		{"127.0.0.1:1234", "", "127.0.0.1"},
		{"127.0.0.1:1234", "198.51.100.1", "198.51.100.1"},
		{"[::1]:1234", "10.0.0.1, 2001:db8::1", "2001:db8::1"},
		{"127.0.0.1:1234", "198.51.100.1, nonsense", "127.0.0.1"},
		{"[2001:db8::7%eth0]:1", "198.51.100.1", "2001:db8::7%eth0"},
		{"@", "198.51.100.1", "invalid IP"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		if r.RemoteAddr = c.remote; c.told != "" {
			r.Header.Set("X-Forwarded-For", c.told)
		}
		if got := address(r).String(); got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.remote, c.told, got, c.want)
		}
	}
}

func TestAccount(t *testing.T) {
	d := newDoor(t, false)
	d.operator("maria", access.RoleOperator)
	b, phone, laptop := d.browser().in("maria"), d.browser().in("maria"), d.browser().in("maria")
	a := b.get("/account")
	a.want(t, 200, "maria", "operator:maria", "with a password", "this one", "End the others")
	if n := strings.Count(a.text, "<tr><td"); n != 3 {
		t.Errorf("%d rows", n)
	}
	to := func(a answer) answer { // what the next page says
		t.Helper()
		a.want(t, 303)
		return b.get(a.Header.Get("Location"))
	}
	to(b.post("/account/sessions/end")).want(t, 200, "2 sessions were ended.")
	phone.wantIn(false)
	laptop.wantIn(false)
	if a := b.get("/account"); strings.Contains(a.text, "End the others") {
		t.Error("there are no others")
	}

	const next = "staple correct horse"
	for _, c := range []struct{ old, password, again, want string }{
		{"wrong", next, next, "The password until now is not that one"},
		{phrase, next, next + ".", "typed in two ways"},
		{phrase, "short", "short", "needs at least 12 characters"},
		{phrase, "maria.maria.maria", "maria.maria.maria", "may not be your name"},
	} {
		to(b.post("/account/password", "old", c.old, "password", c.password, "again", c.again)).want(t, 200, c.want)
	}
	phone.in("maria")
	before := b.token()
	to(b.post("/account/password", "old", phrase, "password", next, "again", next)).want(t, 200, "Your password was changed.")
	if b.token() == before {
		t.Error("the token stays")
	}
	phone.wantIn(false)
	d.browser().post("/login", "name", "maria", "password", phrase).want(t, 403)
	d.browser().post("/login", "name", "maria", "password", next).wantTo(t, "/")
	// A role counts with the next click, and so does its end.
	d.write(func(tx *store.Tx) error { _, err := access.SetRole(tx, "maria", access.RoleViewer, "root"); return err })
	b.get("/account").want(t, 200, "sees everything, changes nothing")
	d.write(func(tx *store.Tx) error { _, err := access.DisableOperator(tx, "maria", "root"); return err })
	b.wantIn(false)
	b.post("/account/sessions/end").wantTo(t, "/login")
}

// What a person does keeps the session; what a page does by itself does not. A
// restart of the daemon ends nobody's.
func TestWhatKeepsASession(t *testing.T) {
	d := newDoor(t, false)
	d.operator("maria", access.RoleViewer)
	person, screen := d.browser().in("maria"), d.browser().in("maria")
	screen.header["HX-Request"] = "true"
	d.wait(11 * time.Hour)
	person.wantIn(true)
	screen.wantIn(true)
	d.console = d.build(false)
	d.wait(2 * time.Hour)
	person.wantIn(true)
	screen.wantIn(false)
	for range 20 {
		d.wait(11 * time.Hour)
		person.get("/account")
	}
	person.wantIn(false) // after seven days anyway
}
