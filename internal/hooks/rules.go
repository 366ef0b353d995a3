package hooks

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// glob reports whether text is what the pattern describes; * stands for any
// characters, also none.
func glob(pattern, text string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	text = text[len(head):]
	for {
		var part string
		part, rest, wild = strings.Cut(rest, "*")
		if !wild {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part) // the first place leaves most for what follows
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
}

// matches is glob over several patterns; none at all describe everything.
func matches(patterns []string, text string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return glob(p, text) })
}

// hears reports whether a target that asks for numbers wants to hear of this
// one; what concerns no number concerns all.
func hears(numbers []string, number string) bool {
	return len(numbers) == 0 || number == "" || slices.Contains(numbers, number)
}

// wantsEvent reports whether an event goes to the target.
func (t *Target) wantsEvent(e *Event) bool {
	return (t.Mode == Events || t.Mode == Stream) && matches(t.Events, e.Type) && hears(t.Numbers, e.Number)
}

// wantsCallback reports whether a callback goes to the target: one change that
// passes takes the others along, since the signature is over all. A callback
// that could not be read goes to every target, which may read it better.
func (t *Target) wantsCallback(changes []Change) bool {
	return t.Mode == Passthrough && (len(changes) == 0 || slices.ContainsFunc(changes, func(c Change) bool {
		return matches(t.Fields, c.Field) && hears(t.Numbers, c.Number)
	}))
}

const (
	minPause = time.Second
	maxPause = time.Hour
	// downAfter is how many failures in a row, over all deliveries, mean that the
	// target is away.
	downAfter = 3
)

// probe is the longest pause between requests to a target that is away: a person
// who writes to a bot that is back is not kept waiting for long.
func (m Mode) probe() time.Duration {
	if m == Passthrough {
		return time.Minute
	}
	return 10 * time.Minute
}

// spread turns a pause into one between four fifths and six fifths of it, by r
// in [0,1), within the bounds: what failed together does not come back together.
func spread(d time.Duration, r float64) time.Duration {
	return min(max(time.Duration(float64(d)*(0.8+0.4*r)), minPause), maxPause)
}

// backoff is how long a delivery waits that has been failing for so long: as long
// again, so that its pauses double, 1 s to 1 h. Where the whole target seems to be
// down it waits a twentieth: it may well not be to blame.
func backoff(failing time.Duration, down bool, r float64) time.Duration {
	if down {
		failing /= 20
	}
	return spread(failing, r)
}

// patience is for how long a delivery that fails by itself keeps those of the
// same key waiting. A callback's are a person who waits for the bot's answer, and
// Meta promises no order; an event's are a ledger somewhere.
func (m Mode) patience() time.Duration {
	if m == Passthrough {
		return 2 * time.Minute
	}
	return 6 * time.Hour
}

// health is what the latest answers say of a target. It is not stored: after a
// restart the first requests find out again.
type health struct {
	failed int       // failures since the last success
	since  time.Time // of the first of them
	retry  time.Time // nothing is sent before
}

func (h *health) down() bool { return h.failed >= downAfter }

// reset forgets what went wrong: the target answered, or a person says it does.
func (h *health) reset() { *h = health{} }

// failure notes that a request failed. asked is the target's own Retry-After.
// The pause, most at most, is a twentieth of the time since the first failure:
// who was away for a minute is found again within 3 s.
func (h *health) failure(now time.Time, asked, most time.Duration, r float64) {
	if h.failed == 0 {
		h.since = now
	}
	h.failed++
	if asked > 0 {
		h.failed = max(h.failed, downAfter)
	}
	pause := max(min(spread(now.Sub(h.since)/20, r), most), min(asked, maxPause))
	if retry := now.Add(pause); retry.After(h.retry) {
		h.retry = retry
	}
}

// may is how many more requests may go out at now, with so many under way.
func (h *health) may(now time.Time, flying, atOnce int) int {
	switch {
	case !h.down():
		return atOnce - flying
	case flying == 0 && !now.Before(h.retry):
		return 1
	default:
		return 0
	}
}

// verdict is what an answer means.
type verdict int

const (
	arrived     verdict = iota
	failed              // perhaps because of this delivery alone
	away                // the target is not there, or not set up: no delivery's fault
	gone                // the target wants nothing more
	interrupted         // we stopped
)

// judge reads a status.
func judge(status int) verdict {
	switch {
	case status >= 200 && status <= 299:
		return arrived
	case status == http.StatusGone:
		return gone
	case status >= 300 && status <= 399, // the address is another one now
		status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusMethodNotAllowed,
		status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return away
	default:
		return failed
	}
}

// retryAfter reads the header of a 429 or 503: seconds, or a date, which counts
// from the answer's own Date, so that our clock does not matter. 0: none.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(n, 0), int(maxPause/time.Second))) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(until.Sub(date), 0), maxPause)
}
