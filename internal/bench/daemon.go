package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"janela/campaigns"
	"janela/internal/daemon"
	"janela/internal/outbox"
	"janela/internal/store"
)

// hold stops all marketing until a measurement lets it go.
var hold = outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: "operator", Actor: "bench"}

// process is the real daemon in a process of its own.
type process struct {
	d     *daemon.Daemon
	file  string // of the database
	stop  context.CancelFunc
	wg    sync.WaitGroup
	ended error
}

func (p *process) verbs() map[string]func(context.Context, json.RawMessage) (any, error) {
	return map[string]func(context.Context, json.RawMessage) (any, error){
		"start": verb(p.start), "release": verb(p.release), "wait": verb(p.wait), "usage": verb(p.usage), "finish": verb(p.finish),
	}
}

type startArgs struct {
	Dir  string `json:"dir"`
	Hold bool   `json:"hold"` // marketing stands still until release
}

type startResult struct {
	Public string `json:"public"` // address of the public listener
}

// start builds and runs the daemon, and returns when it listens.
func (p *process) start(ctx context.Context, a startArgs) (r startResult, err error) {
	cfg, err := daemon.Load(filepath.Join(a.Dir, "config.toml"), environ)
	if err != nil {
		return r, err
	}
	p.file = filepath.Join(a.Dir, databaseFile)
	listening := make(chan string, 1)
	opt := daemon.Options{Config: cfg, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "bench",
		Listen: func(network, address string) (net.Listener, error) {
			lis, err := net.Listen(network, address)
			if err == nil {
				listening <- lis.Addr().String()
			}
			return lis, err
		}}
	if p.d, err = daemon.New(ctx, opt); err != nil {
		return r, err
	}
	if err := p.held(ctx, a.Hold); err != nil {
		return r, err
	}
	runCtx, cancel := context.WithCancel(ctx)
	p.stop = cancel
	failed := make(chan struct{})
	p.wg.Go(func() {
		p.ended = p.d.Run(runCtx)
		close(failed)
	})
	select {
	case r.Public = <-listening:
		return r, nil
	case <-failed:
		return r, fmt.Errorf("the daemon did not start: %w", p.ended)
	}
}

// held places or lifts the hold.
func (p *process) held(ctx context.Context, yes bool) error {
	return p.d.DB().Write(ctx, func(tx *store.Tx) error {
		if yes {
			_, err := outbox.Place(tx, hold)
			return err
		}
		_, err := outbox.Lift(tx, hold.Scope, hold.Target, hold.Reason, hold.Actor)
		return err
	})
}

// release lets the campaign go, and returns what had been used before.
func (p *process) release(ctx context.Context, _ struct{}) (Usage, error) {
	resetPeak()
	before, err := p.usage(ctx, struct{}{})
	if err != nil {
		return Usage{}, err
	}
	return before, p.held(ctx, false)
}

type waitArgs struct {
	For     string        `json:"for"` // admitted, or a state of messages
	N       int           `json:"n"`
	Timeout time.Duration `json:"timeout"`
}

// waitPause is how often it is looked: often enough to measure by, and seldom
// enough to cost the daemon nothing.
const waitPause = 10 * time.Millisecond

// wait returns what is used when n rows are admitted, or n messages are in a
// state, or an error when that cannot be any more.
func (p *process) wait(ctx context.Context, a waitArgs) (Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	look := p.inState
	if a.For == "admitted" {
		look = p.admitted
	}
	for {
		done, now, err := look(ctx, a)
		if err != nil {
			return Usage{}, err
		}
		if done {
			return p.usage(ctx, struct{}{})
		}
		select {
		case <-ctx.Done():
			return Usage{}, fmt.Errorf("not %d %s after %s, but %s", a.N, a.For, a.Timeout, now)
		case <-time.After(waitPause):
		}
	}
}

func (p *process) admitted(ctx context.Context, a waitArgs) (done bool, now string, err error) {
	err = p.d.DB().Read(ctx, func(q *store.Snap) error {
		runs, err := campaigns.Runs(q, campaignID, 1)
		if err != nil || len(runs) == 0 {
			now = "there is no run"
			return err
		}
		r := runs[0]
		now = fmt.Sprintf("the run is %s and has admitted %d, rejected %d: %s", r.State, r.Admitted, r.Rejected, r.Note)
		done = r.State == campaigns.SendingRun || r.State == campaigns.FinishedRun
		if r.State == campaigns.FailedRun || r.State == campaigns.MissedRun || done && r.Admitted != int64(a.N) {
			return errors.New(now)
		}
		return nil
	})
	return done, now, err
}

func (p *process) inState(ctx context.Context, a waitArgs) (done bool, now string, err error) {
	err = p.d.DB().Read(ctx, func(q *store.Snap) error {
		tallies, err := outbox.Tallies(q)
		if err != nil {
			return err
		}
		ended := 0
		for _, t := range tallies {
			now += fmt.Sprintf("%d %s %s ", t.N, t.State, t.Reason)
			switch t.State {
			case outbox.State(a.For):
				done = done || t.N >= int64(a.N)
			case outbox.Refused, outbox.Failed, outbox.Expired, outbox.Cancelled, outbox.Unknown:
				ended += int(t.N)
			}
		}
		if ended > 0 {
			return errors.New("some messages did not go: " + now)
		}
		return nil
	})
	return done, now, err
}

func (p *process) usage(context.Context, struct{}) (Usage, error) {
	u := usageNow()
	if p.d != nil {
		u.Commits = p.d.DB().Commits()
	}
	// Stat opens nothing: a descriptor of the file that is closed would drop
	// SQLite's locks.
	if info, err := os.Stat(p.file); err == nil {
		u.Bytes = info.Size()
	}
	if info, err := os.Stat(p.file + "-wal"); err == nil {
		u.LogSize = info.Size()
	}
	return u, nil
}

// finish stops the daemon as a signal would, and returns what it has used; its
// database is checkpointed and closed.
func (p *process) finish(ctx context.Context, _ struct{}) (Usage, error) {
	if err := p.close(); err != nil {
		return Usage{}, err
	}
	return p.usage(ctx, struct{}{})
}

func (p *process) close() error {
	if p.d == nil {
		return nil
	}
	if p.stop != nil {
		p.stop()
	}
	p.wg.Wait()
	err := errors.Join(p.ended, p.d.Close())
	p.d = nil
	return err
}
