package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"janela/internal/failpoint"
)

// Copy is a database in a file of its own that was looked through: a backup.
type Copy struct {
	File   string           `json:"file"`
	Bytes  int64            `json:"bytes"`
	Schema int64            `json:"schema"` // the version of its schema
	Stands time.Time        `json:"stands"` // the last instant that it knows; zero: none
	Rows   map[string]int64 `json:"rows"`   // by table
}

// Total is how many rows it has.
func (c Copy) Total() (n int64) {
	for _, rows := range c.Rows {
		n += rows
	}
	return n
}

// A copy is made in steps, so that it does not take the disk for itself.
const (
	copyPages = 256     // 1 MiB
	syncEvery = 8 << 20 // bytes: what waits to be written, everybody's next commit would wait for
	hurryFrom = 32 << 20
)

// Backup copies the database as it stands now into a new file with mode 0600,
// and returns when that is on disk and was looked through: every page by SQLite's
// integrity check, every table by the number of its rows. Nobody waits for it:
// the writer goes on, and half of the time the disk is left to others. It never
// writes over a file (fs.ErrExist). Where it fails there is no file.
func (db *DB) Backup(ctx context.Context, to string) (Copy, error) {
	src, err := newConn(readerDSN(db.file), readerPragmas)
	if err != nil {
		return Copy{}, fmt.Errorf("store: open the database for a backup: %w", err)
	}
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	src.reading.who.Store(pc[0]) // so that who looks for what keeps the log from shrinking finds it
	src.reading.since.Store(max(int64(time.Since(db.stall.born)), 1))
	db.copying.Store(src)
	out, err := copyOf(ctx, src, to, func() bool { return db.LogSize() >= hurryFrom })
	db.copying.Store(nil)
	return out, errors.Join(err, src.close())
}

// BackupFile is Backup of a database that this process has not open: of one that
// a daemon uses, or that nobody does. It changes nothing of it.
func BackupFile(ctx context.Context, path, to string) (Copy, error) {
	return backupFile(ctx, path, to, false)
}

func backupFile(ctx context.Context, path, to string, still bool) (Copy, error) {
	src, err := openCopy(path, still)
	if err != nil {
		return Copy{}, err
	}
	out, err := copyOf(ctx, src, to, func() bool {
		info, err := os.Stat(path + "-wal")
		return err == nil && info.Size() >= hurryFrom
	})
	return out, errors.Join(err, src.close())
}

// Inspect looks a backup through, and refuses what is none, what is damaged, and
// what a newer janela has written. It changes nothing.
func Inspect(ctx context.Context, path string) (c Copy, err error) {
	src, err := openCopy(path, true)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	return src.inspect(ctx, path)
}

// openCopy opens a database for reading. One that lies still, which nobody writes
// to meanwhile, needs no files beside it.
func openCopy(path string, still bool) (*conn, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("store: %w", err)
	case !info.Mode().IsRegular() || info.Size() == 0:
		return nil, fmt.Errorf("store: %s: %w", path, errNoDatabase)
	}
	file := readerDSN(path)
	if _, err := os.Stat(path + "-wal"); still && errors.Is(err, fs.ErrNotExist) {
		file += "&immutable=1" // it can lie where nobody may write
	}
	c, err := newConn(file, nil)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	return c, nil
}

var errNoDatabase = errors.New("it is not a database of janela's")

// inspect is Inspect.
func (c *conn) inspect(ctx context.Context, path string) (out Copy, err error) {
	if out, err = c.contents(ctx, path); err != nil {
		return out, err
	}
	if newest := newestSchema(); out.Schema > newest {
		return out, fmt.Errorf("store: %s: %w", path, newerError{out.Schema, newest})
	}
	return out, c.sound(ctx, path)
}

// contents counts what a database of ours has.
func (c *conn) contents(ctx context.Context, path string) (out Copy, err error) {
	if info, err := os.Stat(path); err == nil {
		out.Bytes = info.Size()
	}
	out.File, out.Rows = path, map[string]int64{}
	tables, err := c.texts(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return out, fmt.Errorf("store: read %s: %w", path, err)
	}
	if !slices.Contains(tables, "settings") || !slices.Contains(tables, "goose_db_version") {
		return out, fmt.Errorf("store: %s: %w", path, errNoDatabase)
	}
	for _, t := range tables {
		n, err := c.texts(ctx, `SELECT COUNT(*) FROM "`+t+`"`)
		if err == nil {
			out.Rows[t], err = strconv.ParseInt(n[0], 10, 64)
		}
		if err != nil {
			return out, fmt.Errorf("store: count the rows of %s in %s: %w", t, path, err)
		}
	}
	if out.Schema, err = c.schema(); err != nil {
		return out, err
	}
	stands, err := number(c, "clock")
	out.Stands = Time(stands)
	return out, err
}

// schema is the version of the newest migration that was applied.
func (c *conn) schema() (int64, error) {
	text, err := c.value("SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied = 1")
	if err != nil {
		return 0, fmt.Errorf("store: read the schema's version: %w", err)
	}
	return strconv.ParseInt(text, 10, 64)
}

// sound reads every page.
func (c *conn) sound(ctx context.Context, path string) error {
	faults, err := c.texts(ctx, "PRAGMA integrity_check(3)")
	if err == nil && (len(faults) != 1 || faults[0] != "ok") {
		err = errors.New(strings.Join(faults, "; "))
	}
	if err != nil {
		return fmt.Errorf("store: %s is damaged: %w", path, err)
	}
	return nil
}

// texts returns the first column of every row. It ends with ctx.
func (c *conn) texts(ctx context.Context, text string) (out []string, err error) {
	rows, err := c.raw.QueryContext(ctx, text, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return out, err
		}
		out = append(out, fmt.Sprint(row[0]))
	}
}

// copyOf copies what src sees now into a new file.
func copyOf(ctx context.Context, src *conn, to string, hurry func() bool) (out Copy, err error) {
	to, err = filepath.Abs(to)
	if err != nil {
		return out, err
	}
	if _, err := os.Lstat(to); err == nil {
		return out, fmt.Errorf("store: %s: %w; a backup never writes over a file", to, fs.ErrExist)
	}
	sweep(filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+"-*"+partial+"*"))
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+"-*"+partial) // mode 0600
	if err != nil {
		return out, fmt.Errorf("store: make the backup's file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return out, errors.Join(fmt.Errorf("store: lock the backup's file: %w", err), f.Close(), os.Remove(f.Name()))
	}
	failpoint.Hit("store.copy.made")
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	want, err := fill(ctx, src, f, hurry)
	if err != nil {
		return out, err
	}
	failpoint.Hit("store.copy.filled")
	if out, err = settleCopy(ctx, f.Name(), want.Rows); err != nil {
		return out, err
	}
	failpoint.Hit("store.copy.looked_through")
	if err := f.Sync(); err != nil {
		return out, fmt.Errorf("store: bring the backup to disk: %w", err)
	}
	out.File = to
	if err := failpoint.Err("store.copy.synced"); err != nil {
		return out, err
	}
	return out, publish(f.Name(), to)
}

// partial ends the name of a copy that is not whole.
const partial = ".partial"

// sweep removes what processes that were killed in the middle have left behind.
// Whoever still works on such a file has it locked; SQLite's own locks are of
// another kind.
func sweep(pattern string) {
	names, _ := filepath.Glob(pattern)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.Remove(name)
		}
		_ = f.Close()
	}
}

// fill copies every page of one snapshot, and counts what the snapshot has.
func fill(ctx context.Context, src *conn, f *os.File, hurry func() bool) (want Copy, err error) {
	if err := src.exec("BEGIN"); err != nil { // with the snapshot open it is never begun again
		return want, fmt.Errorf("store: begin the backup: %w", err)
	}
	defer func() { err = errors.Join(err, src.exec("ROLLBACK")) }()
	if want, err = src.contents(ctx, f.Name()); err != nil {
		return want, err
	}
	dst, err := newConn(dsn(f.Name(), map[string][]string{"_journal_mode": {"OFF"}, "_synchronous": {"OFF"}, "_mutex": {"no"}}), nil)
	if err != nil {
		return want, fmt.Errorf("store: open the backup's file: %w", err)
	}
	err = copyPagesOf(ctx, src, dst, f, hurry)
	return want, errors.Join(err, dst.close())
}

func copyPagesOf(ctx context.Context, src, dst *conn, f *os.File, hurry func() bool) error {
	b, err := dst.raw.Backup("main", src.raw, "main")
	if err != nil {
		return fmt.Errorf("store: begin the backup: %w", err)
	}
	var unsynced int64
	for done := false; !done && err == nil; {
		start := time.Now()
		if done, err = b.Step(copyPages); err != nil {
			break
		}
		if unsynced += copyPages << 12; unsynced >= syncEvery {
			unsynced = 0
			err = f.Sync()
		}
		if err == nil {
			err = failpoint.Err("store.copy.step")
		}
		if err == nil && src.reading.over.Load() {
			err = ErrTooLong
		}
		if err == nil {
			err = ctx.Err()
		}
		if !done && err == nil && !hurry() {
			rest(ctx, time.Since(start))
		}
	}
	if err = errors.Join(err, b.Finish()); err != nil {
		return fmt.Errorf("store: copy the database: %w", err)
	}
	return nil
}

// rest waits, a second at most.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(min(d, time.Second)):
	case <-ctx.Done():
	}
}

// settleCopy makes the copy a file that needs none beside it, and looks it through.
func settleCopy(ctx context.Context, file string, want map[string]int64) (out Copy, err error) {
	c, err := newConn(dsn(file, map[string][]string{"_journal_mode": {"DELETE"}, "_synchronous": {"FULL"}, "_mutex": {"no"}}), nil)
	if err != nil {
		return out, fmt.Errorf("store: open the backup: %w", err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if out, err = c.contents(ctx, file); err != nil {
		return out, err
	}
	if !maps.Equal(out.Rows, want) {
		return out, fmt.Errorf("store: the backup has not the rows that the database has")
	}
	return out, c.sound(ctx, file)
}

// publish gives a whole file its name, which must be free.
func publish(tmp, to string) error {
	err := os.Link(tmp, to)
	switch {
	case err == nil:
		failpoint.Hit("store.copy.linked")
		err = os.Remove(tmp)
	case errors.Is(err, fs.ErrExist):
	default: // a file system without hard links
		if _, there := os.Lstat(to); there == nil {
			err = fs.ErrExist
		} else {
			err = os.Rename(tmp, to)
		}
	}
	failpoint.Hit("store.copy.named")
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		return fmt.Errorf("store: name the backup %s: %w", to, err)
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
