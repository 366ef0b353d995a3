package dispatch

import (
	"context"
	"sync"
	"time"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// Shares of a number's rate that a lane may use, and of those that are not
// codes together: what is left is the reserve of the lanes before.
const (
	codesShare     = 1
	utilityShare   = 0.9
	marketingShare = 0.8
	othersShare    = 0.9
)

var shares = perLane[float64]{
	whatsapp.LaneAuthentication: codesShare, whatsapp.LaneUtility: utilityShare, whatsapp.LaneMarketing: marketingShare,
}

// perLane is a thing of each lane.
type perLane[T any] [whatsapp.LaneMarketing + 1]T

// pacer is what a number may send: a bucket for all its messages, one per lane,
// and one that all but codes share; and over all what may leave within one
// second. Codes wait for codes alone: they take from the bucket of all what they
// need, in advance if it must be, and the others wait until that is made up for.
// So no campaign, and no two of them, delay a code, and the number's rate holds
// all the same: within a second too, where a code waits for Meta's own limit,
// which it would run into, but for none that is configured below it. The rate
// halves when Meta throttles and recovers by a tenth every ten seconds.
type pacer struct {
	all    *bucket
	others *bucket
	lanes  perLane[*bucket]

	mu      sync.Mutex
	nominal float64 // what Meta and the configuration allow
	hard    float64 // what Meta allows
	factor  float64
	changed time.Time
	sends   second
	codes   int // that wait for their turn
	flights perLane[*flight]
	epoch   time.Time // from which pairs counts; zero before the first
	pairs   map[int64]pair
	pruned  time.Duration // when pairs was last gone through
	unknown map[bool]int  // in a row, of codes (true) and of the others
}

func newPacer(perSecond, hard float64) *pacer {
	p := &pacer{nominal: perSecond, hard: max(hard, perSecond), factor: 1, all: limiter(perSecond), others: limiter(perSecond * othersShare), pairs: map[int64]pair{}, unknown: map[bool]int{}}
	for l, share := range shares {
		p.lanes[l] = limiter(perSecond * share)
		p.flights[l] = newFlight(whatsapp.Lane(l))
	}
	return p
}

// allow sets what Meta and the configuration allow, and what Meta alone; the next
// claim obeys it.
func (p *pacer) allow(perSecond, hard float64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hard = max(hard, perSecond)
	if perSecond != p.nominal {
		p.nominal = perSecond
		p.set(p.factor, p.changed, now)
	}
}

// allowance is how many messages of a lane may be claimed now.
func (p *pacer) allowance(l whatsapp.Lane, now time.Time) int {
	p.recover(now)
	return tokens(p.lanes[l], now)
}

// wait blocks until the lane's share of the rate lets a message leave. Who does
// not leave then gives the tokens back.
func (p *pacer) wait(ctx context.Context, l whatsapp.Lane) error {
	if err := sleep(ctx, p.lanes[l].take(time.Now(), 1)); err != nil || l == whatsapp.LaneAuthentication {
		return err
	}
	return sleep(ctx, p.others.take(time.Now(), 1))
}

func (p *pacer) giveBack(l whatsapp.Lane) {
	p.lanes[l].give(1)
	if l != whatsapp.LaneAuthentication {
		p.others.give(1)
	}
}

// leave blocks until one more message may leave within this second, and notes
// it. ok is false when the recipient's turn is not before next; of codes it
// always is.
func (p *pacer) leave(ctx context.Context, l whatsapp.Lane, contact int64) (next time.Time, ok bool, err error) {
	code := l == whatsapp.LaneAuthentication
	p.mu.Lock()
	defer p.mu.Unlock()
	if code {
		p.codes++
		defer func() { p.codes-- }()
	}
	for {
		now := time.Now()
		if contact > 0 && !code {
			if d := p.pairs[contact].sent - p.at(now); d > 0 {
				return now.Add(d), false, nil
			}
		}
		var d time.Duration
		if code {
			d = p.sends.wait(now, p.hard, 0)
		} else { // not booked before its time: a code may come
			d = max(p.all.missing(now), p.sends.wait(now, p.nominal*p.factor, p.codes))
		}
		if d <= 0 {
			p.all.take(now, 1)
			p.sends.add(now, p.hard)
			p.sentTo(contact, now)
			return now, true, nil
		}
		p.mu.Unlock()
		err = sleep(ctx, max(d, time.Millisecond))
		p.mu.Lock()
		if err != nil {
			return next, false, err
		}
	}
}

// sleep blocks for a time, or until ctx ends; not at all for none.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
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
	p.set(max(p.factor/2, 1/max(p.nominal, 1)), now, now)
}

func (p *pacer) recover(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factor < 1 && now.Sub(p.changed) >= 10*time.Second {
		p.set(min(1, p.factor+0.1), now, now)
	}
}

func (p *pacer) set(factor float64, changed, now time.Time) {
	p.factor, p.changed = factor, changed
	perSecond := p.nominal * factor
	p.all.setRate(now, perSecond)
	p.others.setRate(now, perSecond*othersShare)
	for l, share := range shares {
		p.lanes[l].setRate(now, perSecond*share)
	}
}

// pairGap is Meta's pair rate: one message per 6 seconds to one recipient, of
// which up to 45 may be borrowed from the future (Meta: About the platform,
// pair rate limits).
const pairGap = 6 * time.Second

// pair is when the next message to a recipient may leave, since the pacer's
// epoch: by what was sent, and by what was claimed and is soon sent. There is one
// for everybody of the last seconds: without pointers the collector does not look
// at them.
type pair struct{ sent, claimed time.Duration }

// at is an instant since the epoch, which lies so far back that 0 is always over.
func (p *pacer) at(now time.Time) time.Duration {
	if p.epoch.IsZero() {
		p.epoch = now.Add(-time.Hour)
	}
	return now.Sub(p.epoch)
}

// turn is how long until a message to a recipient may be claimed, and reserves
// the place if that is now. A code never waits: it borrows from the future, and
// what comes after it waits the longer. Should Meta refuse it all the same
// (131056), its back-off decides.
func (p *pacer) turn(contact int64, now time.Time) time.Duration {
	if contact == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.pairs[contact]
	if d := max(at.sent, at.claimed) - p.at(now); d > 0 {
		return d
	}
	at.claimed = p.at(now) + pairGap
	p.pairs[contact] = at
	return 0
}

// sentTo notes that a message leaves. Where it came too early it is a code, and
// borrows.
func (p *pacer) sentTo(contact int64, now time.Time) {
	if contact == 0 {
		return
	}
	is := p.at(now)
	if is-p.pruned >= pairGap { // forget those whose time has passed, not at every message
		p.pruned = is
		for c, at := range p.pairs {
			if max(at.sent, at.claimed) <= is {
				delete(p.pairs, c)
			}
		}
	}
	p.pairs[contact] = pair{sent: max(p.pairs[contact].sent, is) + pairGap}
}

// rest keeps messages to a recipient back until then: Meta said that they come
// too fast.
func (p *pacer) rest(contact int64, until time.Time) {
	if contact == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.pairs[contact]; p.at(until) > at.sent {
		at.sent = p.at(until)
		p.pairs[contact] = at
	}
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
