package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Topic names what a wake-up is about.
type Topic string

// stats counts what the database did.
type stats struct{ commits atomic.Int64 }

// Commits returns how many transactions were committed since Open.
func (db *DB) Commits() int64 { return db.stats.commits.Load() }

// Querier is what can be asked: a transaction or a snapshot. Rules and reports
// take it, so that they are written once.
type Querier interface {
	Now() time.Time  // one instant per transaction, never earlier than the one before
	Wall() time.Time // the wall clock: earlier than Now while that was set back
	prepared(*Stmt) (*prepared, error)
	over() error // it must end
	carries() *sync.Map
	changes() *noted
}

// Tx is a writing transaction. It must not be kept after its function returned.
type Tx struct {
	db    *DB
	conn  *conn
	ids   *ids
	now   int64
	wall  int64
	wakes []Topic
	calls []Topic
	ran   int

	accept  bool // Now goes back to the wall clock
	ended   bool // somebody has taken care of a restored database
	changed bool // there is something to commit
}

// Now is the transaction's one instant, in UTC.
func (tx *Tx) Now() time.Time { return Time(tx.now) }

// prepared refuses once SQLite has ended the transaction (disk full, I/O
// error): a function that went on would have its next statement committed by
// itself.
func (tx *Tx) prepared(s *Stmt) (*prepared, error) {
	if tx.conn.raw.AutoCommit() {
		return nil, errTxLost
	}
	tx.ran++
	return tx.conn.stmt(s)
}

// Statements returns how many statements the function has run: what must cost
// the same can be shown to.
func (tx *Tx) Statements() int { return tx.ran }

// Hurry says that somebody waits for a transaction: a Bulk function that has
// done some of its work should return, and do the rest in another.
func (tx *Tx) Hurry() bool { return len(tx.db.urgent) > 0 }

// Exec runs a statement and returns how many rows it changed.
func (tx *Tx) Exec(s *Stmt, args ...any) (int64, error) {
	p, err := tx.prepared(s)
	if err != nil {
		return 0, err
	}
	n, err := p.exec(args)
	if err != nil {
		return 0, fmt.Errorf("store: %s: %w", firstLine(s.text), err)
	}
	tx.changed = tx.changed || n > 0
	return n, nil
}

// One runs a statement that must change exactly one row, else ErrLost: a
// compare-and-set.
func (tx *Tx) One(s *Stmt, args ...any) error {
	n, err := tx.Exec(s, args...)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%w: %s (%d rows)", ErrLost, firstLine(s.text), n)
	}
	return nil
}

// ExecBatch runs a statement for each row of arguments and returns how many
// rows were changed in all.
func (tx *Tx) ExecBatch(s *Stmt, rows iter.Seq[[]any]) (int64, error) {
	var total int64
	for args := range rows {
		n, err := tx.Exec(s, args...)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// Wake tells whoever waits for the topic, after COMMIT only. It is a hint,
// never the truth.
func (tx *Tx) Wake(t Topic) {
	if n := len(tx.wakes); n == 0 || tx.wakes[n-1] != t { // a batch of a hundred rows says it a hundred times
		tx.wakes = append(tx.wakes, t)
	}
}

// Summon tells whoever waits for the topic already when the function has
// returned, so that what they Write then joins this transaction: one commit for
// both. It is for loops that look by Write alone, which comes after this function
// whatever becomes of it; a snapshot would show them what was before.
func (tx *Tx) Summon(t Topic) {
	if !slices.Contains(tx.calls, t) {
		tx.calls = append(tx.calls, t)
	}
}

// Wakes returns a channel of capacity 1 that hears of the topic from now on.
// Call it once per loop, before the loop's first look.
func (db *DB) Wakes(t Topic) <-chan struct{} {
	ch := make(chan struct{}, 1)
	db.wakes.Lock()
	db.wakes.subscribers[t] = append(db.wakes.subscribers[t], ch)
	db.wakes.Unlock()
	return ch
}

func (db *DB) wake(t Topic) {
	db.wakes.Lock()
	defer db.wakes.Unlock()
	for _, ch := range db.wakes.subscribers[t] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Snap is a reading transaction: one consistent state. Keep it short, because
// an open snapshot keeps the write-ahead log from shrinking.
type Snap struct {
	db   *DB
	conn *conn
	now  int64
	wall int64

	moment Moment
}

// Now is the snapshot's one instant, in UTC.
func (s *Snap) Now() time.Time { return Time(s.now) }

func (s *Snap) prepared(st *Stmt) (*prepared, error) {
	if err := s.over(); err != nil {
		return nil, err
	}
	return s.conn.stmt(st)
}

// Read runs fn over one consistent state of the database.
func (db *DB) Read(ctx context.Context, fn func(*Snap) error) error {
	select {
	case <-db.quit:
		return db.closedErr()
	default:
	}
	select {
	case <-db.free.tickets:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.quit:
		return db.closedErr()
	}
	c := db.free.take()
	db.readingBegins(c)
	defer func() {
		c.reading.since.Store(0)
		db.free.put(c)
	}()
	moment := Moment(db.Commits()) // before the snapshot: it shows at least these
	if err := c.exec("BEGIN"); err != nil {
		return fmt.Errorf("store: begin reading: %w", err)
	}
	defer func() { _ = c.exec("ROLLBACK") }()
	now := db.current()
	return fn(&Snap{db: db, conn: c, now: now, wall: db.clock.shown(), moment: moment})
}

// Carry keeps a value with the database, for functions that have nothing but a
// transaction of it: one of each type. It is never written anywhere.
func (db *DB) Carry(v any) { db.carried.Store(reflect.TypeOf(v), v) }

// Carried returns the value of a type that the database carries.
func Carried[T any](q Querier) (T, bool) {
	v, _ := q.carries().Load(reflect.TypeFor[T]())
	t, ok := v.(T)
	return t, ok
}

func (tx *Tx) carries() *sync.Map  { return &tx.db.carried }
func (s *Snap) carries() *sync.Map { return &s.db.carried }

// Row is a pointer type that names the places its columns go to.
type Row[T any] interface {
	*T
	Fields() []any
}

// Col is a Row of one column.
type Col[T any] struct{ V T }

// Fields names the one place.
func (c *Col[T]) Fields() []any { return []any{&c.V} }

// Each calls fn for every row of a statement; the row is used again for the
// next. fn must not run another statement that writes what is being walked.
func Each[T any, P Row[T]](q Querier, s *Stmt, fn func(P) error, args ...any) error {
	p, err := q.prepared(s)
	if err != nil {
		return err
	}
	var told error // by fn: it is passed on as it is
	var row, none T
	fields := P(&row).Fields()
	err = p.each(args, func(values []driver.Value) (bool, error) {
		row = none
		if err := scan(values, fields); err != nil {
			return false, err
		}
		if told = fn(&row); told == nil {
			told = q.over()
		}
		return told == nil, nil
	})
	if told != nil {
		return told
	}
	if err != nil {
		return fmt.Errorf("store: %s: %w", firstLine(s.text), err)
	}
	return nil
}

// All returns every row of a statement.
func All[T any, P Row[T]](q Querier, s *Stmt, args ...any) ([]T, error) {
	var out []T
	err := Each(q, s, func(p P) error { out = append(out, *p); return nil }, args...)
	return out, err
}

var errStop = errors.New("stop")

// Get returns the first row of a statement; ok is false when there is none.
func Get[T any, P Row[T]](q Querier, s *Stmt, args ...any) (row T, ok bool, err error) {
	err = Each(q, s, func(p P) error { row, ok = *p, true; return errStop }, args...)
	if errors.Is(err, errStop) {
		err = nil
	}
	return row, ok, err
}

// Value returns the first column of the first row; ok is false when there is
// no row.
func Value[T any](q Querier, s *Stmt, args ...any) (v T, ok bool, err error) {
	row, ok, err := Get[Col[T]](q, s, args...)
	return row.V, ok, err
}
