package dispatch

import (
	"time"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// gather is how long results wait for others, to be written together.
const gather = 20 * time.Millisecond

// mostTurn bounds what one turn settles, and half of what may be in flight.
const mostTurn = 500

// reckon is over how long it is reckoned how fast results come: a burst is not
// to let more be claimed, for what is in flight at a crash becomes unknown.
const reckon = 5 * gather

// take removes the results that have come, oldest first, and says how many
// messages may be claimed once they are settled: were they counted as in flight,
// the last of them could end the turn with nothing claimed and nothing left to
// wake the loop.
//
// In flight is at most what the senders got through lately in twice the time
// that results gather, so that they need not wait for the database, and twice as
// many as they are.
func (l *lane) take() (batch []result, free int) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(mostTurn, len(l.results))
	batch = l.results[:n:n]
	if l.results = l.results[n:]; len(l.results) == 0 {
		l.results, l.spare.batch = l.spare.batch[:0], nil
	}
	l.got += n
	if since := now.Sub(l.since); since >= reckon {
		l.most = max(2*cap(l.slots), min(int(2*gather*time.Duration(l.got)/since), 2*mostTurn))
		l.got, l.since = 0, now
	}
	return batch, l.most - (l.flying - n)
}

// ripe says that what came in should be settled now, and not wait for more: the
// senders would run out of messages, nothing else is on its way, or it is about
// a code.
func (l *lane) ripe() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ripeLocked()
}

func (l *lane) ripeLocked() bool {
	n := len(l.results)
	return n > 0 && (l.lane == whatsapp.LaneAuthentication || n == l.flying || n >= mostTurn || l.hungry && 2*n >= l.flying)
}

// soon is how long the loop may sleep, where a turn says next: not beyond the
// time that results may wait.
func (l *lane) soon(next time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ripeLocked():
		return 0
	case len(l.results) > 0:
		return min(next, gather)
	default:
		return next
	}
}

// came notes a result, and wakes the loop: for the first one, which waits for
// others, and when it is time.
func (l *lane) came(r result) {
	l.mu.Lock()
	l.results = append(l.results, r)
	wake := len(l.results) == 1 || l.ripeLocked()
	l.mu.Unlock()
	if !wake {
		return
	}
	select {
	case l.done <- struct{}{}:
	default:
	}
}

// putBack returns results that were not settled.
func (l *lane) putBack(batch []result) {
	if len(batch) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results = append(batch, l.results...)
}

// after forgets settled tickets.
func (l *lane) after(batch []result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying -= len(batch)
}

// worked is what a turn has worked with, so that the next need not allocate it.
type worked struct {
	batch   []result // by mu, as the results that come in
	judged  []result
	settled []outbox.Result
}

// reuse keeps what a turn worked with: of what it took, unless a part went back.
func (l *lane) reuse(batch, judged []result) {
	whole := len(batch) > 0 && len(batch) == len(judged)
	clear(judged) // they hold tickets
	l.spare.judged = judged
	if !whole {
		return
	}
	clear(batch)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare.batch = batch
}
