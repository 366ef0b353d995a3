package scheduler

import (
	"fmt"
	"runtime/debug"
	"time"

	"janela/internal/store"
)

// listed is how many slots of one absence become rows.
const listed = 200

// noteTried marks a due slot whose firing failed; see waiting.tried.
const noteTried = "firing failed, and is tried again"

var (
	sqlWaiting = store.SQL(`WITH d AS MATERIALIZED (SELECT id, schedule_key, civil, zone, due_at, note FROM slots WHERE state = 'due' AND due_at <= ?2)
		SELECT id, schedule_key, civil, zone, due_at, note FROM d WHERE schedule_key = ?1 ORDER BY due_at, id`)

	sqlSettle = store.SQL(`UPDATE slots SET state = ?2, note = ?3, settled_at = ?4 WHERE id = ?1 AND state = 'due'`)

	sqlMarkTried = store.SQL(`UPDATE slots SET note = ?2 WHERE id = ?1 AND state = 'due'`)
)

// plan writes down the slots of a schedule up to now, and the one after it. It
// returns how many slots of a long absence are not listed.
func plan(tx *store.Tx, s *schedule) (unlisted int, err error) {
	if unlisted, err = planPast(tx, s); err != nil {
		return 0, err
	}
	// The next one may already be settled, if the zone's clock was set anew:
	// then it is the one after.
	for slot := range s.series.after(store.Time(s.through)) {
		if n, err := planSlot(tx, s.key, slot); err != nil || n == 1 {
			return unlisted, err
		}
	}
	return unlisted, nil
}

// planPast writes down the slots up to now and cancels what was planned beyond.
func planPast(tx *store.Tx, s *schedule) (unlisted int, err error) {
	now := store.Millis(tx.Now())
	horizon := max(now, s.through)
	slots, unlisted := s.series.between(store.Time(s.through), store.Time(horizon))
	if _, err := tx.Exec(sqlCancelAfter, s.key, s.through, "no longer planned", now); err != nil {
		return 0, err
	}
	for _, slot := range slots {
		if _, err := planSlot(tx, s.key, slot); err != nil {
			return 0, err
		}
	}
	s.through = horizon
	return unlisted, tx.One(sqlThrough, s.key, horizon)
}

func planSlot(tx *store.Tx, key string, slot Slot) (int64, error) {
	return tx.Exec(sqlPlan, tx.NewID(), key, slot.Civil, slot.Zone, store.Millis(slot.DueAt))
}

// between returns the slots in (from, to]: all, or the first and the newest, and
// how many lie between them. More than a year back is not looked at.
func (s *series) between(from, to time.Time) (slots []Slot, unlisted int) {
	if earliest := to.Add(-yearAhead); from.Before(earliest) {
		from = earliest
	}
	for slot := range s.after(from) {
		if slot.DueAt.After(to) {
			break
		}
		slots = append(slots, slot)
		if len(slots) == 2*listed { // the first, and the newest 199
			slots = append(slots[:1], slots[listed+1:]...)
			unlisted += listed
		}
	}
	if extra := len(slots) - listed; extra > 0 {
		slots = append(slots[:1], slots[extra+1:]...)
		unlisted += extra
	}
	return slots, unlisted
}

// dueSlot is a due row of slots.
type dueSlot struct {
	Firing
	due  int64
	note string
}

// Fields names the columns' places.
func (d *dueSlot) Fields() []any {
	return []any{&d.SlotID, &d.Key, &d.Civil, &d.Zone, &d.due, &d.note}
}

// outcome is what one step did, told to the log once it is committed.
type outcome struct {
	key      string
	fired    *Firing
	settled  []settled
	unlisted int
}

type settled struct {
	slot Firing
	verdict
}

// step brings one schedule up to now: it plans, lets the missed policy judge,
// and hands the oldest slot that is to fire to fire. All or nothing of it.
func step(tx *store.Tx, key string, fire func(dueSlot, verdict) error) (out outcome, err error) {
	out.key = key
	s, ok, err := load(tx, key)
	if err != nil || !ok || !s.active {
		return out, err
	}
	if out.unlisted, err = plan(tx, &s); err != nil {
		return out, err
	}
	now := tx.Now()
	due, err := store.All[dueSlot](tx, sqlWaiting, key, store.Millis(now))
	if err != nil {
		return out, err
	}
	slots := make([]waiting, len(due))
	for i := range due {
		due[i].DueAt = store.Time(due[i].due)
		due[i].Late = max(now.Sub(due[i].DueAt), 0)
		slots[i] = waiting{due[i].Civil, due[i].DueAt, due[i].note == noteTried}
	}
	spec := s.series.spec
	first := -1
	verdicts := judge(spec.Missed, spec.maxLateness(), s.series.ends, now, slots)
	for i, v := range verdicts {
		if v.state == stateFired {
			if first < 0 {
				first = i
			}
			continue
		}
		if err := settle(tx, due[i].SlotID, v); err != nil {
			return out, err
		}
		out.settled = append(out.settled, settled{due[i].Firing, v})
	}
	if first < 0 {
		return out, nil
	}
	out.fired = &due[first].Firing
	return out, fire(due[first], verdicts[first])
}

func settle(tx *store.Tx, id int64, v verdict) error {
	if v.state == stateMissed || v.state == stateSkipped {
		tx.Wake(MissedTopic)
	}
	return tx.One(sqlSettle, id, v.state, v.note, store.Millis(tx.Now()))
}

// fireIn returns the function that fires a slot in tx: first its row, by
// compare-and-set, then its owner's function. A panic of that is an error here,
// so that one schedule cannot end the daemon again and again.
func fireIn(tx *store.Tx, fire func(*store.Tx, Firing) error) func(dueSlot, verdict) error {
	return func(d dueSlot, v verdict) (err error) {
		if err := settle(tx, d.SlotID, v); err != nil {
			return err
		}
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("firing panicked: %v\n%s", p, debug.Stack())
			}
		}()
		return fire(tx, d.Firing)
	}
}

// markIn returns the function that notes in tx that firing a slot failed.
func markIn(tx *store.Tx) func(dueSlot, verdict) error {
	return func(d dueSlot, _ verdict) error { return tx.One(sqlMarkTried, d.SlotID, noteTried) }
}
