package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// statusesEach is how many statuses a message gets: sent, delivered, read.
const statusesEach = 3

// Statuses measures how fast signed callbacks are answered and applied to the
// ledgers, over a bare loop that verifies and decodes callbacks of the same form.
// Half of n messages have one status in a callback, as a quiet day has it; the
// others batch of them, as Meta may bring them together.
func (c *Config) Statuses(ctx context.Context, n, batch int) (r *Report, err error) {
	if n < 2 || batch < 2 {
		return nil, errors.New("at least two messages, and two statuses in a callback, are needed")
	}
	n = n / 2 * 2
	r = newReport("statuses", map[string]string{"messages": strconv.Itoa(n), "batch": strconv.Itoa(batch), "runs": strconv.Itoa(c.Runs), "senders": c.senders()})
	sink, err := c.startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	w, done, err := c.world(ctx, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	single, many := &told{name: "one in a callback", batch: 1}, &told{name: strconv.Itoa(batch) + " in a callback", batch: batch}
	err = c.each(ctx, func(run int) error { return c.tell(ctx, sink, w, r, single, many) })
	if err != nil {
		return nil, err
	}
	for _, t := range []*told{single, many} {
		r.add("statuses applied/s over bare verify and decode, "+t.name, "×", atLeast(0.4), t.ratios...)
		r.add("processor time per status over bare, "+t.name, "×", nil, t.cpus...)
		r.add("statuses applied/s, "+t.name, "/s", nil, t.applied...)
		r.add("statuses answered 200/s, "+t.name, "/s", nil, t.answered...)
		r.add("bare statuses/s, "+t.name, "/s", nil, t.bare...)
		r.add("commits per status, "+t.name, "", nil, t.commits...)
	}
	return r, nil
}

// told is what was found for one size of callbacks.
type told struct {
	name                                           string
	batch                                          int
	ratios, cpus, applied, answered, bare, commits []float64
}

// tell runs the daemon until everything is accepted, and then tells it what
// became of the messages.
func (c *Config) tell(ctx context.Context, sink *started, w *world, r *Report, kinds ...*told) (err error) {
	h, err := c.house(ctx, sink, w, settings{poll: quickPoll, stable: quickStable})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	if err := sink.child.call("keep", nil, nil); err != nil {
		return err
	}
	at, err := h.start(true)
	if err != nil {
		return err
	}
	if _, err := h.admit(quickStable); err != nil {
		return err
	}
	if _, _, err := h.deliver(); err != nil {
		return err
	}
	half := w.people / 2
	for i, t := range kinds {
		before, err := c.decode(ctx, t.batch, half*statusesEach)
		if err != nil {
			return err
		}
		p := postArgs{URL: "http://" + at.Public + "/webhooks/whatsapp", Batch: t.batch, From: i * half, To: (i + 1) * half}
		if err := h.told(sink, p, t, func() (PlainRun, error) { return c.decode(ctx, t.batch, half*statusesEach) }, before); err != nil {
			return err
		}
		c.say("statuses, %s: %.0f applied/s, bare %.0f/s", t.name, t.applied[len(t.applied)-1], t.bare[len(t.bare)-1])
	}
	if err := h.call("finish", nil, nil); err != nil {
		return err
	}
	got, err := sink.counts(ctx)
	if err != nil {
		return err
	}
	r.Faults = append(r.Faults, got.faults(w.people)...)
	return nil
}

// told posts the statuses of some messages and waits until they are applied.
func (h *house) told(sink *started, p postArgs, t *told, bare func() (PlainRun, error), before PlainRun) error {
	n := float64((p.To - p.From) * statusesEach)
	var begun, ended Usage
	var posted postResult
	if err := sink.child.call("prepare", p, nil); err != nil {
		return err
	}
	if err := h.call("usage", nil, &begun); err != nil {
		return err
	}
	if err := sink.child.call("post", nil, &posted); err != nil {
		return err
	}
	if posted.Refused > 0 {
		return fmt.Errorf("%d callbacks, %s, were not answered 200%s", posted.Refused, t.name, h.said.text())
	}
	if err := h.call("wait", waitArgs{For: "read", N: p.To, Timeout: patience(10 * p.To)}, &ended); err != nil {
		return err
	}
	after, err := bare()
	if err != nil {
		return err
	}
	bareRate, bareCPU := 2*n/(before.Seconds+after.Seconds), float64(before.CPU+after.CPU)/2/n
	rate, cpu := n/seconds(posted.Begun, ended.At), float64(ended.CPU-begun.CPU)/n
	t.ratios, t.cpus = append(t.ratios, rate/bareRate), append(t.cpus, cpu/bareCPU)
	t.applied, t.bare = append(t.applied, rate), append(t.bare, bareRate)
	t.answered = append(t.answered, n/posted.Seconds)
	t.commits = append(t.commits, float64(ended.Commits-begun.Commits)/n)
	return nil
}

// decode runs the bare loop in a fresh process.
func (c *Config) decode(ctx context.Context, batch, statuses int) (run PlainRun, err error) {
	k, err := c.start(ctx, RoleDecode)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, k.stop()) }()
	err = k.call("run", decodeArgs{Batch: batch, N: statuses}, &run)
	return run, err
}
