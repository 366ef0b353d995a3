package httpapi

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"janela/internal/access"
	"janela/internal/store"
	"janela/otp"
)

// keyLimits bounds how many requests a key makes. One that is over its bound is
// refused before anything is done; codes and senders have limits of their own
// besides. The bound is per process, and begins anew with it.
type keyLimits struct {
	perSecond float64 // 0: none

	mu    sync.Mutex
	byKey map[string]*rate.Limiter // there are as many as keys that are valid
}

// burst is how many requests may come at once: what two seconds allow.
func (l *keyLimits) burst() int { return max(1, int(2*l.perSecond)) }

// policy is RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers).
func (l *keyLimits) policy() string { return fmt.Sprintf(`"key";q=%d;w=2`, l.burst()) }

// take counts a request. left is how many more may come at once.
func (l *keyLimits) take(key string, now time.Time) (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.byKey[key]
	if one == nil {
		if l.byKey == nil {
			l.byKey = map[string]*rate.Limiter{}
		}
		one = rate.NewLimiter(rate.Limit(l.perSecond), l.burst())
		l.byKey[key] = one
	}
	ok = one.AllowN(now, 1)
	return max(0, int(one.TokensAt(now))), ok
}

// bounded counts the request, and tells how much is left.
func (c *call) bounded(now time.Time) error {
	if c.limits.perSecond <= 0 {
		return nil
	}
	left, ok := c.limits.take(c.key.ID, now)
	h := c.w.Header()
	h["Ratelimit-Policy"] = []string{c.limits.policy()}
	h["Ratelimit"] = []string{fmt.Sprintf(`"key";r=%d;t=1`, left)}
	if ok {
		return nil
	}
	p := publicProblem(otp.CodeRateLimited, "this key asks too often; RateLimit-Policy says how often it may")
	p.Scope, p.RetryAfter = "key", 1
	return p
}

// Guard lets only keys with the scope status:read through to a handler that asks
// for none itself.
func (s *Server) Guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{public: s.public, w: w, r: r, id: requestID(r)}
		err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error { return c.authenticate(q, access.ScopeStatusRead) })
		if err != nil {
			w.Header()["X-Request-Id"] = []string{c.id}
			w.Header()["Cache-Control"] = noStore
			c.tell(c.failed(err))
			return
		}
		h.ServeHTTP(w, r)
	})
}
