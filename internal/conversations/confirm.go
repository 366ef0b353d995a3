package conversations

import (
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// alone is how long before a message nothing else must have happened for it to
// be alone: the longest conversation (72 h) is over, and so is the day in which
// the answer to an ad opens one.
const alone = FreeEntryLength + WindowLength

// sqlConfirm moves a conversation that a message (?3) opened, alone of the
// person's (?1, on number ?2) messages since ?6, to the instant that Meta names
// (?4, ?5 its end). It finds no row where anything else could matter.
var sqlConfirm = store.SQL(`UPDATE conversations SET opened_at = ?4, expires_at = ?5, provisional = 0
	WHERE contact_id = CAST(?1 AS BIGINT) AND number_id = CAST(?2 AS TEXT) AND opened_by = ?3 AND opened_at = ?7 AND closed_at = 0 AND category = ?8
	AND NOT EXISTS (SELECT 1 FROM contacts c WHERE c.root = CAST(?1 AS BIGINT) AND c.id <> ?1)
	AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.contact_id = CAST(?1 AS BIGINT) AND m.contact_id > 0 AND m.run_id > 0 AND m.id <> ?3
		AND (m.accepted_at >= ?6 OR m.sent_at >= ?6 OR m.delivered_at >= ?6 OR m.read_at >= ?6))
	AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.contact_id = CAST(?1 AS BIGINT) AND m.contact_id > 0 AND m.run_id = 0 AND m.id <> ?3
		AND (m.accepted_at >= ?6 OR m.sent_at >= ?6 OR m.delivered_at >= ?6 OR m.read_at >= ?6))
	AND NOT EXISTS (SELECT 1 FROM foreign_messages f WHERE f.contact_id = CAST(?1 AS BIGINT)
		AND (f.sent_at >= ?6 OR f.delivered_at >= ?6 OR f.read_at >= ?6))
	AND NOT EXISTS (SELECT 1 FROM inbound_messages i WHERE i.contact_id = CAST(?1 AS BIGINT) AND i.at >= ?6)`)

// Confirm takes up Meta's own time (at) of a message that counted with our
// acceptance until now, where that is all that can differ: the message opened
// its conversation, and nothing else of the person's happened for days. That is
// how most messages of campaigns go, and costs one statement. If it did not, it
// changed nothing, and Recompute must. was is our time of it, and category the
// message's.
func Confirm(tx *store.Tx, number string, contact, message int64, category whatsapp.Category, was, at time.Time) (did bool, err error) {
	since := was
	if at.Before(was) {
		since = at
	}
	if past(tx, since.Add(-alone)) {
		return false, nil
	}
	n, err := tx.Exec(sqlConfirm, contact, number, message, store.Millis(at), store.Millis(at.Add(Length)), store.Millis(since.Add(-alone)), store.Millis(was), string(category))
	if err != nil {
		return false, fmt.Errorf("conversations: confirm the opener of contact %d: %w", contact, err)
	}
	if n == 0 {
		return false, nil
	}
	open := ends{}
	open.add(Conversation{Category: category, ExpiresAt: was.Add(Length)}, -1)
	open.add(Conversation{Category: category, ExpiresAt: at.Add(Length)}, 1)
	return true, open.write(tx)
}
