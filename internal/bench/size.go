package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Size measures what a message of a large campaign costs over one of a small
// campaign, and how memory grows with it.
func (c *Config) Size(ctx context.Context, small, large int) (r *Report, err error) {
	if small < 1 || large <= small {
		return nil, fmt.Errorf("the large campaign has %d messages and the small one %d: the first must be larger", large, small)
	}
	r = newReport("size", map[string]string{"small": strconv.Itoa(small), "large": strconv.Itoa(large), "runs": strconv.Itoa(c.Runs), "senders": c.senders()})
	sink, err := c.startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	var worlds [2]*world
	for i, n := range []int{small, large} {
		w, done, worldErr := c.world(ctx, n)
		if worldErr != nil {
			return nil, worldErr
		}
		defer func() { err = errors.Join(err, done()) }()
		worlds[i] = w
	}
	// The small one runs before and after the large one, so that what else the
	// machine does meets both.
	before, err := c.send(ctx, sink, worlds[0])
	if err != nil {
		return nil, err
	}
	r.Faults = append(r.Faults, before.faults...)
	var pairs []pair
	err = c.each(ctx, func(run int) error {
		big, err := c.send(ctx, sink, worlds[1])
		if err != nil {
			return err
		}
		after, err := c.send(ctx, sink, worlds[0])
		if err != nil {
			return err
		}
		r.Faults = append(append(r.Faults, big.faults...), after.faults...)
		c.say("size, run %d: %d messages %.1f and %.1f µs of processor time each, %d messages %.1f µs", run+1, small, before.cpu, after.cpu, large, big.cpu)
		pairs = append(pairs, pair{before, after, big})
		before = after
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.sizes(pairs)
	return r, nil
}

// pair is a large campaign between two small ones.
type pair struct{ before, after, big sent }

// over is the large one's figure over the mean of the small ones'.
func (p *pair) over(of func(*sent) float64) float64 {
	return 2 * of(&p.big) / (of(&p.before) + of(&p.after))
}

func (r *Report) sizes(all []pair) {
	put := func(name, unit string, goal *bound, fn func(*pair) float64) {
		samples := make([]float64, len(all))
		for i := range all {
			samples[i] = fn(&all[i])
		}
		r.add(name, unit, goal, samples...)
	}
	cpu := func(s *sent) float64 { return s.cpu }
	wall := func(s *sent) float64 { return 1 / s.rate }
	admit := func(s *sent) float64 { return s.admissionCPU }
	peak := func(s *sent) float64 { return max(s.peak, s.admissionPeak) }
	put("processor time per message, large over small", "×", atMost(1.25), func(p *pair) float64 { return p.over(cpu) })
	put("time per message, large over small", "×", atMost(1.25), func(p *pair) float64 { return p.over(wall) })
	put("processor time of a row's admission, large over small", "×", nil, func(p *pair) float64 { return p.over(admit) })
	put("peak memory, large", "MiB", atMost(128), func(p *pair) float64 { return peak(&p.big) })
	put("peak memory, large less small", "MiB", atMost(16), func(p *pair) float64 { return peak(&p.big) - (peak(&p.before)+peak(&p.after))/2 })
	put("received twice by the sink", "", atMost(0), func(p *pair) float64 { return p.before.duplicates + p.after.duplicates + p.big.duplicates })
	put("processor time per message, large", "µs", nil, func(p *pair) float64 { return p.big.cpu })
	put("messages/s, large", "/s", nil, func(p *pair) float64 { return p.big.rate })
	put("database bytes per sent message, large", "B", atMost(320), func(p *pair) float64 { return p.big.rowBytes })
	put("admission, large", "s", nil, func(p *pair) float64 { return p.big.admission })
}
