package dispatch

import (
	"math"
	"sync"
	"time"
)

// ahead is how much of the allowed rate a claim may take in advance.
const ahead = 100 * time.Millisecond

// bucket is a token bucket: perSecond tokens a second, and at most burst at a
// time. Tokens to come can be booked, in the order in which somebody asks.
type bucket struct {
	mu        sync.Mutex
	perSecond float64
	burst     float64
	tokens    float64 // at at; below zero when tokens to come are booked
	at        time.Time
}

// limiter returns a full bucket that holds 100 ms of its rate, at least one
// token.
func limiter(perSecond float64) *bucket {
	b := &bucket{perSecond: perSecond, burst: burstOf(perSecond)}
	b.tokens = b.burst
	return b
}

func burstOf(perSecond float64) float64 { return max(1, float64(int(perSecond*ahead.Seconds()))) }

// flow adds what has come in since the last look.
func (b *bucket) flow(now time.Time) {
	if b.at.IsZero() || now.After(b.at) {
		if !b.at.IsZero() {
			b.tokens = min(b.burst, b.tokens+now.Sub(b.at).Seconds()*b.perSecond)
		}
		b.at = now
	}
}

// setRate changes the rate. What is booked stays booked.
func (b *bucket) setRate(now time.Time, perSecond float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if perSecond == b.perSecond {
		return
	}
	b.flow(now)
	b.perSecond, b.burst = perSecond, burstOf(perSecond)
	b.tokens = min(b.tokens, b.burst)
}

// take takes n tokens, those to come if it must be, and returns how long until
// the last of them is there.
func (b *bucket) take(now time.Time, n int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flow(now)
	b.tokens -= float64(n)
	return b.until(0)
}

// give returns n tokens that nobody used.
func (b *bucket) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.burst, b.tokens+float64(n))
}

// missing is how long until a token is there that nobody has booked; 0: one is.
func (b *bucket) missing(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flow(now)
	return b.until(1)
}

// until is how long until the bucket holds so many tokens.
func (b *bucket) until(tokens float64) time.Duration {
	if b.tokens >= tokens {
		return 0
	}
	return time.Duration(math.Ceil((tokens - b.tokens) / b.perSecond * float64(time.Second)))
}

// rate is the bucket's rate now, in messages a second.
func (b *bucket) rate() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.perSecond
}

// tokens is what a bucket holds within the next 100 ms, at least one when the
// next token is that near.
func tokens(b *bucket, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flow(now)
	return int(min(b.burst, b.tokens+ahead.Seconds()*b.perSecond) + 1e-9)
}

// slack stretches the second in which a number sends what it may: what leaves
// evenly arrives a little unevenly.
const slack = 1.02

// second keeps the instants of the last sends, so that in no second, wherever it
// begins, more leave than may: a bucket alone lets its burst through beside the
// rate. Below one message a second it keeps them so far apart.
type second struct {
	from time.Time // the first of all
	at   []time.Duration
}

// wait is how long until another message may leave at a rate, if spare more must
// fit beside it; 0: now.
func (s *second) wait(now time.Time, perSecond float64, spare int) time.Duration {
	n, span := spanOf(perSecond)
	if n = max(n-spare, 1); len(s.at) < n {
		return 0
	}
	return max(s.at[len(s.at)-n]+span-now.Sub(s.from), 0)
}

// add notes a send, and forgets those that no rate up to most asks for.
func (s *second) add(now time.Time, most float64) {
	if keep, _ := spanOf(most); len(s.at) >= 2*keep {
		s.at = append(s.at[:0], s.at[len(s.at)-keep+1:]...)
	}
	if s.from.IsZero() {
		s.from = now
	}
	s.at = append(s.at, now.Sub(s.from))
}

// spanOf is how many messages may leave within which time.
func spanOf(perSecond float64) (n int, span time.Duration) {
	n = max(1, int(perSecond+1e-9))
	return n, time.Duration(float64(n) / perSecond * slack * float64(time.Second))
}

// pause is how long until another token is there, at least a millisecond.
func pause(buckets ...*bucket) time.Duration {
	d := time.Millisecond
	for _, b := range buckets {
		if b == nil || b.rate() <= 0 {
			continue
		}
		d = max(d, min(time.Duration(float64(time.Second)/b.rate()), ahead/2))
		if b.rate() < 10 { // slower than the look-ahead: wait for the token itself
			d = max(d, b.missing(time.Now())-ahead)
		}
	}
	return d
}
