package campaigns

import "time"

// pace says when the n-th message of a run leaves: perSecond of them while its
// windows are open. It walks windows, not messages.
type pace struct {
	windows   Windows
	perSecond float64
	opens     time.Time // the window looked at, or the start of sending
	closes    time.Time // zero: never
	before    float64   // messages that leave before it opens
	never     bool      // no window comes any more
}

// farAhead is further than any plan, and no more than a Duration can hold.
const farAhead = 100 * 365 * 24 * time.Hour

// newPace starts at the first instant from start on that lies in a window.
func newPace(windows Windows, perSecond float64, start time.Time) *pace {
	p := &pace{windows: windows, perSecond: perSecond}
	p.open(start)
	return p
}

func (p *pace) open(from time.Time) {
	var ok bool
	if p.opens, ok = p.windows.Next(from); !ok {
		p.never = true
		return
	}
	p.closes, _ = p.windows.Closes(p.opens)
}

// at returns when the n-th message leaves, counted from 0; n must not be lower
// than in the call before. Zero: never.
func (p *pace) at(n int64) time.Time {
	for !p.never {
		seconds := min((float64(n)-p.before)/p.perSecond, farAhead.Seconds())
		at := p.opens.Add(time.Duration(seconds * float64(time.Second)))
		if p.closes.IsZero() || at.Before(p.closes) {
			return at
		}
		// A message that would begin before the window closes still belongs to it.
		p.before += p.closes.Sub(p.opens).Seconds() * p.perSecond
		p.open(p.closes)
	}
	return time.Time{}
}
