// Package gate answers one question: may this message leave now, and if not,
// why, and until when?
//
// One query gathers the facts of at most N candidates of a stream, one pure
// function, Decide, judges them, and outbox.Apply carries the verdicts out, all
// in the transaction that marks the messages as in flight: a revocation that
// was committed before can never be sent. Plan, why, the API and the sender all
// call the same Decide.
//
//	go      it may leave now
//	wait    it stays queued and burns no attempt: holds, template, window
//	refuse  final, about the person or the row: no_opt_in, opted_out, …
//
// React does what one error of Meta's does, at the scope where it acts; it is
// the same for an answer to a send and for a failed status. Effects is the table
// of what errors of each class do and how that ends. What they say of a person
// beyond the message stands in setbacks, the one table that gate owns.
package gate
