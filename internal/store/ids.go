package store

import (
	"strconv"
	"time"
)

// An id is the milliseconds since idEpoch, shifted by ten bits that count
// within the millisecond: below 2^53, so that JavaScript reads it exactly.
const (
	idEpoch = 1577836800000 // 2020-01-01
	idShift = 10
	reserve = 10 * time.Second // ids are reserved this far ahead, one row per that time

	idleMark = 10 * time.Minute // how old the clock's mark may be while nothing changes
)

var sqlReserve = SQL(`INSERT INTO settings (name, value) VALUES (?1, ?2)
	ON CONFLICT (name) DO UPDATE SET value = excluded.value`)

// mark is what a restart must know: ids up to ceiling may have been given out,
// and Now had come to clock (ms), at most the time of reserve before the end.
type mark struct{ ceiling, clock int64 }

// ids makes ids that never come again: what is handed out lies below a ceiling
// that was written in the same transaction or an earlier one.
type ids struct {
	next           int64
	saved, pending mark
	epoch          epoch // as of the last commit; next it is noted with it
}

// NewID returns the next id: larger than every one before it, ordered by time.
func (tx *Tx) NewID() int64 {
	if at := (tx.now - idEpoch) << idShift; at > tx.ids.next {
		tx.ids.next = at
	}
	tx.ids.next++
	return tx.ids.next
}

// IDTime returns when an id was made. After the clock was set back it lies ahead
// of the time of day, as the ids do.
func IDTime(id int64) time.Time { return Time(id>>idShift + idEpoch) }

// FirstID returns an id below all that are made at an instant or later.
func FirstID(at time.Time) int64 { return (Millis(at) - idEpoch) << idShift }

// keepMark raises the ceiling if this transaction went above it, and keeps the
// clock. The two are kept apart: the ceiling lies ahead of the time of day. It
// counts the commits that change anything. One that changes nothing costs the disk
// nothing either, but now and then: no id of it is anywhere.
func (tx *Tx) keepMark() error {
	i := tx.ids
	i.pending = i.saved
	changed := tx.changed || tx.accept
	late := reserve
	if !changed {
		late = idleMark
	}
	if tx.accept || i.next > i.saved.ceiling || tx.now >= i.saved.clock+late.Milliseconds() {
		if err := tx.raiseMark(); err != nil {
			return err
		}
	}
	if tx.changed = changed; !changed { // the mark alone is nothing to speak of
		return nil
	}
	_, err := tx.Exec(sqlReserve, "commits", strconv.FormatInt(i.epoch.commits+1, 10))
	return err
}

func (tx *Tx) raiseMark() error {
	i := tx.ids
	if i.next > i.saved.ceiling {
		i.pending.ceiling = i.next + int64(reserve/time.Millisecond)<<idShift
		if _, err := tx.Exec(sqlReserve, "id_ceiling", strconv.FormatInt(i.pending.ceiling, 10)); err != nil {
			return err
		}
	}
	i.pending.clock = tx.now
	if tx.accept {
		i.pending.clock = tx.wall
	}
	_, err := tx.Exec(sqlReserve, "clock", strconv.FormatInt(i.pending.clock, 10))
	return err
}

// kept takes over what keepMark wrote, once it is committed, before anybody is
// told.
func (tx *Tx) kept() {
	i := tx.ids
	i.saved = i.pending
	if tx.changed {
		i.epoch.commits++
		i.epoch.running = true
		i.epoch.mark = mark{i.saved.ceiling, max(tx.now, i.saved.clock)}
		if tx.accept {
			i.epoch.clock = i.saved.clock
		}
		tx.db.epoch.write(i.epoch)
	}
	if tx.accept {
		tx.db.now.Store(tx.wall)
	}
	if tx.ended {
		tx.db.restored.Store(nil)
	}
}
