package conversations

import (
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// sqlBegin opens the conversation of a message (?3) that was just accepted (?5),
// where nothing else can matter: the person is one contact, has no conversation
// on the number (?2) that is open then or later (?7: none that opened before can
// be), and wrote nothing since a day before (?8). A message of ours from then on
// would have a conversation open; a foreign one may have none.
var sqlBegin = store.SQL(`INSERT INTO conversations (` + columns + `)
	SELECT CAST(?1 AS BIGINT), CAST(?2 AS TEXT), m.contact_id, CAST(?4 AS TEXT), 'business', 0, m.accepted_at, CAST(?6 AS BIGINT), 0, 1, m.id, '', 0, 1, 0
	FROM messages m CROSS JOIN contacts c
	WHERE m.id = ?3 AND m.state = 'accepted' AND m.accepted_at = ?5 AND m.sent_at = 0 AND m.delivered_at = 0 AND m.read_at = 0 AND m.failed_at = 0
	AND c.id = m.contact_id AND c.root = c.id AND NOT EXISTS (SELECT 1 FROM contacts k WHERE k.root = m.contact_id AND k.id <> m.contact_id)
	AND NOT EXISTS (SELECT 1 FROM conversations v WHERE v.contact_id = m.contact_id AND v.number_id = CAST(?2 AS TEXT) AND v.opened_at > ?7 AND v.expires_at > ?5)
	AND NOT EXISTS (SELECT 1 FROM inbound_messages i WHERE i.contact_id = m.contact_id AND i.number_id = CAST(?2 AS TEXT) AND i.at > ?8)
	AND NOT EXISTS (SELECT 1 FROM foreign_messages f WHERE f.contact_id = m.contact_id AND (f.sent_at >= ?5 OR f.delivered_at >= ?5 OR f.read_at >= ?5))`)

// Begin opens the conversation of a message that was accepted at an instant, of
// which no status is known, where it is certain that it opens one. That is how
// most messages of campaigns begin, and costs one statement. If it did not, it
// changed nothing, and Recompute must. Of what else changed with it, Recompute
// must be told afterwards.
func Begin(tx *store.Tx, number string, message int64, category whatsapp.Category, at time.Time) (did bool, err error) {
	n, err := tx.Exec(sqlBegin, tx.NewID(), number, message, string(category), store.Millis(at), store.Millis(at.Add(Length)),
		store.Millis(at.Add(-FreeEntryLength)), store.Millis(at.Add(-WindowLength)))
	if err != nil {
		return false, fmt.Errorf("conversations: open the conversation of message %d: %w", message, err)
	}
	return n > 0, nil
}
