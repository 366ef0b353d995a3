package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"janela/otp"
)

// canary stands in every body of the fuzz; no answer may have it.
const canary = "kanarie"

var digits = regexp.MustCompile(`[0-9]{5}`)

// FuzzOTPBody sends anything to every call that takes a body: no answer is a
// fault of ours, and none repeats anything of the request. What is taken is
// what encoding/json reads.
func FuzzOTPBody(f *testing.F) {
	for _, seed := range []string{
		requestFor(ana), guess("123456"), `{"channel":"whatsapp","code":"new"}`, "", "{}", "[]", "null", `"x"`, "{", `{"to":`, "{}{}", "{} x",
		`{"to":1,"purpose":"login"}`, `{"to":"+55","to":"+55"}`, `{"TO":"+5511900000001","purpose":"login"}`, `{"to":null,"purpose":"login"}`,
		`{"to":"+5511900000001","purpose":"login","consent":{"source":{"a":[[[[]]]]}}}`, `{"consent":null}`, `{"consent":{"at":"yesterday","source":"x"}}`,
		`{"to":"+5511900000001","purpose":"login","metadata":{"a":"b","c":1}}`, `{"to":"+5511900000001","purpose":"login","metadata":{"a":"b","a":"b"}}`,
		`{"code":123456}`, `{"code":"１２３４５６"}`, "{\"code\":\"\xff\"}", `{"code":"\ud800"}`, `{"code":"\u0000"}`, `{"code":1e999}`, `{"trusted":"true"}`, `{"decoy":true,"to":"+12025550101","purpose":"login"}`, `{"trusted":true,"purpose":"` + canary + `"}`,
		`{"unknown` + canary + `":"5511900000001"}`, strings.Repeat(`{"consent":`, 1000), strings.Repeat("[", 4096), strings.Repeat(" ", 5000), "\ufeff{}",
	} {
		f.Add([]byte(seed), uint(len(seed)/2))
	}
	d := newDesk(f, unlimited(), nil)
	f.Cleanup(func() { _ = d.db.Close() })
	first := httptest.NewRecorder()
	r := d.request("/v1/otp", []byte(requestFor(ana)))
	d.server.Public().ServeHTTP(first, r)
	id := told{first.Code, first.Header(), first.Body.Bytes()}.want(f, 202).ID
	f.Fuzz(func(t *testing.T, body []byte, at uint) {
		agrees(t, body)
		at %= uint(len(body)) + 1
		body = append(append(bytes.Clone(body[:at]), canary...), body[at:]...)
		agrees(t, body)
		for _, path := range []string{"/v1/otp", "/v1/otp/" + id + "/verify", "/v1/otp/" + id + "/resend"} {
			w := httptest.NewRecorder()
			d.server.Public().ServeHTTP(w, d.request(path, body))
			a := told{w.Code, w.Header(), w.Body.Bytes()}
			d.now = d.now.Add(time.Millisecond)
			if a.status >= 500 {
				t.Fatalf("%s: %d %s", path, a.status, a.body)
			}
			var p Problem
			if err := json.Unmarshal(a.body, &p); a.status >= 400 && (err != nil || p.Status != a.status || p.Code == "" || p.Instance != "fuzz") {
				t.Fatalf("%s: %d %s", path, a.status, a.body)
			}
			if bytes.Contains(a.body, []byte(canary)) || a.status >= 400 && digits.MatchString(strings.ReplaceAll(p.Detail, "131062", "")) {
				t.Fatalf("%s: the answer repeats the request: %s", path, a.body)
			}
			for name, values := range w.Header() {
				if strings.Contains(name+strings.Join(values, ""), canary) {
					t.Fatalf("%s: the answer repeats the request: %s %v", path, name, values)
				}
			}
		}
	})
}

func (d *desk) request(path string, body []byte) *http.Request {
	r := httptest.NewRequest("POST", path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+d.keys["app"])
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", unique())
	r.Header.Set("X-Request-Id", "fuzz")
	return r
}

// asJSON are the bodies as encoding/json reads them.
type asRequest struct {
	To, Purpose, Locale string
	ClientIP            string `json:"client_ip"`
	Binding             string
	Trusted, Decoy      bool
	Device              string
	Consent             *struct {
		Source, Text string
		At           time.Time
	}
	Metadata map[string]string
}

type asProof struct {
	Code, Binding string
	ClientIP      string `json:"client_ip"`
}

// agrees checks what the strict readers take against encoding/json, which takes
// more.
func agrees(t *testing.T, body []byte) {
	t.Helper()
	if r, err := readRequest(body); err == nil {
		var want asRequest
		strictly(t, body, &want)
		got := asRequest{To: r.To, Purpose: r.Purpose, Locale: r.Locale, ClientIP: r.ClientIP, Binding: r.Binding, Trusted: r.Trusted, Decoy: r.Decoy, Device: r.Device, Metadata: r.Metadata}
		if (r.Consent == nil) != (want.Consent == nil) {
			t.Fatalf("%s: consent %v, want %v", body, r.Consent, want.Consent)
		}
		if r.Consent != nil && (r.Consent.Source != want.Consent.Source || r.Consent.Text != want.Consent.Text || !r.Consent.At.Equal(want.Consent.At)) {
			t.Fatalf("%s: consent %v, want %v", body, r.Consent, want.Consent)
		}
		if want.Consent = nil; !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, want %+v", body, got, want)
		}
	} else {
		wantMalformed(t, err)
	}
	if p, err := readProof(body); err == nil {
		var want asProof
		strictly(t, body, &want)
		if p != (otp.Proof{Code: want.Code, Binding: want.Binding, ClientIP: want.ClientIP}) {
			t.Fatalf("%s: %+v, want %+v", body, p, want)
		}
	} else {
		wantMalformed(t, err)
	}
	if _, err := readResend(body); err != nil {
		wantMalformed(t, err)
	}
	if err := readNothing(body); err == nil && len(bytes.TrimSpace(body)) > 0 {
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil || len(m) > 0 {
			t.Fatalf("%s: has something to say", body)
		}
	}
}

func strictly(t *testing.T, body []byte, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: encoding/json does not take it: %v", body, err)
	}
}

func wantMalformed(t *testing.T, err error) {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) || p.Status != 400 || p.Code != "malformed" || p.Detail == "" {
		t.Fatalf("%v is no answer", err)
	}
}

// What a strict body may not have, and that the field's path is named.
func TestBodiesOfCodesAreStrict(t *testing.T) {
	for body, names := range map[string]string{
		``: "empty", ` `: "no JSON", `x`: "no JSON", `[]`: "the body must be an object", `null`: "the body must be an object", `{}{}`: "no JSON", `{} 1`: "no JSON",
		`{"to":1}`: "to must be a string", `{"to":null}`: "to must be a string", `{"to":{}}`: "to must be a string", `{"to":["+55"]}`: "to must be a string",
		`{"trusted":1}`: "trusted must be true or false", `{"trusted":"true"}`: "trusted must be true or false", `{"decoy":1}`: "decoy must be true or false",
		`{"consent":"yes"}`: "consent must be an object", `{"consent":{"source":1}}`: "consent.source must be a string", `{"consent":{"text":1}}`: "consent.text must be a string",
		`{"consent":{"at":"now"}}`: "consent.at must be a time", `{"consent":{"when":"now"}}`: "consent has a field that is not known; known are source, text, at",
		`{"metadata":{"a":1}}`: "a value of metadata must be a string", `{"metadata":[]}`: "metadata must be an object", `{"metadata":{"a":"1","a":"2"}}`: "metadata has a field twice",
		`{"to":"+1","to":"+1"}`: "the body has a field twice", `{"consent":{"source":"a","source":"a"}}`: "consent has a field twice",
		`{"To":"+1"}`: "the body has a field that is not known", `{"device":true}`: "device must be a string", `{"purpose":"login"}`: "to is missing", `{"to":"+1"}`: "purpose is missing",
		`{"to":"\ud83d"}`: "to holds a character that is none", "{\"to\":\"\xc3\"}": "UTF-8", `{"to":"` + "\t" + `"}`: "no JSON",
	} {
		_, err := readRequest([]byte(body))
		var p *Problem
		if !errors.As(err, &p) || p.Status != 400 || p.Code != "malformed" || !strings.Contains(p.Detail, names) {
			t.Errorf("%s: %v, want %q", body, err, names)
		}
	}
	for body, names := range map[string]string{`{}`: "code is missing", `{"code":123456}`: "code must be a string", `{"code":"1","to":"+1"}`: "known are code, binding, client_ip",
		`{"code":"1","binding":2}`: "binding must be a string", `{"code":"1","client_ip":false}`: "client_ip must be a string"} {
		if _, err := readProof([]byte(body)); err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: %v, want %q", body, err, names)
		}
	}
	for body, names := range map[string]string{`{"channel":"pigeon"}`: "channel must be one of whatsapp, sms", `{"code":"123456"}`: "code must be one of auto, new", `{"code":1}`: "code must be a string", `{"x":1}`: "known are channel, code"} {
		if _, err := readResend([]byte(body)); err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: %v, want %q", body, err, names)
		}
	}
	for _, body := range []string{"", "{}", " {\n} "} {
		if r, err := readResend([]byte(body)); err != nil || r != (otp.Resend{Channel: "whatsapp", Code: "auto"}) {
			t.Errorf("%q: %+v, %v", body, r, err)
		}
		if err := readNothing([]byte(body)); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
	if err := readNothing([]byte(`{"code":"1"}`)); err == nil {
		t.Error("something was taken for nothing")
	}
}
