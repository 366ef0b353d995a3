package conversations

import (
	"fmt"

	"janela/internal/store"
)

// sqlBegin opens the conversations of those of the messages that were just accepted
// of which it is certain, because nothing else can matter: no status of the message
// is known; the person is one contact, has no conversation on the number that is
// open then or later (none that opened 72 h before can be), and wrote nothing
// since a day before. A message of ours from then on would have a conversation
// open; a foreign one may have none.
var sqlBegin = store.SQLMany(`WITH a(id, number_id, contact_id, category, at, message_id) AS (VALUES {rows})
	INSERT INTO conversations (`+columns+`)
	SELECT a.id, a.number_id, a.contact_id, a.category, 'business', 0, a.at, a.at + 86400000, 0, 1, a.message_id, '', 0, 1, 0
	FROM a CROSS JOIN messages m CROSS JOIN contacts c
	WHERE m.id = a.message_id AND m.contact_id = a.contact_id AND m.state = 'accepted' AND m.accepted_at = a.at AND m.sent_at = 0 AND m.delivered_at = 0 AND m.read_at = 0 AND m.failed_at = 0
	AND c.id = a.contact_id AND c.root = c.id AND NOT EXISTS (SELECT 1 FROM contacts k WHERE k.root = a.contact_id AND k.id <> a.contact_id)
	AND NOT EXISTS (SELECT 1 FROM conversations v WHERE v.contact_id = a.contact_id AND v.number_id = a.number_id AND v.opened_at > a.at - 259200000 AND v.expires_at > a.at)
	AND NOT EXISTS (SELECT 1 FROM inbound_messages i WHERE i.contact_id = a.contact_id AND i.number_id = a.number_id AND i.at > a.at - 86400000)
	AND NOT EXISTS (SELECT 1 FROM foreign_messages f WHERE f.contact_id = a.contact_id AND (f.sent_at >= a.at OR f.delivered_at >= a.at OR f.read_at >= a.at))
	RETURNING opened_by`,
	`(CAST(?r1 AS BIGINT), CAST(?r2 AS TEXT), CAST(?r3 AS BIGINT), CAST(?r4 AS TEXT), CAST(?r5 AS BIGINT), CAST(?r6 AS BIGINT))`)

// begin opens the conversations of messages that were just accepted, where it is
// certain that they open one: so begin most messages of campaigns. It returns
// the touches that are left. Of two messages to one person the second is: what
// Recompute makes of it is right for both.
func begin(tx *store.Tx, touches []Touch) (left []Touch, changed []Change, err error) {
	rows := make([]Row, 0, len(touches))
	of := make(map[ledgerKey]int, len(touches)) // the row that may be
	for i := range touches {
		t := &touches[i]
		key := ledgerKey{t.Number, t.Contact}
		if _, ok := of[key]; ok || t.Accepted == 0 {
			continue
		}
		of[key] = len(rows)
		rows = append(rows, Row{ID: tx.NewID(), Number: t.Number, Contact: t.Contact, Conversation: Conversation{Category: t.Category, Origin: FromBusiness,
			OpenedAt: t.Since, ExpiresAt: t.Since.Add(Length), Provisional: true, OpenedBy: t.Accepted, MessagesOut: 1}})
	}
	if len(rows) == 0 {
		return touches, nil, nil
	}
	begun := make(map[int64]bool, len(rows)) // by message
	err = store.EachMany(tx, sqlBegin, len(rows), func(i int, args []any) []any {
		r := &rows[i]
		return append(args, r.ID, r.Number, r.Contact, string(r.Category), store.Millis(r.OpenedAt), r.OpenedBy)
	}, func(message *store.Col[int64]) error {
		begun[message.V] = true
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("conversations: open those of %d messages: %w", len(rows), err)
	}
	changed = make([]Change, 0, len(begun))
	open := ends{}
	for i := range rows {
		if begun[rows[i].OpenedBy] {
			open.add(rows[i].Conversation, 1)
			changed = append(changed, Change{ID: rows[i].ID, Opened: true, Row: rows[i]})
		}
	}
	for i := range touches {
		if !begun[touches[i].Accepted] {
			left = append(left, touches[i])
		}
	}
	return left, changed, open.write(tx)
}
