package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"janela/internal/access"
	"janela/internal/store"
	"janela/otp"
)

// look shows a challenge: GET /v1/otp/{id}. Who would rather wait is told when
// something has changed: against the ETag that it sends, or while the challenge
// is pending.
func (c *call) look(id string) (answer, error) {
	var v otp.View
	err := c.db.Read(c.r.Context(), func(q *store.Snap) error {
		err := c.authenticate(q, access.ScopeOTPRead)
		switch {
		case err != nil:
			return err
		case !plausible(id):
			return unknownChallenge()
		case !c.looks.allow(c.key.Client+"\n"+id, q.Now()):
			return tooManyLooks()
		}
		v, err = c.otp.View(q, c.caller(), id)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	a, known := shown(v), c.r.Header["If-None-Match"]
	wait := c.preferred(maxWaitLook)
	if wait > 0 && (matches(known, a.etag) || len(known) == 0 && v.State == otp.Pending) {
		was := a.etag
		err := c.await(id, wait, func(v otp.View) bool {
			a = shown(v)
			return a.etag != was
		})
		if err != nil {
			return answer{}, err
		}
	}
	if matches(known, a.etag) {
		a.status, a.body = http.StatusNotModified, nil
	}
	return a, nil
}

// view reads where a challenge stands.
func (c *call) view(id string) (v otp.View, now time.Time, err error) {
	err = c.db.Read(c.r.Context(), func(q *store.Snap) error {
		now = q.Now()
		v, err = c.otp.View(q, c.caller(), id)
		return err
	})
	return v, now, err
}

// shown is the answer of a look. Its ETag is of every byte: nothing in it moves
// with the clock alone but what callers wait for.
func shown(v otp.View) answer {
	a := answer{status: http.StatusOK, body: line(fullReply(v))}
	sum := sha256.Sum256(a.body)
	a.etag = `"` + hex.EncodeToString(sum[:12]) + `"`
	return a
}

// matches compares an ETag with If-None-Match, weakly (RFC 9110, section 13.1.2).
func matches(fields []string, etag string) bool {
	for _, f := range fields {
		for one := range strings.SplitSeq(f, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// How often one challenge may be looked at: who waits for a change needs less.
const (
	looksPerSecond = 2
	looksBurst     = 5
	looksKept      = 8192 // limiters in each of two generations
)

// lookLimits bounds how often a challenge is looked at. Challenges come and go,
// so limiters are forgotten by generations: memory stays bounded, whatever ids
// are asked for.
type lookLimits struct {
	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

func (l *lookLimits) allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.young[key]
	if !ok {
		if one = l.old[key]; one == nil {
			one = rate.NewLimiter(looksPerSecond, looksBurst)
		}
		if l.young == nil || len(l.young) >= looksKept {
			l.old, l.young = l.young, make(map[string]*rate.Limiter, 64)
		}
		l.young[key] = one
	}
	return one.AllowN(now, 1)
}

func tooManyLooks() *Problem {
	p := publicProblem(otp.CodeRateLimited, "this challenge was looked at too often; Prefer: wait=20 tells of changes")
	p.Scope, p.RetryAfter, p.policy = "source", 1, `"source";q=2;w=1`
	return p
}
