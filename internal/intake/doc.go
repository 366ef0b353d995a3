// Package intake is the only door in: Meta's callbacks.
//
// Its handler verifies the signature over the raw bytes, stores the callback
// once, and answers 200 only when it is on disk; a second loop applies stored
// callbacks to the ledgers in the order they came, at most a hundred events in
// one transaction, because codes wait for it. Callbacks of nothing but statuses,
// which make the same rows in any order, are applied by the transaction that
// stores them, together with others that come at the same time.
//
//	POST ──verify──▶ stored ──200──▶ Meta
//	          │        └──apply──▶ applied │ failed (kept, with the reason)
//	          │        └──◀── retried by a person, and once by a new version ──┘
//	          └─statuses─▶ applied ──200──▶ Meta; where that fails, stored
//
// Invariants:
//   - a callback answered 200 is on disk; one that could not be stored is
//     answered 503, and Meta sends it again
//   - the same bytes are stored once, however often Meta sends them
//   - STOP and preferences are applied before anything else of a callback
//   - a callback that cannot be applied never stops those behind it
//
// It owns the table callbacks (raw bodies: personal data).
package intake
