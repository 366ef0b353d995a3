package dispatch

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/account"
	"janela/internal/failpoint"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// Config says what a Dispatcher works with.
type Config struct {
	DB *store.DB
	// Sender returns the client that speaks for an account in a lane; ok is false
	// for an account that is not configured. The authentication lane should get
	// connections of its own.
	Sender func(waba string, lane whatsapp.Lane) (s cloudapi.Sender, ok bool)
	// PerSecond is how many messages a number may send in a second, over all
	// lanes, by what Meta says of it and what is configured. It is asked at every
	// claim.
	PerSecond func(n account.Number) float64
	// Reveal returns the parameters of an authentication message just before
	// its request, so that no code is ever stored, and Meta's hash of the
	// person's identity key where one is known. An error, or no Reveal at all:
	// the message fails with code_unavailable, and nothing is sent.
	Reveal func(ctx context.Context, m outbox.Message) (params, identityKeyHash string, err error)
	// Marketing says how a stream's messages go by the Marketing Messages API;
	// nil, or of nothing set: as all others.
	Marketing func(s outbox.Stream) *cloudapi.Marketing
	// Outcomes follows up, in the same transaction, what became of messages:
	// the conversation ledger, then the producers.
	Outcomes func(tx *store.Tx, out []outbox.Outcome) error
	// Resync asks for a fresh look at the accounts: Meta refused a token. The
	// first look that succeeds lifts the hold.
	Resync func()
	// Sent counts what happened, for metrics; called outside transactions.
	Sent func(lane whatsapp.Lane, number string, to outbox.State, reason string, took time.Duration)
	// Failed counts Meta's errors, for metrics; nil: nobody counts.
	Failed func(class whatsapp.Class, by string)
	// Note writes a line into the audit log; nil for nowhere.
	Note func(tx *store.Tx, command, object, before, after string) error
	// Policy is for utility messages of which nothing is heard.
	Policy Policy
	Log    *slog.Logger

	Senders int           // requests in flight per lane; default 64
	Drain   time.Duration // how long Run waits for requests in flight when it ends; default 30 s
}

// Dispatcher hands messages to Meta. Make one with New and run it once.
type Dispatcher struct {
	cfg    Config
	mu     sync.Mutex
	pacers map[string]*pacer
	lanes  []*lane
	holds  atomic.Pointer[[]outbox.Hold] // that stand
	reach  reach
	live   atomic.Pointer[Live]
	walked map[int64]time.Time // streams of runs: when Sweep last walked one to its end; it alone looks here
}

// New returns a Dispatcher that does nothing until Run.
func New(cfg Config) *Dispatcher {
	if cfg.Senders <= 0 {
		cfg.Senders = 64
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 30 * time.Second
	}
	d := &Dispatcher{cfg: cfg, pacers: map[string]*pacer{}, walked: map[int64]time.Time{}, reach: reach{people: map[int64]*person{}, codes: cfg.Reveal != nil}}
	d.Set(Live{Policy: cfg.Policy, Drain: cfg.Drain})
	for _, l := range []whatsapp.Lane{whatsapp.LaneAuthentication, whatsapp.LaneUtility, whatsapp.LaneMarketing} {
		d.lanes = append(d.lanes, newLane(d, l))
	}
	return d
}

// Live is what may change while a Dispatcher runs.
type Live struct {
	Policy Policy
	Drain  time.Duration
}

// Set changes it from now on.
func (d *Dispatcher) Set(l Live) { d.live.Store(&l) }

// Stuck is how long the lane has been in its turn that is in one for the longest
// time; 0: none is.
func (d *Dispatcher) Stuck() (longest time.Duration) {
	for _, l := range d.lanes {
		if begun := l.turning.Load(); begun != nil {
			longest = max(longest, time.Since(*begun))
		}
	}
	return longest
}

// Run first turns what was in flight when the last process ended into unknown,
// then sends until ctx ends, and waits for the requests under way. What has no
// answer by then becomes unknown.
func (d *Dispatcher) Run(ctx context.Context) error {
	for {
		err := d.rescue(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			break
		}
		d.cfg.Log.Error("what was in flight when the last process ended could not be settled; nothing is sent before, trying again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	if _, err := d.lookAtReach(ctx); err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("trying again", "error", err)
	}
	var wg sync.WaitGroup
	wakes := d.cfg.DB.Wakes(outbox.HoldsTopic)
	wg.Go(func() { d.watchHolds(ctx, wakes) })
	for _, l := range d.lanes {
		wg.Go(func() { l.run(ctx) })
	}
	wg.Wait()
	return nil
}

// rescue settles what an earlier process left in flight.
func (d *Dispatcher) rescue(ctx context.Context) error {
	total := 0
	for {
		n := 0
		err := d.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
			out, err := outbox.Rescue(tx, 200)
			if err != nil {
				return err
			}
			n = len(out)
			if err := d.tell(tx, out); err != nil {
				return err
			}
			return failpoint.Err("dispatch.rescue.commit")
		})
		if err != nil {
			return err
		}
		failpoint.Hit("dispatch.rescue.committed")
		if total += n; n == 0 {
			break
		}
	}
	if total > 0 {
		d.cfg.Log.Warn("messages were in flight when the last process ended; their outcome is unknown until a status tells", "unknown", total)
	}
	return nil
}

// pacer returns the pacer of a stream's number, at the rate that is allowed now.
func (d *Dispatcher) pacer(o gate.Open, now time.Time) *pacer {
	n := o.From()
	perSecond, hard := d.cfg.PerSecond(n), n.PerSecond(0)
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.pacers[o.Number]
	if !ok {
		p = newPacer(perSecond, hard)
		d.pacers[o.Number] = p
	}
	p.allow(perSecond, hard, now)
	return p
}

// share divides the lane's senders among the numbers that have something to send.
func (l *lane) share(open []gate.Open, now time.Time) {
	var active []*pacer
	for _, o := range open {
		if p := l.d.pacer(o, now); !slices.Contains(active, p) {
			active = append(active, p)
		}
	}
	l.serve(share(cap(l.slots), l.lane, active))
}
