package console

import (
	"testing"
	"time"

	"janela/internal/httpapi"
)

// A bar is 24 hours, or 72 where an ad began it; what ended early stops before its
// end, and now is marked only inside of it: intervals are half open.
func TestSpan(t *testing.T) {
	from := doorBegan
	at := func(hours float64) time.Time { return from.Add(time.Duration(hours * float64(time.Hour))) }
	for name, c := range map[string]struct {
		ends, expires, now  float64
		hours               int
		part, end, nowShown float64
		open                bool
	}{
		"at its beginning":  {24, 24, 0, 24, 0, 100, 0, true},
		"in the middle":     {24, 24, 12, 24, 50, 100, 50, true},
		"at its end":        {24, 24, 24, 24, 100, 100, -1, false},
		"long ago":          {24, 24, 100, 24, 100, 100, -1, false},
		"not yet":           {24, 24, -1, 24, 0, 100, -1, false},
		"by an ad":          {72, 72, 18, 72, 25, 100, 25, true},
		"ended by an ad":    {6, 24, 12, 24, 25, 25, -1, false},
		"before that end":   {6, 24, 3, 24, 12.5, 25, 12.5, true},
		"over before an ad": {6, 24, 6, 24, 25, 25, -1, false},
	} {
		got := spanOf("service", from, at(c.ends), at(c.expires), at(c.now))
		if got.Hours != c.hours || got.Part != c.part || got.End != c.end || got.Now != c.nowShown || got.Open != c.open {
			t.Errorf("%s: %+v", name, got)
		}
		if (got.Left > 0) != c.open || c.open && got.Left != at(c.ends).Sub(at(c.now)) {
			t.Errorf("%s: %v left", name, got.Left)
		}
	}
}

// The timeline holds everything inside of its edges, in the order of time.
func TestTimeline(t *testing.T) {
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	c := httpapi.Conversation{OpenedAt: doorBegan, ExpiresAt: doorBegan.Add(24 * time.Hour), EndsAt: doorBegan.Add(24 * time.Hour)}
	messages := []httpapi.ConversationMessage{{Direction: "out", At: doorBegan}, {Direction: "in", At: doorBegan.Add(10 * time.Hour)}, {Direction: "out", At: doorBegan.Add(23 * time.Hour)}}
	for name, w := range map[string]httpapi.WhyWindow{
		"never wrote": {},
		"inside":      {LastAt: doorBegan.Add(10 * time.Hour), ClosesAt: doorBegan.Add(34 * time.Hour), Open: true},
		"far later":   {LastAt: doorBegan.Add(100 * time.Hour), ClosesAt: doorBegan.Add(124 * time.Hour)},
		"much later":  {LastAt: doorBegan.Add(40 * time.Hour), ClosesAt: doorBegan.Add(64 * time.Hour), Open: true},
		"long before": {LastAt: doorBegan.Add(-100 * time.Hour), ClosesAt: doorBegan.Add(-76 * time.Hour)},
	} {
		l := timelineOf(c, w, messages, zone, langs()[0], doorBegan.Add(12*time.Hour))
		inside := func(x float64) bool { return x >= lineLeft && x <= lineRight }
		last := 0.0
		for _, m := range l.Messages {
			if !inside(m.X) || m.X < last {
				t.Errorf("%s: a message at %v after %v", name, m.X, last)
			}
			last = m.X
		}
		if !inside(l.Talk.X) || !inside(l.Talk.X+l.Talk.Width) || l.Talk.Cut || !inside(l.Now) || len(l.Ticks) < 3 {
			t.Errorf("%s: %+v", name, l)
		}
		if drawn := l.Window.Width > 0; drawn != (name == "inside" || name == "much later") || drawn && (!inside(l.Window.X) || l.Window.X+l.Window.Width > lineRight+0.001) {
			t.Errorf("%s: the window is %+v", name, l.Window)
		}
	}
}
