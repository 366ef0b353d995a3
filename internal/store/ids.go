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
)

var sqlReserve = SQL(`INSERT INTO settings (name, value) VALUES ('id_ceiling', ?1)
	ON CONFLICT (name) DO UPDATE SET value = excluded.value`)

// ids makes ids that never come again: what is handed out lies below a ceiling
// that was written in the same transaction or an earlier one.
type ids struct {
	next, ceiling, pending int64
}

func idTime(id int64) int64 { return id>>idShift + idEpoch }

// NewID returns the next id: larger than every one before it, ordered by time.
func (tx *Tx) NewID() int64 {
	if at := (tx.now - idEpoch) << idShift; at > tx.ids.next {
		tx.ids.next = at
	}
	tx.ids.next++
	return tx.ids.next
}

// reserveIDs raises the ceiling if this transaction went above it.
func (tx *Tx) reserveIDs() error {
	if tx.ids.next <= tx.ids.ceiling {
		return nil
	}
	ceiling := tx.ids.next + int64(reserve/time.Millisecond)<<idShift
	if _, err := tx.Exec(sqlReserve, strconv.FormatInt(ceiling, 10)); err != nil {
		return err
	}
	tx.ids.pending = ceiling
	return nil
}
