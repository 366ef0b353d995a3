package httpapi

import (
	"testing"
	"time"
)

// A key that asks too often is refused, and told how often it may; another key is
// not concerned, and a second later it goes on.
func TestKeysAreBounded(t *testing.T) {
	h := newHouse(t)
	h.server.public.limits.perSecond = 5
	one, other := h.key("status:read"), h.key("status:read", "conversation:read")
	for i := range 10 {
		a := h.ask("GET", "/v1/status", one, "")
		if a.status != 200 || a.header.Get("RateLimit-Policy") != `"key";q=10;w=2` || a.header.Get("RateLimit") != `"key";r=`+string(rune('0'+9-i))+`;t=1` {
			t.Fatalf("%d: %d %v", i, a.status, a.header)
		}
	}
	a := h.ask("GET", "/v1/status", one, "")
	p := a.wantCode(t, 429, "rate-limited")
	if a.header.Get("Retry-After") != "1" || a.header.Get("RateLimit") != `"key";r=0;t=1` || p.Scope != "key" {
		t.Errorf("%v %+v", a.header, p)
	}
	h.ask("GET", "/v1/conversations", one, "").wantCode(t, 403, "scope") // what it may not do is said all the same
	h.ask("GET", "/v1/status", "wrong", "").wantCode(t, 401, "unauthorized")
	if a := h.ask("GET", "/v1/conversations", other, ""); a.status != 200 {
		t.Errorf("another key: %d %s", a.status, a.body)
	}
	h.advance(time.Second)
	for i := range 6 {
		if a := h.ask("GET", "/v1/status", one, ""); (a.status == 200) != (i < 5) {
			t.Errorf("a second later, %d: %d", i, a.status)
		}
	}
}
