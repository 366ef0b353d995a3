package crashtest

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"janela/internal/store"
)

// ofCopies says whether a failpoint is one of backups and restores, which are
// processes of their own.
func ofCopies(name string) bool {
	return strings.HasPrefix(name, "store.copy.") || strings.HasPrefix(name, "store.restore.")
}

// ends runs a command with failpoints, and returns its exit code.
func (w *world) ends(points string, args ...string) (code int, said string) {
	w.t.Helper()
	cmd := exec.Command(w.binary, append([]string{"--config", filepath.Join(w.dir, "config.toml")}, args...)...)
	cmd.Env = w.command("FAILPOINTS=" + points).Env
	out, err := cmd.CombinedOutput()
	if code = status(err); err != nil && code == 0 {
		w.t.Fatal(err)
	}
	return code, string(out)
}

// database are the files of the database, by name, as they lie there.
func (w *world) database() map[string][]byte {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "janela.db*"))
	out := map[string][]byte{}
	for _, name := range names {
		if strings.HasSuffix(name, ".sock") {
			continue
		}
		if out[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			break
		}
	}
	if err != nil || out["janela.db"] == nil {
		w.t.Fatalf("%d files of the database: %v", len(out), err)
	}
	return out
}

// putBack makes the folder's database what it was.
func (w *world) putBack(files map[string][]byte) {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "*janela.db*"))
	for _, name := range names {
		if err == nil {
			err = os.Remove(name)
		}
	}
	for name, data := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(w.dir, name), data, 0o600)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// rows are what a whole database has, by table.
func rows(t *testing.T, path string) map[string]int64 {
	t.Helper()
	c, err := store.Inspect(t.Context(), path)
	if err != nil {
		t.Errorf("%s is not whole: %v", filepath.Base(path), err)
	}
	delete(c.Rows, "settings") // a restored one has more
	return c.Rows
}

// held says whether the next start takes the database for a restored one.
func (w *world) held() bool {
	w.t.Helper()
	cmd := w.start()
	defer w.kill(cmd)
	w.until(func(text string) bool { return text != "" })
	for begun := time.Now(); time.Since(begun) < 3*time.Second; time.Sleep(20 * time.Millisecond) {
		if n := w.look("SELECT COUNT(*) FROM holds WHERE reason = 'restored'"); n >= 0 {
			return n > 0
		}
	}
	w.t.Error("the holds cannot be read")
	return false
}

// A backup and a restore are killed at each of their steps: a file with the name
// of a backup is whole; in the place of the database is the old one with
// everything, or the whole new one, which is held; nothing is left lying about
// after the next one.
func TestBackupAndRestoreKilled(t *testing.T) {
	skipShort(t)
	t.Parallel()
	w := newWorld(t, 20, misbehaving())
	w.binary = program(t, "failpoint")
	backups := t.TempDir()
	good := filepath.Join(backups, "good.db")
	cmd := w.start()
	w.sends(20, time.Minute)
	w.settle()
	if code, said := w.ends("", "backup", good); code != 0 {
		t.Fatalf("no backup: %s", said)
	}
	past := rows(t, good)
	w.drop(20)
	w.sends(40, time.Minute)
	w.settle()
	w.kill(cmd)
	files := w.database()
	if len(files["janela.db-wal"]) == 0 {
		t.Fatal("the write-ahead log is empty: half of this tests nothing")
	}
	now := rows(t, filepath.Join(w.dir, "janela.db"))
	if now["messages"] <= past["messages"] {
		t.Fatalf("the backup has %d messages, and the database %d", past["messages"], now["messages"])
	}

	points := failpoints(t)
	maps.DeleteFunc(points, func(name string, _ bool) bool { return !ofCopies(name) })
	if len(points) < 12 {
		t.Errorf("only %d places", len(points))
	}
	for _, name := range slices.Sorted(maps.Keys(points)) {
		ofRestore := strings.HasPrefix(name, "store.restore.")
		w.putBack(files)
		if !ofRestore {
			w.backupBroken(t, name, points[name], now)
		}
		if code, said := w.ends(name+"=exit", "restore", good); code != 86 {
			t.Fatalf("%s=exit: the restore ended with %d: %s", name, code, said)
		}
		path := filepath.Join(w.dir, "janela.db")
		got := rows(t, path)
		isNew := maps.Equal(got, past)
		if !isNew && !maps.Equal(got, now) {
			t.Errorf("%s: in the place of the database is neither the old one nor the new one: %v", name, got)
		}
		if ofRestore && w.held() != isNew {
			t.Errorf("%s: the new one is there: %v, and the start is held: %v", name, isNew, !isNew)
		}
		if code, said := w.ends("", "restore", good); code != 0 {
			t.Errorf("%s: the next restore: %s", name, said)
		}
		if got := rows(t, path); !maps.Equal(got, past) {
			t.Errorf("%s: after the next restore there are %v", name, got)
		}
		if left, err := filepath.Glob(filepath.Join(w.dir, "*.restore-[0-9]*")); err != nil || len(left) > 0 {
			t.Errorf("%s: %q lie about: %v", name, left, err)
		}
	}
	w.putBack(files)
	if code, said := w.ends("", "restore", good); code != 0 || !w.held() {
		t.Errorf("a restored database is not held: %s", said)
	}
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
}

// backupBroken breaks a backup at one place, by an end and by an error.
func (w *world) backupBroken(t *testing.T, name string, fails bool, now map[string]int64) {
	t.Helper()
	dir := t.TempDir()
	to := filepath.Join(dir, "copy.db")
	if code, said := w.ends(name+"=exit", "backup", to); code != 86 {
		t.Fatalf("%s=exit: the backup ended with %d: %s", name, code, said)
	}
	switch _, err := os.Stat(to); {
	case err == nil:
		if got := rows(t, to); !maps.Equal(got, now) {
			t.Errorf("%s: the backup has %v, want %v", name, got, now)
		}
		if err := os.Remove(to); err != nil {
			t.Fatal(err)
		}
	case !os.IsNotExist(err):
		t.Error(err)
	}
	if fails {
		if code, said := w.ends(name+"=error", "backup", to); code != 2 || !strings.Contains(said, "failpoint "+name) {
			t.Errorf("%s=error: the backup ended with %d: %s", name, code, said)
		}
		if _, err := os.Stat(to); !os.IsNotExist(err) {
			t.Errorf("%s: a backup that failed left a file: %v", name, err)
		}
	}
	if code, said := w.ends("", "backup", to); code != 0 {
		t.Errorf("%s: the next backup: %s", name, said)
	}
	all, err := os.ReadDir(dir)
	var names bytes.Buffer
	for _, e := range all {
		names.WriteString(e.Name() + " ")
	}
	if err != nil || names.String() != "copy.db " {
		t.Errorf("%s: in the folder are %s: %v", name, names.String(), err)
	}
}
