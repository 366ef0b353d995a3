// Package access knows who may and who did.
//
// API keys: one per system of the business, several of one client at a time
// while they are rotated. A key is shown once, when it is made.
//
//	jnl_4fq7zk2mw3ha_0Zk…          43 characters, 256 random bits
//	    └ id, public  └ secret; the database has its SHA-256 and nothing else
//
//	valid ──(expires_at)──▶ expired
//	  └─────(RevokeKey)──▶ revoked          both are final, and refuse at once
//
// Replies: what a request with an Idempotency-Key was answered, so that the
// same request again gets the same bytes and has no second effect. Replay asks
// and Keep writes in the transaction of the effect; a row whose time is over is
// as if it were not there, and Run takes it away.
//
// The audit log: one append-only row for every change made by a file, the
// command line, the API or the console, with the actor, the command, the
// object, and what it was before and after.
//
// Operators: people with a password and a role, who log in to the console.
// Sessions: who is in there.
//
//	password ─┐                  ┌─(12 h without a request, 7 days at all)─▶ over
//	API key  ─┼─▶ token ─▶ in ───┼─(Logout, EndSessions, another password)─▶ over
//	link     ─┘                  └─(operator disabled, key revoked) ───────▶ over
//
// It owns the tables api_keys, idempotent_replies, audit, operators, sessions and
// login_links.
//
// Invariants:
//   - no key can be found out from the database, the log or an error
//   - every refusal of a key is the same error, after the same work
//   - a live reply is never written over: a second effect is rolled back
//   - keys are made and revoked together with their line in the audit log
//   - no token, link or password can be found out from the database, the log or an
//     error
//   - what a session may is asked of its operator or key with every request
//   - every refusal of a login is the same error, after the same work; no password
//     is hashed inside of a transaction, and at most two at once
package access
