package dispatch

import (
	"container/heap"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Reach is how far the messaging limit is used: how many different people may
// get messages that the business begins, in any 24 hours. It holds for all
// numbers of a portfolio together, codes among them (Meta: Messaging limits).
type Reach struct {
	Limit     int       // people per 24 h; 0: Meta has told none, or there is none
	People    int       // who count now
	Reserve   int       // so many of them are kept for codes
	Notices   int       // and so many for notices
	Marketing int       // whom campaigns of marketing may still reach now
	Utility   int       // whom notices may still reach now
	Full      bool      // marketing waits for new people; those who count already do not
	Opens     time.Time // when the first who counts leaves; zero unless full
}

// String says in words where it stands.
func (r Reach) String() string {
	if r.Limit == 0 {
		return "no messaging limit is known"
	}
	kept := fmt.Sprintf("%d are kept for notices", r.Notices)
	if r.Reserve > 0 {
		kept = fmt.Sprintf("%d are kept for codes, %d for notices", r.Reserve, r.Notices)
	}
	s := fmt.Sprintf("%d of %d people in 24 hours; %s", r.People, r.Limit, kept)
	if !r.Full {
		return s
	}
	who := "campaigns"
	if r.Utility == 0 {
		who = "campaigns and notices"
	}
	return s + fmt.Sprintf(": %s to people who got nothing in that time wait until %s", who, r.Opens.Format(time.RFC3339))
}

// Left is how many people messages of a category may still reach now.
func (r Reach) Left(c whatsapp.Category) int {
	if c == whatsapp.Marketing {
		return r.Marketing
	}
	return r.Utility
}

// reserve is what codes keep of a limit: a tenth, at least 200 people, never
// more than half.
func reserve(limit int) int { return min(max(limit/10, 200), limit/2) }

// spare is what the others always leave free for codes, also when those have used
// their reserve: a hundredth, at least one.
func spare(limit int) int { return max(limit/100, 1) }

// notices is what marketing leaves to notices: a twentieth.
func notices(limit int) int { return limit / 20 }

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

// ReasonMessagingLimit is why a message waits until somebody leaves the count.
const ReasonMessagingLimit = "messaging_limit"

// Counted is how long somebody counts: Meta's 24 hours, and a little for the
// clocks, and for the way to the phone, which Meta counts from.
const Counted = conversations.Length + time.Minute

// person is somebody whom messages reach.
type person struct {
	until   int64         // ms: counted after the last message that Meta took, or may have taken
	seen    int64         // ms: when we last learnt something
	pending int           // messages on their way
	payer   whatsapp.Lane // whose message made them count
}

// reach counts people, by the root of their contacts. The truth are the messages
// of the last day: they are counted when the limit becomes known, and once an
// hour. In between, what is claimed is added, what Meta did not take, or did not
// deliver, is taken away, and what comes late to the phone counts from then.
// Somebody who is inside a service window counts here, and not at Meta: too many
// rather than too few.
type reach struct {
	mu      sync.Mutex
	limit   int
	codes   bool // codes are sent, and some people are kept for them
	people  map[int64]*person
	paid    [3]int // people by payer
	leaving leaves
	added   int     // how often somebody was added
	latest  []int64 // who was added last; what was looked through before may differ for them
	looked  time.Time
	counted time.Time // both by a clock that only measures
	warned  int64
}

// leave is when a person leaves the count, unless they got something since.
type leave struct{ until, root int64 }

// leaves is a heap, the first to leave first.
type leaves []leave

func (l leaves) Len() int           { return len(l) }
func (l leaves) Less(i, j int) bool { return l[i].until < l[j].until }
func (l leaves) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// Push adds a leave.
func (l *leaves) Push(x any) { *l = append(*l, x.(leave)) }

// Pop removes the last one.
func (l *leaves) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

// prune takes out who has left.
func (r *reach) prune(now int64) {
	for len(r.leaving) > 0 {
		next := r.leaving[0]
		p := r.people[next.root]
		if p != nil && p.until == next.until {
			if p.until > now {
				return
			}
			if p.pending == 0 {
				r.drop(next.root, p)
			}
		}
		heap.Pop(&r.leaving)
	}
}

func (r *reach) drop(root int64, p *person) {
	r.paid[p.payer]--
	delete(r.people, root)
}

// get returns somebody, who counts from now on if they did not.
func (r *reach) get(root int64, payer whatsapp.Lane) *person {
	p := r.people[root]
	if p == nil {
		p = &person{payer: payer}
		r.people[root] = p
		r.paid[payer]++
		r.added++
		if len(r.latest) >= 2*latestKept {
			r.latest = append(r.latest[:0], r.latest[latestKept:]...)
		}
		r.latest = append(r.latest, root)
	}
	return p
}

// latestKept is of how many people it is known that they were added last.
const latestKept = 1000

// since returns who was added since so many were, and how many are now; ok is
// false when that is too long ago.
func (r *reach) since(added int) (roots []int64, now int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.added - added
	if n < 0 || n > len(r.latest) {
		return nil, r.added, false
	}
	return slices.Clone(r.latest[len(r.latest)-n:]), r.added, true
}

// until sets when somebody leaves.
func (r *reach) until(root int64, p *person, at int64) {
	if at != p.until {
		p.until = at
		heap.Push(&r.leaving, leave{at, root})
	}
}

// free is how many more people a lane may reach. What is kept for the lanes
// before it is less by those whom they reached.
func (r *reach) free(l whatsapp.Lane) int { return max(r.room(l), 0) }

// room is free, or by how many too many people count.
func (r *reach) room(l whatsapp.Lane) int {
	n := r.limit - len(r.people)
	if l != whatsapp.LaneAuthentication && r.codes {
		n -= max(reserve(r.limit)-r.paid[whatsapp.LaneAuthentication], spare(r.limit))
	}
	if l == whatsapp.LaneMarketing {
		n -= max(notices(r.limit)-r.paid[whatsapp.LaneUtility], 0)
	}
	return n
}

// left is how many more people a lane may reach; if none, when it should ask
// again.
func (r *reach) left(now int64, l whatsapp.Lane) (n int, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit == 0 {
		return chunk, 0
	}
	r.prune(now)
	if n = r.free(l); n > 0 {
		return n, 0
	}
	return 0, r.opens(now)
}

// opens is when the first who counts leaves.
func (r *reach) opens(now int64) int64 {
	if len(r.leaving) == 0 {
		return now + limitEvery.Milliseconds()
	}
	return max(r.leaving[0].until, now+1)
}

// counts says whether somebody counts now: to write to them costs nothing.
func (r *reach) counts(now, root int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[root]
	return p != nil && (p.pending > 0 || p.until > now)
}

// claim counts the recipients of claimed messages, before they are committed.
func (r *reach) claim(now int64, l whatsapp.Lane, roots []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, root := range roots {
		p := r.get(root, l)
		p.pending, p.seen = p.pending+1, now
	}
}

// settle takes a message from its way: Meta took it, perhaps took it, or
// surely did not.
func (r *reach) settle(now, root int64, to outbox.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[root]
	if p == nil {
		return // the limit was not known in between
	}
	p.pending, p.seen = max(p.pending-1, 0), now
	if to == outbox.Accepted || to == outbox.AcceptedHeld || to == outbox.Unknown {
		r.until(root, p, now+Counted.Milliseconds())
	}
	if p.pending == 0 && p.until <= now {
		r.drop(root, p)
	}
}

// heard takes what a status told: somebody's last message counts from an instant
// (ms), 0 for none.
func (r *reach) heard(now, root, last int64, l whatsapp.Lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[root]
	if p == nil && last == 0 || r.limit == 0 {
		return
	}
	p = r.get(root, l)
	at := int64(0)
	if last > 0 {
		at = last + Counted.Milliseconds()
	}
	p.seen = now
	r.until(root, p, at)
	if p.pending == 0 && p.until <= now {
		r.drop(root, p)
	}
}

// later says whether a message that reached its person now prolongs how long
// they count.
func (r *reach) later(now, root int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[root]
	return r.limit > 0 && (p == nil || p.until < now+conversations.Length.Milliseconds())
}

// recount adds what the messages said at an instant.
func (r *reach) recount(limit int, at int64, all []conversations.Person) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = limit
	for _, c := range all {
		until := c.Last + Counted.Milliseconds()
		if p := r.people[c.Root]; until > at && (p == nil || p.until < until) {
			l := whatsapp.LaneMarketing
			if c.Category != "" {
				l = c.Category.Lane()
			}
			r.until(c.Root, r.get(c.Root, l), until)
		}
	}
	r.prune(at)
}

// forget ends the counting: there is no limit.
func (r *reach) forget() {
	r.limit, r.people, r.paid, r.leaving, r.counted = 0, map[int64]*person{}, [3]int{}, nil, time.Time{}
}

func (r *reach) known() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limit > 0
}

// Reach says how far the messaging limit is used at an instant.
func (d *Dispatcher) Reach(now time.Time) Reach {
	r := &d.reach
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit == 0 {
		return Reach{}
	}
	at := store.Millis(now)
	r.prune(at)
	out := Reach{Limit: r.limit, People: len(r.people), Notices: notices(r.limit), Marketing: r.free(whatsapp.LaneMarketing), Utility: r.free(whatsapp.LaneUtility)}
	if r.codes {
		out.Reserve = reserve(r.limit)
	}
	if out.Full = out.Marketing == 0; out.Full {
		out.Opens = store.Time(r.opens(at))
	}
	return out
}
