package hooks

import (
	"janela/internal/store"
)

// A target of mode stream has no address: whoever reads it asks, and asks again
// from where they stopped. Its rows wait without a key, in the order of their
// ids, until their time is over; a full stream forgets its oldest.

var (
	sqlDeliverStream = store.SQL(`INSERT INTO hook_deliveries (id, payload_id, target, key, state, not_before, deadline, bytes, created_at)
		VALUES (?1, ?2, ?3, '', 'waiting', ?4, ?5, ?6, ?4)`)
	sqlStream = store.SQL(`SELECT d.id, d.payload_id, p.type, p.body FROM hook_deliveries d JOIN hook_payloads p ON p.id = d.payload_id
		WHERE d.target = ?1 AND d.key = '' AND d.state = 'waiting' AND d.id > ?2 ORDER BY d.id LIMIT ?3`)
	sqlOldestKept = store.SQL(`SELECT ` + deliveryColumns + ` FROM hook_deliveries WHERE target = ?1 AND key = '' AND state = 'waiting' ORDER BY id LIMIT ?2`)
	sqlNewestKept = store.SQL(`SELECT id FROM hook_deliveries WHERE target = ?1 AND key = '' AND state = 'waiting' ORDER BY id DESC LIMIT 1`)
)

// StreamEvent is an event of a stream, as JSON.
type StreamEvent struct {
	ID        int64  // rises
	WebhookID string // the same as webhooks of the same event have
	Type      string
	Body      []byte // {type, timestamp, data}
}

type streamRow struct {
	id, payload int64
	kind        string
	body        []byte
}

// Fields names the places of sqlStream.
func (r *streamRow) Fields() []any { return []any{&r.id, &r.payload, &r.kind, &r.body} }

// Streams names the targets of mode stream.
func (h *Hooks) Streams() (names []string) {
	if h == nil {
		return nil
	}
	for _, w := range h.all() {
		if w.target().Mode == Stream {
			names = append(names, w.target().Name)
		}
	}
	return names
}

// Read returns at most limit events of a stream behind an id, the oldest first.
// gap says that some behind it are not kept any more.
func (h *Hooks) Read(q store.Querier, stream string, after int64, limit int) (events []StreamEvent, gap bool, err error) {
	rows, err := store.All[streamRow](q, sqlStream, stream, after, limit)
	for _, r := range rows {
		events = append(events, StreamEvent{r.id, h.webhookID(r.payload), r.kind, r.body})
	}
	if err != nil || after <= 0 {
		return events, false, err
	}
	oldest, ok, err := store.Get[delivery](q, sqlOldestKept, stream, 1)
	return events, err == nil && ok && oldest.id > after, err
}

// Newest is the id of a stream's latest event; 0: it has none.
func (h *Hooks) Newest(q store.Querier, stream string) (int64, error) {
	id, _, err := store.Value[int64](q, sqlNewestKept, stream)
	return id, err
}

// makeRoom counts a delivery in; a stream that is full forgets its oldest for it.
func (w *worker) makeRoom(tx *store.Tx, size int64) (ok bool, err error) {
	for {
		n, err := tx.Exec(sqlTake, w.target().Name, size, w.target().MaxBytes)
		if err != nil || n > 0 || w.target().Mode != Stream {
			return n > 0, err
		}
		old, err := store.All[delivery](tx, sqlOldestKept, w.target().Name, batch)
		if err != nil || len(old) == 0 {
			return false, err
		}
		for i := range old {
			if _, err := removeRead(tx, &old[i]); err != nil {
				return false, err
			}
		}
	}
}

// removeRead takes an event out of a stream.
func removeRead(tx *store.Tx, r *delivery) (bool, error) { return remove(tx, r, sqlArrived) }
