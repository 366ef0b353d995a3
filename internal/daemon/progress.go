package daemon

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Progress shows on a terminal's last line how messages come along, and in
// plain lines, when something changed, elsewhere.
type Progress struct {
	mu    sync.Mutex
	out   io.Writer
	width func() int // columns of the terminal; nil when there is none
	line  string     // what stands on the last line of the terminal
	last  counts     // the latest plain line
}

// counts is what a progress line says.
type counts struct{ planned, sent, delivered, read, held, refused, failed, unknown, open, inFlight int64 }

// NewProgress shows progress on w. width tells how many columns the terminal
// has; nil says that w is none.
func NewProgress(w io.Writer, width func() int) *Progress { return &Progress{out: w, width: width} }

// Wrap returns a writer for log lines that keeps the progress line below them.
func (p *Progress) Wrap(w io.Writer) io.Writer { return &above{p, w} }

type above struct {
	p *Progress
	w io.Writer
}

func (a *above) Write(b []byte) (int, error) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.p.line != "" {
		_, _ = io.WriteString(a.p.out, clearLine)
	}
	n, err := a.w.Write(b)
	if a.p.line != "" {
		_, _ = io.WriteString(a.p.out, a.p.line)
	}
	return n, err
}

const (
	clearLine = "\r\x1b[2K"
	barWidth  = 24
)

// show brings the display up to date.
func (p *Progress) show(c counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width != nil {
		// A line that wraps could not be wiped away again.
		p.line = text.Trim(c.bar(), max(p.width()-1, 1))
		_, _ = io.WriteString(p.out, clearLine+p.line)
		return
	}
	if c == p.last || c.planned == 0 {
		return
	}
	p.last = c
	_, _ = fmt.Fprintln(p.out, c.text())
}

// done leaves the last state standing.
func (p *Progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line != "" {
		_, _ = io.WriteString(p.out, "\n")
		p.line = ""
	}
}

func (c counts) text() string {
	s := fmt.Sprintf("planned %d · sent %d · delivered %d · read %d · conversations open %d", c.planned, c.sent, c.delivered, c.read, c.open)
	for _, extra := range []struct {
		name string
		n    int64
	}{{"held back by Meta", c.held}, {"refused", c.refused}, {"failed", c.failed}, {"unknown", c.unknown}} {
		if extra.n > 0 {
			s += fmt.Sprintf(" · %s %d", extra.name, extra.n)
		}
	}
	return s
}

// bar is the text behind a bar of what is settled.
func (c counts) bar() string {
	full := 0
	if c.planned > 0 {
		full = int(barWidth * (c.planned - c.inFlight) / c.planned)
	}
	b := make([]rune, barWidth)
	for i := range b {
		if b[i] = '░'; i < full {
			b[i] = '█'
		}
	}
	return string(b) + " " + c.text()
}

// ShowProgress makes Run show its progress on p.
func (d *Daemon) ShowProgress(p *Progress) { d.progress = p }

// showProgress looks at the tallies every second, and less often where looking
// takes long (a million open conversations): never more than a fiftieth of the
// time is spent on it.
func (d *Daemon) showProgress(ctx context.Context) error {
	defer d.progress.done()
	for {
		begun := time.Now()
		c, err := d.counts(context.WithoutCancel(ctx))
		if err == nil {
			d.progress.show(c)
		}
		timer := time.NewTimer(max(time.Second, 50*time.Since(begun)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

func (d *Daemon) counts(ctx context.Context) (c counts, err error) {
	err = d.db.Read(ctx, func(q *store.Snap) error {
		tallies, err := outbox.Tallies(q)
		if err != nil {
			return err
		}
		for _, t := range tallies {
			c.planned += t.N
			c.add(t)
		}
		c.open, _, err = conversations.Count(q, conversations.Filter{Open: true})
		return err
	})
	return c, err
}

// add counts a tally under everything that its state implies.
func (c *counts) add(t outbox.Tally) {
	switch t.State {
	case outbox.Queued, outbox.Sending:
		c.inFlight += t.N
	case outbox.Read:
		c.sent, c.delivered, c.read = c.sent+t.N, c.delivered+t.N, c.read+t.N
	case outbox.Delivered:
		c.sent, c.delivered = c.sent+t.N, c.delivered+t.N
	case outbox.Sent, outbox.Accepted, outbox.PresumedExpired:
		c.sent += t.N
	case outbox.AcceptedHeld:
		c.held += t.N
	case outbox.Failed:
		c.failed += t.N
	case outbox.Unknown:
		c.unknown += t.N
	default:
		c.refused += t.N
	}
}
