package access

import (
	"context"
	"log/slog"
	"time"

	"janela/internal/store"
)

// How often Run looks, and how many rows it takes away at a time. Answers to
// guesses live for a minute: an hour's would be many.
const (
	sweepEvery = 10 * time.Second
	sweepRows  = 200
)

// Run takes away the replies, sessions and links whose time is over, every ten
// seconds, until ctx ends.
func Run(ctx context.Context, db *store.DB, log *slog.Logger) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		err := sweep(ctx, db)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			log.Error("sweeping the answers kept for repeated requests, and sessions that are over, failed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func sweep(ctx context.Context, db *store.DB) error {
	for n := sweepRows; n == sweepRows; {
		err := db.Bulk(ctx, func(tx *store.Tx) (err error) { n, err = SweepReplies(tx, sweepRows); return err })
		if err != nil {
			return err
		}
	}
	return db.Bulk(ctx, SweepSessions)
}
