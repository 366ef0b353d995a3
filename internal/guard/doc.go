// Package guard stops sending while the machine cannot be trusted: a clock that
// was set, a disk that is nearly full, a database that is older than what it has
// sent. It has no table of its own; what it does are holds.
//
//	clock_jump    the wall clock left the monotonic one: marketing, until it has
//	              run steadily for a minute
//	clock_behind  the wall clock is more than a minute behind the last instant
//	              of the database: marketing, until it has caught up
//	restored      the database is not the one that ran here last: marketing and
//	              utility, until somebody has looked (janela recover)
//	disk_low      the disk of the database is nearly full: marketing below the
//	              reserve, utility below half of it, until there is room
//
// It also tries a database that cannot be written until it can be, and says so
// once: everybody else's complaints about it are left out of the log (Calm).
//
// Invariants:
//   - the first transaction that sees a new time holds marketing, before
//     anything else in it is decided
//   - of a restored database nothing is sent that it had queued, or that a run
//     begins again, before somebody confirms; then that is unknown
//   - a hold that somebody released is not placed again for the same cause
package guard
