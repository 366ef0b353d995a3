package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// verify is a receiver after the text of Standard Webhooks 1.0, and shares
// nothing with the code that signs.
func verify(a arrival, secret string, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	id, at := a.Header.Get("webhook-id"), a.Header.Get("webhook-timestamp")
	if id == "" || at == "" {
		return errors.New("the headers are not there")
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("webhook-timestamp is no integer: %w", err)
	}
	if age := now.Sub(time.Unix(seconds, 0)).Seconds(); math.Abs(age) > 300 {
		return fmt.Errorf("the timestamp is %v s off", age)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, at, a.Body)
	for one := range strings.SplitSeq(a.Header.Get("webhook-signature"), " ") {
		version, coded, _ := strings.Cut(one, ",")
		sum, err := base64.StdEncoding.DecodeString(coded)
		if version == "v1" && err == nil && hmac.Equal(sum, mac.Sum(nil)) {
			return nil
		}
	}
	return fmt.Errorf("no signature is right: %q", a.Header.Get("webhook-signature"))
}

// The vector of the reference libraries of Standard Webhooks.
func TestSignatureOfTheReference(t *testing.T) {
	got, err := Sign(secrets(aSecret)(), "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want || err != nil {
		t.Errorf("%s %v, want %s", got, err, want)
	}
}

// While a secret is replaced, receivers verify with either; afterwards with the
// new one alone.
func TestRotation(t *testing.T) {
	bubble(t, func(h *house) {
		older, newer := aSecret, NewSecret()
		var inForce atomic.Pointer[[]string]
		put := func(all ...string) { inForce.Store(&all) }
		put(older)
		h.start(events("crm", func(t *Target) { t.Secrets = func() [][]byte { return secrets(*inForce.Load()...)() } }))
		for i, step := range []struct {
			now          []string
			older, newer bool
		}{{[]string{older}, true, false}, {[]string{newer, older}, true, true}, {[]string{newer}, false, true}} {
			put(step.now...)
			h.emit("a.b", "", 1)
			a := h.peer("crm").log()[i]
			if err := verify(a, older, a.At); (err == nil) != step.older {
				t.Errorf("step %d, the older secret: %v", i, err)
			}
			if err := verify(a, newer, a.At); (err == nil) != step.newer {
				t.Errorf("step %d, the newer secret: %v", i, err)
			}
			equal(t, "signatures", len(strings.Fields(a.Header.Get("webhook-signature"))), len(step.now))
		}
		// A secret that cannot be read sends nothing, and loses nothing.
		put("whsec_nonsense")
		h.emit("a.b", "", 1)
		h.pass(time.Minute)
		equal(t, "requests", len(h.peer("crm").log()), 3)
		put(newer)
		h.pass(time.Minute)
		equal(t, "requests", len(h.peer("crm").log()), 4)
		for _, s := range []string{older, newer} {
			if strings.Contains(h.log.String(), strings.TrimPrefix(s, "whsec_")) {
				t.Error("a secret stands in the log")
			}
		}
	})
}

// verify itself is not blind.
func TestTheVerifierSeesChanges(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"))
		h.emit("a.b", "", 1)
		good := h.peer("crm").log()[0]
		for name, change := range map[string]func(a *arrival){
			"body":      func(a *arrival) { a.Body = append([]byte(" "), a.Body...) },
			"id":        func(a *arrival) { a.Header.Set("webhook-id", "msg_other") },
			"timestamp": func(a *arrival) { a.Header.Set("webhook-timestamp", strconv.FormatInt(good.At.Unix()+1, 10)) },
			"signature": func(a *arrival) { a.Header.Set("webhook-signature", "v1,AAAA") },
		} {
			bad := good
			bad.Header = good.Header.Clone()
			change(&bad)
			if verify(bad, aSecret, good.At) == nil {
				t.Errorf("a changed %s was not seen", name)
			}
		}
		if verify(good, aSecret, good.At.Add(time.Hour)) == nil || verify(good, NewSecret(), good.At) == nil {
			t.Error("an old request, or another secret, was not seen")
		}
	})
}

func TestSecrets(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		s := NewSecret()
		if key, err := ParseSecret(s); err != nil || len(key) != 32 || seen[s] {
			t.Fatalf("made %d bytes, %v, seen %v", len(key), err, seen[s])
		}
		seen[s] = true
	}
	if _, err := ParseSecret(" " + aSecret + "\n"); err != nil {
		t.Error(err)
	}
	long := base64.StdEncoding.EncodeToString(make([]byte, 65))
	for _, s := range []string{"", "whsec_", "whsec_AAAA", "whsec_!", aSecret[6:], "whsec_" + long, "WHSEC_" + aSecret[6:]} {
		_, err := ParseSecret(s)
		if err == nil {
			t.Errorf("%q was taken", s)
		} else if s != "" && len(s) > 8 && strings.Contains(err.Error(), s[6:]) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	if _, err := Sign(nil, "a", time.Unix(0, 0), nil); err == nil {
		t.Error("signed without a secret")
	}
}
