// Package sandbox is the stand-in for Meta: an http.Handler that speaks the
// wire format of the Graph API for WhatsApp, keeps a ledger of what it was
// asked to send, and posts signed webhooks back. It never sends anything to
// anybody. By default it misbehaves a little, because Meta does: statuses
// come twice, late and out of order, some people cannot be reached.
//
// One Sandbox has two doors. ServeHTTP is Meta's: paths, bodies and errors as
// the Graph API writes them. Manage is the tester's: faults to inject, inbound
// messages, template changes, the ledger, and what a phone has received. Manage
// asks for no password and must be mounted on loopback only.
//
// # A message
//
//	POST /vNN.N/{number}/messages
//	   fault? token? rate? template, parameters, window?
//	      │ no: a Graph error; nothing is recorded but the reading
//	      ▼ yes
//	   journal ▶ ledger ▶ statuses planned ▶ answer (or what the fault says)
//	                          │ Run, when due
//	                          ▼
//	   sent ▶ delivered ▶ read      or      (sent ▶) failed(code)
//
// A person can be without WhatsApp, without a network, or get another phone:
// ChangePerson. What waits for a phone is dropped when the time to live of its
// template has passed. Meta says nothing of that, and neither does the sandbox.
//
// # Invariants
//
//   - A message exists once its journal line is written, before the answer:
//     whatever happens to the answer, the ledger knows. So the ledger is the
//     oracle of crash tests: Tally.Accepted above 1 is a double send.
//   - What happens to a message is drawn from the seed and the message's own
//     key (its biz_opaque_callback_data and how often that was accepted), never
//     from the order of arrival or the time of day.
//   - A webhook is posted until it is answered with 200, also after a restart
//     when there is a journal. It is given up after seven days, as Meta does.
//   - No goroutine outlives Run. All time comes from package time, so the whole
//     sandbox lives in a testing/synctest bubble.
//
// # What it does not emulate
//
// Groups, calls, flows, carousel and limited-time-offer templates, template
// creation, Direct Send, payment, messaging limits and template pacing by
// quality. Each is refused with an error that says so. Media is measured and
// remembered, its bytes are not kept.
package sandbox
