package store_test

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"janela/internal/store"
)

// house is a database and the files beside it, in a folder of its own.
type house struct {
	t    *testing.T
	path string
	last int64 // id
}

// run opens the database, commits n times, and closes it or kills it. It returns
// what was found at the start.
func (h *house) run(n int, end func(*store.DB) error) string {
	h.t.Helper()
	db := open(h.t, h.path)
	found, _ := db.Restored()
	for range n {
		err := db.Write(h.t.Context(), func(tx *store.Tx) error {
			id := tx.NewID()
			if id <= h.last {
				h.t.Errorf("id %d comes after %d", id, h.last)
			}
			h.last = id
			_, err := tx.Exec(sqlPut, fmt.Sprint("k", id), "v")
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	if err := end(db); err != nil {
		h.t.Fatal(err)
	}
	return found.Why
}

func stop(db *store.DB) error { return db.Close() }
func kill(db *store.DB) error { db.Crash(); return nil }

// save copies the files of the stopped or killed database, load brings them back.
func (h *house) save(names ...string) map[string][]byte {
	out := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(h.path + name)
		if err != nil {
			h.t.Fatal(err)
		}
		out[name] = b
	}
	return out
}

func (h *house) load(files map[string][]byte) {
	for _, name := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(h.path + name); err != nil && !os.IsNotExist(err) {
			h.t.Fatal(err)
		}
	}
	for name, b := range files {
		if err := os.WriteFile(h.path+name, b, 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestADatabaseThatIsNotTheLastIsNoticed(t *testing.T) {
	var old map[string][]byte // as it was after the second life
	for _, c := range []struct {
		name string
		end  func(*store.DB) error // of the third life
		do   func(h *house)
		want string
	}{
		{"a stop", stop, func(*house) {}, ""},
		{"a kill", kill, func(*house) {}, ""},
		{"moved with all its files", kill, func(h *house) { h.load(h.save("", "-wal", ".epoch")) }, ""},
		{"a stale backup after a stop", stop, func(h *house) { h.load(map[string][]byte{"": old[""]}) }, "1 transactions are gone"},
		{"a stale backup after a kill", kill, func(h *house) { h.load(map[string][]byte{"": old[""]}) }, "1 transactions are gone"},
		{"no log after a kill", kill, func(h *house) { h.load(h.save("")) }, "transactions are gone"},
		{"an empty log after a kill", kill, func(h *house) { f := h.save(""); f["-wal"] = nil; h.load(f) }, "transactions are gone"},
		{"no log after a stop", stop, func(h *house) { h.load(h.save("")) }, ""},
		{"another database", stop, func(h *house) {
			other := &house{t: h.t, path: filepath.Join(h.t.TempDir(), "y.db")}
			other.run(50, stop)
			h.load(other.save(""))
		}, "another database"},
		{"a new database", stop, func(h *house) { h.load(nil) }, "another database"},
		{"nothing beside it", stop, func(h *house) { _ = os.Remove(h.path + ".epoch") }, "missing"},
		{"nonsense beside it", stop, func(h *house) { _ = os.WriteFile(h.path+".epoch", []byte("hello"), 0o600) }, "cannot be read"},
		{"another number beside it", stop, func(h *house) {
			b := h.save(".epoch")[".epoch"]
			_ = os.WriteFile(h.path+".epoch", []byte(strings.Replace(string(b), " stopped ", " stopped 1", 1)), 0o600)
		}, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &house{t: t, path: filepath.Join(t.TempDir(), "x.db")}
			for life, end := range []func(*store.DB) error{stop, stop} {
				if why := h.run(3, end); why != "" {
					t.Fatalf("life %d: %s", life, why)
				}
			}
			old = h.save("")
			if why := h.run(1, c.end); why != "" {
				t.Fatalf("the third life: %s", why)
			}
			c.do(h)
			if c.want == "another database" {
				h.last = 0
			}
			// What is found stays until somebody has taken care of it, whatever ends
			// the process, and however much is committed meanwhile.
			for life, n := range []int{0, 20, 3} {
				why := h.run(n, []func(*store.DB) error{kill, stop, kill}[life])
				if !strings.Contains(why, c.want) || (why == "") != (c.want == "") {
					t.Errorf("life %d after it: found %q, want %q", life, why, c.want)
				}
			}
			if c.want == "" {
				return
			}
			h.run(0, func(db *store.DB) error {
				older := h.last
				err := db.Write(t.Context(), func(tx *store.Tx) error {
					if tx.Older(older) {
						t.Error("what was made since is taken for older")
					}
					return tx.EndRestored()
				})
				if _, still := db.Restored(); still || err != nil {
					t.Errorf("ended, and there still: %v", err)
				}
				return db.Close()
			})
			for range 2 {
				if why := h.run(1, kill); why != "" {
					t.Errorf("after it ended: %s", why)
				}
			}
		})
	}
}

// A copy that was put aside is not the one that went on in its place, however
// much it knows.
func TestACopyThatWasPutAsideIsNoticed(t *testing.T) {
	h := &house{t: t, path: filepath.Join(t.TempDir(), "x.db")}
	h.run(1, stop)
	young := h.save("")
	h.run(50, stop)
	aside := h.save("")
	h.load(young)
	end := func(db *store.DB) error {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			if !tx.Older(1) {
				t.Error("what was there before is taken for new")
			}
			return tx.EndRestored()
		})
		if err != nil {
			return err
		}
		return db.Close()
	}
	if why := h.run(1, end); !strings.Contains(why, "transactions are gone") {
		t.Errorf("found %q", why)
	}
	h.load(aside)
	if why := h.run(1, end); !strings.Contains(why, "another copy") {
		t.Errorf("found %q", why)
	}
	if why := h.run(1, stop); why != "" {
		t.Errorf("found %q", why)
	}
}

// The file beside the database is for its owner only, and says what is committed
// before anybody is told.
func TestTheFileBesideTheDatabaseKeepsUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	read := func() string {
		b, err := os.ReadFile(path + ".epoch")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := read()
	for range 3 {
		if err := db.Write(t.Context(), put(rand.Text())); err == nil {
			if now := read(); now == before || !strings.Contains(now, " running ") {
				t.Errorf("after a commit it says %q", now)
			}
		}
		before = read()
		if err := db.Write(t.Context(), func(*store.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if now := read(); now != before {
			t.Errorf("nothing was written, and it says %q after %q", now, before)
		}
	}
	if err := db.Keep(); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(path + ".epoch")
	if err != nil || info.Mode() != fs.FileMode(0o600) || info.Size() > 512 {
		t.Errorf("%v %v", info, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if now := read(); !strings.Contains(now, " stopped ") {
		t.Errorf("after the stop it says %q", now)
	}
}
