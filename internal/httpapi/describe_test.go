package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"janela/internal/access"
	"janela/internal/apitest"
)

const describedIn = "../../docs/openapi.yaml"

// The file in docs is what the program says of itself.
func TestDescriptionIsCommitted(t *testing.T) {
	_, want := OpenAPI()
	have, err := os.ReadFile(describedIn)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != string(want) {
		t.Errorf("%s is not what the code says; run go generate ./internal/httpapi", describedIn)
	}
}

// A validator that is not ours takes it for OpenAPI 3.1, in both forms.
func TestDescriptionIsOpenAPI(t *testing.T) {
	asJSON, asYAML := OpenAPI()
	for name, text := range map[string][]byte{"openapi.json": asJSON, "openapi.yaml": asYAML} {
		if _, err := apitest.New(text); err != nil {
			t.Error(name, err)
		}
	}
}

var checker = sync.OnceValues(func() (*apitest.Checker, error) {
	text, _ := OpenAPI()
	return apitest.New(text)
})

// asDescribed holds an answer to the description: every one that a test gets.
func asDescribed(t testing.TB, method, target string, sent http.Header, body string, a told) {
	t.Helper()
	c, err := checker()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(&apitest.Exchange{Method: method, Target: target, Sent: sent, Body: []byte(body), Status: a.status, Header: a.header, Answer: a.body}); err != nil {
		t.Error(err)
	}
}

// The structs of bodies.go say what the hand-written readers read: the readers
// name what they know to whoever sends something else.
func TestBodiesAreAsRead(t *testing.T) {
	known := regexp.MustCompile(`has a field that is not known; known are (.*)$`)
	for name, c := range map[string]struct {
		body any
		read func([]byte) error
		at   string // of a body inside of the body
	}{
		"code":     {codeBody{}, func(b []byte) error { _, err := readRequest(b); return err }, ""},
		"consent":  {codeConsentBody{}, func(b []byte) error { _, err := readRequest(b); return err }, `{"consent":%s}`},
		"guess":    {guessBody{}, func(b []byte) error { _, err := readProof(b); return err }, ""},
		"resend":   {resendBody{}, func(b []byte) error { _, err := readResend(b); return err }, ""},
		"message":  {messageBody{}, func(b []byte) error { _, err := readMessage(b); return err }, ""},
		"text":     {messageText{}, func(b []byte) error { _, err := readMessage(b); return err }, `{"text":%s}`},
		"template": {messageTemplate{}, func(b []byte) error { _, err := readMessage(b); return err }, `{"template":%s}`},
		"values":   {messageParameters{}, func(b []byte) error { _, err := readMessage(b); return err }, `{"template":{"parameters":%s}}`},
		"offer":    {offerParameters{}, func(b []byte) error { _, err := readMessage(b); return err }, `{"template":{"parameters":{"limited_time_offer":%s}}}`},
		"card":     {cardParameters{}, func(b []byte) error { _, err := readMessage(b); return err }, `{"template":{"parameters":{"cards":[%s]}}}`},
		"grant":    {grantBody{}, func(b []byte) error { _, err := readGrant(b); return err }, ""},
		"confirm":  {confirmationBody{}, func(b []byte) error { _, err := readConfirmation(b); return err }, ""},
		"revoke":   {revocationBody{}, func(b []byte) error { _, err := readRevocation(b); return err }, ""},
		"look":     {consentLookBody{}, func(b []byte) error { _, err := readLook(b); return err }, ""},
	} {
		body := `{"kanarie":1}`
		if c.at != "" {
			body = fmt.Sprintf(c.at, body)
		}
		var p *Problem
		if !errors.As(c.read([]byte(body)), &p) {
			t.Fatalf("%s: no problem", name)
		}
		m := known.FindStringSubmatch(p.Detail)
		if m == nil {
			t.Fatalf("%s: %s", name, p.Detail)
		}
		if want := strings.Join(namesOf(c.body), ", "); m[1] != want {
			t.Errorf("%s: the reader knows %s, the description %s", name, m[1], want)
		}
	}
}

// namesOf are the names of a struct's fields in JSON.
func namesOf(v any) (out []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}

// The page and the description are read without a key, load nothing and run
// nothing.
func TestPageOfTheAPI(t *testing.T) {
	h := newHouse(t)
	get := func(path string, header ...string) told {
		r := httptest.NewRequest("GET", path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.server.Public().ServeHTTP(w, r)
		return told{w.Code, w.Header(), w.Body.Bytes()}
	}
	page := get("/docs", "Sec-Fetch-Site", "same-origin")
	text := string(page.body)
	if page.status != 200 || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", page.status, page.header)
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("its policy is %q", csp)
	}
	for _, bad := range []string{"<script", "http://", "https://", "src=", "@import", "url(", "style=", "ZgotmplZ"} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, bad) && !strings.Contains(line, "<td>") {
				t.Errorf("the page has %q in %q", bad, line)
			}
		}
	}
	for _, e := range endpoints() {
		for _, want := range []string{`id="` + e.id + `"`, html.EscapeString(e.title), `</span> ` + e.path + `</code>, scope <code>` + e.scope + `</code>`} {
			if !strings.Contains(text, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	}
	sum := sha256.Sum256([]byte(between(text, "<style>", "</style>")))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(page.header.Get("Content-Security-Policy"), want) {
		t.Errorf("the browser would not take the page's style: %s", want)
	}
	asJSON, asYAML := OpenAPI()
	for path, want := range map[string][]byte{"/openapi.json": asJSON, "/openapi.yaml": asYAML} {
		a := get(path)
		if a.status != 200 || string(a.body) != string(want) {
			t.Errorf("%s: %d", path, a.status)
		}
		if again := get(path, "If-None-Match", a.header.Get("Etag")); again.status != 304 || len(again.body) > 0 {
			t.Errorf("%s again: %d", path, again.status)
		}
	}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

// What is described is served, with the key's scope, and nothing else: with the
// right key no operation says that it is not there or that the scope is missing,
// and with every other scope it says so.
func TestEveryEndpointIsServed(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	d.keys["all"] = d.key(access.KeyRequest{Client: "all", Scopes: access.Scopes})
	for _, scope := range access.Scopes {
		d.keys[scope] = d.key(access.KeyRequest{Client: "app", Scopes: []string{scope}})
	}
	used := map[string]bool{}
	for _, e := range endpoints() {
		path := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(e.path, "1")
		used[e.scope] = true
		if !slices.Contains(access.Scopes, e.scope) {
			t.Errorf("%s needs the scope %q, which no key can have", e.id, e.scope)
		}
		for _, scope := range access.Scopes {
			if a := d.ask(e.method, path, scope, ""); (a.status == 403 && strings.Contains(string(a.body), `"code":"scope"`)) != (scope != e.scope) {
				t.Errorf("%s %s with %s: %d %s", e.method, e.path, scope, a.status, a.body)
			}
		}
		d.ask(e.method, path, "nobody", "").wantCode(t, 401, "unauthorized")
		d.ask(e.method, path, "all", "", "Origin", "https://a.example").wantCode(t, 403, "browser-refused")
		if a := d.ask(e.method, path, "all", ""); a.status == 405 || strings.Contains(string(a.body), "there is nothing at this address") && !strings.Contains(e.path, "{") {
			t.Errorf("%s %s: %d %s", e.method, e.path, a.status, a.body)
		}
	}
	for _, scope := range access.Scopes {
		if !used[scope] && !slices.Contains(access.ConsoleScopes, scope) {
			t.Errorf("no operation needs the scope %s", scope)
		}
	}
}
