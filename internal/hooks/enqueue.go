package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"janela/internal/store"
)

// payload is what is sent, as its row has it.
type payload struct {
	kind, kindOf           string
	body                   []byte
	contentType, signature string
}

const (
	kindEvent    = "event"
	kindCallback = "callback"
)

// rowBytes is what a delivery takes on disk beside its body, roughly: its row,
// its indexes, its share of the payload's row.
const rowBytes = 512

var (
	// Compare-and-set: a target that is full takes nothing.
	sqlTake = store.SQL(`UPDATE hook_targets SET waiting = waiting + 1, bytes = bytes + ?2
		WHERE name = ?1 AND bytes + ?2 <= ?3`)
	sqlDrop    = store.SQL(`UPDATE hook_targets SET dropped = dropped + 1, dropped_at = ?2 WHERE name = ?1`)
	sqlPayload = store.SQL(`INSERT INTO hook_payloads (id, kind, type, body, content_type, signature, created_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`)
	sqlDeliver = store.SQL(`INSERT INTO hook_deliveries (id, payload_id, target, key, state, not_before, deadline, bytes, created_at)
		VALUES (?1, ?2, ?3, ?4, CASE WHEN EXISTS (SELECT 1 FROM hook_deliveries h WHERE h.target = ?3 AND h.key = ?4
		AND h.key <> '' AND h.state IN ('queued','sending')) THEN 'waiting' ELSE 'queued' END, ?5, ?6, ?7, ?5)`)
)

// enqueue writes a payload and its deliveries, and wakes those who deliver.
func (h *Hooks) enqueue(tx *store.Tx, to []*worker, key string, p payload) error {
	now, size, order := tx.Now(), int64(len(p.body)+rowBytes), h.hash(key)
	id := int64(0)
	for _, w := range to {
		name := w.target().Name
		ok, err := w.makeRoom(tx, size)
		if err != nil {
			return err
		}
		if !ok {
			if err := tx.One(sqlDrop, name, store.Millis(now)); err != nil {
				return err
			}
			tx.Wake(w.topic) // to say so
			continue
		}
		if id == 0 {
			id = tx.NewID()
			if err := tx.One(sqlPayload, id, p.kind, p.kindOf, p.body, p.contentType, p.signature, store.Millis(now)); err != nil {
				return err
			}
		}
		if w.target().Mode == Stream {
			if err := tx.One(sqlDeliverStream, tx.NewID(), id, name, store.Millis(now), store.Millis(now.Add(w.target().MaxAge)), size); err != nil {
				return err
			}
			continue
		}
		if err := tx.One(sqlDeliver, tx.NewID(), id, name, order, store.Millis(now), store.Millis(now.Add(w.target().MaxAge)), size); err != nil {
			return err
		}
		tx.Wake(w.topic)
	}
	return nil
}

// hash keeps a key without saying whose it is: callbacks are ordered by person.
// It means nothing in another database.
func (h *Hooks) hash(key string) string {
	if key == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(h.cfg.DB.Name()))
	mac.Write([]byte(key))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// webhookID is the receiver's key for repeats: the same in every request, and
// for every target. It holds no dot, since the signature joins by dots.
func (h *Hooks) webhookID(payload int64) string {
	return "msg_" + h.cfg.DB.Name() + "_" + strconv.FormatInt(payload, 10)
}

// delivery is a row of hook_deliveries, as its turn needs it.
type delivery struct {
	id, payload, bytes, created, deadline, failingSince int64
	attempt                                             int
	target, key, state                                  string
}

const deliveryColumns = `id, payload_id, target, key, state, attempt, failing_since, deadline, bytes, created_at`

// Fields names the places of deliveryColumns.
func (r *delivery) Fields() []any {
	return []any{&r.id, &r.payload, &r.target, &r.key, &r.state, &r.attempt, &r.failingSince, &r.deadline, &r.bytes, &r.created}
}

var (
	sqlPromote = store.SQL(`UPDATE hook_deliveries SET state = 'queued' WHERE state = 'waiting' AND id =
		(SELECT n.id FROM hook_deliveries n WHERE n.target = ?1 AND n.key = ?2 AND n.state = 'waiting' ORDER BY n.id LIMIT 1)`)
	sqlRemove  = store.SQL(`DELETE FROM hook_deliveries WHERE id = ?1 AND state = ?2 AND attempt = ?3`)
	sqlOrphan  = store.SQL(`DELETE FROM hook_payloads WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM hook_deliveries d WHERE d.payload_id = ?1)`)
	sqlArrived = store.SQL(`UPDATE hook_targets SET waiting = waiting - 1, bytes = bytes - ?2 WHERE name = ?1`)
	sqlForgot  = store.SQL(`UPDATE hook_targets SET dead = dead - 1, bytes = bytes - ?2 WHERE name = ?1`)
	sqlKill    = store.SQL(`UPDATE hook_deliveries SET state = 'dead', ended_at = ?4 WHERE id = ?1 AND state = ?2 AND attempt = ?3`)
	sqlDied    = store.SQL(`UPDATE hook_targets SET waiting = waiting - 1, dead = dead + 1 WHERE name = ?1`)
)

// promote lets the next of a key go, after the one before it has ended or
// stepped aside.
func promote(tx *store.Tx, target, key string) error {
	if key == "" {
		return nil
	}
	_, err := tx.Exec(sqlPromote, target, key)
	return err
}

// remove takes a delivery out, and its payload with the last one. ok is false
// when the row is not as it was read.
func remove(tx *store.Tx, r *delivery, count *store.Stmt) (ok bool, err error) {
	n, err := tx.Exec(sqlRemove, r.id, r.state, r.attempt)
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.Exec(sqlOrphan, r.payload); err != nil {
		return false, err
	}
	return true, tx.One(count, r.target, r.bytes)
}

// kill gives a delivery up: it is kept a while, and those behind it go on.
func kill(tx *store.Tx, r *delivery) (ok bool, err error) {
	n, err := tx.Exec(sqlKill, r.id, r.state, r.attempt, store.Millis(tx.Now()))
	if err != nil || n == 0 {
		return false, err
	}
	if err := tx.One(sqlDied, r.target); err != nil {
		return false, err
	}
	if r.state == "waiting" {
		return true, nil
	}
	return true, promote(tx, r.target, r.key)
}
