package outbox

import (
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ReasonRestored is the reason of a message that was queued in a database that
// is older than what was sent: it may have left since.
const ReasonRestored = "restored"

var (
	sqlDoubtful = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE stream_id = ?1 AND state = 'queued' AND (run_id > 0 OR id <= ?2) ORDER BY not_before, id LIMIT ?3`)
	sqlDoubt    = store.SQL(`UPDATE messages SET state = 'unknown', reason = 'restored', attempt = attempt + 1, claimed_at = ?2, ended_at = ?2 WHERE id = ?1 AND state = 'queued'`)
)

// Doubt ends queued messages of which nobody can say any more whether they were
// sent, because a database was restored: those of runs, and single ones with an
// id up to older, but codes. They are unknown, which never leaves again by
// itself; a status still tells what became of them. It takes at most limit at a
// call: call it until it returns none.
func Doubt(tx *store.Tx, older int64, limit int) ([]Outcome, error) {
	c := begin(tx)
	now := store.Millis(tx.Now())
	for _, lane := range []whatsapp.Lane{whatsapp.LaneUtility, whatsapp.LaneMarketing} {
		ready, err := ReadyStreams(tx, lane)
		if err != nil {
			return nil, err
		}
		for _, s := range ready {
			if s.DryRun || limit <= 0 {
				continue
			}
			c.streams[s.ID] = s.Stream
			rows, err := store.All[Message](tx, sqlDoubtful, s.ID, older, limit)
			if err != nil {
				return nil, err
			}
			for i := range rows {
				after := rows[i]
				after.State, after.Reason, after.Attempt, after.ClaimedAt = Unknown, ReasonRestored, after.Attempt+1, now
				if err := tx.One(sqlDoubt, after.ID, now); err != nil {
					return nil, err
				}
				if err := c.moved(&rows[i], &after); err != nil {
					return nil, err
				}
			}
			limit -= len(rows)
		}
	}
	return c.end()
}
