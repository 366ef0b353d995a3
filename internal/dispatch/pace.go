package dispatch

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// ahead is how much of the allowed rate a claim may take in advance.
const ahead = 100 * time.Millisecond

// Shares of a number's rate that a lane may use, and of those that are not
// codes together: what is left is the reserve of the lanes before.
const (
	codesShare     = 1
	utilityShare   = 0.9
	marketingShare = 0.8
	othersShare    = 0.9
)

// pacer is what a number may send: a bucket for all its messages, one per lane,
// and one that all but codes share. Codes wait for codes alone: they take from
// the bucket of all what they need, in advance if it must be, and the others
// wait until that is made up for. So no campaign, and no two of them, delay a
// code, and the number's rate holds all the same. It halves when Meta throttles
// and recovers by a tenth every ten seconds.
type pacer struct {
	mu      sync.Mutex
	nominal float64
	factor  float64
	changed time.Time
	all     *rate.Limiter
	others  *rate.Limiter
	lanes   map[whatsapp.Lane]*rate.Limiter
	pairs   map[int64]time.Time // contact → when Meta would have made up for all that was sent (one per 6 s and pair)
	pruned  time.Time           // when pairs was last gone through
	unknown map[bool]int        // in a row, of codes (true) and of the others
}

func newPacer(perSecond float64) *pacer {
	return &pacer{
		nominal: perSecond, factor: 1, all: limiter(perSecond), others: limiter(perSecond * othersShare),
		lanes: map[whatsapp.Lane]*rate.Limiter{
			whatsapp.LaneAuthentication: limiter(perSecond * codesShare),
			whatsapp.LaneUtility:        limiter(perSecond * utilityShare),
			whatsapp.LaneMarketing:      limiter(perSecond * marketingShare),
		},
		pairs: map[int64]time.Time{}, unknown: map[bool]int{},
	}
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
	if l == whatsapp.LaneAuthentication {
		p.all.Reserve()
		return nil
	}
	if err := p.others.Wait(ctx); err != nil {
		return err
	}
	// Not Wait, which would book the tokens to come before a code can.
	for !p.all.Allow() {
		if err := pauseFor(ctx, missing(p.all)); err != nil {
			return err
		}
	}
	return nil
}

// missing is how long until a bucket holds one token, at least a millisecond.
func missing(l *rate.Limiter) time.Duration {
	return max(time.Millisecond, time.Duration((1-l.Tokens())/float64(l.Limit())*float64(time.Second)))
}

func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
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
	perSecond := p.nominal * factor
	p.all.SetLimitAt(now, rate.Limit(perSecond))
	p.others.SetLimitAt(now, rate.Limit(perSecond*othersShare))
	p.lanes[whatsapp.LaneAuthentication].SetLimitAt(now, rate.Limit(perSecond*codesShare))
	p.lanes[whatsapp.LaneUtility].SetLimitAt(now, rate.Limit(perSecond*utilityShare))
	p.lanes[whatsapp.LaneMarketing].SetLimitAt(now, rate.Limit(perSecond*marketingShare))
}

// pairGap is Meta's pair rate: one message per 6 seconds to one recipient, of
// which up to 45 may be borrowed from the future (Meta: About the platform,
// pair rate limits).
const pairGap = 6 * time.Second

// pair reserves the recipient for one message; ok is false when the last one is
// less than six seconds old, and next says when it may go. A code never waits:
// it borrows from the future, and what comes after it waits the longer. Should
// Meta refuse it all the same (131056), its back-off decides.
func (p *pacer) pair(l whatsapp.Lane, contact int64, now time.Time) (next time.Time, ok bool) {
	if contact == 0 {
		return now, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.pairs[contact]
	if now.Before(at) && l != whatsapp.LaneAuthentication {
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
	if at.Before(now) {
		at = now
	}
	p.pairs[contact] = at.Add(pairGap)
	return now, true
}

// answered keeps count of unknowns in a row, those of codes apart, and returns
// it.
func (p *pacer) answered(l whatsapp.Lane, to outbox.State) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	codes := l == whatsapp.LaneAuthentication
	if to == outbox.Unknown {
		p.unknown[codes]++
	} else {
		p.unknown[codes] = 0
	}
	return p.unknown[codes]
}
