package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/mattn/go-sqlite3"

	"janela/internal/failpoint"
)

// bulkTime bounds how long one turn takes in functions nobody waits for.
const bulkTime = 5 * time.Millisecond

// errTxLost says that a failed statement (disk full, I/O error) ended the whole
// transaction, and the work of every function in it.
var errTxLost = errors.New("store: the transaction was lost; nothing of it was written")

// turnError says that BEGIN or COMMIT failed, of several functions together: no
// fault of what one of them asked.
type turnError struct {
	at  string
	err error
}

func (e *turnError) Error() string { return "store: " + e.at + ": " + e.err.Error() }
func (e *turnError) Unwrap() error { return e.err }

// job is one function on its way through the writer.
type job struct {
	fn    func(*Tx) error
	err   error
	panic any
	stack []byte
	done  chan struct{}
	wakes []Topic
}

// writer owns the one writing connection.
type writer struct {
	db   *DB
	conn *conn
	ids  *ids
	held []*job // jobs of this turn, answered after COMMIT
	jump *Jump  // of the clock, which this turn tells
}

// Write runs fn in the next transaction and returns when it is on disk, or with
// the error for which nothing of it was written. Somebody waits: it goes before
// every Bulk function and ends the batch. fn runs once and gets no context; a
// cancelled ctx only gives up before fn has begun.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	return db.submit(ctx, db.urgent, fn)
}

// Bulk is Write for work nobody waits for: at most about 200 rows a function,
// or more in one that looks whether somebody waits (Tx.Hurry).
func (db *DB) Bulk(ctx context.Context, fn func(*Tx) error) error { return db.submit(ctx, db.bulk, fn) }

func (db *DB) submit(ctx context.Context, queue chan<- *job, fn func(*Tx) error) error {
	j := &job{fn: fn, done: make(chan struct{})}
	select {
	case <-db.quit:
		return db.closedErr()
	default:
	}
	select {
	case queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.quit:
		return db.closedErr()
	}
	<-j.done
	if j.panic != nil {
		panic(fmt.Sprintf("%v\n\nin the transaction:\n%s", j.panic, j.stack))
	}
	return j.err
}

// scrubPatience is how long Scrub waits for readers of what is to go.
const scrubPatience = 10 * time.Second

// Scrub empties the write-ahead log, so that what was deleted or written over
// stands nowhere any more: in the database itself its bytes were wiped
// (secure_delete). It waits for snapshots that still need the log.
func (db *DB) Scrub(ctx context.Context) error {
	for waited := time.Duration(0); ; waited += scrubPause {
		if err := db.submit(ctx, db.scrub, nil); err != nil {
			return err
		}
		info, err := os.Stat(db.file + "-wal")
		if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
			return nil
		}
		if err != nil || waited >= scrubPatience {
			return fmt.Errorf("store: the write-ahead log could not be emptied: somebody reads from it: %w", errors.Join(err, ErrLost))
		}
		select {
		case <-time.After(scrubPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const scrubPause = 50 * time.Millisecond

func (db *DB) closedErr() error {
	if db.crashed.Load() {
		return ErrCrashed
	}
	return ErrClosed
}

// run is the writer's loop; it ends after Close with nothing left undone.
func (w *writer) run() {
	for {
		select {
		case j := <-w.db.urgent:
			w.turn(j, true)
			continue
		default:
		}
		select {
		case j := <-w.db.urgent:
			w.turn(j, true)
		case j := <-w.db.bulk:
			w.turn(j, false)
		case j := <-w.db.scrub:
			_, j.err = w.conn.empty()
			close(j.done)
		case <-w.db.quit:
			w.drain()
			return
		}
	}
}

// drain does what was queued before Close, then checkpoints.
func (w *writer) drain() {
	for {
		select {
		case j := <-w.db.urgent:
			w.turn(j, true)
		case j := <-w.db.bulk:
			w.turn(j, false)
		default:
			failpoint.Hit("store.close")
			if !w.db.crashed.Load() {
				if w.emptied() {
					w.db.epoch.stopped(w.ids.epoch)
				}
			}
			_ = w.conn.close()
			return
		}
	}
}

// emptied empties the log before the end; somebody may still read for a moment.
func (w *writer) emptied() bool {
	for range 20 {
		if done, err := w.conn.empty(); done || err != nil {
			return done && err == nil
		}
		time.Sleep(scrubPause)
	}
	return false
}

// turn runs one transaction: first, and whatever may join it.
func (w *writer) turn(first *job, urgent bool) {
	tx := &Tx{db: w.db, conn: w.conn, ids: w.ids, now: w.db.current()}
	tx.wall = w.db.clock.shown()
	w.held = w.held[:0]
	start := time.Now()
	w.db.stall.begin(start)
	defer w.db.stall.end()
	if err := w.begin(); err != nil {
		w.db.faulty(err)
		first.err = err
		close(first.done)
		return
	}
	if !w.told(tx) {
		w.held = append(w.held, first)
		w.answer(errTxLost)
		return
	}
	for j := first; j != nil; {
		w.held = append(w.held, j)
		if !w.apply(tx, j) {
			w.db.faulty(errTxLost)
			w.answer(errTxLost)
			return
		}
		if j, urgent = w.next(urgent, start); j == nil {
			runtime.Gosched() // whoever is about to ask for something may do so: a commit costs more than several functions
			j, urgent = w.next(urgent, start)
		}
	}
	if w.finish(tx) && (w.jump != nil || tx.accept) {
		w.db.wakeEvery()
	}
	w.jump = nil
}

func (w *writer) begin() error {
	if w.db.crashed.Load() {
		return ErrCrashed
	}
	err := failpoint.Err("store.begin")
	if err == nil {
		err = w.conn.exec("BEGIN IMMEDIATE")
	}
	if err != nil {
		return &turnError{"begin", err}
	}
	return nil
}

// next picks the function that joins the turn, nil to end it.
func (w *writer) next(urgent bool, start time.Time) (*job, bool) {
	select {
	case j := <-w.db.urgent:
		return j, true
	default:
	}
	if urgent || time.Since(start) > bulkTime {
		return nil, urgent
	}
	select {
	case j := <-w.db.bulk:
		return j, false
	default:
		return nil, urgent
	}
}

// apply runs one function inside its savepoint. It returns false when the whole
// transaction is gone: SQLITE_FULL and IOERR roll it back, and the next
// statement would commit by itself.
func (w *writer) apply(tx *Tx, j *job) bool {
	if err := w.conn.exec("SAVEPOINT f"); err != nil {
		j.err = err
		return !w.conn.raw.AutoCommit()
	}
	tx.wakes, tx.calls = nil, nil
	accept, ended := tx.accept, tx.ended
	w.call(tx, j)
	w.db.faulty(j.err)
	if w.conn.raw.AutoCommit() {
		if j.err != nil {
			j.err = fmt.Errorf("%w: %w", errTxLost, j.err)
		}
		return false
	}
	if j.err != nil || j.panic != nil {
		tx.accept, tx.ended = accept, ended
		if err := w.conn.exec("ROLLBACK TO f"); err != nil {
			return false
		}
	} else {
		j.wakes = tx.wakes
		for _, t := range tx.calls {
			w.db.wake(t)
		}
	}
	return w.conn.exec("RELEASE f") == nil
}

func (w *writer) call(tx *Tx, j *job) {
	defer func() {
		if p := recover(); p != nil {
			j.panic, j.stack = p, debug.Stack()
		}
	}()
	j.err = j.fn(tx)
}

// finish commits and answers. If COMMIT fails, every caller gets the error.
func (w *writer) finish(tx *Tx) bool {
	err := tx.keepMark()
	if err == nil && w.db.crashed.Load() {
		err = ErrCrashed
	}
	if err == nil {
		err = failpoint.Err("store.commit")
	}
	if err == nil && tx.changed && w.db.broken.Load() {
		err = sqlite3.Error{Code: sqlite3.ErrFull}
	}
	if err == nil {
		err = w.conn.exec("COMMIT")
	}
	if err != nil {
		w.db.faulty(err)
		w.answer(&turnError{"commit", err})
		return false
	}
	failpoint.Hit("store.committed")
	tx.kept()
	w.db.stats.commits.Add(1)
	w.answer(nil)
	return true
}

// answer tells every caller of the turn; err undoes them all.
func (w *writer) answer(err error) {
	if err != nil {
		if !w.conn.raw.AutoCommit() {
			_ = w.conn.exec("ROLLBACK")
		}
		w.db.clock.giveBack(w.jump)
		w.jump = nil
	}
	for _, j := range w.held {
		if err != nil {
			if j.err == nil {
				j.err = err
			}
			j.wakes = nil
		}
		for _, t := range j.wakes {
			w.db.wake(t)
		}
		close(j.done)
	}
}
