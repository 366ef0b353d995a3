// Package doctor looks whether a house can work, and says for everything that is
// wrong how it is put right. It changes nothing.
//
//	configuration ─┐
//	the machine   ─┤
//	the database  ─┼─▶ checks, one small function each ─▶ Report: OK, WARN, FAIL, SKIP
//	the daemon    ─┤      in the order in which one would mend them
//	Meta          ─┘
//
// It works with a running daemon, which is asked for what only it knows, and
// without one. The database is read through the store alone, and no lock of it
// is kept. To Meta it only reads; to our own callback address it does Meta's
// handshake, and posts one signed callback without content.
//
// Invariants:
//   - every finding is a row of the table of faults, with its fix; docs/doctor.md
//     has the same table, and a test compares
//   - a check that cannot be made says so and is no failure; the reason is a
//     finding of another check
//   - no secret, full number or message text is in a report
package doctor
