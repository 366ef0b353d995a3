package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The write-ahead log is brought home in the background from tendFrom bytes on,
// so that commits seldom have to; the writer does it itself from autoPages pages
// on (32 MiB), which starts the log from its beginning. A quiet log is emptied
// from emptyFrom bytes on.
const (
	tendFrom  = 8 << 20
	emptyFrom = 1 << 20
	autoPages = 8000
)

// quietCommits is how many commits between two looks are none to speak of.
const quietCommits = 5

// ErrTooLong is what a snapshot gets that was ended because it kept the
// write-ahead log from shrinking: read in smaller parts.
var ErrTooLong = errors.New("store: the snapshot was ended: it kept the write-ahead log from shrinking for too long")

// LogSize is how large the write-ahead log is, in bytes.
func (db *DB) LogSize() int64 {
	info, err := os.Stat(db.file + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// Size is how large the database is without its log, in bytes.
func (db *DB) Size() int64 {
	info, err := os.Stat(db.file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Tend keeps the write-ahead log small: it brings home what it holds, and empties
// it when little is written. Call it every second, from one goroutine.
func (db *DB) Tend(ctx context.Context) error {
	size, commits := db.LogSize(), db.Commits()
	few := commits-db.tended <= quietCommits
	db.tended = commits
	switch {
	case few && size >= emptyFrom:
		return db.submit(ctx, db.scrub, nil)
	case size < tendFrom:
		return nil
	}
	if db.tender == nil {
		c, err := newConn(writerDSN(db.file), writerPragmas)
		if err != nil {
			return fmt.Errorf("store: open %s to bring its log home: %w", db.file, err)
		}
		db.tender = c
	}
	if _, err := db.tender.value("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return fmt.Errorf("store: bring the log home: %w", err)
	}
	return nil
}

// empty brings the log home and truncates it, if nobody reads from it: it does
// not wait.
func (c *conn) empty() (done bool, err error) {
	if _, err := c.value("PRAGMA busy_timeout = 0"); err != nil {
		return false, err
	}
	busy, err := c.value("PRAGMA wal_checkpoint(TRUNCATE)")
	if _, again := c.value("PRAGMA busy_timeout = 5000"); err == nil {
		err = again
	}
	return busy == "0", err
}

// reading is what a connection reads now.
type reading struct {
	since atomic.Int64 // ns after the database was opened; 0: nothing
	who   atomic.Uintptr
	over  atomic.Bool // it must end
}

func (db *DB) readingBegins(c *conn) {
	var pc [1]uintptr
	runtime.Callers(3, pc[:]) // who called Read
	c.reading.who.Store(pc[0])
	c.reading.over.Store(false)
	c.reading.since.Store(max(int64(time.Since(db.stall.born)), 1))
}

// Reader is a snapshot that is open.
type Reader struct {
	For time.Duration // how long
	Who string        // the function that reads
	c   *conn
	at  int64
}

// Oldest returns the snapshot that has been open for the longest time; ok is
// false when there is none.
func (db *DB) Oldest() (oldest Reader, ok bool) {
	all := db.readers
	if c := db.copying.Load(); c != nil {
		all = append(slices.Clip(all), c)
	}
	for _, c := range all {
		at := c.reading.since.Load()
		if at == 0 || ok && at >= oldest.at {
			continue
		}
		oldest, ok = Reader{c: c, at: at, For: time.Since(db.stall.born) - time.Duration(at)}, true
	}
	if ok {
		frame, _ := runtime.CallersFrames([]uintptr{oldest.c.reading.who.Load()}).Next()
		oldest.Who = strings.TrimPrefix(frame.Function, "janela/")
	}
	return oldest, ok
}

// End ends the snapshot: what it reads next is ErrTooLong. One that has ended by
// itself meanwhile is not harmed.
func (r Reader) End() {
	if r.c != nil && r.c.reading.since.Load() == r.at {
		r.c.reading.over.Store(true)
	}
}

// over says that the transaction must end.
func (tx *Tx) over() error { return nil }

func (s *Snap) over() error {
	if s.conn.reading.over.Load() {
		return ErrTooLong
	}
	return nil
}
