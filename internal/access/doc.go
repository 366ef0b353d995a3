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
// It owns the tables api_keys, idempotent_replies and audit.
//
// Invariants:
//   - no key can be found out from the database, the log or an error
//   - every refusal of a key is the same error, after the same work
//   - a live reply is never written over: a second effect is rolled back
//   - keys are made and revoked together with their line in the audit log
package access
