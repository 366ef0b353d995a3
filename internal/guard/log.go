package guard

import (
	"context"
	"fmt"
	"time"

	"janela/internal/store"
)

const (
	// logAlarm is the size of the write-ahead log from which on somebody should
	// look, and logMost that at which snapshots that keep it are ended.
	logAlarm = 64 << 20
	logMost  = 256 << 20
	// longRead is how long a snapshot may be open before that is told.
	longRead = time.Minute
)

// logWatch keeps the write-ahead log from growing: a snapshot that stays open
// keeps all that was written since.
type logWatch struct {
	most  int64  // logMost
	told  string // the reader of whom it was told
	large bool   // that the log is, was told
}

func (l *logWatch) look(g *Guard) {
	size := g.cfg.DB.LogSize()
	oldest, reading := g.cfg.DB.Oldest()
	long := reading && oldest.For >= longRead
	switch {
	case !long:
		l.told = ""
	case l.told != oldest.Who:
		l.told = oldest.Who
		g.cfg.Log.Warn("a snapshot of the database has been open for long: the write-ahead log cannot shrink", "reader", oldest.Who, "for", oldest.For.Round(time.Second), "log", mib(size))
	}
	if long && size >= l.most {
		oldest.End()
	}
	if large := size >= logAlarm; large != l.large {
		l.large = large
		if large {
			g.cfg.Log.Warn("the write-ahead log is large", "size", mib(size), "why", why(oldest, reading))
		} else {
			g.cfg.Log.Info("the write-ahead log has shrunk", "size", mib(size))
		}
	}
}

func why(oldest store.Reader, reading bool) string {
	if reading && oldest.For >= longRead/2 {
		return fmt.Sprintf("%s has been reading for %s", oldest.Who, oldest.For.Round(time.Second))
	}
	return "another program reads the database, or the disk is slow"
}

// LogAlert says that the write-ahead log is large; "" when it is not.
func LogAlert(db *store.DB) string {
	size := db.LogSize()
	if size < logAlarm {
		return ""
	}
	oldest, reading := db.Oldest()
	return fmt.Sprintf("the write-ahead log has grown to %s: %s", mib(size), why(oldest, reading))
}

// tend keeps the log small; apart from the rest, because it may take its time.
func (g *Guard) tend(ctx context.Context) {
	tick := time.NewTicker(g.cfg.Every)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := g.cfg.DB.Tend(ctx)
		if err != nil && !failed && ctx.Err() == nil && !store.Unwell(err) {
			g.cfg.Log.Warn("the write-ahead log could not be brought home; trying again", "error", err)
		}
		failed = err != nil
	}
}
