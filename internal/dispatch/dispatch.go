package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

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
	// lanes; Meta's default is 80.
	PerSecond func(number string) float64
	// Reveal returns the parameters of an authentication message just before
	// its request, so that no code is ever stored, and Meta's hash of the
	// person's identity key where one is known. An error, or no Reveal at all:
	// the message fails with code_unavailable, and nothing is sent.
	Reveal func(ctx context.Context, m outbox.Message) (params, identityKeyHash string, err error)
	// Outcomes follows up, in the same transaction, what became of messages:
	// the conversation ledger, then the producers.
	Outcomes func(tx *store.Tx, out []outbox.Outcome) error
	// Resync asks for a fresh look at the accounts: Meta refused a token. The
	// first look that succeeds lifts the hold.
	Resync func()
	// Sent counts what happened, for metrics; called outside transactions.
	Sent func(lane whatsapp.Lane, number string, to outbox.State, reason string, took time.Duration)
	Log  *slog.Logger

	Senders int           // requests in flight per lane; default 64
	Drain   time.Duration // how long Run waits for requests in flight when it ends; default 30 s
}

// Dispatcher hands messages to Meta. Make one with New and run it once.
type Dispatcher struct {
	cfg    Config
	mu     sync.Mutex
	pacers map[string]*pacer
	lanes  []*lane
}

// New returns a Dispatcher that does nothing until Run.
func New(cfg Config) *Dispatcher {
	if cfg.Senders <= 0 {
		cfg.Senders = 64
	}
	if cfg.Drain <= 0 {
		cfg.Drain = 30 * time.Second
	}
	d := &Dispatcher{cfg: cfg, pacers: map[string]*pacer{}}
	for _, l := range []whatsapp.Lane{whatsapp.LaneAuthentication, whatsapp.LaneUtility, whatsapp.LaneMarketing} {
		d.lanes = append(d.lanes, newLane(d, l))
	}
	return d
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
	var wg sync.WaitGroup
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
			return d.tell(tx, out)
		})
		if err != nil {
			return err
		}
		if total += n; n == 0 {
			break
		}
	}
	if total > 0 {
		d.cfg.Log.Warn("messages were in flight when the last process ended; their outcome is unknown until a status tells", "unknown", total)
	}
	return nil
}

func (d *Dispatcher) pacer(number string) *pacer {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.pacers[number]
	if !ok {
		p = newPacer(d.cfg.PerSecond(number))
		d.pacers[number] = p
	}
	return p
}

// ahead is how much of the allowed rate a claim may take in advance.
const ahead = 100 * time.Millisecond

// Shares of a number's rate that a lane may use: what is left is the reserve of
// the lanes before it, so that a campaign never delays a login code.
var shares = map[whatsapp.Lane]float64{whatsapp.LaneAuthentication: 1, whatsapp.LaneUtility: 0.9, whatsapp.LaneMarketing: 0.8}

// pacer is a number's token bucket, with one narrower bucket per lane before
// it. It halves when Meta throttles and recovers by a tenth every ten seconds.
type pacer struct {
	mu      sync.Mutex
	nominal float64
	factor  float64
	changed time.Time
	all     *rate.Limiter
	lanes   map[whatsapp.Lane]*rate.Limiter
	pairs   map[int64]time.Time // contact → earliest next message (Meta: one per 6 s and pair)
	pruned  time.Time           // when pairs was last gone through
	unknown int                 // in a row
}

func newPacer(perSecond float64) *pacer {
	p := &pacer{nominal: perSecond, factor: 1, all: limiter(perSecond), lanes: map[whatsapp.Lane]*rate.Limiter{}, pairs: map[int64]time.Time{}}
	for l, share := range shares {
		p.lanes[l] = limiter(perSecond * share)
	}
	return p
}

func limiter(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*ahead.Seconds())))
}

// allowance is how many messages of a lane may be claimed now.
func (p *pacer) allowance(l whatsapp.Lane, now time.Time) int {
	p.recover(now)
	return tokens(p.lanes[l], now)
}

// tokens is what a bucket holds within the next 100 ms, at least one when the
// next token is that near.
func tokens(l *rate.Limiter, now time.Time) int { return int(l.TokensAt(now.Add(ahead)) + 1e-9) }

// wait blocks until the message may leave.
func (p *pacer) wait(ctx context.Context, l whatsapp.Lane) error {
	if err := p.lanes[l].Wait(ctx); err != nil {
		return err
	}
	return p.all.Wait(ctx)
}

// throttled halves the rate.
func (p *pacer) throttled(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.changed) < time.Second && p.factor < 1 {
		return // the same burst
	}
	p.set(max(p.factor/2, 1/max(p.nominal, 1)), now)
}

func (p *pacer) recover(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factor < 1 && now.Sub(p.changed) >= 10*time.Second {
		p.set(min(1, p.factor+0.1), now)
	}
}

func (p *pacer) set(factor float64, now time.Time) {
	p.factor, p.changed = factor, now
	p.all.SetLimitAt(now, rate.Limit(p.nominal*factor))
	for l, lim := range p.lanes {
		lim.SetLimitAt(now, rate.Limit(p.nominal*factor*shares[l]))
	}
}

// pairGap is Meta's pair rate: one message per 6 seconds to one recipient.
const pairGap = 6 * time.Second

// pair reserves the recipient for one message; ok is false when the last one is
// less than six seconds old, and next says when it may go.
func (p *pacer) pair(contact int64, now time.Time) (next time.Time, ok bool) {
	if contact == 0 {
		return now, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.pairs[contact]; now.Before(at) {
		return at, false
	}
	if now.Sub(p.pruned) >= pairGap { // forget those whose time has passed, not at every message
		p.pruned = now
		for c, at := range p.pairs {
			if !now.Before(at) {
				delete(p.pairs, c)
			}
		}
	}
	p.pairs[contact] = now.Add(pairGap)
	return now, true
}

// answered keeps count of unknowns in a row and returns it.
func (p *pacer) answered(to outbox.State) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to == outbox.Unknown {
		p.unknown++
	} else {
		p.unknown = 0
	}
	return p.unknown
}
