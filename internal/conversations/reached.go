package conversations

import (
	"cmp"
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Person is somebody whom the messaging limit counts (Meta: Messaging limits):
// who got, or may get, a message that the business began.
type Person struct {
	Root     int64
	Category whatsapp.Category // of what began it
	Last     int64             // ms: the latest that is known of any such message
}

// Everybody is found by the conversations that were open lately, because there is
// one for every message: of one that a single message made, its opener's times
// say all; the others are asked in full. During a free entry point a message
// opens none of its own. What Meta holds back, or never answered, stands in no
// conversation.
var (
	sqlReached = store.SQL(`SELECT COALESCE(c.root, v.contact_id), v.category, v.opened_at, v.messages_out + v.free_entry_point,
			COALESCE(m.accepted_at, 0), COALESCE(m.sent_at, 0), COALESCE(m.delivered_at, 0), COALESCE(m.read_at, 0)
		FROM conversations v LEFT JOIN contacts c ON c.id = v.contact_id LEFT JOIN messages m ON m.id = v.opened_by
		WHERE v.expires_at > ?1 AND (v.origin = 'business' AND v.category <> 'service' OR v.free_entry_point = 1 AND v.messages_out > 0) ORDER BY v.expires_at`)
	sqlReachedOpen = store.SQL(`SELECT c.root, s.category, m.claimed_at, 1, m.accepted_at, 0, 0, 0
			FROM messages m CROSS JOIN contacts c CROSS JOIN streams s
			WHERE m.state = 'unknown' AND (m.claimed_at > ?1 OR m.accepted_at > ?1) AND c.id = m.contact_id AND s.id = m.stream_id AND s.category <> 'service'
		UNION ALL SELECT c.root, s.category, m.claimed_at, 1, m.accepted_at, 0, 0, 0
			FROM messages m CROSS JOIN contacts c CROSS JOIN streams s
			WHERE m.state = 'accepted_held' AND (m.claimed_at > ?1 OR m.accepted_at > ?1) AND c.id = m.contact_id AND s.id = m.stream_id AND s.category <> 'service'`)
	sqlReachedOne = store.SQL(`SELECT c.root, s.category, m.claimed_at, 1, m.accepted_at, m.sent_at, m.delivered_at, m.read_at
			FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
			WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id > 0
			AND m.state IN ('accepted', 'accepted_held', 'sent', 'delivered', 'read', 'unknown')
			AND (m.claimed_at > ?2 OR m.accepted_at > ?2 OR m.sent_at > ?2 OR m.delivered_at > ?2) AND s.id = m.stream_id AND s.category <> 'service'
		UNION ALL SELECT c.root, s.category, m.claimed_at, 1, m.accepted_at, m.sent_at, m.delivered_at, m.read_at
			FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
			WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id = 0
			AND m.state IN ('accepted', 'accepted_held', 'sent', 'delivered', 'read', 'unknown')
			AND (m.claimed_at > ?2 OR m.accepted_at > ?2 OR m.sent_at > ?2 OR m.delivered_at > ?2) AND s.id = m.stream_id AND s.category <> 'service'
		UNION ALL SELECT c.root, f.category, 0, 1, 0, f.sent_at, f.delivered_at, f.read_at
			FROM contacts c CROSS JOIN foreign_messages f
			WHERE c.root = CAST(?1 AS BIGINT) AND f.contact_id = c.id AND (f.sent_at > ?2 OR f.delivered_at > ?2)
			AND f.category NOT IN ('', 'service') AND (f.failed_at = 0 OR f.delivered_at > 0 OR f.read_at > 0)`)
)

type reachedRow struct {
	Person
	opened, out                     int64
	accepted, sent, delivered, read int64
}

// Fields names the places of the columns.
func (r *reachedRow) Fields() []any {
	return []any{&r.Root, &r.Category, &r.opened, &r.out, &r.accepted, &r.sent, &r.delivered, &r.read}
}

// last is the latest instant at which the message may have begun to count: Meta
// counts what was delivered; read stands in for that.
func (r *reachedRow) last() int64 {
	return max(r.opened, r.accepted, r.sent, cmp.Or(r.delivered, r.read))
}

// Reached calls each for everybody whom the messaging limit counts and who got
// something within so long. Somebody may come several times. Who got something
// that was sent more than a day before is not found.
func Reached(q store.Querier, within time.Duration, each func(Person)) error {
	since := store.Millis(q.Now().Add(-within))
	var several []int64
	one := func(r *reachedRow) error {
		switch r.Last = r.last(); {
		case r.out > 1:
			several = append(several, r.Root)
		case r.Last > since:
			each(r.Person)
		}
		return nil
	}
	if err := store.Each(q, sqlReached, one, since); err != nil {
		return fmt.Errorf("conversations: people reached: %w", err)
	}
	if err := store.Each(q, sqlReachedOpen, one, since); err != nil {
		return fmt.Errorf("conversations: people who may be reached: %w", err)
	}
	for _, root := range several {
		if err := reachedOne(q, root, since, each); err != nil {
			return err
		}
	}
	return nil
}

// ReachedAt is the latest instant (ms) at which one person, by root, began to
// count within so long; 0 for never.
func ReachedAt(q store.Querier, root int64, within time.Duration) (last int64, err error) {
	err = reachedOne(q, root, store.Millis(q.Now().Add(-within)), func(p Person) { last = max(last, p.Last) })
	return last, err
}

func reachedOne(q store.Querier, root, since int64, each func(Person)) error {
	err := store.Each(q, sqlReachedOne, func(r *reachedRow) error {
		if r.Last = r.last(); r.Last > since {
			each(r.Person)
		}
		return nil
	}, root, since)
	if err != nil {
		return fmt.Errorf("conversations: when contact %d was reached: %w", root, err)
	}
	return nil
}
