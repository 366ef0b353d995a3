// Package account keeps what Meta last said of the business's own things: its
// templates, its sending numbers with their quality and limits, and the files
// uploaded for headers. It owns the tables templates, numbers and media.
//
//	Graph API ──Sync (at start, every few minutes, on a wake)──▶ templates, numbers
//	callbacks ──ApplyTemplate…, ApplyNumber… (in intake's transaction)──▶ templates, numbers
//	Media (before a run, and while it lasts) ──▶ media: Meta's id of a file, by number and content
//
// Only a template whose status is APPROVED may be sent; every other status, and
// a template Meta does not list, stops its streams (the gate asks at every
// claim). An event that is not a status (FLAGGED, LOCKED, REINSTATED, UNARCHIVED)
// makes us read the template again.
//
// Invariants:
//   - a template's hash changes when its category or components do
//   - an id of a file is handed out for 29 days at most, and renewed after 25; what
//     Meta refused is forgotten
//   - what is older changes nothing that is newer: neither a listing that was asked
//     for before a callback told, nor a callback that Meta repeats late
//   - a successful read of an account lifts the hold that a bad token placed
package account
