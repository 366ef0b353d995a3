package optin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"janela/internal/failpoint"
	"janela/internal/store"
)

// Topic wakes the Ledger: something was written down.
const Topic store.Topic = "consents"

const (
	// sealBatch is how many rows one transaction takes: about a millisecond.
	sealBatch = 1000
	// sealShare is the part of the time that the loop seals, at most, where much
	// is written down: an import has to have its commits too.
	sealShare = 0.1
	// sealPause collects what is written down meanwhile, so that sealing costs a
	// commit a second and not one for each event.
	sealPause = time.Second
	// sealRetry is how long the loop waits after a failure.
	sealRetry = 10 * time.Second
	// sweepEvery is how often what was not confirmed in time is looked for.
	sweepEvery = time.Hour
	// sealStop bounds what the loop still does when it is stopped.
	sealStop = 5 * time.Second
)

// ErrBroken says that the seals do not reach what the head file says. Nothing is
// sealed until somebody has looked (Verify) and accepted it (Accept).
var ErrBroken = errors.New("optin: the seals of the consent ledger are not those that the head file speaks of")

// LedgerConfig says what a Ledger works with. All but Log is required.
type LedgerConfig struct {
	DB   *store.DB
	Keys *Keys
	Head string // file of the head, beside the database
	Log  *slog.Logger
}

// Ledger seals what is written down, and finds out whether it was changed.
type Ledger struct {
	cfg LedgerConfig

	mu      sync.Mutex // of one who seals
	sealer  *sealer
	checked bool  // the head file and the seals agree
	written int64 // seq of the head that was written last
}

// NewLedger returns a Ledger.
func NewLedger(cfg LedgerConfig) *Ledger {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.DB.Carry(cfg.Keys) // Record asks who was forgotten
	return &Ledger{cfg: cfg, sealer: newSealer(cfg.Keys, cfg.DB.Name())}
}

// Keys returns the ledger's keys.
func (l *Ledger) Keys() *Keys { return l.cfg.Keys }

// Run seals what is there, and then what comes, until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	wakes := l.cfg.DB.Wakes(Topic)
	for {
		pause := sealPause
		if err := l.sweep(ctx); err != nil && ctx.Err() == nil {
			l.cfg.Log.Error("consents that were not confirmed in time stay", "error", err)
		}
		if _, err := l.seal(ctx, yield); err != nil && ctx.Err() == nil {
			pause = sealRetry
			if errors.Is(err, ErrBroken) {
				pause = time.Hour
			}
			l.cfg.Log.Error("the consent ledger is not sealed", "error", err, "hint", "janela optin verify says what is wrong")
		}
		if pause == sealPause {
			select {
			case <-ctx.Done():
			case <-wakes:
			case <-time.After(sweepEvery):
			}
		}
		sleep(ctx, pause)
		if ctx.Err() != nil {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealStop)
			defer cancel()
			_, err := l.Seal(last)
			if errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrCrashed) || errors.Is(err, ErrBroken) {
				err = nil
			}
			return err
		}
	}
}

// yield waits so long after some work that it takes its share.
func yield(ctx context.Context, began time.Time) {
	took := time.Since(began)
	sleep(ctx, time.Duration(float64(took)*(1/sealShare-1)))
}

// sweep removes what was not confirmed in time.
func (l *Ledger) sweep(ctx context.Context) error {
	return l.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		_, err := SweepPending(tx, 200)
		return err
	})
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Seal seals everything that is not sealed yet, in the order of ids, and returns
// how much it was.
func (l *Ledger) Seal(ctx context.Context) (n int, err error) { return l.seal(ctx, nil) }

// seal calls yield, if there is one, after each full batch.
func (l *Ledger) seal(ctx context.Context, yield func(ctx context.Context, began time.Time)) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.checked {
		if err := l.agree(ctx); err != nil {
			return 0, err
		}
		l.checked = true
	}
	var tail seal
	for more := true; more; {
		began := time.Now()
		var added int
		if added, more, tail, err = l.batch(ctx); errors.Is(err, store.ErrLost) { // somebody was forgotten meanwhile
			more = true
			continue
		}
		if err != nil {
			l.checked = false
			return n, err
		}
		n += added
		if more && yield != nil {
			yield(ctx, began)
		}
	}
	if n == 0 && tail.seq == l.written {
		return 0, nil
	}
	if err := failpoint.Err("optin.sealed"); err != nil {
		return n, err
	}
	l.written = tail.seq
	return n, writeHead(l.cfg.Head, l.cfg.DB.Name(), Head{tail.seq, tail.mac})
}

// agree compares the head file with the seals, and makes it for a new ledger. A
// head that lies behind is what a crash leaves.
func (l *Ledger) agree(ctx context.Context) error {
	head, ok, err := readHead(l.cfg.Head, l.cfg.DB.Name())
	if err != nil {
		return err
	}
	var tail seal
	var at seal
	err = l.cfg.DB.Read(ctx, func(q *store.Snap) error {
		if tail, err = tailOf(q); err != nil || !ok || head.Seq == 0 {
			return err
		}
		at, _, err = store.Get[seal](q, sqlSeals, head.Seq-1, 1)
		return err
	})
	switch {
	case err != nil:
		return err
	case !ok && tail.seq > 0:
		return fmt.Errorf("%w: %s is missing", ErrBroken, l.cfg.Head)
	case !ok:
		return writeHead(l.cfg.Head, l.cfg.DB.Name(), Head{})
	case head.Seq > 0 && !at.is(&seal{seq: head.Seq, mac: head.MAC}):
		return fmt.Errorf("%w: seal %d is not there as it was", ErrBroken, head.Seq)
	}
	return nil
}

// batch seals a few rows. Hashing needs no transaction; what is written is
// written only if nobody else has sealed meanwhile. A row whose id is still to
// come was not made by this program: it is left for Verify to find.
func (l *Ledger) batch(ctx context.Context) (n int, more bool, tail seal, err error) {
	var fresh []seal
	err = l.cfg.DB.Read(ctx, func(q *store.Snap) error {
		if tail, err = tailOf(q); err != nil {
			return err
		}
		fresh, err = l.unsealed(q, tail.ref, sealBatch)
		return err
	})
	if err != nil || len(fresh) == 0 {
		return 0, false, tail, err
	}
	last := tail
	for i := range fresh {
		l.sealer.follow(&last, &fresh[i])
		last = fresh[i]
	}
	err = l.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		if now, err := tailOf(tx); err != nil || now.seq != tail.seq {
			return errors.Join(err, store.ErrLost)
		}
		bound := tx.NewID()
		for n = len(fresh); n > 0 && fresh[n-1].ref >= bound; n-- {
		}
		if err := writeSeals(tx, fresh[:n]); err != nil {
			return err
		}
		return failpoint.Err("optin.seal.commit")
	})
	if err != nil {
		return 0, false, tail, err
	}
	if n > 0 {
		tail = fresh[n-1]
	}
	return n, n == sealBatch, tail, nil
}

// unsealed makes the seals of the next rows behind an id, without their places.
func (l *Ledger) unsealed(q store.Querier, after int64, limit int) (out []seal, err error) {
	err = store.Each(q, sqlSince, func(e *eventRow) error {
		out = append(out, l.sealer.event(e))
		return nil
	}, after, int64(math.MaxInt64), limit)
	return out, err
}

// Accept makes the last seal the head, whatever the head file says: for an
// operator who has looked, and knows why seals are missing (a backup was
// restored). It returns the head of before and that of now.
func (l *Ledger) Accept(ctx context.Context) (before, now Head, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, _, err = readHead(l.cfg.Head, l.cfg.DB.Name()); err != nil {
		return before, now, err
	}
	var tail seal
	err = l.cfg.DB.Read(ctx, func(q *store.Snap) error {
		tail, err = tailOf(q)
		return err
	})
	if err != nil {
		return before, now, err
	}
	now = Head{tail.seq, tail.mac}
	if err := writeHead(l.cfg.Head, l.cfg.DB.Name(), now); err != nil {
		return before, now, err
	}
	l.checked = true
	return before, now, nil
}
