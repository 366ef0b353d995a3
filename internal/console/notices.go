package console

import (
	"crypto/rand"
	"sync"
	"time"
)

// notice is what a page says at its top about what was just done.
type notice struct {
	Kind               string // good, bad
	Text, Detail, Hint string
}

// notices are kept between a change and the page that follows it, for whom they
// are meant. They may be lost: the change itself is in the audit log.
type notices struct {
	mu   sync.Mutex
	kept map[string]keptNotice
}

type keptNotice struct {
	notice
	who  string
	from time.Time
}

const (
	maxNotices = 1000
	noticeLife = 10 * time.Minute
)

// keep returns the word under which a notice is found.
func (n *notices) keep(who string, said notice, now time.Time) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil {
		n.kept = map[string]keptNotice{}
	}
	for key, k := range n.kept {
		if now.Sub(k.from) > noticeLife {
			delete(n.kept, key)
		}
	}
	if len(n.kept) >= maxNotices {
		clear(n.kept)
	}
	key := rand.Text()
	n.kept[key] = keptNotice{said, who, now}
	return key
}

// find returns a notice to the one it is meant for.
func (n *notices) find(who, key string) []notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	k, ok := n.kept[key]
	if !ok || k.who != who {
		return nil
	}
	return []notice{k.notice}
}
