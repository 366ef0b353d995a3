package campaigns

import (
	"slices"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

// Tier is how far Meta's messaging limit is used: how many different people may
// get messages that the business begins in any 24 hours.
type Tier struct {
	Limit  int             // people in 24 h; 0: none is known
	Kept   int             // of them kept for the lanes before
	Counts map[int64]int64 // who counts now, by the root of their contact → when they leave (ms)
	Span   time.Duration   // how long somebody counts
}

// Room is how many of the people a campaign has for itself.
func (t Tier) Room() int { return max(t.Limit-t.Kept, 0) }

// pace says when messages of a run leave: as fast as the number and the
// campaign's throttle let them, while its windows are open, and no faster than the
// messaging limit lets new people in. It goes from message to message.
type pace struct {
	windows   Windows
	perSecond float64
	throttle  outbox.Throttle
	first     time.Time        // when the run's first message left; zero: none has
	at        time.Time        // when the next may leave by the rate
	late      time.Time        // the same of those who have waited for the messaging limit
	opens     time.Time        // the window looked at last
	closes    time.Time        // zero: never
	days      map[string]int64 // how many leave on a local day
	tier      *slots
	never     bool // no window comes any more
}

// farAhead is further than any plan, and no more than a Duration can hold.
const farAhead = 100 * 365 * 24 * time.Hour

// newPace starts at the first instant from start on that lies in a window.
func newPace(windows Windows, perSecond float64, start time.Time) *pace {
	p := &pace{windows: windows, perSecond: perSecond, at: start, days: map[string]int64{}}
	p.open(start)
	return p
}

// open finds the window of an instant, or the next.
func (p *pace) open(from time.Time) {
	var ok bool
	if p.opens, ok = p.windows.Next(from); !ok {
		p.never = true
		return
	}
	p.closes, _ = p.windows.Closes(p.opens)
}

func (p *pace) inWindow(t time.Time) bool {
	return !t.Before(p.opens) && (p.closes.IsZero() || t.Before(p.closes))
}

// rate is how many messages a second may leave at an instant.
func (p *pace) rate(at time.Time) float64 {
	var since time.Duration
	if !p.first.IsZero() {
		since = at.Sub(p.first)
	}
	if ramp := p.throttle.Ramp(since); ramp > 0 {
		return min(ramp, p.perSecond)
	}
	return p.perSecond
}

// next returns when the next message leaves: one to somebody new to the messaging
// limit, or to who counts until then. Zero: never.
func (p *pace) next(counts int64) time.Time {
	t := p.fits(p.at)
	if p.tier == nil || p.never || counts > store.Millis(t) {
		return t
	}
	if ready := p.tier.ready(); ready.After(t) {
		if ready.Before(p.late) {
			ready = p.late
		}
		return p.fits(ready)
	}
	return t
}

// fits returns the first instant from t on at which the windows and the day let a
// message leave.
func (p *pace) fits(t time.Time) time.Time {
	for !p.never {
		switch {
		case p.throttle.PerDay > 0 && p.days[p.throttle.Day(t)] >= p.throttle.PerDay:
			t = p.throttle.NextDay(t)
		case !p.inWindow(t):
			if p.open(t); t.Before(p.opens) {
				t = p.opens
			}
		default:
			return t
		}
	}
	return time.Time{}
}

// left notes that n messages leave from t on, fresh of them to people who are new
// to the messaging limit.
func (p *pace) left(t time.Time, n, fresh int64) {
	if t.IsZero() || n <= 0 {
		return
	}
	if p.first.IsZero() {
		p.first = t
	}
	seconds := min(float64(n)/p.rate(t), farAhead.Seconds())
	next := t.Add(time.Duration(seconds * float64(time.Second)))
	if p.tier != nil && fresh > 0 && t.After(p.fits(p.at)) {
		p.late = next // others need not wait for it
	} else {
		p.at = next
	}
	if p.throttle.PerDay > 0 {
		p.days[p.throttle.Day(t)] += n
	}
	if p.tier != nil && fresh > 0 {
		p.tier.take(t, fresh)
	}
}

// slots are the places of the messaging limit.
type slots struct {
	room    int64
	used    int64
	leaving []seat // of those who count at the beginning, and then of those we add: in order each
	ours    []seat
	free    time.Time // when the last place that was asked for became free
	span    time.Duration
}

type seat struct {
	at time.Time
	n  int64
}

// newSlots returns nil where there is no limit.
func newSlots(t Tier) *slots {
	if t.Limit == 0 {
		return nil
	}
	s := &slots{room: int64(max(t.Room(), 1)), used: int64(len(t.Counts)), span: t.Span}
	for _, at := range t.Counts {
		s.leaving = append(s.leaving, seat{store.Time(at), 1})
	}
	slices.SortFunc(s.leaving, func(a, b seat) int { return a.at.Compare(b.at) })
	return s
}

// ready is when a place is free; zero: now.
func (s *slots) ready() time.Time {
	for s.used >= s.room {
		from := &s.leaving
		if len(s.leaving) == 0 || len(s.ours) > 0 && s.ours[0].at.Before(s.leaving[0].at) {
			from = &s.ours
		}
		if len(*from) == 0 {
			break
		}
		next := (*from)[0]
		*from = (*from)[1:]
		s.used -= next.n
		if next.at.After(s.free) {
			s.free = next.at
		}
	}
	return s.free
}

func (s *slots) take(t time.Time, n int64) {
	s.used += n
	s.ours = append(s.ours, seat{t.Add(s.span), n})
}

// estimateSteps bounds how long an estimate takes, whatever there is to send.
const estimateSteps = 20_000

// finishes returns when the last of n messages leaves, of which this part goes to
// people new to the messaging limit. Zero: never.
func (p *pace) finishes(n int64, part float64) (at time.Time) {
	step := n/estimateSteps + 1
	var sent, fresh int64
	for sent < n {
		k := min(step, n-sent)
		add := int64(float64(sent+k)*part) - fresh
		counts := int64(0)
		if add == 0 {
			counts = 1<<63 - 1
		}
		t := p.next(counts)
		if t.IsZero() || t.Year() > 2200 {
			return time.Time{}
		}
		if t.After(at) {
			at = t
		}
		if p.throttle.PerDay > 0 {
			k = min(k, p.throttle.PerDay-p.days[p.throttle.Day(t)])
		}
		if p.tier != nil {
			k = min(k, p.tier.room)
		}
		add = min(add, k)
		p.left(t, k, add)
		sent, fresh = sent+k, fresh+add
	}
	return at
}
