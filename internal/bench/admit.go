package bench

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// usualStable is how long files of an operator settle, as the daemon's defaults
// say: CampaignsConfig.Stable.
const usualStable = 2 * time.Second

// usual are an operator's settings, and how long files settle then.
func (c *Config) usual() (settings, time.Duration) {
	if c.quick {
		return settings{poll: quickPoll, stable: quickStable}, quickStable
	}
	return settings{}, usualStable
}

// Admit measures from a list of recipients that lies in the folder until the
// first message is sent, and until everybody is admitted, over a bare insert of
// the same rows.
func (c *Config) Admit(ctx context.Context, rows int) (r *Report, err error) {
	r = newReport("admit", map[string]string{"rows": strconv.Itoa(rows), "runs": strconv.Itoa(c.Runs), "senders": c.senders()})
	sink, err := c.startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	w, done, err := c.world(ctx, rows)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	before, err := c.bare(ctx, w)
	if err != nil {
		return nil, err
	}
	var ratios, cpus, all, bares, firsts, peaks, duplicates []float64
	err = c.each(ctx, func(run int) error {
		a, err := c.admission(ctx, sink, w)
		if err != nil {
			return err
		}
		after, err := c.bare(ctx, w)
		if err != nil {
			return err
		}
		first, got, err := c.firstSend(ctx, sink, w)
		if err != nil {
			return err
		}
		bare, bareCPU := (before.Seconds+after.Seconds)/2, float64(before.CPU+after.CPU)/2/float64(rows)
		c.say("admit, run %d: admitted in %.1f s, bare %.1f and %.1f s; first send after %.2f s", run+1, a.seconds, before.Seconds, after.Seconds, first)
		before = after
		ratios, cpus = append(ratios, a.seconds/bare), append(cpus, a.cpu/bareCPU)
		all, bares, firsts, peaks = append(all, a.seconds), append(bares, bare), append(firsts, first), append(peaks, a.peak)
		duplicates = append(duplicates, float64(got.DuplicateCallbacks+got.DuplicateRecipients))
		r.Faults = append(r.Faults, got.faults(got.Total)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.add("all admitted, over a bare insert of the same rows", "×", atMost(2), ratios...)
	r.add("first send after the file is stable", "s", atMost(2), firsts...)
	r.add("peak memory of admission", "MiB", atMost(128), peaks...)
	r.add("processor time per row, over the bare insert's", "×", nil, cpus...)
	r.add("all admitted after the file is stable", "s", nil, all...)
	r.add("bare insert", "s", nil, bares...)
	r.add("received twice by the sink", "", atMost(0), duplicates...)
	return r, nil
}

// bare runs the bare insert in a fresh process.
func (c *Config) bare(ctx context.Context, w *world) (run PlainRun, err error) {
	k, err := c.start(ctx, RoleBare)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, k.stop()) }()
	err = k.call("run", bareArgs{Dir: w.dir, N: w.people}, &run)
	return run, err
}

// admission admits everybody while nothing is sent.
func (c *Config) admission(ctx context.Context, sink *started, w *world) (a admission, err error) {
	usual, stable := c.usual()
	h, err := c.house(ctx, sink, w, usual)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	if _, err := h.start(true); err != nil {
		return a, err
	}
	return h.admit(stable)
}

// firstSend is how long after the files have settled the first message arrives.
func (c *Config) firstSend(ctx context.Context, sink *started, w *world) (first float64, got Counts, err error) {
	usual, stable := c.usual()
	h, err := c.house(ctx, sink, w, usual)
	if err != nil {
		return 0, got, err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	if _, err := h.start(false); err != nil {
		return 0, got, err
	}
	dropped, err := drop(h.dir)
	if err != nil {
		return 0, got, err
	}
	got, err = sink.untilFirst(ctx, patience(w.people))
	if err != nil {
		return 0, got, err
	}
	if err := h.call("finish", nil, nil); err != nil {
		return 0, got, err
	}
	first = seconds(dropped.Add(stable).UnixNano(), got.First)
	got, err = sink.counts(ctx) // of all that was sent until it stopped
	return first, got, err
}
