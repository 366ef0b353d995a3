// Package store opens the database and runs transactions in it.
//
// One goroutine writes. Callers hand it functions, and it commits many of them
// together (group commit): BEGIN IMMEDIATE, one savepoint per function, COMMIT
// with synchronous=FULL, and only then an answer to every caller. There are two
// entrances: Write, for when somebody waits (it goes first and ends the batch),
// and Bulk, for when nobody does (at most 200 rows a function, a batch of at
// most 5 ms). Readers have their own read-only connections and short snapshots.
//
// Invariants:
//   - a function runs once; its error or panic undoes that function only
//   - what a caller was told is committed, is on disk
//   - Now is one instant per transaction and never goes backwards
//   - message ids are ordered by time and never come again, also after the
//     clock stepped back or the process restarted
//   - one process writes a file: a lock beside it (never on it: closing a
//     descriptor of a database file drops SQLite's own locks)
//
// Statements are package-level values made by SQL, with ?1 ?2 … (mattn's driver
// binds $2,$1 by order of appearance, silently wrong). Tables: settings.
package store
