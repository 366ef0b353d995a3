// Package dispatch is the only door out: it claims what the gate lets through,
// paces it, hands it to Meta's Cloud API, and settles what came of it.
//
// Three instances of one loop, one per lane, share only the pacers of the
// numbers. A turn of a loop is one transaction: it settles the results that
// have come in and claims what may leave next. Results wait for each other, at
// most 20 ms, unless nothing else is on its way or the senders would run out of
// messages: that is the group commit. A turn ends early when somebody waits for
// the database. The authentication lane writes through Write, waits for nothing
// and makes way for nobody; the others write through Bulk.
//
// Nothing of a campaign delays a code: it has connections of its own; it takes
// from the number's rate before its turn, and the others wait until that is
// made up for; it passes the six seconds between two messages to one person,
// which Meta lets one borrow; missing answers of others do not stop it; and the
// people that the messaging limit keeps for codes (Reach) are theirs.
//
//	turn: settle results + claim ──commit──▶ tickets ──pacer──▶ senders ──▶ results
//
// Invariants:
//   - a claim is on disk before its request is written
//   - what is claimed is in flight: no more than 100 ms of the allowed rate, and
//     than the senders get through in 40 ms, or twice as many as they are (they
//     should not wait for the database)
//   - a ticket that never reached a sender goes back to queued and burns no
//     attempt
//   - after GotConn nothing is ever sent again without proof that Meta did not
//     take it; five unknowns in a row stop the number, or those of codes their
//     template (a hold with a probe)
//   - a code stands nowhere: Reveal makes it just before the request, which ends
//     with the code's deadline; an authentication message without Reveal fails
package dispatch
