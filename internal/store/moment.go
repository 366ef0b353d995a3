package store

import "sync"

// Moment is a place in the order of this process's commits, at which somebody
// looked. What was read there still holds where nothing of it changed since.
type Moment int64

// noted are the latest moments at which something changed that rooms told of.
type noted struct {
	sync.Mutex
	last map[Topic]Moment
}

// Moment returns when the snapshot was taken, at the latest.
func (s *Snap) Moment() Moment { return s.moment }

// Changes notes that the transaction changes what the topic names. Should it come
// to nothing, so much the better.
func (tx *Tx) Changes(t Topic) {
	n := &tx.db.noted
	n.Lock()
	defer n.Unlock()
	if n.last == nil {
		n.last = map[Topic]Moment{}
	}
	n.last[t] = Moment(tx.db.Commits()) + 1 // when this one is committed
}

// Unchanged reports whether what the topic names is still what a snapshot showed
// that was taken at a moment: then a transaction need not ask again. It may say no
// though nothing changed.
func Unchanged(q Querier, t Topic, since Moment) bool {
	n := q.changes()
	n.Lock()
	defer n.Unlock()
	return n.last[t] <= since
}

func (tx *Tx) changes() *noted  { return &tx.db.noted }
func (s *Snap) changes() *noted { return &s.db.noted }
