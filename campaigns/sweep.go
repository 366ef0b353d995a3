package campaigns

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"janela/internal/store"
)

// Frozen copies hold personal data, so they are not kept for ever: that of a
// finished campaign for keepFinished (a next audience may be made of it), those
// of cancelled campaigns and replaced revisions for a day.
const (
	keepFinished = 30 * 24 * time.Hour
	keepAnything = 24 * time.Hour
	sweepEvery   = 24 * time.Hour
)

var sqlSpooled = store.SQL(`SELECT r.audience_hash, r.media_hash FROM campaigns c JOIN revisions r ON r.campaign_id = c.id
	WHERE (r.id = c.current OR r.id = c.next) AND (c.state IN ('active', 'paused') OR c.state = 'finished' AND c.changed_at > ?1)
	UNION SELECT r.audience_hash, r.media_hash FROM runs u JOIN revisions r ON r.id = u.revision_id WHERE u.state IN ('expanding', 'sending')`)

// spooledFiles are the copies that a revision needs.
type spooledFiles struct{ audience, media string }

// Fields names the places of sqlSpooled.
func (s *spooledFiles) Fields() []any { return []any{&s.audience, &s.media} }

// sweep removes frozen copies that nothing needs any more, now and every day.
func (c *Campaigns) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := c.sweepSpool(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.Error("old copies of audiences could not be removed; trying again tomorrow", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Campaigns) sweepSpool(ctx context.Context) error {
	keep := map[string]bool{}
	var now time.Time
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		now = q.Now()
		needed, err := store.All[spooledFiles](q, sqlSpooled, store.Millis(now.Add(-keepFinished)))
		if err != nil {
			return err
		}
		for _, n := range needed {
			keep[n.audience] = true
			for file := range strings.FieldsSeq(n.media) {
				keep[file] = true
			}
		}
		open, err := store.All[RunRecord](q, sqlOpenRuns)
		for _, r := range open {
			keep[runCopy(r.ID)] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(c.cfg.Spool)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || keep[e.Name()] || now.Sub(info.ModTime()) < keepAnything {
			continue
		}
		if err := os.Remove(filepath.Join(c.cfg.Spool, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
