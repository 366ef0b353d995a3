package bench

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// settles is how long a daemon that was started may still be busy with it.
const settles = 3 * time.Second

// Idle measures what a daemon takes that has nothing to do, and how soon one
// sends that finds messages waiting when it starts.
func (c *Config) Idle(ctx context.Context, rows int, during time.Duration) (r *Report, err error) {
	r = newReport("idle", map[string]string{"rows": strconv.Itoa(rows), "seconds": during.String(), "runs": strconv.Itoa(c.Runs), "senders": c.senders()})
	sink, err := c.startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	nothing, err := c.rest(ctx, sink, during)
	if err != nil {
		return nil, err
	}
	w, done, err := c.world(ctx, rows)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	usual, _ := c.usual()
	usual.usualRate = true
	h, err := c.house(ctx, sink, w, usual)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	held, err := h.wait(ctx, during)
	if err != nil {
		return nil, err
	}
	var firsts []float64
	err = c.each(ctx, func(run int) error {
		first, err := h.again(ctx, sink)
		c.say("idle, run %d: first send %.2f s after the process was started", run+1, first)
		firsts = append(firsts, first)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := h.call("finish", nil, nil); err != nil {
		return nil, err
	}
	got, err := sink.counts(ctx) // over all starts
	if err != nil {
		return nil, err
	}
	r.Faults = append(r.Faults, got.faults(got.Total)...)
	r.add("processor time of an idle daemon, of one core", "%", atMost(0.5), nothing.share)
	r.add("memory of an idle daemon", "MiB", atMost(30), nothing.rss)
	r.add("first send after a start with messages waiting", "s", atMost(1), firsts...)
	r.add("processor time while all of them are held, of one core", "%", nil, held.share)
	r.add("memory while all of them are held", "MiB", nil, held.rss)
	r.add("received twice by the sink", "", atMost(0), float64(got.DuplicateCallbacks+got.DuplicateRecipients))
	return r, nil
}

// rested is what a daemon took that did nothing.
type rested struct{ share, rss float64 } // % of a core; MiB at the end

// rest runs a daemon with an empty database and nothing to do.
func (c *Config) rest(ctx context.Context, sink *started, during time.Duration) (out rested, err error) {
	w, err := c.prepare(ctx, 0)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	usual, _ := c.usual()
	usual.usualRate = true
	h, err := c.house(ctx, sink, w, usual)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	if _, err := h.start(false); err != nil {
		return out, err
	}
	return h.rest(ctx, during)
}

// rest waits, and tells what the daemon took meanwhile.
func (h *house) rest(ctx context.Context, during time.Duration) (out rested, err error) {
	if !h.c.quick {
		if err := pause(ctx, settles); err != nil {
			return out, err
		}
	}
	var before, after Usage
	if err := h.call("usage", nil, &before); err != nil {
		return out, err
	}
	if err := pause(ctx, during); err != nil {
		return out, err
	}
	if err := h.call("usage", nil, &after); err != nil {
		return out, err
	}
	return rested{100 * float64(after.CPU-before.CPU) / 1e6 / seconds(before.At, after.At), after.RSS}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// wait admits everybody in one process, and rests in the next with all of them
// held.
func (h *house) wait(ctx context.Context, during time.Duration) (out rested, err error) {
	if _, err := h.start(true); err != nil {
		return out, err
	}
	if _, err := h.admit(0); err != nil {
		return out, err
	}
	if err := h.restart(ctx); err != nil {
		return out, err
	}
	if _, err := h.start(true); err != nil {
		return out, err
	}
	return h.rest(ctx, during)
}

// restart stops the daemon, and makes a fresh process for its folder.
func (h *house) restart(ctx context.Context) error {
	if err := h.call("finish", nil, nil); err != nil {
		return err
	}
	if err := h.stop(); err != nil {
		return err
	}
	return h.process(ctx)
}

// again starts the daemon in a fresh process while messages wait, and returns how
// long after the start of the process the first arrived.
func (h *house) again(ctx context.Context, sink *started) (first float64, err error) {
	if err := h.call("finish", nil, nil); err != nil {
		return 0, err
	}
	if err := h.stop(); err != nil {
		return 0, err
	}
	if err := sink.mark(ctx); err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := h.process(ctx); err != nil {
		return 0, err
	}
	if _, err := h.start(false); err != nil {
		return 0, err
	}
	got, err := sink.untilFirst(ctx, time.Minute)
	return seconds(begun.UnixNano(), got.First), err
}
