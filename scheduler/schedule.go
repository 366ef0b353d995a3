package scheduler

import (
	"encoding/json"
	"fmt"
	"time"

	"janela/internal/store"
)

// Topic is woken when a schedule changed.
const Topic store.Topic = "scheduler"

// MissedTopic is woken when a slot was settled without firing.
const MissedTopic store.Topic = "scheduler.missed"

// Firing is a slot that fires, or will.
type Firing struct {
	SlotID      int64
	Key         string        // the schedule's
	Civil, Zone string        // the local minute "2006-01-02T15:04", and its IANA zone
	DueAt       time.Time     // UTC
	Late        time.Duration // how long after DueAt it fires; 0 from Next
}

var (
	sqlLoad = store.SQL(`SELECT key, spec, active, through FROM schedules WHERE key = ?1`)

	sqlInsert = store.SQL(`INSERT INTO schedules (key, spec, active, through, created_at) VALUES (?1, ?2, 1, ?3, ?3)`)

	sqlReplace = store.SQL(`UPDATE schedules SET spec = ?2 WHERE key = ?1`)

	sqlThrough = store.SQL(`UPDATE schedules SET through = ?2 WHERE key = ?1 AND through <= ?2`)

	sqlSetActive = store.SQL(`UPDATE schedules SET active = ?2 WHERE key = ?1`)

	sqlRemove = store.SQL(`DELETE FROM schedules WHERE key = ?1`)

	// A slot that exists stays what it is, unless it was cancelled or is still
	// due (then the zone's clock may have changed, and with it the instant).
	sqlPlan = store.SQL(`INSERT INTO slots (id, schedule_key, civil, zone, due_at, state) VALUES (?1, ?2, ?3, ?4, ?5, 'due')
		ON CONFLICT (schedule_key, civil, zone) DO UPDATE SET due_at = excluded.due_at, state = 'due', note = '', settled_at = 0
		WHERE slots.state IN ('due', 'cancelled')`)

	// Due slots are few, and settled ones many: the statements below read the
	// due ones first, by their own index, and then those of one schedule.
	sqlCancelAfter = store.SQL(`WITH d AS MATERIALIZED (SELECT id, schedule_key FROM slots WHERE state = 'due' AND due_at > ?2)
		UPDATE slots SET state = 'cancelled', note = ?3, settled_at = ?4
		WHERE id IN (SELECT id FROM d WHERE schedule_key = ?1)`)

	sqlForgetTries = store.SQL(`WITH d AS MATERIALIZED (SELECT id, schedule_key FROM slots WHERE state = 'due' AND due_at > 0)
		UPDATE slots SET note = '' WHERE id IN (SELECT id FROM d WHERE schedule_key = ?1)`)

	sqlNext = store.SQL(`WITH d AS MATERIALIZED (SELECT id, schedule_key, civil, zone, due_at FROM slots WHERE state = 'due' AND due_at > 0)
		SELECT d.id, d.schedule_key, d.civil, d.zone, d.due_at FROM d
		JOIN schedules c ON c.key = d.schedule_key AND c.active = 1
		WHERE d.schedule_key = ?1 ORDER BY d.due_at, d.id LIMIT 1`)
)

// schedule is a row of schedules.
type schedule struct {
	key, spec string
	active    bool
	through   int64 // ms
	series    *series
}

// Fields names the columns' places.
func (s *schedule) Fields() []any { return []any{&s.key, &s.spec, &s.active, &s.through} }

func load(q store.Querier, key string) (s schedule, ok bool, err error) {
	s, ok, err = store.Get[schedule](q, sqlLoad, key)
	if err != nil || !ok {
		return s, ok, err
	}
	var spec Spec
	if err = json.Unmarshal([]byte(s.spec), &spec); err == nil {
		s.series, err = spec.compile()
	}
	if err != nil {
		return s, true, fmt.Errorf("scheduler: the stored spec of %q: %w", key, err)
	}
	return s, true, nil
}

// Put inserts a schedule or replaces its spec; the same spec again changes
// nothing, so that what was missed meanwhile is not forgotten. A new schedule
// starts at the transaction's Now, except that a single date gets its slot also
// when it is past. Of a replaced one, slots that fell due stay, and the slot to
// come is cancelled unless the new spec has it too. A suspended schedule stays
// suspended. An unsound spec is an error; Spec.Check finds more.
func Put(tx *store.Tx, key string, spec Spec) error {
	if key == "" {
		return fmt.Errorf("scheduler: a schedule needs a key")
	}
	series, err := spec.compile()
	if err != nil {
		return fmt.Errorf("scheduler: %s: %w", key, err)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("scheduler: %s: %w", key, err)
	}
	now := store.Millis(tx.Now())
	old, found, err := store.Get[schedule](tx, sqlLoad, key)
	switch {
	case err != nil:
		return err
	case found && old.spec == string(text):
		return nil
	case found:
		// What the old spec owes up to now is written down before it is gone. If
		// it can no longer be read (a zone that vanished), it owes nothing.
		if before, _, err := load(tx, key); err == nil {
			if _, err := planPast(tx, &before); err != nil {
				return err
			}
			old.through = before.through
		}
		if err := tx.One(sqlReplace, key, string(text)); err != nil {
			return err
		}
	default:
		if err := tx.One(sqlInsert, key, string(text), now); err != nil {
			return err
		}
		old = schedule{key: key, through: now}
	}
	old.spec, old.series = string(text), series
	if now > old.through {
		old.through = now // the new spec owes nothing for the time before
	}
	if _, err := plan(tx, &old); err != nil {
		return err
	}
	if series.cron == nil {
		if slot, ok := series.single(); ok {
			if _, err := planSlot(tx, key, slot); err != nil {
				return err
			}
		}
	}
	tx.Wake(Topic)
	return nil
}

// Suspend stops a schedule until Resume: nothing fires. Suspending twice is as
// good as once; an unknown key is store.ErrLost.
func Suspend(tx *store.Tx, key string) error {
	if err := tx.One(sqlSetActive, key, 0); err != nil {
		return err
	}
	// A failed firing is not a reason to fire after a suspension.
	if _, err := tx.Exec(sqlForgetTries, key); err != nil {
		return err
	}
	tx.Wake(Topic)
	return nil
}

// Resume lets a schedule fire again. The missed policy decides over the slots
// that fell due meanwhile. An unknown key is store.ErrLost.
func Resume(tx *store.Tx, key string) error {
	tx.Wake(Topic)
	return tx.One(sqlSetActive, key, 1)
}

// Remove ends a schedule and cancels its due slots. What it fired stays on
// record: the same slots never fire again, also if the key comes back. Removing
// what is not there is no error.
func Remove(tx *store.Tx, key string) error {
	if _, err := tx.Exec(sqlCancelAfter, key, -1, "the schedule was removed", store.Millis(tx.Now())); err != nil {
		return err
	}
	if _, err := tx.Exec(sqlRemove, key); err != nil {
		return err
	}
	tx.Wake(Topic)
	return nil
}

// nextSlot is a Firing as it is read.
type nextSlot struct {
	Firing
	due int64
}

// Fields names the columns' places.
func (n *nextSlot) Fields() []any { return []any{&n.SlotID, &n.Key, &n.Civil, &n.Zone, &n.due} }

// Next returns the slot that a schedule fires next; ok is false when none is to
// come, and while it is suspended.
func Next(q store.Querier, key string) (next Firing, ok bool, err error) {
	row, ok, err := store.Get[nextSlot](q, sqlNext, key)
	row.DueAt = store.Time(row.due)
	return row.Firing, ok, err
}
