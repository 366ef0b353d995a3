package conversations

import (
	"fmt"

	"janela/internal/store"
)

// sqlAlone names, of messages that were just accepted, those that surely open a
// conversation, because nothing else can matter: no status of the message is
// known; the person is one contact, has no conversation on the number that is
// open then or later (none that opened 72 h before can be), and wrote nothing
// since a day before. A message of ours from then on would have a conversation
// open; a foreign one may have none.
var sqlAlone = store.SQLMany(`WITH a(id, number_id, at) AS (VALUES {rows})
	SELECT a.id, m.contact_id FROM a CROSS JOIN messages m CROSS JOIN contacts c
	WHERE m.id = a.id AND m.state = 'accepted' AND m.accepted_at = a.at AND m.sent_at = 0 AND m.delivered_at = 0 AND m.read_at = 0 AND m.failed_at = 0
	AND c.id = m.contact_id AND c.root = c.id AND NOT EXISTS (SELECT 1 FROM contacts k WHERE k.root = m.contact_id AND k.id <> m.contact_id)
	AND NOT EXISTS (SELECT 1 FROM conversations v WHERE v.contact_id = m.contact_id AND v.number_id = a.number_id AND v.opened_at > a.at - 259200000 AND v.expires_at > a.at)
	AND NOT EXISTS (SELECT 1 FROM inbound_messages i WHERE i.contact_id = m.contact_id AND i.number_id = a.number_id AND i.at > a.at - 86400000)
	AND NOT EXISTS (SELECT 1 FROM foreign_messages f WHERE f.contact_id = m.contact_id AND (f.sent_at >= a.at OR f.delivered_at >= a.at OR f.read_at >= a.at))`,
	`(CAST(?r1 AS BIGINT), CAST(?r2 AS TEXT), CAST(?r3 AS BIGINT))`)

// sqlInsertMany is sqlInsert for several rows.
var sqlInsertMany = store.SQLMany(`INSERT INTO conversations (`+columns+`) VALUES {rows}`,
	`(?r1, ?r2, ?r3, ?r4, ?r5, ?r6, ?r7, ?r8, ?r9, ?r10, ?r11, ?r12, ?r13, ?r14, ?r15)`)

type aloneRow struct{ message, contact int64 }

// Fields names the places of sqlAlone's columns.
func (a *aloneRow) Fields() []any { return []any{&a.message, &a.contact} }

// begin opens the conversations of messages that were just accepted, where it is
// certain that they open one: so begin most messages of campaigns. It returns
// the touches that are left. Of two messages to one person the second is: what
// Recompute makes of it is right for both.
func begin(tx *store.Tx, touches []Touch) (left []Touch, changed []Change, err error) {
	fresh := make([]*Touch, 0, len(touches))
	at := make(map[int64]int, len(touches)) // by message
	for i := range touches {
		if t := &touches[i]; t.Accepted > 0 {
			at[t.Accepted] = i
			fresh = append(fresh, t)
		}
	}
	if len(fresh) == 0 {
		return touches, nil, nil
	}
	rows := make([]Row, 0, len(fresh))
	begun := make(map[ledgerKey]int64, len(fresh)) // the message that does
	err = store.EachMany(tx, sqlAlone, len(fresh), func(i int, args []any) []any {
		return append(args, fresh[i].Accepted, fresh[i].Number, store.Millis(fresh[i].Since))
	}, func(a *aloneRow) error {
		t := &touches[at[a.message]]
		key := ledgerKey{t.Number, a.contact}
		if _, ok := begun[key]; ok {
			return nil
		}
		begun[key] = a.message
		rows = append(rows, Row{ID: tx.NewID(), Number: t.Number, Contact: a.contact, Conversation: Conversation{Category: t.Category, Origin: FromBusiness,
			OpenedAt: t.Since, ExpiresAt: t.Since.Add(Length), Provisional: true, OpenedBy: a.message, MessagesOut: 1}})
		return nil
	})
	if err == nil {
		_, err = tx.ExecMany(sqlInsertMany, len(rows), func(i int, args []any) []any { return append(args, rows[i].values()...) })
	}
	if err == nil {
		open := ends{}
		for i := range rows {
			open.add(rows[i].Conversation, 1)
		}
		err = open.write(tx)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("conversations: open those of %d messages: %w", len(fresh), err)
	}
	changed = make([]Change, len(rows))
	for i := range rows {
		changed[i] = Change{ID: rows[i].ID, Opened: true, Row: rows[i]}
	}
	for _, t := range touches {
		if begun[ledgerKey{t.Number, t.Contact}] != t.Accepted || t.Accepted == 0 {
			left = append(left, t)
		}
	}
	return left, changed, nil
}
