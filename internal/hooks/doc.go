// Package hooks tells the business's own systems what happened: webhooks,
// durable, signed, to several targets, each with a filter of its own.
//
// A target is of one of three modes:
//
//	events       JSON {type, timestamp, data} in the form of Standard Webhooks
//	             (webhook-id, webhook-timestamp, webhook-signature). Data holds
//	             ids and masked numbers, never a full number or a text: it is
//	             stored once for all targets. Who needs more asks the API.
//	passthrough  Meta's callback as it came: the very bytes, the original
//	             X-Hub-Signature-256 and Content-Type. A chatbot that was built
//	             for Meta verifies Meta's own signature and works behind janela
//	             without a change. webhook-id is all that is added.
//	stream       the same JSON as events, kept for MaxAge and read from any place
//	             on (Read): nothing is sent, and there is no address.
//
// Emit and Pass write rows in the transaction of what they tell of: what was
// rolled back is told to nobody, what was committed is told at least once, and
// no answer of a target is ever waited for. Nothing is written where no target
// wants it. The commit wakes the target's loop; a turn of it is one transaction
// that settles the answers that came in and claims what leaves next.
//
//	waiting ──▶ queued ──claim──▶ sending ──2xx──▶ (the row goes)
//	              ▲ │                │
//	              │ └──deadline──────┼──▶ dead ──Retry──▶ queued
//	              └──back-off, crash─┘
//
// Order: of the same key (Event.Key; a callback's person) one delivery is queued
// or sending at a time, and those behind it wait. Keys do not wait for each
// other, and targets even less: each has its own loop, requests and back-off. A
// target that is away gets one request at a time, after a twentieth of the time
// that it has been away (at most a minute for callbacks, ten for events), and then
// everything in order. A delivery that reaches the target and is refused, again
// and again, is tried after pauses that double (1 s to 1 h), and holds up its key
// for a while only (a callback two minutes, an event six hours): then it steps
// aside, and those behind it go on.
//
// Answers: 2xx has arrived. 410 pauses the target, until Resume or another
// address. A redirect is a failure like all the rest, never followed. 429 and 503
// may name a Retry-After. After MaxAge a delivery is dead: kept for a week, so
// that Retry can bring it back.
//
// Invariants:
//   - a delivery is claimed on disk, by compare-and-set, before its request
//   - after a crash what was in flight is sent again: webhook-id stays the same
//     over all requests and targets, and is what receivers know a repeat by
//   - of one key, at most one delivery is under way to a target (unique index)
//   - a payload stands as long as one of its deliveries does, and no longer
//   - a target's rows never take more than MaxBytes: what comes beyond is
//     counted as dropped, and the transaction it came in goes through
//   - no secret and no address but its host ever stands in a log, an error or a
//     table; plain http goes to loopback and private addresses only
//
// Tables: hook_targets, hook_payloads (callbacks: personal data),
// hook_deliveries.
package hooks
