package guard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Config says what a Guard works with.
type Config struct {
	DB      *store.DB
	Every   time.Duration                   // how often it looks; 0: every second
	Dir     string                          // of the database
	Reserve int64                           // bytes that must be free on its disk; 0: by its size
	Space   func(dir string) (Space, error) // nil: the file system is asked
	Log     *slog.Logger
}

// Guard watches the machine. Make one with New, before anything else uses the
// database; call Begin before anything is sent, then Run.
type Guard struct {
	cfg   Config
	clock clockWatch
	disk  diskWatch
	fault faultWatch
	log   logWatch
	least atomic.Int64  // Config.Reserve
	kept  time.Duration // since the file beside the database was brought to disk
	deaf  bool          // that failed, and was told
}

// New returns a Guard. From now on a jump of the clock holds marketing.
func New(cfg Config) *Guard {
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Space == nil {
		cfg.Space = SpaceOf
	}
	g := &Guard{cfg: cfg, log: logWatch{most: logMost}}
	g.SetReserve(cfg.Reserve)
	cfg.DB.OnJump(g.jumped)
	return g
}

// SetReserve changes Config.Reserve from the next look on.
func (g *Guard) SetReserve(bytes int64) { g.least.Store(bytes) }

// Begin looks for the first time. Nothing may be sent before.
func (g *Guard) Begin(ctx context.Context) error {
	standing, err := g.standing(ctx)
	if err != nil {
		return err
	}
	if err := g.restored(ctx); err != nil {
		return err
	}
	if err := g.disk.begin(ctx, g, standing); err != nil {
		return err
	}
	return g.clock.begin(ctx, g, standing)
}

// Run looks until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { g.tend(ctx) })
	tick := time.NewTicker(g.cfg.Every)
	defer tick.Stop()
	for {
		g.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Guard) look(ctx context.Context) {
	g.fault.look(ctx, g)
	g.log.look(g)
	if err := errors.Join(g.clock.look(ctx, g), g.disk.look(ctx, g)); err != nil && ctx.Err() == nil && !store.Unwell(err) {
		g.cfg.Log.Error("what was seen of the clock and the disk could not be noted; trying again", "error", err)
	}
	g.keep()
}

// keepEvery is how often the file beside the database is brought to disk.
const keepEvery = 5 * time.Second

func (g *Guard) keep() {
	if g.kept += g.cfg.Every; g.kept < keepEvery {
		return
	}
	g.kept = 0
	err := g.cfg.DB.Keep()
	if err != nil && !g.deaf {
		g.cfg.Log.Error("what protects from a restored backup does not work", "error", err)
	}
	g.deaf = err != nil
}

// standing returns the reasons of the holds that stand on a category, by
// category.
func (g *Guard) standing(ctx context.Context) (map[whatsapp.Category]map[string]bool, error) {
	out := map[whatsapp.Category]map[string]bool{}
	err := g.cfg.DB.Read(ctx, func(q *store.Snap) error {
		holds, err := outbox.Holds(q)
		for _, h := range holds {
			if h.Scope != outbox.ScopeCategory {
				continue
			}
			c := whatsapp.Category(h.Target)
			if out[c] == nil {
				out[c] = map[string]bool{}
			}
			out[c][h.Reason] = true
		}
		return err
	})
	return out, err
}

// place holds a category.
func (g *Guard) place(ctx context.Context, c whatsapp.Category, reason, detail string) error {
	return g.cfg.DB.Write(ctx, func(tx *store.Tx) error { return hold(tx, c, reason, detail) })
}

func hold(tx *store.Tx, c whatsapp.Category, reason, detail string) error {
	_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCategory, Target: string(c), Reason: reason, Actor: "janela", Detail: detail})
	return err
}

// lift ends a hold that place put, if it still stands.
func (g *Guard) lift(ctx context.Context, c whatsapp.Category, reason string) error {
	return g.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := outbox.Lift(tx, outbox.ScopeCategory, string(c), reason, "janela")
		return err
	})
}
