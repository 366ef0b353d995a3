package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// Finding is how a database file looks to somebody who only reads.
type Finding struct {
	Mode    fs.FileMode // permissions of the file
	Bytes   int64
	Journal string   // journal mode; wal, or something is wrong
	Schema  int64    // version of its schema
	Newest  int64    // the newest that this program knows
	Faults  []string // what a quick look through its pages found; none: it is sound
}

// Examine looks at the database of a daemon that may run or not, and changes
// nothing: no lock is taken, no schema brought up to date. It returns
// fs.ErrNotExist where there is no file yet. Without a ctx of its own end it
// reads every page.
func Examine(ctx context.Context, path string) (f Finding, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return f, fmt.Errorf("store: %w", err)
	}
	f.Mode, f.Bytes, f.Newest = info.Mode().Perm(), info.Size(), newestSchema()
	c, err := openCopy(path, false)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if f.Journal, err = c.value("PRAGMA journal_mode"); err != nil {
		return f, fmt.Errorf("store: read %s: %w", path, err)
	}
	if f.Schema, err = c.schema(); err != nil {
		return f, err
	}
	faults, err := c.texts(ctx, "PRAGMA quick_check(3)")
	if err != nil {
		return f, fmt.Errorf("store: look through %s: %w", path, err)
	}
	if len(faults) != 1 || !strings.EqualFold(faults[0], "ok") {
		f.Faults = faults
	}
	return f, nil
}

// Glance runs fn over one state of a database that this process has not open: a
// daemon may use it or not. Nothing is changed, and no lock is taken. Now is the
// last instant that the database knows, where the clock is behind it. A database
// whose schema is not this program's is refused.
func Glance(ctx context.Context, path string, fn func(*Snap) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	c, err := openCopy(path, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.exec("BEGIN"); err != nil {
		return fmt.Errorf("store: begin reading: %w", err)
	}
	defer func() { _ = c.exec("ROLLBACK") }()
	schema, err := c.schema()
	if err != nil {
		return err
	}
	if newest := newestSchema(); schema != newest {
		return fmt.Errorf("store: %s: its schema is version %d, and this program's is %d", path, schema, newest)
	}
	stands, err := number(c, "clock")
	if err != nil {
		return err
	}
	db := &DB{clock: newClock(nil)}
	wall := db.clock.shown()
	return fn(&Snap{db: db, conn: c, now: max(wall, stands), wall: wall})
}

// Held reports whether a process holds the lock of the database at path. It
// makes no file.
func Held(path string) (bool, error) {
	name := path + ".lock"
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if err != nil {
		return false, fmt.Errorf("store: look at %s: %w", name, err)
	}
	if !free {
		return true, nil
	}
	return false, lock.Unlock()
}
