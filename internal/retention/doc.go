// Package retention keeps the tables small that every send works with: it moves
// messages that ended long ago to the past (outbox.Retire), and removes Meta's
// callbacks that were applied long ago, as the policy says. Reports, the files of
// people, conversations and statuses that come late find in the past what they
// need.
//
// It owns no table, and nothing waits for it: once an hour it goes through what is
// old enough, a few messages in one transaction that makes way for everybody, and
// rests between two. Where it was is written nowhere: what was moved is not met
// again, so it begins anew after a crash.
//
// Invariants:
//   - a message is moved in one transaction: after any crash it stands in one of
//     the two tables
//   - while the clock, the disk or the database cannot be trusted (guard), it rests;
//     and for a day when it did not look for longer than that, because the clock
//     may have been set: nothing brings back what went by a wrong one
//   - pages that become free are used again by SQLite; the file does not shrink
package retention
