// Package account keeps what Meta last said of the business's own things: its
// templates, its sending numbers with their quality and limits, and the files
// uploaded for headers. It owns the tables templates, numbers and media.
//
//	Graph API ──Sync (at start, every few minutes, on a wake)──▶ templates, numbers
//	callbacks ──ApplyTemplate…, ApplyNumber… (in intake's transaction)──▶ templates, numbers
//
// Only a template whose status is APPROVED may be sent; every other status, and
// a template Meta does not list, stops its streams (the gate asks at every
// claim). An event that is not a status (FLAGGED, LOCKED, REINSTATED, UNARCHIVED)
// makes us read the template again.
//
// Invariants:
//   - a template's hash changes when its category or components do
//   - a successful read of an account lifts the hold that a bad token placed
package account
