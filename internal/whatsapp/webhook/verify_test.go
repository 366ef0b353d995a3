package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
)

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	const body = `{"entry":[]}`
	old, current := []byte("old secret"), []byte("new secret")
	good := sign("new secret", body)
	for _, c := range []struct {
		name    string
		secrets [][]byte
		header  string
		body    string
		want    bool
	}{
		{"one", [][]byte{current}, good, body, true},
		{"the second of two", [][]byte{old, current}, good, body, true},
		{"the first of two", [][]byte{current, old}, good, body, true},
		{"the same twice", [][]byte{current, current}, good, body, true},
		{"hex in capitals", [][]byte{current}, "sha256=" + strings.ToUpper(good[7:]), body, true},
		{"empty body", [][]byte{current}, sign("new secret", ""), "", true},
		{"another secret", [][]byte{old}, good, body, false},
		{"no secrets", nil, good, body, false},
		{"empty secret", [][]byte{{}, nil}, sign("", body), body, false},
		{"changed body", [][]byte{current}, good, body + " ", false},
		{"no header", [][]byte{current}, "", body, false},
		{"no prefix", [][]byte{current}, good[7:], body, false},
		{"SHA-1", [][]byte{current}, "sha1=" + good[7:], body, false},
		{"short", [][]byte{current}, good[:len(good)-2], body, false},
		{"long", [][]byte{current}, good + "00", body, false},
		{"not hex", [][]byte{current}, good[:len(good)-1] + "x", body, false},
		{"a space", [][]byte{current}, good + " ", body, false},
		{"zeros", [][]byte{current}, "sha256=" + strings.Repeat("0", 64), body, false},
	} {
		if got := Verify(c.secrets, c.header, []byte(c.body)); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestChallenge(t *testing.T) {
	query := func(mode, token, challenge string) url.Values {
		return url.Values{"hub.mode": {mode}, "hub.verify_token": {token}, "hub.challenge": {challenge}}
	}
	if got, ok := Challenge(query("subscribe", "secret", "1158201444"), "secret"); !ok || got != "1158201444" {
		t.Errorf("%q, %t", got, ok)
	}
	for name, c := range map[string]struct {
		q     url.Values
		token string
	}{
		"wrong token":        {query("subscribe", "Secret", "1"), "secret"},
		"no token given":     {query("subscribe", "", "1"), "secret"},
		"no token is set":    {query("subscribe", "", "1"), ""},
		"other mode":         {query("unsubscribe", "secret", "1"), "secret"},
		"nothing to answer":  {query("subscribe", "secret", ""), "secret"},
		"far too long":       {query("subscribe", "secret", strings.Repeat("1", 600)), "secret"},
		"an ordinary reader": {url.Values{}, "secret"},
	} {
		if got, ok := Challenge(c.q, c.token); ok || got != "" {
			t.Errorf("%s: %q, %t", name, got, ok)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("secret"), sign("secret", "body"), []byte("body"))
	f.Add([]byte(""), sign("", "body"), []byte("body"))
	f.Add([]byte("secret"), "sha256=", []byte("body"))
	f.Add([]byte("secret"), "", []byte(""))
	f.Fuzz(func(t *testing.T, secret []byte, header string, body []byte) {
		want := len(secret) > 0 && len(header) > 7 && header[:7] == "sha256=" && strings.EqualFold(header, sign(string(secret), string(body))) && isASCII(header)
		if got := Verify([][]byte{secret}, header, body); got != want {
			t.Fatalf("%q over %q with %q: %t", header, body, secret, got)
		}
		if len(secret) > 0 && !Verify([][]byte{[]byte("other"), secret}, sign(string(secret), string(body)), body) {
			t.Fatal("a right signature is refused")
		}
	})
}

// isASCII guards EqualFold, which folds letters beyond ASCII too.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 0x7f {
			return false
		}
	}
	return true
}

func BenchmarkVerify(b *testing.B) {
	body := []byte(strings.Repeat("x", 700))
	header := sign("secret", string(body))
	for b.Loop() {
		if !Verify([][]byte{[]byte("secret")}, header, body) {
			b.Fatal("refused")
		}
	}
}
