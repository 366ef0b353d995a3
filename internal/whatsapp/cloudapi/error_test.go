package cloudapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"janela/internal/whatsapp"
)

func TestRefusalWords(t *testing.T) {
	answer := func(status int) *http.Response { return &http.Response{StatusCode: status, Header: http.Header{}} }
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"usual", `{"error":{"message":"(#131026) Undeliverable","type":"OAuthException","code":131026,"error_data":{"messaging_product":"whatsapp","details":"Message undeliverable."},"fbtrace_id":"Ax1"}}`, 400,
			"send: Meta refused with code 131026 (suppress_user, HTTP 400): (#131026) Undeliverable: Message undeliverable. [trace Ax1]"},
		{"code as text, data as text", `{"error":{"message":"m","type":"T","code":"100","error_data":"long words"}}`, 400,
			"send: Meta refused with code 100 (stop_campaign, HTTP 400): m: long words"},
		{"words for users", `{"error":{"message":"m","code":100,"error_user_msg":"shown","fbtrace_id":"A"}}`, 400,
			"send: Meta refused with code 100 (stop_campaign, HTTP 400): m: shown [trace A]"},
		{"unclear code", `{"error":{"message":"m","type":"T","code":131000}}`, 500,
			"send: Meta refused with code 131000 (unknown, HTTP 500): m; the message may have been sent"},
		{"secrets", `{"error":{"message":"Malformed access token ` + testToken + ` for https://graph.facebook.com/v25.0/1?access_token=abcdef0123","type":"T","code":190,"error_data":{"details":"Recipient +55 (11) 90000-0001 or 5511900000001 is not allowed"}}}`, 401,
			"send: Meta refused with code 190 (halt_auth, HTTP 401): Malformed access token <token> for https://graph.facebook.com/v25.0/1<query>: Recipient <number> or <number> is not allowed"},
		{"another token", `{"error":{"message":"token EAAOther0123456789xyz is bad\nreally","type":"T","code":190}}`, 401,
			"send: Meta refused with code 190 (halt_auth, HTTP 401): token <token> is bad really"},
		{"proxy", "<html>", 502, "send: no clear answer (HTTP 502): the answer is not in Meta's form; the message may have been sent"},
		{"redirect", "", 307, "send: no clear answer (HTTP 307): the server redirects; redirects are not followed; the message may have been sent"},
	} {
		e := refusal(opSend, answer(c.status), []byte(c.body), testToken)
		if e == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if e.Error() != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, e, c.want)
		}
	}
	if e := refusal(opSend, answer(200), []byte(accepted), testToken); e != nil {
		t.Errorf("an acceptance is refused: %v", e)
	}
}

func TestHints(t *testing.T) {
	for _, c := range []struct {
		e    Error
		word string
	}{
		{Error{Coded: true, Code: 131042, HTTPStatus: 400}, "payment"},
		{Error{Coded: true, Code: 0, HTTPStatus: 401}, "token"},
		{Error{Class: whatsapp.ClassHaltAuth, NotSent: true}, "token file"},
		{Error{HTTPStatus: 502}, "proxy"},
		{Error{NotSent: true}, "network"},
		{Error{}, "webhook"},
	} {
		if got := c.e.Hint(); !strings.Contains(got, c.word) {
			t.Errorf("%+v: hint %q lacks %q", c.e, got, c.word)
		}
	}
}

func TestRetryAfterReader(t *testing.T) {
	for _, c := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0}, {"0", "", 0}, {"12", "", 12 * time.Second}, {" 12 ", "", 12 * time.Second}, {"-1", "", 0}, {"1.5", "", 0}, {"x", "", 0},
		{"3599", "", 3599 * time.Second}, {"3600", "", time.Hour}, {"9223372036854775807", "", time.Hour}, {"9223372036854775808", "", time.Hour},
		{"Mon, 23 Nov 2026 10:01:00 GMT", "Mon, 23 Nov 2026 10:00:00 GMT", time.Minute},
		{"Mon, 23 Nov 2026 10:01:00 GMT", "", 0},
		{"Mon, 23 Nov 2026 10:01:00 GMT", "yesterday", 0},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.value)
		h.Set("Date", c.date)
		if got := retryAfter(h); got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.value, c.date, got, c.want)
		}
	}
}

func FuzzGraphError(f *testing.F) {
	for _, s := range []string{
		accepted, "", "{}", "null", `{"error":null}`, `{"error":"x"}`, `{"error":{"code":null,"type":"T"}}`, `{"error":{"code":1e99,"type":"T"}}`,
		`{"error":{"message":"m","type":"T","code":131026,"error_data":{"details":"d"},"fbtrace_id":"A"}}`,
		`{"error":{"message":{"a":1},"type":["T"],"code":"4","error_data":[1],"fbtrace_id":7}}`,
		`{"error":{"message":"` + testToken + `","type":"T","code":190,"error_data":"+55 11 90000-0001"}}`,
	} {
		f.Add([]byte(s), 400, "5")
	}
	f.Fuzz(func(t *testing.T, body []byte, status int, wait string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {wait}, "X-Business-Use-Case-Usage": {string(body)}}}
		e := refusal(opSend, resp, body, testToken)
		if e == nil {
			if status < 200 || status > 299 {
				t.Fatalf("HTTP %d is no refusal", status)
			}
			return
		}
		if e.Class == "" || e.Hint() == "" || e.RetryAfter < 0 || e.RetryAfter > time.Hour {
			t.Fatalf("incomplete: %#v", e)
		}
		if strings.Contains(e.Error(), testToken) || phoneLike.MatchString(e.Message+"|"+e.Details+"|"+e.Trace) {
			t.Fatalf("not scrubbed: %s", e)
		}
		if e.NotSent {
			code := whatsapp.LookupCode(e.Code, status)
			if !e.Coded || code.Accepted != whatsapp.AcceptedNo || !json.Valid(body) || status >= 300 && status < 400 {
				t.Fatalf("taken for not sent: HTTP %d, %q", status, body)
			}
		}
	})
}
