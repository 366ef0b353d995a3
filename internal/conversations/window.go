package conversations

import (
	"fmt"
	"time"

	"janela/internal/store"
)

// Window is the service window of a person on a number. The zero Window is of
// somebody who never wrote.
type Window struct {
	Open             bool
	LastAt, ClosesAt time.Time // the user's last message; 24 h later
}

var (
	sqlWindow = store.SQL(`SELECT w.last_at FROM contacts c CROSS JOIN contacts m CROSS JOIN service_windows w
		WHERE c.id = CAST(?1 AS BIGINT) AND m.root = c.root AND w.contact_id = m.id AND w.number_id = CAST(?2 AS TEXT)
		ORDER BY w.last_at DESC LIMIT 1`)
	sqlInWindow = store.SQL(`SELECT 1 FROM contacts c CROSS JOIN contacts m CROSS JOIN inbound_messages i
		WHERE c.id = CAST(?1 AS BIGINT) AND m.root = c.root AND i.contact_id = m.id AND i.number_id = CAST(?2 AS TEXT)
		AND i.at <= ?3 AND i.at > ?4 AND i.counts = 1 LIMIT 1`)
	// sqlInWindows is sqlInWindow for several: it names those that are.
	sqlInWindows = store.SQLMany(`WITH a(n, contact, number_id, at) AS (VALUES {rows})
		SELECT a.n FROM a WHERE EXISTS (SELECT 1 FROM contacts c CROSS JOIN contacts m CROSS JOIN inbound_messages i
			WHERE c.id = a.contact AND m.root = c.root AND i.contact_id = m.id AND i.number_id = a.number_id
			AND i.at <= a.at AND i.at > a.at - 86400000 AND i.counts = 1)`,
		`(CAST(?r1 AS BIGINT), CAST(?r2 AS BIGINT), CAST(?r3 AS TEXT), CAST(?r4 AS BIGINT))`)
	sqlMoveWindow = store.SQL(`INSERT INTO service_windows (number_id, contact_id, last_at, closes_at)
		VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (contact_id, number_id) DO UPDATE SET last_at = excluded.last_at, closes_at = excluded.closes_at
		WHERE excluded.last_at > service_windows.last_at`)
	sqlDropWindows = store.SQL(`DELETE FROM service_windows WHERE number_id = ?1 AND contact_id <> ?2
		AND contact_id IN (SELECT id FROM contacts WHERE root = ?2)`)
)

// ServiceWindow returns the window of the person whom contact belongs to, on
// the number, as it stands at now. It is half open: closed at ClosesAt. A now
// before LastAt only means that the clocks differ, and finds it open.
func ServiceWindow(q store.Querier, number string, contact int64, now time.Time) (Window, error) {
	last, ok, err := store.Value[int64](q, sqlWindow, contact, number)
	if err != nil {
		return Window{}, fmt.Errorf("conversations: service window of contact %d: %w", contact, err)
	}
	if !ok {
		return Window{}, nil
	}
	w := Window{LastAt: store.Time(last), ClosesAt: store.Time(last).Add(WindowLength)}
	w.Open = now.Before(w.ClosesAt)
	return w, nil
}

// InWindowAt reports whether an instant lay in a service window, by all that
// the person wrote: for messages of the past, whose window has moved since.
func InWindowAt(q store.Querier, number string, contact int64, at time.Time) (bool, error) {
	_, ok, err := store.Value[int64](q, sqlInWindow, contact, number, store.Millis(at), store.Millis(at.Add(-WindowLength)))
	if err != nil {
		return false, fmt.Errorf("conversations: service window of contact %d: %w", contact, err)
	}
	return ok, nil
}

// InWindows is InWindowAt for n instants, which asked names.
func InWindows(q store.Querier, n int, asked func(i int) (number string, contact int64, at time.Time)) ([]bool, error) {
	inside := make([]bool, n)
	err := store.EachMany(q, sqlInWindows, n, func(i int, args []any) []any {
		number, contact, at := asked(i)
		return append(args, int64(i), contact, number, store.Millis(at))
	}, func(i *store.Col[int64]) error { inside[i.V] = true; return nil })
	if err != nil {
		return nil, fmt.Errorf("conversations: service windows at %d instants: %w", n, err)
	}
	return inside, nil
}

// moveWindow sets the last message of the person (by root) to at, unless a
// later one is known.
func moveWindow(tx *store.Tx, number string, root int64, at time.Time) error {
	_, err := tx.Exec(sqlMoveWindow, number, root, store.Millis(at), store.Millis(at.Add(WindowLength)))
	if err != nil {
		return fmt.Errorf("conversations: service window of contact %d: %w", root, err)
	}
	return nil
}

// mergeWindows leaves one window, the latest, under the root of a person whose
// contacts were joined.
func mergeWindows(tx *store.Tx, number string, root int64) error {
	w, err := ServiceWindow(tx, number, root, tx.Now())
	if err != nil || w.LastAt.IsZero() {
		return err
	}
	if err := moveWindow(tx, number, root, w.LastAt); err != nil {
		return err
	}
	if _, err := tx.Exec(sqlDropWindows, number, root); err != nil {
		return fmt.Errorf("conversations: service windows joined to contact %d: %w", root, err)
	}
	return nil
}
