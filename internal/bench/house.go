package bench

import (
	"context"
	"errors"
	"os"
	"time"
)

// house is a daemon in a process of its own, with its own copy of a world, before
// a sink that was reset.
type house struct {
	*child
	c   *Config
	w   *world
	dir string
}

// house makes the folder and the process; the daemon starts by start.
func (c *Config) house(ctx context.Context, sink *started, w *world, s settings) (*house, error) {
	if err := sink.reset(ctx); err != nil {
		return nil, err
	}
	s.graph, s.senders = sink.Graph, c.Senders
	dir, err := w.copy(s)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	h := &house{c: c, w: w, dir: dir}
	if err := h.process(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
}

// process makes a fresh process for the same folder.
func (h *house) process(ctx context.Context) (err error) {
	h.child, err = h.c.start(ctx, RoleDaemon)
	return err
}

// end ends the process and removes the folder.
func (h *house) end() error { return errors.Join(h.stop(), os.RemoveAll(h.dir)) }

// start starts the daemon; held, marketing stands still until deliver.
func (h *house) start(held bool) (r startResult, err error) {
	err = h.call("start", startArgs{Dir: h.dir, Hold: held}, &r)
	return r, err
}

// patience is how long n messages may take before the measurement gives up.
func patience(n int) time.Duration { return time.Minute + time.Duration(n)*2*time.Millisecond }

// admission is how everybody was admitted.
type admission struct {
	seconds float64 // from when the files had settled
	cpu     float64 // µs a row
	peak    float64 // MiB
}

// admit drops the campaign onto a daemon that is held, and waits until everybody
// is admitted. stable is how long its files must not change.
func (h *house) admit(stable time.Duration) (a admission, err error) {
	var before, after Usage
	if err := h.call("usage", nil, &before); err != nil {
		return a, err
	}
	dropped, err := drop(h.dir)
	if err != nil {
		return a, err
	}
	if err := h.call("wait", waitArgs{For: "admitted", N: h.w.people, Timeout: patience(h.w.people)}, &after); err != nil {
		return a, err
	}
	return admission{seconds(dropped.Add(stable).UnixNano(), after.At), float64(after.CPU-before.CPU) / float64(h.w.people), after.Peak}, nil
}

// deliver lets the campaign go and waits until all of it is accepted.
func (h *house) deliver() (before, after Usage, err error) {
	if err := h.call("release", nil, &before); err != nil {
		return before, after, err
	}
	err = h.call("wait", waitArgs{For: "accepted", N: h.w.people, Timeout: patience(h.w.people)}, &after)
	return before, after, err
}

func seconds(from, to int64) float64 { return float64(to-from) / 1e9 }
