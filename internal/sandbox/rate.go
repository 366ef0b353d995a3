package sandbox

import (
	"time"
)

const (
	pairEvery = 6 * time.Second // one message per pair, in the long run
	pairBurst = 45              // so many at once, borrowed from the future
	pairsKept = 10_000          // above it, pairs that have rested are forgotten
)

// limit says whether a message may pass now, and counts it if so. Both limits
// are leaky buckets kept as one time: when an evenly paced sender would be due.
// The caller holds the lock.
func (s *Sandbox) limit(n *number, to string, now time.Time) *graphError {
	if s.cfg.PairRate {
		if e := s.limitPair(n.ID+" "+to, now); e != nil {
			return e
		}
	}
	if s.cfg.RatePerSecond <= 0 {
		return nil
	}
	every := time.Second / time.Duration(s.cfg.RatePerSecond)
	due := n.tat
	if due.Before(now) {
		due = now
	}
	if due.Sub(now) > time.Second-every {
		return refuse(130429, "Cloud API message throughput has been reached.")
	}
	n.tat = due.Add(every)
	return nil
}

func (s *Sandbox) limitPair(key string, now time.Time) *graphError {
	at := now.UnixMilli()
	due := max(s.pairs[key], at)
	if due-at > (pairBurst-1)*pairEvery.Milliseconds() {
		return refuse(131056, "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time.")
	}
	if len(s.pairs) >= pairsKept {
		for k, t := range s.pairs {
			if t <= at {
				delete(s.pairs, k)
			}
		}
	}
	s.pairs[key] = due + pairEvery.Milliseconds()
	return nil
}
