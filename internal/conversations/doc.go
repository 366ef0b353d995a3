// Package conversations keeps the ledger of 24-hour conversations, and the
// windows in which free-form text is allowed. The two are different things.
//
// Tables: conversations, conversation_ends, inbound_messages, service_windows,
// message_prices.
// It reads messages, past_messages, streams, foreign_messages and contacts.
//
// A conversation begins with the first message the business sends in a
// category, to one person from one number, and lasts 24 h whatever follows. A
// service window begins with the user's last message and moves with each:
//
//	hours     0    4  5                      24 25     28               49
//	business  M       r                         t
//	user           u
//	marketing [──────────────────────────────)
//	service                                     [───────────────────────)
//	window         [───────────────────────────────────)
//
// (M a marketing template; u the user writes; r a free-form reply, which opens
// nothing because a conversation is open; t a text that opens a service
// conversation, of origin user, because of u.)
//
// All intervals are half open: what comes 24 h later to the millisecond is
// outside.
//
//	a message of ours       what it opens
//	template of category c  c, unless one of c is open
//	free-form text          service, unless any is open
//	foreign, no category    nothing; it counts where a text would
//	any, within 24 h of an  a free entry point: service, 72 h, origin user; it
//	ad's inbound message    ends the others, and until its end nothing opens
//
// A conversation's states follow from its row alone:
//
//	provisional ──Meta's time──► open ──expires_at──► over
//	     │                        └──free entry point──► over at closed_at
//	     └──the opener failed, or another came before it──► no row
//
// Provisional ones count as open: our acceptance stands in for Meta's time,
// and the row may shift or vanish when that comes.
//
// Rows are a pure function (Ledger) of messages and inbound messages. Nothing
// is ever added to a row; Recompute derives it again from the last gap in which
// nothing was open, and writes the difference.
//
// Invariants:
//   - the rows are those of Ledger over the whole history of number and person,
//     in whatever order the facts arrived
//   - rows carry the root contact; when contacts are joined, the next Recompute
//     that touches the person merges their rows and windows, on all numbers
//   - origin is user exactly when inbound_id names the message that was answered
//   - a conversation keeps its id while it has its key (number, person, opening
//     instant, category) or its opener
//   - what Meta says of a conversation stands in message_prices, verbatim, and
//     decides nothing here (Meta: Webhooks, messages: absent from v24.0 on)
//   - rows of people whom contacts no longer knows stay as they are
package conversations
