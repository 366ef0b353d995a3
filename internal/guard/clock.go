package guard

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Reasons of the holds of the clock.
const (
	ReasonClockJump   = "clock_jump"
	ReasonClockBehind = "clock_behind"
)

const (
	// steadyFor is how long a clock that has jumped must run steadily to be
	// believed.
	steadyFor = time.Minute
	// behindLeast is how far the wall clock may be behind the last instant of the
	// database.
	behindLeast = time.Minute
)

// clockWatch holds marketing while the clock cannot be believed. Its holds are
// placed once for each cause: who releases one means it.
type clockWatch struct {
	held   atomic.Bool // clock_jump was placed, and not lifted by us
	behind atomic.Bool // likewise clock_behind
}

// begin takes over what an earlier process left, and judges the clock it finds.
func (c *clockWatch) begin(ctx context.Context, g *Guard, standing map[whatsapp.Category]map[string]bool) error {
	c.held.Store(standing[whatsapp.Marketing][ReasonClockJump])
	c.behind.Store(standing[whatsapp.Marketing][ReasonClockBehind])
	return c.look(ctx, g)
}

// look moves the holds where the clock has changed.
func (c *clockWatch) look(ctx context.Context, g *Guard) error {
	db := g.cfg.DB
	if db.Jumped() { // any transaction will do: it runs jumped
		if err := db.Write(ctx, func(*store.Tx) error { return nil }); err != nil {
			return err
		}
	}
	if c.held.Load() && db.Steady() >= steadyFor {
		if err := g.lift(ctx, whatsapp.Marketing, ReasonClockJump); err != nil {
			return err
		}
		c.held.Store(false)
		g.cfg.Log.Info("the clock has run steadily for a minute; marketing goes on unless something else holds it")
	}
	ahead := db.Ahead()
	switch behind := c.behind.Load(); {
	case !behind && ahead > behindLeast:
		detail := fmt.Sprintf("the clock shows %s and the database was written at %s: somebody set the clock back. Correct it if it is wrong; if it is right, janela clock --accept",
			db.Now().Add(-ahead).Format(time.RFC3339), db.Now().Format(time.RFC3339))
		if err := g.place(ctx, whatsapp.Marketing, ReasonClockBehind, detail); err != nil {
			return err
		}
		c.behind.Store(true)
		g.cfg.Log.Error("the clock is behind the database: marketing stands still until it has caught up", "behind", ahead.Round(time.Second), "do", detail)
	case behind && ahead == 0:
		if err := g.lift(ctx, whatsapp.Marketing, ReasonClockBehind); err != nil {
			return err
		}
		c.behind.Store(false)
		g.cfg.Log.Info("the clock has caught up with the database; marketing goes on unless something else holds it")
	}
	return nil
}

// jumped runs in the first transaction that sees the new time.
func (g *Guard) jumped(tx *store.Tx, j store.Jump) error {
	way := "forward"
	if j.By < 0 {
		way = "back"
	}
	by := max(j.By, -j.By).Round(time.Millisecond)
	g.cfg.Log.Warn("the clock jumped: everything is looked at again, and marketing stands still until it has run steadily for a minute",
		"by", by, "direction", way, "now", j.To.Format(time.RFC3339))
	if err := hold(tx, whatsapp.Marketing, ReasonClockJump, fmt.Sprintf("the clock jumped %s by %s, to %s", way, by, j.To.Format(time.RFC3339))); err != nil {
		return err
	}
	g.clock.held.Store(true)
	return nil
}
