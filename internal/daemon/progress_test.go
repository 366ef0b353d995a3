package daemon

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"janela/internal/outbox"
)

// steps are what a campaign of ten goes through.
var steps = []counts{
	{},
	{planned: 10, inFlight: 10},
	{planned: 10, inFlight: 10}, // nothing new
	{planned: 10, inFlight: 6, sent: 3, refused: 1, open: 3},
	{planned: 10, inFlight: 1, sent: 7, delivered: 4, read: 1, refused: 1, unknown: 1, open: 7},
	{planned: 10, sent: 7, delivered: 6, read: 3, refused: 1, failed: 1, unknown: 1, open: 7},
}

func TestProgressInPlainLines(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out, nil)
	logs := p.Wrap(&out)
	for i, c := range steps {
		p.show(c)
		if i == 3 {
			_, _ = fmt.Fprintln(logs, "a log line")
		}
	}
	p.done()
	golden(t, "progress-lines.golden", out.String())
}

func TestProgressBar(t *testing.T) {
	for _, width := range []int{200, 60, 20, 1, 0} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			var out bytes.Buffer
			p := NewProgress(&out, func() int { return width })
			logs := p.Wrap(&out)
			_, _ = fmt.Fprintln(logs, "before the first")
			for i, c := range steps {
				p.show(c)
				if i == 3 {
					_, _ = fmt.Fprintln(logs, "a log line")
				}
			}
			p.done()
			p.done()
			_, _ = fmt.Fprintln(logs, "after the last")
			for _, line := range strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\r' || r == '\n' }) {
				if n := len([]rune(strings.TrimPrefix(line, "\x1b[2K"))); strings.ContainsAny(line, "█░") && n > max(width-1, 1) {
					t.Errorf("a line of %d columns on a terminal of %d: %q", n, width, line)
				}
			}
			shown := strings.NewReplacer("\r", "<CR>", "\x1b[2K", "<WIPE>").Replace(out.String())
			golden(t, fmt.Sprintf("progress-bar-%d.golden", width), shown)
		})
	}
}

// Every state of a message counts somewhere, and what is on its way is not
// settled.
func TestCountsKnowEveryState(t *testing.T) {
	for _, s := range outbox.States {
		var c counts
		c.add(outbox.Tally{State: s, N: 3})
		if c == (counts{}) {
			t.Errorf("%s counts nowhere", s)
		}
		moving := s == outbox.Queued || s == outbox.Sending
		if (c.inFlight == 3) != moving {
			t.Errorf("%s: in flight %d", s, c.inFlight)
		}
		if c.read > c.delivered || c.delivered > c.sent {
			t.Errorf("%s: read %d, delivered %d, sent %d", s, c.read, c.delivered, c.sent)
		}
	}
}
