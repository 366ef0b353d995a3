package bench

import (
	"context"
	"errors"
	"time"
)

// Sizes say how much is measured.
type Sizes struct {
	Messages int           // of a small campaign
	Large    int           // of a large one: size, admit, idle
	Told     int           // messages whose statuses are told
	Batch    int           // statuses in a callback, for half of those
	Idle     time.Duration // how long a daemon does nothing
	Storm    time.Duration // how long callbacks storm
}

// DefaultSizes are those for which goals were set.
func DefaultSizes() Sizes {
	return Sizes{Messages: 100_000, Large: 1_000_000, Told: 20_000, Batch: 50, Idle: 20 * time.Second, Storm: 20 * time.Second}
}

// All runs every measurement, on the same people where it can. Size and admit,
// which take long, run once.
func (c *Config) All(ctx context.Context, s Sizes) (all []*Report, err error) {
	drop := c.keepWorlds()
	defer func() { err = errors.Join(err, drop()) }()
	once := *c
	once.Runs = 1
	for _, measure := range []func() (*Report, error){
		func() (*Report, error) { return c.Idle(ctx, s.Large, s.Idle) }, // first, while the machine is quiet
		func() (*Report, error) { return c.Send(ctx, s.Messages) },
		func() (*Report, error) { return c.Statuses(ctx, s.Told, s.Batch) },
		func() (*Report, error) { return once.Storm(ctx, s.Storm) },
		func() (*Report, error) { return once.Admit(ctx, s.Large) },
		func() (*Report, error) { return once.Size(ctx, s.Messages, s.Large) },
	} {
		r, err := measure()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
