package outbox

import (
	"cmp"
	"slices"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// KeepHours is how long it is known of an hour what became of its messages.
const KeepHours = 35 * 24 * time.Hour

var (
	sqlHour = store.SQL(`INSERT INTO message_hours (hour, lane, state, reason, n) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (hour, lane, state, reason) DO UPDATE SET n = message_hours.n + excluded.n`)
	sqlHours = store.SQL(`SELECT h.lane, h.state, h.reason, SUM(h.n) FROM message_hours h WHERE h.hour >= ?1
		GROUP BY h.lane, h.state, h.reason HAVING SUM(h.n) <> 0 ORDER BY h.lane, h.state, h.reason`)
	sqlOldHours = store.SQL(`DELETE FROM message_hours WHERE hour < ?1`)
)

// hourOf numbers the hours since 1970, UTC.
func hourOf(t time.Time) int64 { return store.Millis(t) / time.Hour.Milliseconds() }

type hourKey struct {
	hour   int64
	lane   whatsapp.Lane
	state  State
	reason string
}

// endHours writes what the verb did to the hours in which its messages were made:
// most verbs to one or two.
func (c *changes) endHours() error {
	hours := make(map[hourKey]int64, len(c.counts))
	oldest := hourOf(c.tx.Now().Add(-KeepHours))
	for k, n := range c.counts {
		s, err := c.stream(k.stream)
		if err != nil {
			return err
		}
		if !s.DryRun && k.hour >= oldest {
			hours[hourKey{k.hour, s.Lane, k.state, k.reason}] += n
		}
	}
	keys := make([]hourKey, 0, len(hours))
	for k, n := range hours {
		if n != 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b hourKey) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.lane, b.lane), cmp.Compare(a.state, b.state), cmp.Compare(a.reason, b.reason))
	})
	for _, k := range keys {
		if _, err := c.tx.Exec(sqlHour, k.hour, int(k.lane), string(k.state), k.reason, hours[k]); err != nil {
			return err
		}
	}
	return nil
}

// forgetHours removes the hours of long ago.
func forgetHours(tx *store.Tx) error {
	_, err := tx.Exec(sqlOldHours, hourOf(tx.Now().Add(-KeepHours)))
	return err
}

// LaneTally is how many messages of a lane are in a state for a reason.
type LaneTally struct {
	Lane whatsapp.Lane
	Tally
}

// Fields names the places of sqlHours' columns.
func (t *LaneTally) Fields() []any { return append([]any{&t.Lane}, t.Tally.Fields()...) }

// MadeSince counts the messages that were made since the beginning of an hour, at
// most KeepHours ago, by where they stand now; dry runs aside. It returns when
// that hour began. It reads a few rows per hour, never the messages.
func MadeSince(q store.Querier, from time.Time) (since time.Time, tallies []LaneTally, err error) {
	from = from.Truncate(time.Hour)
	tallies, err = store.All[LaneTally](q, sqlHours, hourOf(from))
	return from, tallies, err
}
