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

// Confirmed says that Meta named its own time (At) of a message of ours, which
// counted with our acceptance (Was) until now.
type Confirmed struct {
	Number           string
	Contact, Message int64
	Category         whatsapp.Category // of the message
	Was, At          time.Time
}

var (
	// sqlConfirm finds the conversations that such messages opened, alone of the
	// person's messages since ?r5. It finds none where anything else could matter.
	sqlConfirm = store.SQLMany(`WITH a(n, contact, number_id, message, since, was, category) AS (VALUES {rows})
	SELECT a.n, v.id FROM a CROSS JOIN conversations v
	WHERE v.contact_id = a.contact AND v.number_id = a.number_id AND v.opened_at = a.was AND v.category = a.category AND v.opened_by = a.message AND v.closed_at = 0
	AND NOT EXISTS (SELECT 1 FROM contacts c WHERE c.root = a.contact AND c.id <> a.contact)
	AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.contact_id = a.contact AND m.contact_id > 0 AND m.run_id > 0 AND m.id <> a.message
		AND (m.accepted_at >= a.since OR m.sent_at >= a.since OR m.delivered_at >= a.since OR m.read_at >= a.since))
	AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.contact_id = a.contact AND m.contact_id > 0 AND m.run_id = 0 AND m.id <> a.message
		AND (m.accepted_at >= a.since OR m.sent_at >= a.since OR m.delivered_at >= a.since OR m.read_at >= a.since))
	AND NOT EXISTS (SELECT 1 FROM foreign_messages f WHERE f.contact_id = a.contact
		AND (f.sent_at >= a.since OR f.delivered_at >= a.since OR f.read_at >= a.since))
	AND NOT EXISTS (SELECT 1 FROM inbound_messages i WHERE i.contact_id = a.contact AND i.at >= a.since)`,
		`(CAST(?r1 AS BIGINT), CAST(?r2 AS BIGINT), CAST(?r3 AS TEXT), CAST(?r4 AS BIGINT), CAST(?r5 AS BIGINT), CAST(?r6 AS BIGINT), CAST(?r7 AS TEXT))`)
	// sqlMove moves such a conversation to Meta's instant.
	sqlMove = store.SQL(`UPDATE conversations SET opened_at = ?2, expires_at = ?3, provisional = 0 WHERE id = ?1`)
)

type confirmRow struct{ n, id int64 }

// Fields names the places of sqlConfirm's columns.
func (r *confirmRow) Fields() []any { return []any{&r.n, &r.id} }

// Confirm takes up Meta's own times where they are all that can differ: a message
// opened its conversation, and nothing else of the person's happened for days. That
// is how most messages of campaigns go, and costs few statements for many. did says
// of each whether it was so; of the others it changed nothing, and Recompute must.
func Confirm(tx *store.Tx, all ...Confirmed) (did []bool, err error) {
	did = make([]bool, len(all))
	asked := make([]int, 0, len(all))
	seen := make(map[int64]bool, len(all))
	for i := range all {
		if c := &all[i]; !seen[c.Message] && !past(tx, c.since()) {
			asked = append(asked, i)
			seen[c.Message] = true
		}
	}
	var found []confirmRow
	err = store.EachMany(tx, sqlConfirm, len(asked), func(i int, args []any) []any {
		c := &all[asked[i]]
		return append(args, int64(asked[i]), c.Contact, c.Number, c.Message, store.Millis(c.since()), store.Millis(c.Was), string(c.Category))
	}, func(r *confirmRow) error { found = append(found, *r); return nil })
	open := ends{}
	for _, r := range found {
		if err != nil {
			break
		}
		c := &all[r.n]
		did[r.n] = true
		open.add(Conversation{Category: c.Category, ExpiresAt: c.Was.Add(Length)}, -1)
		open.add(Conversation{Category: c.Category, ExpiresAt: c.At.Add(Length)}, 1)
		err = tx.One(sqlMove, r.id, store.Millis(c.At), store.Millis(c.At.Add(Length)))
	}
	if err == nil {
		err = open.write(tx)
	}
	if err != nil {
		return nil, fmt.Errorf("conversations: confirm the openers of %d: %w", len(all), err)
	}
	return did, nil
}

// since is from when on nothing else of the person's may have happened.
func (c *Confirmed) since() time.Time {
	if c.At.Before(c.Was) {
		return c.At.Add(-alone)
	}
	return c.Was.Add(-alone)
}
