package sandbox

import "container/heap"

// The statuses a message can have. A second posting of the same is the slot
// plus slotAgain.
const (
	slotSent uint8 = iota
	slotDelivered
	slotRead
	slotFailed
	slotAgain
)

// event is one webhook to post: a status of a message, or a ready body.
type event struct {
	due    int64  // Unix milliseconds
	order  uint64 // of two due at once the first queued goes first
	at     int64  // when it happened, Unix seconds; what the status claims
	rec    int32  // in the ledger; -1 for a hook
	slot   uint8
	priced bool // carries pricing
	tries  uint8
	hook   *hook
}

// hook is a webhook whose body is already known.
type hook struct {
	id   uint64
	waba string // empty: not bound to a subscription
	body []byte
}

// queue is a heap of events by due and order.
type queue struct {
	events []event
	orders uint64
}

func (q *queue) Len() int { return len(q.events) }
func (q *queue) Less(i, j int) bool {
	a, b := &q.events[i], &q.events[j]
	return a.due < b.due || a.due == b.due && a.order < b.order
}
func (q *queue) Swap(i, j int) { q.events[i], q.events[j] = q.events[j], q.events[i] }
func (q *queue) Push(x any)    { q.events = append(q.events, x.(event)) }
func (q *queue) Pop() any {
	last := len(q.events) - 1
	e := q.events[last]
	q.events[last] = event{}
	q.events = q.events[:last]
	return e
}

func (q *queue) add(e event) {
	if e.order == 0 { // a retry keeps its place
		q.orders++
		e.order = q.orders
	}
	heap.Push(q, e)
}

func (q *queue) take() event { return heap.Pop(q).(event) }
