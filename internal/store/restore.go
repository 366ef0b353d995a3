package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"janela/internal/failpoint"
)

// RestoreConfig says what to put back.
type RestoreConfig struct {
	Path string    // where the database belongs
	From string    // the backup
	Now  time.Time // names what is put aside
}

// Put is what a restore has done.
type Put struct {
	Copy
	Aside   string `json:"aside,omitempty"` // what was there before; "": nothing
	Commits int64  `json:"commits"`         // transactions that the backup does not have; 0: unknown
}

// Restore puts a backup in the place of the database, after looking it through;
// what was there is kept beside it. It refuses while a process holds the database
// (ErrLocked). What it puts there begins as Restored: the next start holds what
// may have been sent since, until somebody has looked. Where it fails, what was
// there is there.
func Restore(ctx context.Context, cfg RestoreConfig) (out Put, err error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return out, fmt.Errorf("store: make the database's folder: %w", err)
	}
	lock := flock.New(cfg.Path+".lock", flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return out, fmt.Errorf("store: lock %s.lock: %w", cfg.Path, err)
	}
	if !held {
		return out, fmt.Errorf("%s: %w", cfg.Path, ErrLocked)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if _, err := Inspect(ctx, cfg.From); err != nil {
		return out, err
	}
	failpoint.Hit("store.restore.locked")
	for _, left := range []string{cfg.Path + ".restore-*", filepath.Join(filepath.Dir(cfg.Path), "."+filepath.Base(cfg.Path)+".restore-*"+partial+"*")} {
		sweep(left) // of a restore that was killed
	}
	tmp := fmt.Sprintf("%s.restore-%d", cfg.Path, os.Getpid())
	defer func() { _ = os.Remove(tmp) }()
	if out.Copy, err = backupFile(ctx, cfg.From, tmp, true); err != nil {
		return out, err
	}
	failpoint.Hit("store.restore.copied")
	if out.Commits, err = markRestored(cfg, tmp); err != nil {
		return out, err
	}
	failpoint.Hit("store.restore.marked")
	if err := own(cfg.Path, tmp, cfg.Path+".lock"); err != nil {
		return out, err
	}
	if out.Aside, err = aside(cfg); err != nil {
		return out, err
	}
	failpoint.Hit("store.restore.aside")
	out.File = cfg.Path
	if err := os.Rename(tmp, cfg.Path); err != nil {
		return out, fmt.Errorf("store: put the backup in place: %w", err)
	}
	failpoint.Hit("store.restore.placed")
	return out, syncDir(filepath.Dir(cfg.Path))
}

// markRestored writes into the copy that it is a restored one: the file beside
// the database tells the same only as far as it got to disk.
func markRestored(cfg RestoreConfig, tmp string) (commits int64, err error) {
	c, err := newConn(dsn(tmp, map[string][]string{"_journal_mode": {"DELETE"}, "_synchronous": {"FULL"}, "_mutex": {"no"}}), nil)
	if err != nil {
		return 0, fmt.Errorf("store: open the copy: %w", err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	was, there, fault := (&epochFile{path: cfg.Path + ".epoch"}).read()
	r := Restored{Why: "a backup was restored: " + filepath.Base(cfg.From), Found: Millis(cfg.Now)}
	var have, older int64
	for name, place := range map[string]*int64{"clock": &r.Stands, "id_ceiling": &r.IDs, "commits": &have, "older_ids": &older} {
		if *place, err = number(c, name); err != nil {
			return 0, err
		}
	}
	if there && fault == nil {
		r.Ran, r.Commits = was.clock, max(was.commits-have, 0)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	err = c.set(map[string]string{"restored": string(text), "older_ids": strconv.FormatInt(max(older, r.IDs), 10)})
	return r.Commits, err
}

// own gives files the owner of the database, or of its folder: root restores for
// the user who runs the daemon.
func own(path string, files ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("store: whose the database is: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	for _, f := range files {
		if err := os.Chown(f, int(st.Uid), int(st.Gid)); err != nil {
			return fmt.Errorf("store: give the restored database to its owner: %w", err)
		}
	}
	return nil
}

// aside keeps what was there under another name. Its log is brought home first,
// so that what stands there is whole at every moment; where a damaged database
// does not let that be done, the log goes before it, and between the two there is
// a database without its log, which the next start would notice.
func aside(cfg RestoreConfig) (string, error) {
	if _, err := os.Lstat(cfg.Path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	name := cfg.Path + ".before-restore-" + cfg.Now.UTC().Format("20060102T150405Z")
	for first, n := name, 2; ; n++ { // two in one second, the first of which was killed
		if _, err := os.Lstat(name); err != nil {
			break
		}
		name = fmt.Sprintf("%s-%d", first, n)
	}
	_ = bringHome(cfg.Path)
	failpoint.Hit("store.restore.home")
	err := os.Rename(cfg.Path+"-wal", name+"-wal")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("store: put the write-ahead log aside: %w", err)
	}
	if err := os.Remove(cfg.Path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("store: remove the index of the write-ahead log: %w", err)
	}
	failpoint.Hit("store.restore.log_aside")
	// A second name, so that there is a database at every moment; where a file
	// system knows none, it is moved.
	if err := os.Link(cfg.Path, name); err != nil {
		err = os.Rename(cfg.Path, name)
		if err != nil {
			return "", fmt.Errorf("store: put the database aside: %w", err)
		}
	}
	return name, nil
}

// bringHome writes what the write-ahead log holds into the database, and ends the
// log. Nobody else has it open.
func bringHome(path string) error {
	c, err := newConn(writerDSN(path), nil)
	if err != nil {
		return err
	}
	busy, err := c.value("PRAGMA wal_checkpoint(TRUNCATE)")
	if err == nil && busy != "0" {
		err = errors.New("the write-ahead log is in use")
	}
	return errors.Join(err, c.close()) // the last one to close it removes the log
}
