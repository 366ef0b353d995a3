package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

// State is where the daemon stands, for the service manager.
type State string

// The states.
const (
	Starting  State = "starting"
	Ready     State = "ready"     // it takes work
	Reloading State = "reloading" // Ready follows
	Stopping  State = "stopping"
	Alive     State = "alive" // everything makes progress: feeds the watchdog
)

// notify tells the service manager.
func (d *Daemon) notify(s State) {
	if d.opt.Notify == nil {
		return
	}
	d.opt.Notify(s, d.sentence(s))
}

// sentence says for people how the daemon is.
func (d *Daemon) sentence(s State) string {
	switch s {
	case Starting:
		return "starting"
	case Reloading:
		return "reading the configuration again"
	case Stopping:
		return "stopping: nothing new is sent, waiting for what is in flight"
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var queued, flying int64
	var holds int
	err := d.db.Read(ctx, func(q *store.Snap) error {
		tallies, err := outbox.Tallies(q)
		if err != nil {
			return err
		}
		for _, t := range tallies {
			switch t.State {
			case outbox.Queued:
				queued += t.N
			case outbox.Sending:
				flying += t.N
			}
		}
		all, err := outbox.Holds(q)
		for _, h := range all {
			if !h.Over(q.Now()) {
				holds++
			}
		}
		return err
	})
	if fault := d.db.Fault(); fault != nil {
		return "the database cannot be written; it is tried again: " + fault.Err.Error()
	}
	if err != nil {
		return "running; the database does not answer in time"
	}
	return fmt.Sprintf("running: %d messages queued, %d in flight, %d holds", queued, flying, holds)
}

// aliveEvery is how often it is looked whether everything makes progress.
const aliveEvery = 5 * time.Second

// stuck is how long a lane may be in one turn: a stop of the watchdog, and with
// it a restart, is for what will not end by itself.
const stuck = time.Minute

// watch says Alive again and again, as long as the writer writes, readers read
// and the lanes turn. A database that cannot be written is no reason to stop: a
// restart makes no room on the disk. A writer that does not come back is.
func (d *Daemon) watch(ctx context.Context) error {
	if d.opt.Notify == nil {
		return nil
	}
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		// Each of the three waits for ever where what it asks hangs; then nothing is
		// said any more.
		wrote := d.db.Write(ctx, func(*store.Tx) error { return nil })
		read := d.db.Read(ctx, func(*store.Snap) error { return nil })
		if fine := !errors.Is(wrote, store.ErrClosed) && !errors.Is(read, store.ErrClosed) && d.dispatch.Stuck() < stuck; fine {
			d.notify(Alive)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
