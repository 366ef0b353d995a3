package access_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/access"
	"janela/internal/store"
)

// Replies do not pile up: those to guesses are gone within seconds of their
// minute, those to requests of their day, however many come.
func TestRunForgetsReplies(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		db, err := store.Open(ctx, store.Config{Path: filepath.Join(dir, "x.db")})
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := access.Run(ctx, db, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
		defer func() {
			cancel()
			running.Wait()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}()
		kept := 0
		keep := func(route string, ttl time.Duration, n int) {
			write(t, db, func(tx *store.Tx) (err error) {
				for range n {
					kept++
					r := access.Repeat{Client: "app", Route: route, Key: fmt.Sprint(kept), Request: "r"}
					err = errors.Join(err, access.Keep(tx, r, access.Reply{Status: 202}, ttl))
				}
				return err
			})
		}
		// A day and more, an hour at a time: the requests of a day are kept, and
		// no guess of twenty minutes ago.
		for hour := range 30 {
			keep("otp", 24*time.Hour, 1)
			for range 3 {
				keep("verify otp_x", time.Minute, 5)
				time.Sleep(20 * time.Minute)
			}
			synctest.Wait()
			if n := rows(t, db); n < min(hour+1, 23) || n > min(hour+1, 25) {
				t.Fatalf("after %d hours there are %d", hour+1, n)
			}
		}
		keep("verify otp_x", time.Minute, 407) // more than a transaction takes away
		time.Sleep(time.Minute + 10*time.Second)
		synctest.Wait()
		if n := rows(t, db); n > 25 {
			t.Errorf("%d after a crowd", n)
		}
	})
}
