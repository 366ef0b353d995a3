package access

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// What guesses cost: five are free, then each must wait twice as long as the one
// before. Whoever fails no more for an hour begins anew.
const (
	freeGuesses = 5
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	guessesStay = time.Hour
	maxGuessers = 4096
)

// TooManyError says that somebody guesses too often, and how long to wait.
type TooManyError struct{ Wait time.Duration }

// Seconds is the wait in whole seconds, rounded up.
func (e *TooManyError) Seconds() int { return int((e.Wait + time.Second - 1) / time.Second) }

// Error is what the visitor is told.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many attempts, wait %d s", e.Seconds())
}

// guesser is a name or an address, hashed so that all are of one size.
type guesser [sha256.Size]byte

func guesserName(name string) guesser { return sha256.Sum256([]byte("name " + name)) }

// guesserAddress is an IPv4 address, or the network of an IPv6 address: whoever
// has one has all 2^64 of it.
func guesserAddress(a netip.Addr) guesser {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	return sha256.Sum256([]byte("address " + a.String()))
}

// guesses is what somebody has tried.
type guesses struct {
	failed int
	last   time.Time // when it was counted
	until  time.Time // nothing is taken before
}

// throttle counts failed logins, in memory: a restart forgets them.
type throttle struct {
	mu sync.Mutex
	of map[guesser]*guesses
}

// begin counts an attempt as failed before it is looked at, so that many at once
// are many, or says how long to wait.
func (t *throttle) begin(now time.Time, who ...guesser) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wait time.Duration
	for _, w := range who {
		if g := t.of[w]; g != nil {
			wait = max(wait, g.until.Sub(now))
		}
	}
	if wait > 0 {
		return &TooManyError{wait}
	}
	for _, w := range who {
		g := t.find(now, w)
		g.failed++
		g.last = now
		g.until = now.Add(waitAfter(g.failed))
	}
	return nil
}

// waitAfter is how long to wait after some failures.
func waitAfter(failed int) time.Duration {
	wait := time.Duration(0)
	for i := freeGuesses; i <= failed && wait < longestWait; i++ {
		wait = max(firstWait, 2*wait)
	}
	return min(wait, longestWait)
}

// find returns what somebody has tried, and makes room for it.
func (t *throttle) find(now time.Time, w guesser) *guesses {
	if g := t.of[w]; g != nil && now.Sub(g.last) < guessesStay {
		return g
	}
	if t.of == nil {
		t.of = map[guesser]*guesses{}
	}
	delete(t.of, w)
	if len(t.of) >= maxGuessers {
		t.shrink(now)
	}
	t.of[w] = &guesses{}
	return t.of[w]
}

// shrink takes out whoever has not failed for long, and if that is nobody, who
// has failed the least: a crowd of new names does not make a place forgotten that
// is under attack.
func (t *throttle) shrink(now time.Time) {
	var least guesser
	var found *guesses
	for w, g := range t.of {
		switch {
		case now.Sub(g.last) >= guessesStay:
			delete(t.of, w)
		case found == nil || g.failed < found.failed || g.failed == found.failed && g.last.Before(found.last):
			least, found = w, g
		}
	}
	if len(t.of) >= maxGuessers {
		delete(t.of, least)
	}
}

// takeBack says that an attempt was none: it was right, or was not looked at.
func (t *throttle) takeBack(who ...guesser) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range who {
		if g := t.of[w]; g != nil {
			g.until = time.Time{}
			if g.failed--; g.failed <= 0 {
				delete(t.of, w)
			}
		}
	}
}

// forget begins anew with somebody.
func (t *throttle) forget(w guesser) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, w)
}
