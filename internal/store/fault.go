package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Fault is why the database cannot be written: the disk is full, read-only or
// broken, or the file is.
type Fault struct {
	Err  error // the first one
	wall int64 // ms
}

// Since is when it began, by the wall clock, UTC.
func (f *Fault) Since() time.Time { return Time(f.wall) }

// Fault returns why the database cannot be written; nil: it can, as far as is
// known. Only Probe ends a fault: a small write may find room where a large one
// did not.
func (db *DB) Fault() *Fault { return db.fault.Load() }

// faulty notes an error of a transaction if it is the machine's.
func (db *DB) faulty(err error) {
	if err != nil && Unwell(err) {
		db.fault.CompareAndSwap(nil, &Fault{Err: err, wall: db.clock.shown()})
	}
}

// Unwell reports whether an error says that the database cannot be written at
// all, whatever is asked of it: Fault tells of it once for all.
func Unwell(err error) bool {
	var e sqlite3.Error
	if errors.As(err, &e) {
		switch e.Code {
		case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
			return true
		}
		return false
	}
	return errors.Is(err, errTxLost)
}

// Break makes every commit that writes something fail, as on a full disk, until
// it is called with false. For tests of what follows.
func (db *DB) Break(yes bool) { db.broken.Store(yes) }

// probeSize is what Probe writes, in bytes: more than any usual transaction.
const probeSize = 256 << 10

var (
	sqlProbe   = SQL(`INSERT INTO settings (name, value) VALUES ('probe', printf('%.*c', ?1, 'x')) ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
	sqlUnprobe = SQL(`DELETE FROM settings WHERE name = 'probe'`)
)

// Probe finds out whether a fault is over, by a write of some size, and wakes
// every loop if it is. Its error says that it is not.
func (db *DB) Probe(ctx context.Context) error {
	was := db.fault.Load()
	for _, s := range []func(*Tx) error{
		func(tx *Tx) error { return tx.One(sqlProbe, probeSize) },
		func(tx *Tx) error { return tx.One(sqlUnprobe) },
	} {
		if err := db.Write(ctx, s); err != nil {
			return err
		}
	}
	if db.fault.CompareAndSwap(was, nil) && was != nil {
		db.wakeEvery()
	}
	return nil
}

// stall is since when the writer has been in one turn, by the clock that nobody
// sets: 0 when it is in none.
type stall struct {
	born  time.Time
	since atomic.Int64 // ns after born
}

func (s *stall) begin(at time.Time) { s.since.Store(max(int64(at.Sub(s.born)), 1)) }
func (s *stall) end()               { s.since.Store(0) }

// Stalled is how long the writer has been in the turn that it is in: a long one
// says that the disk does not answer.
func (db *DB) Stalled() time.Duration {
	at := db.stall.since.Load()
	if at == 0 {
		return 0
	}
	return time.Since(db.stall.born) - time.Duration(at)
}
