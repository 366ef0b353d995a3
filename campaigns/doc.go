// Package campaigns turns definition files and their audiences into messages.
//
//	folder ──stable file──▶ parse, check ──▶ revision ──(approval)──▶ schedule
//	                            └─faults─▶ status file, log            │ slot fires
//	                                                                   ▼
//	              finished ◀─all settled─ sending ◀──admitted──── run: expanding
//
// A definition's content is a revision; a firing of its schedule is a run. When
// a revision is taken, the audience of a one-off and the media files are copied
// into the spool, when a cron run starts, its audience is: what runs is frozen,
// whatever happens in the folder. Recipients become messages in batches of at
// most 200; a run that was interrupted goes on at the row it had reached.
//
// Tables: campaigns, revisions, runs, rejects, once_keys.
//
// Invariants:
//   - the user's own files are never written
//   - a faulty file disturbs no other, and changes nothing of a campaign that runs
//   - one message per person and run, whatever the spelling of the number
//   - a removed file pauses its campaign; only cancel is final
//   - a folder that is missing, unreadable or emptied at once changes nothing
package campaigns
