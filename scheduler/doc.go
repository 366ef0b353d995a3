// Package scheduler turns cron specs and single dates into durable slots, each
// fired exactly once.
//
// A schedule is a Spec under its owner's key ("campaign:<id>"). A slot is one
// firing of it: a civil (local) minute in a zone, and the instant at which that
// minute is due. Tables: schedules, slots.
//
//	(none) → due → fired        the owner's function ran, in the same transaction
//	          ├──→ missed       too late for the policy, for max_lateness or for ends_at
//	          ├──→ skipped      run_once, or too many: a newer slot ran instead
//	          └──→ cancelled    the schedule changed or was removed; due again if it comes back
//
// Civil time. A cron expression is read in civil time, where every day has 24
// hours, and each civil minute is then given the first instant at which the
// zone's clock shows it or anything later. So a minute that the clock jumps
// over is due right after the jump, and an hour that comes twice fires in its
// first pass only. Several minutes that fall on one instant (every quarter of a
// lost hour) are one slot, under the latest of them. Skipped dates are local
// dates, and are dropped, not moved. Slots at or after ends_at do not exist.
//
// Lateness. A slot up to a minute late is on time. A later one was missed, and
// the schedule's policy says what happens: run_once fires the newest, run_all
// fires each in order (but once if there are more than 100), skip fires none.
// Nothing fires later than max_lateness. A slot whose firing failed in time is
// not missed: it is tried again until max_lateness. Whether a firing falls into
// a window in which messages may leave is its owner's question.
//
// Memory. through is the instant up to which a schedule's slots are rows; one
// more row looks ahead, so that the table tells what comes next and the loop
// when to wake. After an absence of more than 200 slots the first and the newest
// 199 become rows.
//
// Invariants:
//   - a slot is unique by (key, civil, zone), and leaves 'due' by compare-and-set:
//     it fires once over restarts, crashes and steps of the clock
//   - through never goes back, but by Rewind
//   - an active schedule that has a slot to come has it as a row
//   - robfig/cron parses and computes; it keeps no time and no memory here
package scheduler
