// Package feed tells the business's own systems what the ledgers have taken up:
// which webhooks there are, and what they hold.
//
// What becomes of a message is told in the transaction of the change (Outcomes).
// The rest has many doors, and is read off the ledgers afterwards: Run looks
// every second at what was written since it looked last, and tells of it in the
// transaction that moves its mark on. So nothing that was committed is missed, or
// told of in two webhooks, over any crash; and where no target wants a kind of
// event, nothing is looked at, and its mark is forgotten: who begins to listen
// hears of what happens from then on.
//
// A source is followed in one of two ways:
//
//	by id     rows are only added, and their ids rise: what is above the mark
//	by time   rows get an instant once, the transaction's Now, which never goes
//	          back: what lies from the mark up to, and without, this Now
//
// Invariants:
//   - an event names nobody: ids, never a number, a text or a code
//   - events of one conversation, message, hold or person keep their order
//
// It owns the table hook_marks.
package feed
