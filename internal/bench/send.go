package bench

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Send measures a campaign of n messages against a plain loop of n requests to
// the same server, which runs before and after.
func (c *Config) Send(ctx context.Context, n int) (r *Report, err error) {
	r = newReport("send", map[string]string{"messages": strconv.Itoa(n), "runs": strconv.Itoa(c.Runs), "senders": c.senders()})
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
	before, err := c.plain(ctx, sink, n)
	if err != nil {
		return nil, err
	}
	var all []sent
	err = c.each(ctx, func(run int) error {
		s, err := c.send(ctx, sink, w)
		if err != nil {
			return err
		}
		after, err := c.plain(ctx, sink, n)
		if err != nil {
			return err
		}
		s.plainRate, s.plainCPU = (before.rate+after.rate)/2, (before.cpu+after.cpu)/2
		c.say("send, run %d: %.0f messages/s, plain %.0f and %.0f requests/s; %.1f µs and %.1f µs", run+1, s.rate, before.rate, after.rate, s.cpu, s.plainCPU)
		before = after
		all = append(all, s)
		r.Faults = append(r.Faults, s.faults...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.sends(all)
	return r, nil
}

func (c *Config) senders() string {
	if c.Senders == 0 {
		return "default"
	}
	return strconv.Itoa(c.Senders)
}

// pace is what one loop reached.
type pace struct{ rate, cpu float64 } // per second; µs each

// plain runs the plain loop in a fresh process.
func (c *Config) plain(ctx context.Context, sink *started, n int) (p pace, err error) {
	if err := sink.reset(ctx); err != nil {
		return p, err
	}
	k, err := c.start(ctx, RolePlain)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, k.stop()) }()
	var run PlainRun
	if err := k.call("run", plainArgs{Graph: sink.Graph, N: n}, &run); err != nil {
		return p, err
	}
	return pace{float64(n) / run.Seconds, float64(run.CPU) / float64(n)}, nil
}

// sent is one run of the daemon.
type sent struct {
	pace
	plainRate, plainCPU float64
	admission           float64 // from when the files had settled until all were admitted, s
	admissionCPU        float64 // µs a row
	admissionPeak       float64 // MiB
	took                float64 // from the release until all were accepted and that was on disk, s
	first               float64 // from the release until the first message at the sink, s
	peak                float64 // of sending, MiB
	commits             float64 // per message
	rowBytes, fileBytes float64 // per message: what the campaign added; the whole file
	body                float64 // bytes
	faults              []string
	duplicates          float64
}

// Files of measurements settle fast, so that one does not wait for them; how
// long files of an operator do is admit's business.
const (
	quickPoll   = 50 * time.Millisecond
	quickStable = 200 * time.Millisecond
)

// send runs the daemon in a fresh process: everybody is admitted while the
// campaign is held, then it is let go.
func (c *Config) send(ctx context.Context, sink *started, w *world) (s sent, err error) {
	h, err := c.house(ctx, sink, w, settings{poll: quickPoll, stable: quickStable})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	n := float64(w.people)
	var end Usage
	if _, err := h.start(true); err != nil {
		return s, err
	}
	admitted, err := h.admit(quickStable)
	if err != nil {
		return s, err
	}
	before, after, err := h.deliver()
	if err != nil {
		return s, err
	}
	if err := h.call("finish", nil, &end); err != nil {
		return s, err
	}
	got, err := sink.counts(ctx)
	if err != nil {
		return s, err
	}
	s.admission, s.admissionCPU, s.admissionPeak = admitted.seconds, admitted.cpu, admitted.peak
	s.took, s.first = seconds(before.At, after.At), seconds(before.At, got.First)
	s.rate, s.cpu = n/s.took, float64(after.CPU-before.CPU)/n
	s.peak, s.commits = after.Peak, float64(after.Commits-before.Commits)/n
	s.rowBytes, s.fileBytes = float64(end.Bytes-w.bytes)/n, float64(end.Bytes)/n
	s.body = float64(got.BodyBytes) / n
	s.faults, s.duplicates = got.faults(w.people), float64(got.DuplicateCallbacks+got.DuplicateRecipients)
	return s, nil
}

// sends adds what runs found.
func (r *Report) sends(all []sent) {
	of := func(fn func(s *sent) float64) []float64 {
		out := make([]float64, len(all))
		for i := range all {
			out[i] = fn(&all[i])
		}
		return out
	}
	put := func(name, unit string, goal *bound, fn func(s *sent) float64) { r.add(name, unit, goal, of(fn)...) }
	put("messages/s over the plain loop's requests/s", "×", atLeast(0.70), func(s *sent) float64 { return s.rate / s.plainRate })
	put("processor time per message over the plain loop's per request", "×", atMost(2.0), func(s *sent) float64 { return s.cpu / s.plainCPU })
	put("commits per message", "", atMost(0.01), func(s *sent) float64 { return s.commits })
	put("database bytes per sent message", "B", atMost(320), func(s *sent) float64 { return s.rowBytes })
	put("received twice by the sink", "", atMost(0), func(s *sent) float64 { return s.duplicates })
	put("peak memory while sending", "MiB", nil, func(s *sent) float64 { return s.peak })
	put("first send after the release", "ms", nil, func(s *sent) float64 { return s.first * 1000 })
	put("messages/s", "/s", nil, func(s *sent) float64 { return s.rate })
	put("plain loop's requests/s", "/s", nil, func(s *sent) float64 { return s.plainRate })
	put("processor time per message", "µs", nil, func(s *sent) float64 { return s.cpu })
	put("plain loop's processor time per request", "µs", nil, func(s *sent) float64 { return s.plainCPU })
	put("sending", "s", nil, func(s *sent) float64 { return s.took })
	put("admission before it", "s", nil, func(s *sent) float64 { return s.admission })
	put("messages/s of both together", "/s", nil, func(s *sent) float64 { return s.rate * s.took / (s.took + s.admission) })
	put("peak memory of admission", "MiB", nil, func(s *sent) float64 { return s.admissionPeak })
	put("database bytes per message with its consent", "B", nil, func(s *sent) float64 { return s.fileBytes })
	put("bytes of a message's body", "B", nil, func(s *sent) float64 { return s.body })
}
