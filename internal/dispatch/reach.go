package dispatch

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Reach is how far the messaging limit is used: how many different people may
// get messages that the business begins, in any 24 hours. It holds for all
// numbers of a portfolio together, codes among them (Meta: Messaging limits).
type Reach struct {
	Limit   int       // people per 24 h; 0: Meta has told none, or there is none
	Reserve int       // so many of them are kept for codes
	People  int       // who count now
	Full    bool      // campaigns and notices wait, codes do not
	Opens   time.Time // when the first who counts leaves; zero unless full
}

// String says in words where it stands.
func (r Reach) String() string {
	switch {
	case r.Limit == 0:
		return "no messaging limit is known"
	case !r.Full:
		return fmt.Sprintf("%d of %d people in 24 hours; %d are kept for codes", r.People, r.Limit, r.Reserve)
	default:
		return fmt.Sprintf("%d of %d people in 24 hours, and %d are kept for codes: campaigns and notices wait until %s",
			r.People, r.Limit, r.Reserve, r.Opens.Format(time.RFC3339))
	}
}

// reserve is what codes keep of a limit: a tenth, at least 200 people, never
// more than half.
func reserve(limit int) int { return min(max(limit/10, 200), limit/2) }

// tier reads a messaging limit as Meta writes it: TIER_250, TIER_10K. 0 for
// none, and for words that we do not know.
func tier(s string) int {
	s, ok := strings.CutPrefix(strings.ToUpper(s), "TIER_")
	if !ok {
		return 0
	}
	times := 1
	if k, ok := strings.CutSuffix(s, "K"); ok {
		s, times = k, 1000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 || n > 1_000_000 {
		return 0
	}
	return n * times
}

// limitOf is the smallest limit that is known of any number. All accounts of
// one configuration are taken for one portfolio: then all numbers tell the same
// limit, but for those that were not looked at since it changed. Where they are
// several, it stops too early rather than too late.
func limitOf(numbers []account.Number) int {
	least := 0
	for _, n := range numbers {
		if l := tier(n.MessagingLimit); l > 0 && (least == 0 || l < least) {
			least = l
		}
	}
	return least
}

// person is somebody whom messages reach. Times in ms.
type person struct {
	until   int64 // 24 h after the last message that Meta took
	loose   int64 // the same of messages that no conversation shows: held by Meta, or never answered
	seen    int64 // when we last learnt something
	pending int   // messages on their way
}

func (p person) counts(now int64) bool { return p.pending > 0 || max(p.until, p.loose) > now }

// reach counts people, by the root of their contacts. The truth are the
// conversations that the business began and that are open: they are counted
// when the limit becomes known, and again every minute while it is used up,
// because what was not delivered does not count. In between, what is claimed is
// added and what Meta did not take is taken away. Somebody who is inside a
// service window counts here, and not at Meta: too many rather than too few.
// What Meta holds back or never answered is forgotten by a restart.
type reach struct {
	mu      sync.Mutex
	limit   int
	people  map[int64]person
	full    bool
	looked  time.Time // at the limit; this and counted by a clock that only measures
	counted time.Time
	walked  int64 // when those who have left were last taken out, and what came of it
	opens   int64
	warned  int64
}

// left is how many more people campaigns and notices may reach; if none, until
// when they wait. It walks the people only when they seem too many, at most
// every second.
func (r *reach) left(now int64) (n int, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit == 0 {
		return chunk, 0
	}
	budget := r.limit - reserve(r.limit)
	if len(r.people) >= budget && now-r.walked >= 1000 {
		r.walk(now)
	}
	n = max(budget-len(r.people), 0)
	if r.full = n == 0; r.full {
		next = max(r.opens, now+1000)
	}
	return n, next
}

// walk takes out who has left the count, and finds when the next one will.
func (r *reach) walk(now int64) {
	r.walked, r.opens = now, now+conversations.Length.Milliseconds()
	for root, p := range r.people {
		switch {
		case !p.counts(now):
			delete(r.people, root)
		case p.pending == 0:
			r.opens = min(r.opens, max(p.until, p.loose))
		}
	}
}

// claim counts the recipients of claimed messages, before they are committed.
func (r *reach) claim(now int64, roots []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, root := range roots {
		p := r.people[root]
		p.pending, p.seen = p.pending+1, now
		r.people[root] = p
	}
}

// settle takes a message from its way: Meta took it, perhaps took it, or
// surely did not.
func (r *reach) settle(now, root int64, to outbox.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[root]
	p.pending, p.seen = max(p.pending-1, 0), now
	switch to {
	case outbox.Accepted:
		p.until = now + conversations.Length.Milliseconds()
	case outbox.AcceptedHeld, outbox.Unknown:
		p.loose = now + conversations.Length.Milliseconds()
	}
	r.people[root] = p
	if !p.counts(now) {
		delete(r.people, root)
	}
}

// recount replaces what was counted by what the conversations said at an
// instant, and keeps what they could not know then.
func (r *reach) recount(limit int, at int64, until map[int64]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	people := make(map[int64]person, len(until))
	for root, t := range until {
		people[root] = person{until: t}
	}
	for root, old := range r.people {
		p := people[root]
		p.pending, p.loose, p.seen = old.pending, old.loose, old.seen
		if old.seen >= at {
			p.until = max(p.until, old.until)
		}
		if p.counts(at) {
			people[root] = p
		}
	}
	r.limit, r.people, r.walked = limit, people, 0
}

// Reach says how far the messaging limit is used at an instant.
func (d *Dispatcher) Reach(now time.Time) Reach {
	r := &d.reach
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit == 0 {
		return Reach{}
	}
	r.walk(store.Millis(now))
	out := Reach{Limit: r.limit, Reserve: reserve(r.limit), People: len(r.people)}
	if out.Full = out.People >= out.Limit-out.Reserve; out.Full {
		out.Opens = store.Time(r.opens)
	}
	return out
}
