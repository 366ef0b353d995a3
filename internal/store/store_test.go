package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
)

var (
	sqlPut   = store.SQL(`INSERT INTO settings (name, value) VALUES (?1, ?2)`)
	sqlCount = store.SQL(`SELECT count(*) FROM settings WHERE name LIKE 'k%'`)
	sqlMove  = store.SQL(`UPDATE settings SET value = ?3 WHERE name = ?1 AND value = ?2`)
)

func open(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func count(t testing.TB, db *store.DB) (n int) {
	t.Helper()
	err := db.Read(t.Context(), func(s *store.Snap) error {
		var err error
		n, _, err = store.Value[int](s, sqlCount)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGroupCommitKeepsEachFunctionApart(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	var wg sync.WaitGroup
	boom := errors.New("boom")
	for i := range 200 {
		wg.Go(func() {
			err := db.Write(context.Background(), func(tx *store.Tx) error {
				if _, err := tx.Exec(sqlPut, fmt.Sprintf("k%d", i), "v"); err != nil {
					return err
				}
				if i%4 == 0 {
					return boom
				}
				return nil
			})
			if want := i%4 == 0; errors.Is(err, boom) != want {
				t.Errorf("function %d: error %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 150 {
		t.Errorf("%d rows, want 150: a failed function must undo itself and no other", n)
	}
	if c := db.Commits(); c >= 200 {
		t.Errorf("%d commits for 200 functions: nothing was grouped", c)
	}
}

func TestPanicIsRaisedInTheCallerAndUndone(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	func() {
		defer func() {
			if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "ouch") {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = db.Write(t.Context(), func(tx *store.Tx) error {
			_, _ = tx.Exec(sqlPut, "k", "v")
			panic("ouch")
		})
	}()
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows survived the panic", n)
	}
}

func TestCompareAndSet(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlPut, "k", "a"); err != nil {
			return err
		}
		if err := tx.One(sqlMove, "k", "a", "b"); err != nil {
			return err
		}
		if err := tx.One(sqlMove, "k", "a", "c"); !errors.Is(err, store.ErrLost) {
			t.Errorf("second move: %v, want ErrLost", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCrashLosesWhatWasNotCommittedAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	put := func(k string) error {
		return db.Write(context.Background(), func(tx *store.Tx) error { _, err := tx.Exec(sqlPut, k, "v"); return err })
	}
	if err := put("k1"); err != nil {
		t.Fatal(err)
	}
	db.Crash()
	if err := put("k2"); !errors.Is(err, store.ErrCrashed) {
		t.Errorf("after the crash: %v", err)
	}
	db = open(t, path)
	defer db.Close()
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want the one committed", n)
	}
}

func TestOneProcessHoldsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	if _, err := store.Open(t.Context(), store.Config{Path: path}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(name), info.Mode())
		}
	}
	open(t, path).Close()
}

func TestIDsNeverComeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	wall := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var last int64
	for _, step := range []time.Duration{0, time.Second, -time.Hour, 48 * time.Hour, -96 * time.Hour} {
		wall = wall.Add(step)
		db, err := store.Open(t.Context(), store.Config{Path: path, Wall: func() time.Time { return wall }})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				for range 2000 {
					id := tx.NewID()
					if id <= last {
						return fmt.Errorf("after a step of %v: id %d follows %d", step, id, last)
					}
					last = id
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		db.Close()
	}
	if last >= 1<<53 {
		t.Errorf("id %d is not exact in JavaScript", last)
	}
}

func TestNowNeverGoesBack(t *testing.T) {
	wall := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db"), Wall: func() time.Time { return wall }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := func() (at time.Time) {
		_ = db.Read(t.Context(), func(s *store.Snap) error { at = s.Now(); return nil })
		return at
	}
	first := now()
	wall = wall.Add(-time.Hour)
	if got := now(); got.Before(first) {
		t.Errorf("now went from %v to %v", first, got)
	}
}

func TestWakesComeAfterCommitOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "x.db"))
		defer db.Close()
		wakes := db.Wakes("topic")
		_ = db.Write(t.Context(), func(tx *store.Tx) error { tx.Wake("topic"); return errors.New("no") })
		synctest.Wait()
		select {
		case <-wakes:
			t.Error("woken by a function that was undone")
		default:
		}
		_ = db.Write(t.Context(), func(tx *store.Tx) error {
			tx.Wake("topic")
			select {
			case <-wakes:
				t.Error("woken before COMMIT")
			default:
			}
			return nil
		})
		select {
		case <-wakes:
		default:
			t.Error("not woken after COMMIT")
		}
	})
}

var sqlSchema = store.SQL(`SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND CAST(?1 AS INTEGER) = 1`)

type schemaRow struct{ name, text string }

func (r *schemaRow) Fields() []any { return []any{&r.name, &r.text} }

// Rules and indexes of tables that are written often compare one by one: SQLite
// would make a table of a longer list with every statement. The rules still hold.
func TestRulesOfBusyTablesHaveNoLists(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	busy := map[string]int{"messages": 13, "conversations": 4, "challenges": 8, "consents": 3, "consent_events": 3, "identities": 4, "hook_deliveries": 4,
		"code_fallbacks": 7, "past_messages": 7, "messages_silent": 3}
	list, compared := regexp.MustCompile(`IN \(('\w+',?\s*){3,}\)`), regexp.MustCompile(`(?:CHECK|AND) \((?:kind|state|category) = '\w+'(?: OR \w+ = '\w+')+\)`)
	err := db.Read(t.Context(), func(s *store.Snap) error {
		rows, err := store.All[schemaRow](s, sqlSchema, 1)
		for _, r := range rows {
			want, ok := busy[r.name]
			delete(busy, r.name)
			if !ok {
				continue
			}
			if list.MatchString(r.text) {
				t.Errorf("%s looks a value up in a list: %s", r.name, list.FindString(r.text))
			}
			if got := strings.Count(compared.FindString(r.text), "="); got != want {
				t.Errorf("%s compares with %d values, want %d:\n%s", r.name, got, want, r.text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(busy) > 0 {
		t.Errorf("not there: %v", busy)
	}
	for state, want := range map[string]bool{"queued": true, "presumed_expired": true, "expired": true, "gone": false, "": false} {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.Raw(`INSERT INTO messages (stream_id, address, state, created_at) VALUES (1, '+12025550101', '` + state + `', 1)`)
		})
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "CHECK constraint failed") {
			t.Errorf("state %q: %v", state, err)
		}
	}
	err = db.Read(t.Context(), func(s *store.Snap) error {
		sound, err := s.RawValue("PRAGMA integrity_check")
		if sound != "ok" {
			t.Errorf("the database is %q", sound)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
