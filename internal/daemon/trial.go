package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"janela/internal/outbox"
	"janela/internal/store"
)

// ErrQueued says that messages wait for a daemon, so that a trial must not open
// the door.
var ErrQueued = errors.New("messages are queued, and would leave during a trial")

// Trial opens the doors without the producers, for the moment in which somebody
// sets the house up: addresses answer, callbacks are taken and applied, what a
// trial queues leaves. No campaign is read and no slot fires. It refuses a
// database in which anything is queued (ErrQueued). stop must be called before
// Close.
func (d *Daemon) Trial(ctx context.Context) (stop func(), err error) {
	var queued int64
	err = d.db.Read(ctx, func(q *store.Snap) error {
		tallies, err := outbox.Tallies(q)
		for _, t := range tallies {
			if t.State == outbox.Queued {
				queued += t.N
			}
		}
		return err
	})
	if err == nil && queued > 0 {
		err = fmt.Errorf("%d: %w", queued, ErrQueued)
	}
	if err != nil {
		return nil, err
	}
	servers, err := d.listen()
	if err != nil {
		return nil, err
	}
	if err := d.guard.Begin(ctx); err != nil {
		return nil, err
	}
	var doors, rooms sync.WaitGroup
	sending, endSending := context.WithCancel(context.WithoutCancel(ctx))
	open, closeDoors := context.WithCancel(context.WithoutCancel(ctx))
	for _, s := range servers {
		doors.Go(func() { s.serve(open, d.log) })
	}
	d.loop(open, &doors, "machine", d.guard.Run)
	d.loop(open, &doors, "callbacks", d.intake.Run)
	if d.sandbox != nil {
		d.loop(open, &doors, "sandbox", d.sandbox.Run)
	}
	d.loop(sending, &rooms, "sender", d.dispatch.Run)
	d.ready.Store(true)
	return func() {
		d.ready.Store(false)
		endSending()
		rooms.Wait()
		closeDoors()
		doors.Wait()
	}, nil
}
