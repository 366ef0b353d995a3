// Package httpapi is the face that programs see: JSON over HTTP. Everything the
// command line changes or reads is one operation of its handler, which decodes,
// calls the rooms, and encodes.
//
//	janela COMMAND ─▶ Client ─┬─ unix socket (0600) ─▶ running daemon ─┐
//	                          └─ in memory ──▶ daemon without loops ───┴▶ Server ─▶ rooms
//
// Both ways lead through the same handler, so a command does the same whether
// the daemon runs or not.
//
//	plan, check        POST /v1/plan, /v1/check
//	campaigns          GET  /v1/campaigns, /v1/campaigns/{id}, …/report
//	                   POST /v1/campaigns/{id}/{draft|test|approve|pause|resume|cancel}
//	why                GET  /v1/why, /v1/messages/{id}
//	consent            GET  /v1/consents, POST /v1/consents/{grant|revoke|import}
//	templates          GET  /v1/templates, POST /v1/templates/sync
//	conversations      GET  /v1/conversations, …/{id}/messages, …/report
//	                   POST /v1/conversations/rebuild
//	replies            POST /v1/replies
//	holds              GET, POST /v1/holds, POST /v1/holds/release
//	unknown messages   GET  /v1/unknown, POST /v1/unknown/resolve
//	callbacks          GET  /v1/callbacks, POST /v1/callbacks/retry
//	undeliverable      GET  /v1/undeliverable, POST /v1/undeliverable/clear
//	API keys           GET, POST /v1/keys, POST /v1/keys/{id}/revoke
//	the console        GET, POST /v1/operators, POST /v1/operators/{name}/{password|role|disable}
//	                   POST /v1/console/links
//	codes              GET  /v1/otp/doctor, POST /v1/otp/unlock, /v1/otp/keys/rotate
//	pages              GET  /v1/today, /v1/templates/{name}, /v1/otp/funnel
//	people             GET  /v1/contacts/{id}, …/messages; POST /v1/contacts/lookup
//	the house          GET  /v1/status, /v1/audit, /v1/self, /v1/flow; POST /v1/trials
//
// A second face, Public, is for the business's own systems, over TCP and with
// API keys: one table of endpoints, which is what is served and what is described
// (OpenAPI). Codes, messages and consents have hand-written readers; what is newer
// is checked against the description itself.
//
//	POST /v1/otp ─▶ key, scope ─▶ strict body ─┬─ one transaction ─────────────────┐
//	POST /v1/otp/{id}/{verify|resend|cancel} ──┘  reply of before? · otp · keep it ├─▶ JSON or Problem
//	GET  /v1/otp/{id} ─▶ key, scope, rate ─▶ one snapshot, again at each change ───┘
//
// It owns no table; drafts are new files in the campaigns folder.
//
// Invariants:
//   - who acts is told by the kernel (the socket's peer) or by the process
//     itself, never by the request; a request of nobody is refused
//   - every change is noted in the audit log in its own transaction; an import,
//     which takes many, is noted when it ends
//   - an answer that is no success is a Problem: title, detail, code, hint
//   - no body, no phone and no text is logged; a full number stands only in the
//     answer to somebody who may read the database anyway, and in the one to the
//     right code; a wamid, which contains it, also in the answer to a key that
//     may read conversations; whoever may take out the consent ledger, or a
//     person's dossier, gets both
//   - no answer of the public face repeats anything of its request, and none
//     tells another client's challenge from one that never was
//   - what a repeated request gets again was kept in the transaction of its
//     effect
//
//go:generate sh -c "go run janela/cmd/janela openapi > ../../docs/openapi.yaml"
package httpapi
