package console

import (
	"time"

	"janela/internal/httpapi"
)

// span is a length of time as a bar: what is over is filled, and now is marked.
type span struct {
	Kind       string // category, or window
	From, Ends time.Time
	Hours      int     // of the whole bar
	Part       float64 // what is over, from 0 to 100
	End        float64 // where it ended, from 0 to 100; 100 but for what ended early
	Now        float64 // from 0 to 100; -1: it is over
	Open       bool
	Left       time.Duration // until it ends; 0 when it is over
}

// spanOf makes a bar of what begins and expires, and may end before it expires.
func spanOf(kind string, from, ends, expires, now time.Time) *span {
	s := &span{Kind: kind, From: from, Ends: ends, Hours: int(expires.Sub(from).Round(time.Hour).Hours()), Now: -1}
	whole := expires.Sub(from)
	s.End = percent(ends.Sub(from), whole)
	if s.Open = !now.Before(from) && now.Before(ends); s.Open {
		s.Now, s.Left = percent(now.Sub(from), whole), ends.Sub(now)
		s.Part = s.Now
		return s
	}
	if !now.Before(ends) {
		s.Part = s.End
	}
	return s
}

// windowSpan is a service window as a bar; nil: the person never wrote.
func windowSpan(w httpapi.WhyWindow, now time.Time) *span {
	if w.LastAt.IsZero() {
		return nil
	}
	return spanOf("window", w.LastAt, w.ClosesAt, w.ClosesAt, now)
}

func talkSpan(c httpapi.Conversation, now time.Time) *span {
	return spanOf(string(c.Category), c.OpenedAt, c.EndsAt, c.ExpiresAt, now)
}

// timeline draws a conversation, the service window and every message over the
// same hours. Lengths are those of its viewBox.
type timeline struct {
	From, To     time.Time
	Ticks        []tick
	Talk, Window stretch
	Now          float64 // 0: outside
	Messages     []dot
}

type tick struct {
	X    float64
	Text string
}

type stretch struct {
	X, Width float64
	Cut      bool // it goes on beyond the right edge
}

type dot struct {
	X   float64
	Out bool
	At  time.Time
}

const (
	lineLeft, lineRight = 10.0, 990.0
	lineMarks           = 500 // more than that is a smear
)

func timelineOf(c httpapi.Conversation, w httpapi.WhyWindow, messages []httpapi.ConversationMessage, zone *time.Location, l *lang, now time.Time) *timeline {
	length := c.ExpiresAt.Sub(c.OpenedAt)
	t := &timeline{From: c.OpenedAt.Add(-length / 24), To: c.ExpiresAt.Add(length / 12)}
	if w.Open || w.LastAt.After(c.OpenedAt) && w.LastAt.Before(c.ExpiresAt) { // it is about this conversation
		if w.ClosesAt.After(t.To) {
			t.To = w.ClosesAt.Add(length / 24)
		}
	}
	if most := c.ExpiresAt.Add(length); t.To.After(most) {
		t.To = most
	}
	x := func(at time.Time) float64 {
		return lineLeft + (lineRight-lineLeft)*percent(at.Sub(t.From), t.To.Sub(t.From))/100
	}
	between := func(from, to time.Time) stretch {
		if !from.Before(t.To) || !to.After(t.From) {
			return stretch{}
		}
		return stretch{x(from), max(2, x(to)-x(from)), to.After(t.To)}
	}
	t.Talk = between(c.OpenedAt, c.EndsAt)
	if !w.LastAt.IsZero() {
		t.Window = between(w.LastAt, w.ClosesAt)
	}
	if now.After(t.From) && now.Before(t.To) {
		t.Now = x(now)
	}
	step := 6 * time.Hour
	if length > 48*time.Hour {
		step = 12 * time.Hour
	}
	here := t.From.In(zone)
	at := time.Date(here.Year(), here.Month(), here.Day(), 0, 0, 0, 0, zone)
	for ; at.Before(t.To); at = at.Add(step) {
		if px := x(at); at.After(t.From) && px < lineRight-40 {
			text := at.Format("15:04")
			if text == "00:00" {
				text = l.date(at)
			}
			t.Ticks = append(t.Ticks, tick{px, text})
		}
	}
	for i, m := range messages {
		if i == lineMarks {
			break
		}
		t.Messages = append(t.Messages, dot{x(m.At), m.Direction == "out", m.At})
	}
	return t
}
