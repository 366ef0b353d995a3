package guard

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"janela/internal/store"
)

// faultWatch tries again and again whether a database that could not be written
// can be, and says once that it cannot, and once that it can.
type faultWatch struct {
	told bool
	wait time.Duration // until the next try
	last time.Duration // between the last two
}

// mostWait is the longest time between two tries.
const mostWait = 8 * time.Second

func (f *faultWatch) look(ctx context.Context, g *Guard) {
	fault := g.cfg.DB.Fault()
	if fault == nil {
		return
	}
	if !f.told {
		f.told, f.last, f.wait = true, 0, 0
		g.cfg.Log.Error("the database cannot be written: nothing is sent, requests and callbacks are answered 503, and what is on disk stays; it is tried again until it can be",
			"error", fault.Err, "do", "look at the disk: is it full, read-only, broken?")
	}
	if f.wait -= g.cfg.Every; f.wait > 0 {
		return
	}
	if err := g.cfg.DB.Probe(ctx); err != nil {
		f.last = min(max(2*f.last, g.cfg.Every), max(mostWait, g.cfg.Every))
		f.wait = f.last
		return
	}
	f.told = false
	g.cfg.Log.Info("the database can be written again; everything goes on", "after", g.cfg.DB.Now().Sub(fault.Since()).Round(time.Second))
}

// stalledFor is how long one transaction may take before somebody is told.
const stalledFor = 15 * time.Second

// Problems says why nothing can be written down.
func Problems(db *store.DB) []string {
	var out []string
	if f := db.Fault(); f != nil {
		out = append(out, fmt.Sprintf("the database cannot be written since %s: %v; nothing is sent, and callbacks are answered 503, so that Meta sends them again; it goes on by itself",
			f.Since().Format(time.RFC3339), f.Err))
	}
	if d := db.Stalled(); d > stalledFor {
		out = append(out, fmt.Sprintf("the database has been writing one transaction for %s: the disk does not answer, or another program holds the file", d.Round(time.Second)))
	}
	return out
}

// Calm leaves out of a log what a Guard tells once for all: records whose error
// says that the database cannot be written. Everybody meets it, again and again.
func Calm(h slog.Handler) slog.Handler { return calm{h} }

type calm struct{ slog.Handler }

// Handle implements slog.Handler.
func (c calm) Handle(ctx context.Context, r slog.Record) error {
	unwell := false
	r.Attrs(func(a slog.Attr) bool {
		err, is := a.Value.Any().(error)
		unwell = is && store.Unwell(err)
		return !unwell
	})
	if unwell {
		return nil
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c calm) WithAttrs(attrs []slog.Attr) slog.Handler { return calm{c.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name)} }
