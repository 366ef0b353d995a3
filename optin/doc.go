// Package optin is the consent ledger: what a person granted or revoked, for
// which category, in which scope, when, by what means and with what proof. It
// permits, and nothing else does: a message leaves only if Decide says granted.
//
// What is written down is sealed afterwards (Ledger), with a key that is in no
// database; Verify finds whatever was changed since.
//
// Tables: consent_events (append only: the proof), consents (what the events
// add up to), consent_imports (files that were read, by content),
// consent_reviews (messages that may mean an opt-out), consent_seals,
// forgettings and suppressions (who was forgotten, and must not come back),
// pending_consents (what the person has not confirmed yet: it permits nothing).
//
// A consent's scope is '*' (every number), the name of one number, or a
// business unit. '@meta' is apart: it mirrors the block a person set in
// WhatsApp itself, which Meta reports (user_preferences, error 131050).
//
//	no_opt_in ──Record──▶ granted ──Revoke──▶ opted_out ──Record, later──▶ granted
//	                         └────── Revoke @meta ──▶ opted_out ──Lift──▶ as before
//
// Invariants:
//   - consents holds the latest grant and the latest revocation of a contact,
//     category and scope, and nothing about the order in which they were
//     written: any order of the same events, any number of times, gives the
//     same answer
//   - consent holds while the latest grant in a matching scope is later than
//     the latest revocation in a matching scope; at a tie it is revoked. So an
//     older grant never overrides a later revocation
//   - a grant counts for the contact it was given to; a revocation binds every
//     contact found to be the same person, and is written to everybody the wide
//     match finds (a Brazilian number with and without its ninth digit): better
//     one person too many than one too few
//   - that reach does not depend on who was known when: Revoke writes to those
//     it finds, and Record, before its grant, brings home the revocations of
//     those the contact matches
//   - nobody consents or revokes later than it was written down: an instant in
//     the future counts as the instant of recording, so that a STOP always
//     beats what was there before it
//   - while a review is open, marketing waits for everybody a STOP of that person
//     would reach, and nothing is revoked: a row of the scope '@review' in
//     consents, which is no event and goes when somebody has decided
//   - Revoke itself cancels the queued messages that are forbidden now; no
//     caller can forget it
package optin
