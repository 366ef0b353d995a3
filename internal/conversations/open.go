package conversations

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlEnds = store.SQL(`INSERT INTO conversation_ends (minute, category, n) VALUES (?1, ?2, ?3)
		ON CONFLICT (minute, category) DO UPDATE SET n = conversation_ends.n + excluded.n`)
	sqlOver = store.SQL(`DELETE FROM conversation_ends WHERE minute < ?1`)
	sqlOpen = store.SQL(`SELECT e.category, SUM(e.n) FROM conversation_ends e WHERE e.minute >= ?1 GROUP BY e.category HAVING SUM(e.n) <> 0`)
)

// keepEnds is how long the minutes are kept in which conversations ended: by a
// clock that was ahead for days, and is set right, they are open again. Tests keep
// them longer.
var keepEnds = 7 * 24 * time.Hour

// ending is what conversations are counted by.
type ending struct {
	minute   int64 // since 1970
	category whatsapp.Category
}

func minuteOf(t time.Time) int64 { return store.Millis(t) / time.Minute.Milliseconds() }

// ends gathers what is to be counted in one transaction: most of it together.
type ends map[ending]int64

func (e ends) add(c Conversation, n int64) { e[ending{minuteOf(c.Ends()), c.Category}] += n }

// write counts it. What ended long ago counts nowhere any more.
func (e ends) write(tx *store.Tx) error {
	oldest := minuteOf(tx.Now().Add(-keepEnds))
	keys := make([]ending, 0, len(e))
	for k, n := range e {
		if n != 0 && k.minute >= oldest {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, func(a, b ending) int {
		return cmp.Or(cmp.Compare(a.minute, b.minute), cmp.Compare(a.category, b.category))
	})
	for _, k := range keys {
		if _, err := tx.Exec(sqlEnds, k.minute, string(k.category), e[k]); err != nil {
			return fmt.Errorf("conversations: count the open ones: %w", err)
		}
	}
	_, err := tx.Exec(sqlOver, oldest)
	return err
}

type categoryCount struct {
	category whatsapp.Category
	n        int64
}

// Fields names the places of sqlOpen's columns.
func (c *categoryCount) Fields() []any { return []any{&c.category, &c.n} }

// OpenNow counts the conversations that are open at the transaction's Now, by
// category; one that ended in the running minute is among them until that is over.
// It reads a row per minute and category, however many conversations there are.
func OpenNow(q store.Querier) (map[whatsapp.Category]int64, error) {
	out := map[whatsapp.Category]int64{}
	err := store.Each(q, sqlOpen, func(c *categoryCount) error {
		out[c.category] = c.n
		return nil
	}, minuteOf(q.Now()))
	if err != nil {
		return nil, fmt.Errorf("conversations: count the open ones: %w", err)
	}
	return out, nil
}
