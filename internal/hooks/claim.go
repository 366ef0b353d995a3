package hooks

import (
	"time"

	"janela/internal/store"
)

// ticket is a delivery that was claimed: its request may be made once.
type ticket struct {
	row         delivery
	webhookID   string
	at          time.Time // of the claim
	body        []byte
	contentType string
	signature   string
}

// claimed is what one turn may send.
type claimed struct {
	tickets []ticket
	bytes   int64
	dead    int
	dropped int64         // of the target, since ever
	retried int64         // when a person last asked to try again, ms
	next    time.Duration // until the loop should look again
}

type targetRow struct {
	state            string
	dropped, retried int64
}

// Fields names the places of sqlTarget.
func (t *targetRow) Fields() []any { return []any{&t.state, &t.dropped, &t.retried} }

// content is what a request is made of.
type content struct {
	body                   []byte
	contentType, signature string
}

// Fields names the places of sqlContent.
func (c *content) Fields() []any { return []any{&c.body, &c.contentType, &c.signature} }

var (
	sqlTarget = store.SQL(`SELECT state, dropped, retried_at FROM hook_targets WHERE name = ?1`)
	sqlDue    = store.SQL(`SELECT ` + deliveryColumns + ` FROM hook_deliveries
		WHERE target = ?1 AND state = 'queued' AND not_before <= ?2 ORDER BY not_before, id LIMIT ?3`)
	sqlNext  = store.SQL(`SELECT not_before FROM hook_deliveries WHERE target = ?1 AND state = 'queued' ORDER BY not_before, id LIMIT 1`)
	sqlClaim = store.SQL(`UPDATE hook_deliveries SET state = 'sending', attempt = attempt + 1, claimed_at = ?3
		WHERE id = ?1 AND state = 'queued' AND attempt = ?2`)
	sqlContent = store.SQL(`SELECT body, content_type, signature FROM hook_payloads WHERE id = ?1`)
)

// maxFlying bounds the bytes under way to one target: they are in memory.
const maxFlying = 8 << 20

// claim takes what may leave now: the longest due first. A delivery whose time is
// over is given up instead.
func (w *worker) claim(tx *store.Tx, health *health, flying int, bytes int64) (claimed, error) {
	var c claimed
	row, ok, err := store.Get[targetRow](tx, sqlTarget, w.target().Name)
	if err != nil {
		return c, err
	}
	c.dropped, c.retried, c.next = row.dropped, row.retried, idle
	if c.retried > w.retried {
		health.reset()
	}
	if !ok || row.state != "active" {
		return c, nil // Resume wakes
	}
	now := tx.Now()
	free := health.may(now, flying, w.target().AtOnce)
	if free > 0 {
		due, err := store.All[delivery](tx, sqlDue, w.target().Name, store.Millis(now), free)
		if err != nil {
			return c, err
		}
		for i := range due {
			if err := w.claimOne(tx, &due[i], flying, bytes, &c); err != nil {
				return c, err
			}
		}
	}
	c.next, err = w.sleep(tx, health, flying+len(c.tickets))
	return c, err
}

func (w *worker) claimOne(tx *store.Tx, r *delivery, flying int, bytes int64, c *claimed) error {
	now := tx.Now()
	if r.deadline <= store.Millis(now) {
		ok, err := kill(tx, r)
		if ok {
			c.dead++
		}
		return err
	}
	if flying+len(c.tickets) > 0 && bytes+c.bytes+r.bytes > maxFlying {
		return nil // an answer wakes the loop
	}
	n, err := tx.Exec(sqlClaim, r.id, r.attempt, store.Millis(now))
	if err != nil || n == 0 { // 0: another loop has it
		return err
	}
	p, _, err := store.Get[content](tx, sqlContent, r.payload)
	if err != nil {
		return err
	}
	r.state, r.attempt = "sending", r.attempt+1
	c.tickets = append(c.tickets, ticket{*r, w.h.webhookID(r.payload), now, p.body, p.contentType, p.signature})
	c.bytes += r.bytes
	return nil
}

// sleep is how long nothing can happen, unless an answer or a commit comes.
func (w *worker) sleep(tx *store.Tx, health *health, flying int) (time.Duration, error) {
	due, ok, err := store.Value[int64](tx, sqlNext, w.target().Name)
	if err != nil || !ok {
		return idle, err
	}
	at := store.Time(due)
	if health.down() {
		if flying > 0 {
			return idle, nil // its answer decides
		}
		if health.retry.After(at) {
			at = health.retry
		}
	} else if flying > 0 && !at.After(tx.Now()) {
		return idle, nil // all requests that may be made are
	}
	return min(store.Takes(tx, max(at.Sub(tx.Now()), 0)+time.Millisecond), idle), nil
}
