package guard

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"

	"janela/internal/whatsapp"
)

// ReasonDiskLow is the reason of the holds while the disk is nearly full.
const ReasonDiskLow = "disk_low"

// Space is what a file system has, in bytes.
type Space struct {
	Free  int64 // for us
	Total int64
}

// SpaceOf asks the file system of a folder.
func SpaceOf(dir string) (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Space{}, fmt.Errorf("guard: ask for the free space of %s: %w", dir, err)
	}
	size := uint64(st.Bsize) // its type differs from system to system
	return Space{Free: int64(st.Bavail * size), Total: int64(st.Blocks * size)}, nil
}

const (
	leastReserve = 512 << 20
	mostReserve  = 4 << 30
)

// reserve is how much must be free for everything to be sent. Nothing configured:
// a twentieth, at least 512 MiB and at most 4 GiB; of a small file system never
// more than a fifth.
func (s Space) reserve(configured int64) int64 {
	if configured > 0 {
		return configured
	}
	return min(max(s.Total/20, leastReserve), mostReserve, s.Total/5)
}

// diskWatch stops sending while the disk is nearly full, in the order of what can
// wait: marketing below the reserve, utility below half of it. Codes, and what
// Meta tells us, take what is left.
type diskWatch struct {
	held  map[whatsapp.Category]bool // placed, and not lifted by us
	space atomic.Pointer[Space]      // as last seen
	blind bool                       // it cannot be asked, and that was told
}

// halves are the parts of the reserve below which a category stands still.
var halves = []struct {
	category whatsapp.Category
	of       int64
}{{whatsapp.Marketing, 1}, {whatsapp.Utility, 2}}

func (d *diskWatch) begin(ctx context.Context, g *Guard, standing map[whatsapp.Category]map[string]bool) error {
	d.held = map[whatsapp.Category]bool{}
	for _, h := range halves {
		d.held[h.category] = standing[h.category][ReasonDiskLow]
	}
	return d.look(ctx, g)
}

func (d *diskWatch) look(ctx context.Context, g *Guard) error {
	s, err := g.cfg.Space(g.cfg.Dir)
	if err != nil {
		if !d.blind {
			g.cfg.Log.Warn("nobody knows how full the disk is", "error", err)
		}
		d.blind = true
		return nil
	}
	d.blind = false
	d.space.Store(&s)
	reserve := s.reserve(g.least.Load())
	for _, h := range halves {
		least := reserve / h.of
		switch held := d.held[h.category]; {
		case !held && s.Free < least:
			detail := fmt.Sprintf("%s are free on the disk of the database, and %s must be: make room, or lower [store] reserve_mb", mib(s.Free), mib(least))
			if err := g.place(ctx, h.category, ReasonDiskLow, detail); err != nil {
				return err
			}
			d.held[h.category] = true
			g.cfg.Log.Error("the disk is nearly full", "stands_still", h.category, "free", mib(s.Free), "reserve", mib(least))
		case held && s.Free >= least+least/4: // not to and fro
			if err := g.lift(ctx, h.category, ReasonDiskLow); err != nil {
				return err
			}
			d.held[h.category] = false
			g.cfg.Log.Info("there is room on the disk again", "goes_on", h.category, "free", mib(s.Free))
		}
	}
	return nil
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// Disk returns what the disk of the database has, as last seen, and how much of
// it must be free for everything to be sent. ok is false when nobody knows.
func (g *Guard) Disk() (s Space, reserve int64, ok bool) {
	p := g.disk.space.Load()
	if p == nil {
		return s, 0, false
	}
	return *p, p.reserve(g.least.Load()), true
}
