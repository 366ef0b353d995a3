package sandbox

import (
	"container/heap"
	"strconv"
	"strings"
	"time"
)

// reachFor is how long somebody counts within the messaging limit.
const reachFor = 24 * time.Hour

// reach counts the people whom the business began to write to within 24 hours,
// over all numbers: Meta's messaging limit holds for the portfolio. Somebody
// counts from the acceptance of a template outside of their service window until
// 24 hours after it reached the phone; who will not get it does not count.
type reach struct {
	until   map[string]int64 // by person; Unix milliseconds
	leaving leaves
}

// leaves is a heap of when people leave; one that is not the person's latest
// means nothing.
type leaves []leave

type leave struct {
	at  int64
	who string
}

func (l leaves) Len() int           { return len(l) }
func (l leaves) Less(i, j int) bool { return l[i].at < l[j].at }
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

// tier reads a messaging limit; 0 for none.
func tier(s string) int {
	s, _ = strings.CutPrefix(strings.ToUpper(s), "TIER_")
	times := 1
	if k, ok := strings.CutSuffix(s, "K"); ok {
		s, times = k, 1000
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n * times
}

// limitReach says whether a template may go to a person. The caller holds the
// lock.
func (s *Sandbox) limitReach(n *number, who string, now time.Time) *graphError {
	limit := tier(n.MessagingLimit)
	if !s.cfg.MessagingLimit || limit == 0 {
		return nil
	}
	if p := s.persons[who]; p != nil && p.windowOpen(n.index, now) {
		return nil
	}
	at := now.UnixMilli()
	for len(s.reach.leaving) > 0 && s.reach.leaving[0].at <= at {
		if l := heap.Pop(&s.reach.leaving).(leave); s.reach.until[l.who] == l.at {
			delete(s.reach.until, l.who)
		}
	}
	if _, counts := s.reach.until[who]; !counts && len(s.reach.until) >= limit {
		return refuse(131048, "The business has reached its messaging limit: %d people in 24 hours.", limit)
	}
	return nil
}

// reached counts the person of a message that was accepted. The caller holds the
// lock.
func (s *Sandbox) reached(r *record, k kind, luck fate) {
	if !s.cfg.MessagingLimit || k.typ != "template" || r.code != 0 {
		return
	}
	if p := s.persons[r.to]; p != nil && p.windowOpen(r.number, time.UnixMilli(r.at)) {
		return
	}
	until := r.sentAt(luck) + luck.delivered.Milliseconds() + reachFor.Milliseconds()
	if until > s.reach.until[r.to] {
		s.reach.until[r.to] = until
		heap.Push(&s.reach.leaving, leave{until, r.to})
	}
}
