package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/store"
)

// putSized commits one row of some size.
func putSized(t testing.TB, db *store.DB, key string, size int) {
	t.Helper()
	err := db.Write(context.WithoutCancel(t.Context()), func(tx *store.Tx) error {
		_, err := tx.Exec(sqlPut, key, strings.Repeat("x", size))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// alone fails where anything lies beside the files of a folder that are named.
func alone(t testing.TB, dir string, names ...string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		found := false
		for _, n := range names {
			found = found || n == e.Name()
		}
		if !found {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// While pages are copied the writer commits, and the copy has what stood at its
// beginning, whole.
func TestBackupIsOneInstantAndNobodyWaits(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	for i := range 40 {
		putSized(t, db, fmt.Sprint("k", i), 100_000)
	}
	to := filepath.Join(t.TempDir(), "copy.db")
	during := 0
	c, err := db.CopySteps(t.Context(), to, func() {
		putSized(t, db, fmt.Sprint("k-during", during), 100)
		during++
	})
	if err != nil {
		t.Fatal(err)
	}
	if during < 2 {
		t.Fatalf("the database was copied in %d steps: nothing was tested", during)
	}
	if count(t, db) != 40+during {
		t.Errorf("%d rows in the database, want %d", count(t, db), 40+during)
	}
	if c.Rows["settings"] == 0 || c.Schema != store.NewestSchema() || c.Stands.IsZero() || c.File != to {
		t.Errorf("the copy says of itself %+v", c)
	}
	info, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() != c.Bytes {
		t.Errorf("the copy has mode %o and %d bytes, and says %d", info.Mode().Perm(), info.Size(), c.Bytes)
	}
	alone(t, filepath.Dir(to), "copy.db")
	again := open(t, to)
	defer again.Close()
	if n := count(t, again); n != 40 {
		t.Errorf("%d rows in the copy, want the 40 of its beginning", n)
	}
}

// A backup never writes over anything, and one that is given up leaves nothing.
func TestBackupLeavesNothingHalf(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	for i := range 40 {
		putSized(t, db, fmt.Sprint("k", i), 100_000)
	}
	dir := t.TempDir()
	to := filepath.Join(dir, "copy.db")
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := db.CopySteps(ctx, to, cancel); !errors.Is(err, context.Canceled) {
		t.Fatalf("a copy that was given up: %v", err)
	}
	alone(t, dir)
	if err := os.WriteFile(to, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Backup(t.Context(), to); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a backup over a file: %v", err)
	}
	if b, _ := os.ReadFile(to); string(b) != "mine" {
		t.Errorf("the file is now %q", b)
	}
	alone(t, dir, "copy.db")
}

// Whoever keeps the log from shrinking can be found and ended; so can a backup.
func TestBackupThatKeepsTheLogIsEnded(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	for i := range 60 {
		putSized(t, db, fmt.Sprint("k", i), 100_000)
	}
	dir := t.TempDir()
	ended := make(chan error, 1)
	var seen store.Reader
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if r, ok := db.Oldest(); ok && strings.Contains(r.Who, "TestBackupThatKeepsTheLogIsEnded") {
				seen = r
				r.End()
				return
			}
			if t.Context().Err() != nil {
				return
			}
			time.Sleep(50 * time.Microsecond)
		}
	})
	for i := 0; ; i++ {
		_, err := db.Backup(t.Context(), filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			ended <- err
			break
		}
		if i > 200 {
			t.Fatal("no backup was seen while it read")
		}
	}
	wg.Wait()
	if err := <-ended; !errors.Is(err, store.ErrTooLong) {
		t.Errorf("the backup that was ended says %v", err)
	}
	if _, ok := db.Oldest(); ok || seen.Who == "" {
		t.Errorf("a reader is left; seen was %q", seen.Who)
	}
}

// Another process can copy a database that is in use, was killed, or was stopped.
func TestBackupFile(t *testing.T) {
	for name, end := range map[string]func(*store.DB) error{"in use": nil, "stopped": stop, "killed": kill} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			db := open(t, path)
			for i := range 5 {
				putSized(t, db, fmt.Sprint("k", i), 10)
			}
			if end == nil {
				defer db.Close()
			} else if err := end(db); err != nil {
				t.Fatal(err)
			}
			c, err := store.BackupFile(t.Context(), path, filepath.Join(t.TempDir(), "copy.db"))
			if err != nil {
				t.Fatal(err)
			}
			copied := open(t, c.File)
			defer copied.Close()
			if n := count(t, copied); n != 5 {
				t.Errorf("%d rows in the copy, want 5", n)
			}
			if name == "in use" {
				return
			}
			again := open(t, path) // which was not harmed
			defer again.Close()
			if r, yes := again.Restored(); yes || count(t, again) != 5 {
				t.Errorf("after its backup the database has %d rows, and is a restored one: %v %s", count(t, again), yes, r.Why)
			}
		})
	}
}

// What is no backup is told apart, and by what.
func TestInspect(t *testing.T) {
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "x.db"))
	for i := range 300 {
		putSized(t, db, fmt.Sprint("k", i), 500)
	}
	good := filepath.Join(dir, "good.db")
	if _, err := db.Backup(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), whole...)
	for i := len(damaged) - 3000; i < len(damaged)-100; i++ {
		damaged[i] = 0xff
	}
	for name, test := range map[string]struct {
		data []byte
		sql  string
		want string
	}{
		"good":            {whole, "", ""},
		"empty":           {nil, "", "not a database of janela's"},
		"text":            {[]byte(strings.Repeat("text", 5000)), "", "not a database"},
		"cut":             {whole[:len(whole)/2/4096*4096], "", "damaged|malformed|not a database"},
		"damaged":         {damaged, "", "damaged|malformed"},
		"another program": {whole, "DROP TABLE settings", "not a database of janela's"},
		"newer":           {whole, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)", "written by a newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "b.db")
			if err := os.WriteFile(path, test.data, 0o400); err != nil {
				t.Fatal(err)
			}
			if test.sql != "" {
				change(t, path, test.sql)
			}
			c, err := store.Inspect(t.Context(), path)
			alone(t, filepath.Dir(path), "b.db")
			if test.want == "" {
				if err != nil || c.Rows["settings"] < 300 {
					t.Fatalf("%v %v", c, err)
				}
				return
			}
			for _, want := range strings.Split(test.want, "|") {
				if err != nil && strings.Contains(err.Error(), want) {
					return
				}
			}
			t.Fatalf("the error is %v, want one with %q", err, test.want)
		})
	}
}

// change runs SQL on a file that nobody uses.
func change(t testing.TB, path, text string) {
	t.Helper()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = db.Exec(text); err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A restored backup is known as one, also where the file beside the database had
// not come to disk, and what was there is kept.
func TestRestore(t *testing.T) {
	for name, epoch := range map[string]string{"as usual": "keep", "the file beside it is behind": "behind", "the file beside it is gone": "gone"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h := &house{t: t, path: filepath.Join(dir, "x.db")}
			h.run(3, stop)
			behind := h.save(".epoch")
			db := open(t, h.path)
			putSized(t, db, "k-before", 10)
			backup := filepath.Join(dir, "backup.db")
			if _, err := db.Backup(t.Context(), backup); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Restore(t.Context(), store.RestoreConfig{Path: h.path, From: backup}); !errors.Is(err, store.ErrLocked) {
				t.Fatalf("a restore under a running daemon: %v", err)
			}
			putSized(t, db, "k-after", 10)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			switch epoch {
			case "behind":
				if err := os.WriteFile(h.path+".epoch", behind[".epoch"], 0o600); err != nil {
					t.Fatal(err)
				}
			case "gone":
				if err := os.Remove(h.path + ".epoch"); err != nil {
					t.Fatal(err)
				}
			}
			put, err := store.Restore(t.Context(), store.RestoreConfig{Path: h.path, From: backup, Now: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if epoch == "keep" && put.Commits < 1 {
				t.Errorf("%d transactions are said to be gone", put.Commits)
			}
			restored := open(t, h.path)
			defer restored.Close()
			if _, yes := restored.Restored(); !yes || count(t, restored) != 4 {
				t.Errorf("the restored database has %d rows, want 4; it knows that it is one: %v", count(t, restored), yes)
			}
			if err := restored.Write(t.Context(), func(tx *store.Tx) error {
				if tx.Older(h.last) {
					return nil
				}
				return errors.New("what was there is not older")
			}); err != nil {
				t.Error(err)
			}
			old := open(t, put.Aside)
			defer old.Close()
			if n := count(t, old); n != 5 {
				t.Errorf("%d rows in what was put aside, want 5", n)
			}
		})
	}
}

// A restore that fails changes nothing.
func TestRestoreOfABadFileChangesNothing(t *testing.T) {
	dir := t.TempDir()
	h := &house{t: t, path: filepath.Join(dir, "x.db")}
	h.run(3, kill)
	bad := filepath.Join(dir, "bad.db")
	if err := os.WriteFile(bad, []byte("no database at all, and yet some bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := h.save("", "-wal", ".epoch")
	if _, err := store.Restore(t.Context(), store.RestoreConfig{Path: h.path, From: bad, Now: time.Now()}); err == nil {
		t.Fatal("it was restored")
	}
	for name, b := range h.save("", "-wal", ".epoch") {
		if string(b) != string(before[name]) {
			t.Errorf("%s has changed", filepath.Base(h.path)+name)
		}
	}
	if why := h.run(1, stop); why != "" {
		t.Errorf("it is taken for a restored one: %s", why)
	}
}
