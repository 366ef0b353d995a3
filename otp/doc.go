// Package otp sends one-time codes over WhatsApp and verifies them: a challenge
// is asked for, its code goes out as a message of the outbox, and what the person
// types is judged here.
//
// Tables: challenges (personal), code_sends, code_decoys, code_counts,
// code_ranges, code_rates, code_failures, code_phones, code_baselines,
// code_fallbacks, code_hours.
//
// A challenge's life:
//
//	            ┌────────▶ verified     the right code, once
//	            ├────────▶ exhausted    the last attempt was wrong
//	            ├────────▶ expired      its code's time is over
//	Issue ─▶ pending ────▶ cancelled    by its client
//	          │   ▲ ├────▶ superseded   by the same session's next one, or another's success
//	          └───┘ ├────▶ reported     "I didn't request a code"
//	         Resend └────▶ failed       identity_changed (137000), code_unavailable
//
// A code is HOTP (RFC 4226) with HMAC-SHA-256, six to eight digits. No code
// stands anywhere. A row has a random seed; with a key from a file beside the
// database, and what the row says of client, purpose, number and session, it
// gives the code when a message leaves (Reveal, which dispatch calls) and when a
// guess is judged (Verify). Whoever has only the database, or only the file, has
// nothing; a row that was moved to another number or session makes another code.
//
//	Issue, Resend ──▶ outbox ──▶ dispatch ──Reveal──▶ Meta
//	                                                   │ answers, statuses
//	View ◀── challenges, messages ◀── Outcomes, IdentityKey, NotRequested
//
// What WhatsApp cannot bring can go by a hook to the business's own system: always
// as a new code, charged to every limit and to a budget of its own. The row is on
// disk before the caller's reply, and claimed on disk before the request; what is
// in doubt, also after a kill, is asked once more with the same webhook-id.
//
//	fallBack ─▶ queued ──claim──▶ sending ──2xx──▶ sent
//	              ▲ │  no connection │ ├──other answers, twice──▶ failed
//	              └─┼────────────────┘ └──no answer, twice──────▶ unknown
//	                ├──▶ expired   the code was over, and no request had reached the hook
//	                └──▶ refused   so it was, and consent, a lock or other hands forbid it now
//
// Numbers stand here as keyed hashes only: phone_key is the same for every
// spelling of a number (limits, locks), phone_mac is of the exact one (what a
// code is bound to). The number itself is the message's address.
//
// Verbs that take a transaction are whole in it: Issue and Resend return *Denied
// as an error, and then nothing may be committed; Verify puts it into its
// Verdict, because what a guess cost must be committed.
//
// Invariants:
//   - an attempt is counted before the guess is compared, and never given back:
//     not by a resend, nor by a new code
//   - a challenge is verified at most once, and has no seed once it has ended
//   - only the newest code of a challenge is right; a repeat of a message that
//     was never answered carries the same code
//   - a message leaves only while its challenge is pending, its code the newest
//     and its address the number that the challenge is bound to
//   - a secret has at least 20 bytes; nothing but Reveal shows a code, and nothing
//     shows a secret or a key: they write <secret> into logs, errors, JSON and fmt
//   - at most two requests to the hook carry a code, with one id; none is made
//     after an identity change, nor within the last 30 s of the code's life
//   - nobody but the same session of the same client supersedes a challenge
//     without having the right code
package otp
