// Package outbox keeps the messages: what is to be sent, what was handed out,
// and what became of it. It is the only writer of the tables streams, tallies,
// message_hours, messages, past_messages, retention, foreign_messages, holds,
// resends and watermarks.
//
// A message's life:
//
//	queued → sending → accepted → sent → delivered → read
//	  │         │  ├→ presumed_expired       its time to live passed in silence
//	  │         │  └→ accepted_held → …      Meta holds it for quality assessment
//	  │         ├→ queued                    surely not sent: back-off, until its deadline
//	  │         ├→ unknown                   written, no answer; a status reconciles it
//	  │         └→ failed(code)              also later, by status
//	  ├→ refused(reason)                     no_opt_in, opted_out, missing_parameter, …
//	  ├→ cancelled(reason)                   a STOP arrived, the campaign was cancelled
//	  └→ expired                             its deadline passed
//
// Messages that are stopped and paced alike form a stream; a hold stops
// streams. Every verb returns the Outcomes it caused, so that the doors can
// tell the producers in the same transaction.
//
// Invariants:
//   - one message per run and contact, by a unique index
//   - a message leaves queued for sending in a committed transaction before its
//     request is written; after a restart what is sending becomes unknown,
//     never queued
//   - a message that is unknown, or presumed to have expired, is queued again once
//     at most, by a row whose key it is; both copies are told apart by attempt
//   - every transition is a compare-and-set, and moves the tallies with it:
//     the tallies of a stream always add up to its messages, and those of an hour
//     to the messages that were made in it
//   - a message stands in messages or in past_messages. What is there has ended at
//     least whatsapp.LastNews ago, and so has everything that is known of it: who
//     asks for younger things need not look there. One that is heard of again
//     comes back, and is never sent
//   - statuses are facts kept as times: any order of arrival, any number of
//     repetitions, the same row
package outbox
