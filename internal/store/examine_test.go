package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"janela/internal/store"
)

// A look at a database finds the same while a daemon writes it and while none
// does, and leaves nothing behind.
func TestExamine(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "janela.db")
	if _, err := store.Examine(ctx, path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if held, err := store.Held(path); held || err != nil {
		t.Errorf("no lock: %v %v", held, err)
	}
	alone(t, filepath.Dir(path))
	db, err := store.Open(ctx, store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string, held bool) {
		t.Helper()
		f, err := store.Examine(ctx, path)
		if err != nil || f.Journal != "wal" || f.Mode != 0o600 || f.Schema != f.Newest || f.Schema == 0 || len(f.Faults) != 0 || f.Bytes == 0 {
			t.Errorf("%s: %+v %v", when, f, err)
		}
		if got, err := store.Held(path); got != held || err != nil {
			t.Errorf("%s: held %v %v", when, got, err)
		}
		var now time.Time
		err = store.Glance(ctx, path, func(q *store.Snap) error {
			now = q.Now()
			if _, err := store.All[store.Col[int64]](q, sqlCountAll); err != nil {
				return err
			}
			return nil
		})
		if err != nil || time.Since(now) > time.Minute {
			t.Errorf("%s: glance %v %v", when, now, err)
		}
	}
	putSized(t, db, "a", 10)
	look("while it is open", true)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	look("when it is closed", false)
}

var sqlCountAll = store.SQL(`SELECT COUNT(*) FROM settings`)

// Damage, and what is no database, is told.
func TestExamineDamage(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "janela.db")
	db, err := store.Open(ctx, store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		putSized(t, db, "key"+string(rune('a'+i%26))+string(rune('a'+i/26)), 2000)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) - 20*4096; i < len(data); i++ {
		data[i] = 0xA5
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := store.Examine(ctx, path); err == nil && len(f.Faults) == 0 {
		t.Errorf("the damage was not seen: %+v", f)
	}
	if err := os.WriteFile(path, []byte("this is no database at all, but it is long enough to be looked at by somebody"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Examine(ctx, path); err == nil {
		t.Error("a text was taken for a database")
	}
}
