package otp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// BenchmarkCycle asks for a code, waits until its message has left, and verifies
// it, each time for another phone, with limits that are all on and wide. Beside
// it a sender claims, reveals and settles, as dispatch does.
func BenchmarkCycle(b *testing.B) {
	for _, known := range []bool{true, false} {
		for _, clients := range []int{1, 16, 64} {
			name := fmt.Sprintf("consent=request/clients=%d", clients)
			if known {
				name = fmt.Sprintf("consent=known/clients=%d", clients)
			}
			b.Run(name, func(b *testing.B) { benchCycle(b, known, clients) })
		}
	}
}

const people = 10_000 // as many numbers as are set aside for examples

func benchCycle(b *testing.B, known bool, clients int) {
	w := newWorld(b, func(c *Config) { c.Limits = wide() })
	if known {
		for from := 0; from < people; from += 200 {
			w.write(b, func(tx *store.Tx) error {
				for i := range 200 {
					if err := consented(tx, benchPhone(from+i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	var (
		next    atomic.Int64
		wg      sync.WaitGroup
		fault   atomic.Value
		inboxes sync.Map // of phones
		out     sync.WaitGroup
	)
	ctx, stop := context.WithCancel(b.Context())
	out.Go(func() {
		if err := w.sender(ctx, &inboxes); err != nil && ctx.Err() == nil {
			fault.Store(err)
		}
	})
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			inbox := make(chan string, 1)
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				inboxes.Store(benchPhone(i), inbox)
				if err := w.cycle(i, inbox); err != nil {
					fault.Store(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	stop()
	out.Wait()
	if err, ok := fault.Load().(error); ok {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
}

func (w *world) cycle(i int, inbox <-chan string) error {
	v, err := w.tryIssue(app, asks(func(r *Request) {
		r.To, r.ClientIP = benchPhone(i), fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
		r.Consent = &Consent{Source: "login_form"}
	}))
	if err != nil {
		return err
	}
	got, err := w.tryVerify(app, v.ID, Proof{Code: <-inbox, ClientIP: someIP})
	if err == nil && got.Denied != nil {
		err = got.Denied
	}
	return err
}

// sender is what dispatch does to the database, with nobody behind it.
func (w *world) sender(ctx context.Context, inboxes *sync.Map) error {
	woken := w.Wakes(outbox.Topic(whatsapp.LaneAuthentication))
	var results []outbox.Result
	for {
		var claimed []outbox.Message
		err := w.Write(ctx, func(tx *store.Tx) error {
			out, err := outbox.Settle(tx, results)
			if err != nil {
				return err
			}
			open, _, err := gate.Opens(tx, whatsapp.LaneAuthentication)
			if err != nil {
				return err
			}
			for _, o := range open {
				ms, more, err := gate.Claim(tx, o, 32)
				if err != nil {
					return err
				}
				claimed, out = append(claimed, ms...), append(out, more...)
			}
			return w.Outcomes(tx, out)
		})
		if err != nil {
			return err
		}
		results = results[:0]
		for _, m := range claimed {
			params, _, err := w.Reveal(ctx, m)
			if err != nil {
				return err
			}
			inbox, ok := inboxes.Load(m.Address)
			if !ok {
				return errors.New("a message to nobody")
			}
			inbox.(chan string) <- params[strings.Index(params, `"text":"`)+8:][:6]
			results = append(results, outbox.Result{Message: m.ID, Attempt: m.Attempt, To: outbox.Accepted, At: w.wall, Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", m.ID))})
		}
		if len(results) > 0 {
			continue
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return nil
		}
	}
}

func benchPhone(i int) string { return fmt.Sprintf("+55119%08d", i%people) }

// wide are limits that are all on, and that nobody reaches.
func wide() Limits {
	l := DefaultLimits()
	l.Cooldown = 1 // ns
	for _, n := range []*int{&l.Phone10m, &l.PhoneHour, &l.PhoneDay, &l.Unverified, &l.IP10m, &l.IPHour, &l.IPDay, &l.IPPhones, &l.IPCountries} {
		*n = 1000
	}
	for _, n := range []*int{&l.PrefixUnverified, &l.CountryDay, &l.CountryHour, &l.ClientBurst, &l.VerifyIPMinute} {
		*n = 1_000_000
	}
	l.ClientPerSecond, l.PerSecond = 1e6, 1e6
	return l
}
