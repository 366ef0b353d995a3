package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"janela/internal/store"
)

// grow writes until the write-ahead log is so large, at most rounds times.
func grow(t *testing.T, db *store.DB, size int64) {
	t.Helper()
	for range 2000 {
		if db.LogSize() >= size {
			return
		}
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(sqlPutAgain, "kgrow", 100_000)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("the log has only %d bytes", db.LogSize())
}

var sqlPutAgain = store.SQL(`INSERT INTO settings (name, value) VALUES (?1, hex(randomblob(?2 / 2))) ON CONFLICT (name) DO UPDATE SET value = excluded.value`)

// However much is written, the log that is tended stays near its bound; a quiet
// one is emptied.
func TestATendedLogStaysSmall(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	const bound = 40 << 20
	for range 300 { // 120 MB
		for range 4 {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(sqlPutAgain, "kgrow", 100_000)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if size := db.LogSize(); size > bound {
			t.Fatalf("the log has %d bytes", size)
		}
	}
	grow(t, db, 2<<20)
	for range 3 { // the first sees that something was written
		if err := db.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if size := db.LogSize(); size != 0 {
		t.Errorf("a quiet log has %d bytes", size)
	}
}

// A snapshot that somebody forgot keeps the log; it is known who it is, it can be
// ended, and then the log shrinks.
func TestAForgottenReader(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	for i := range 3 {
		if err := db.Write(t.Context(), put("k"+string(rune('a'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	if r, ok := db.Oldest(); ok {
		t.Fatalf("%s reads, and nobody does", r.Who)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range []struct {
		name string
		read func(*store.Snap, func()) error
	}{
		{"between two rows", func(s *store.Snap, wait func()) error {
			return store.Each(s, sqlNames, func(*store.Col[string]) error { wait(); return nil })
		}},
		{"between two statements", func(s *store.Snap, wait func()) error {
			if _, err := store.All[store.Col[string]](s, sqlNames); err != nil {
				return err
			}
			wait()
			_, err := store.All[store.Col[string]](s, sqlNames)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			begun, on := make(chan struct{}), make(chan struct{})
			var once sync.Once
			var got error
			wg.Go(func() {
				got = db.Read(t.Context(), func(s *store.Snap) error {
					return c.read(s, func() { once.Do(func() { close(begun) }); <-on })
				})
			})
			<-begun
			const size = 48 << 20 // past what the writer would begin anew at
			grow(t, db, size)
			if err := db.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
			if db.LogSize() < size {
				t.Error("the log has shrunk under a reader: the test proves nothing")
			}
			r, ok := db.Oldest()
			if !ok || !strings.Contains(r.Who, "TestAForgottenReader") || r.For <= 0 {
				t.Errorf("the reader is %+v", r)
			}
			r.End()
			close(on)
			wg.Wait()
			if !errors.Is(got, store.ErrTooLong) {
				t.Errorf("it got %v", got)
			}
			for range 3 {
				if err := db.Tend(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if size := db.LogSize(); size != 0 {
				t.Errorf("the log still has %d bytes", size)
			}
			if n := len(names(t, db)); n == 0 {
				t.Error("the connection is lost")
			}
			r.End() // of what has ended
			if n := len(names(t, db)); n == 0 {
				t.Error("another snapshot was ended")
			}
		})
	}
}
