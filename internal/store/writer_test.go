package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
)

var (
	sqlPutLong  = store.SQL(`INSERT INTO settings (name, value) VALUES (?1, printf('%.*c', ?2, 'x'))`)
	sqlPutMany  = store.SQL(`INSERT INTO settings (name, value) SELECT ?1 || id, printf('%.*c', ?2, 'x') FROM contacts`)
	sqlSetting  = store.SQL(`SELECT value FROM settings WHERE name = ?1`)
	sqlNames    = store.SQL(`SELECT name FROM settings WHERE name LIKE 'k%' ORDER BY name`)
	sqlContacts = store.SQL(`INSERT INTO contacts (id, root, created_at) VALUES (?1, ?1, 0)`)
)

func put(name string) func(*store.Tx) error {
	return func(tx *store.Tx) error { _, err := tx.Exec(sqlPut, name, "v"); return err }
}

func names(t testing.TB, db *store.DB) (out []string) {
	t.Helper()
	err := db.Read(t.Context(), func(s *store.Snap) error {
		rows, err := store.All[store.Col[string]](s, sqlNames)
		for _, r := range rows {
			out = append(out, r.V)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// oneTurn runs functions in one turn of the writer, in this order, and returns
// their errors: the first waits inside until all others are queued.
func oneTurn(db *store.DB, fns ...func(*store.Tx) error) []error {
	errs := make([]error, len(fns))
	begun, all := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		errs[0] = db.Bulk(context.Background(), func(tx *store.Tx) error {
			close(begun)
			<-all
			return fns[0](tx)
		})
	})
	<-begun
	for i := 1; i < len(fns); i++ {
		wg.Go(func() { errs[i] = db.Write(context.Background(), fns[i]) })
		for urgent := 0; urgent < i; urgent, _ = db.Queued() {
			time.Sleep(50 * time.Microsecond)
		}
	}
	close(all)
	wg.Wait()
	return errs
}

func TestFullDiskFailsEveryCallerOfTheTurn(t *testing.T) {
	fill := func(tx *store.Tx) error { // one row a statement: SQLite gives the whole transaction up
		for i := range 10_000 {
			if _, err := tx.Exec(sqlPutLong, fmt.Sprint("kfill", i), 4000); err != nil {
				return err
			}
		}
		return errors.New("the disk never got full")
	}
	for _, c := range []struct {
		name string
		full func(*store.Tx) error
	}{
		{"it returns the error", fill},
		{"it swallows the error", func(tx *store.Tx) error { _ = fill(tx); return nil }},
		{"it goes on after the error", func(tx *store.Tx) error {
			if err := fill(tx); !strings.Contains(err.Error(), "full") {
				return err
			}
			if err := put("kafter")(tx); err == nil {
				t.Error("a statement ran after the transaction was lost")
			}
			if _, _, err := store.Value[string](tx, sqlSetting, "db"); err == nil {
				t.Error("a query ran after the transaction was lost")
			}
			return nil
		}},
		{"it panics after the error", func(tx *store.Tx) error { _ = fill(tx); panic("ouch") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t, filepath.Join(t.TempDir(), "x.db"))
			defer db.Close()
			limit := func(pages string) {
				if err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.Raw("PRAGMA max_page_count = " + pages) }); err != nil {
					t.Fatal(err)
				}
			}
			limit("80") // the empty schema takes about 70
			wakes, commits := db.Wakes("topic"), db.Commits()
			errs := oneTurn(db, put("k1"), func(tx *store.Tx) error { tx.Wake("topic"); return put("k2")(tx) }, func(tx *store.Tx) (err error) {
				defer func() { // oneTurn has no place for panics
					if p := recover(); p != nil {
						err = fmt.Errorf("panic: %v", p)
					}
				}()
				return c.full(tx)
			})
			for i, err := range errs {
				if !errors.Is(err, store.ErrTxLost) {
					t.Errorf("caller %d: error %v, want that the transaction was lost", i, err)
				}
			}
			if got := names(t, db); len(got) > 0 {
				t.Errorf("written after all: %v", got)
			}
			if db.Commits() != commits {
				t.Errorf("%d commits", db.Commits()-commits)
			}
			select {
			case <-wakes:
				t.Error("woken by a function that was undone")
			default:
			}
			limit("100000")
			if err := db.Write(t.Context(), put("k3")); err != nil {
				t.Errorf("with space again: %v", err)
			}
			if diff := cmp.Diff([]string{"k3"}, names(t, db)); diff != "" {
				t.Error(diff)
			}
			var sound string
			err := db.Read(t.Context(), func(s *store.Snap) (err error) { sound, err = s.RawValue("PRAGMA integrity_check"); return err })
			if err != nil || sound != "ok" {
				t.Errorf("integrity: %q %v", sound, err)
			}
		})
	}
}

// A statement of many rows is undone alone, and the transaction stands: then
// only its own function fails.
func TestFullDiskInALongStatementFailsItsFunctionOnly(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 200 {
			if _, err := tx.Exec(sqlContacts, i+1); err != nil {
				return err
			}
		}
		return tx.Raw("PRAGMA max_page_count = 100")
	})
	if err != nil {
		t.Fatal(err)
	}
	errs := oneTurn(db, put("k1"), func(tx *store.Tx) error { _, err := tx.Exec(sqlPutMany, "kmany", 4000); return err }, put("k2"))
	got := names(t, db)
	for i, want := range []string{"k1", "kmany1", "k2"} {
		if there := strings.Contains(strings.Join(got, " ")+" ", want+" "); there != (errs[i] == nil) {
			t.Errorf("caller %d: error %v, and %s written is %v", i, errs[i], want, there)
		}
	}
	if errs[1] == nil || errs[0] != nil || errs[2] != nil {
		t.Errorf("errors %v, want one of the second only", errs)
	}
}

func TestFailedCommitFailsEveryCallerOfTheTurn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	wall := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	reopen := func() *store.DB {
		db, err := store.Open(t.Context(), store.Config{Path: path, Wall: func() time.Time { return wall }})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := reopen()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.Raw(`CREATE TABLE parents (id INTEGER PRIMARY KEY);
			CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)`)
	})
	if err != nil {
		t.Fatal(err)
	}
	wakes, commits := db.Wakes("topic"), db.Commits()
	var last int64
	boom := errors.New("boom")
	errs := oneTurn(db, put("k1"),
		func(*store.Tx) error { return boom },
		func(tx *store.Tx) error { tx.Wake("topic"); return tx.Raw("INSERT INTO children VALUES (7)") }, // only COMMIT will see it
		func(tx *store.Tx) error { wall = wall.Add(time.Hour); last = tx.NewID(); return put("k2")(tx) })
	for i, err := range errs {
		switch {
		case i == 1 && !errors.Is(err, boom):
			t.Errorf("caller %d: error %v, want its own", i, err)
		case i != 1 && (err == nil || !strings.Contains(err.Error(), "commit")):
			t.Errorf("caller %d: error %v, want that of COMMIT", i, err)
		case i != 1 && !store.Passing(err):
			t.Errorf("caller %d: %v is held to be its own fault", i, err)
		}
	}
	select {
	case <-wakes:
		t.Error("woken by a function that was undone")
	default:
	}
	if got := names(t, db); len(got) > 0 || db.Commits() != commits {
		t.Errorf("written %v in %d commits, want nothing", got, db.Commits()-commits)
	}
	// The next turn is as if nothing had been; also the reserve of ids.
	if err := db.Write(t.Context(), func(tx *store.Tx) error { last = max(last, tx.NewID()); return put("k3")(tx) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"k3"}, names(t, db)); diff != "" {
		t.Error(diff)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wall = wall.Add(-48 * time.Hour)
	db = reopen()
	defer db.Close()
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		if id := tx.NewID(); id <= last {
			t.Errorf("id %d comes again: %d was given out", id, last)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Ids are reserved ahead of time; a process that restarts again and again must
// not take what it reserved for the time of day.
func TestRestartsDoNotMoveTheClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	wall := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var last int64
	run := func(fn func(now time.Time)) {
		db, err := store.Open(t.Context(), store.Config{Path: path, Wall: func() time.Time { return wall }})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Write(t.Context(), func(tx *store.Tx) error {
			id := tx.NewID()
			if id <= last {
				t.Errorf("id %d follows %d", id, last)
			}
			last = id
			fn(tx.Now())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		wall = wall.Add(time.Second)
		run(func(now time.Time) {
			if !now.Equal(wall) {
				t.Errorf("start %d: it is %v, and the wall says %v", i, now, wall)
			}
		})
	}
	latest := wall
	wall = wall.Add(-time.Hour)
	run(func(now time.Time) {
		if now.Before(latest.Add(-10*time.Second)) || now.After(latest) {
			t.Errorf("after the clock stepped back and a restart it is %v, want about %v", now, latest)
		}
	})
}

// step is a function that ran, and how many commits came before it: functions
// of one turn share the number.
type step struct {
	Name    string
	Commits int64
}

// TestTurns queues functions while another holds the writer, and looks which of
// them share a turn.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		name, first string
		sleep       time.Duration // of the first
		then        []string
		want        []step
	}{
		{"bulk joins bulk", "bulk 1", 0, []string{"bulk 2", "bulk 3"}, []step{{"bulk 1", 0}, {"bulk 2", 0}, {"bulk 3", 0}}},
		{"no bulk joins after 5 ms", "bulk 1", 6 * time.Millisecond, []string{"bulk 2"}, []step{{"bulk 1", 0}, {"bulk 2", 1}}},
		{"a write goes before bulk and ends the turn", "bulk 1", 0, []string{"bulk 2", "write 1", "bulk 3"},
			[]step{{"bulk 1", 0}, {"write 1", 0}, {"bulk 2", 1}, {"bulk 3", 1}}},
		{"all writes that wait share the turn", "bulk 1", 0, []string{"bulk 2", "write 1", "write 2"},
			[]step{{"bulk 1", 0}, {"write 1", 0}, {"write 2", 0}, {"bulk 2", 1}}},
		{"a write joins also after 5 ms", "bulk 1", time.Second, []string{"bulk 2", "write 1"}, []step{{"bulk 1", 0}, {"write 1", 0}, {"bulk 2", 1}}},
		{"no bulk joins a write", "write 1", 0, []string{"bulk 1", "write 2", "bulk 2"},
			[]step{{"write 1", 0}, {"write 2", 0}, {"bulk 1", 1}, {"bulk 2", 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			synctest.Test(t, func(t *testing.T) {
				db := open(t, path)
				defer db.Close()
				var got []step // appended to by the writer's goroutine alone
				var wg sync.WaitGroup
				hold := make(chan struct{})
				submit := func(name string, fn func()) {
					entrance := db.Bulk
					if strings.HasPrefix(name, "write") {
						entrance = db.Write
					}
					wg.Go(func() {
						err := entrance(context.Background(), func(*store.Tx) error {
							got = append(got, step{name, db.Commits()})
							fn()
							return nil
						})
						if err != nil {
							t.Error(err)
						}
					})
					synctest.Wait()
				}
				submit(c.first, func() { <-hold; time.Sleep(c.sleep) })
				for _, name := range c.then {
					submit(name, func() {})
				}
				close(hold)
				wg.Wait()
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// A long function hears that somebody waits, and only then.
func TestHurry(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	var alone, bulk, write bool
	var wg sync.WaitGroup
	err := db.Bulk(t.Context(), func(tx *store.Tx) error {
		alone = tx.Hurry()
		wg.Go(func() { _ = db.Bulk(context.Background(), put("k1")) })
		for _, n := db.Queued(); n == 0; _, n = db.Queued() {
			time.Sleep(50 * time.Microsecond)
		}
		bulk = tx.Hurry()
		wg.Go(func() { _ = db.Write(context.Background(), put("k2")) })
		for n, _ := db.Queued(); n == 0; n, _ = db.Queued() {
			time.Sleep(50 * time.Microsecond)
		}
		write = tx.Hurry()
		return nil
	})
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if alone || bulk || !write {
		t.Errorf("hurry: %t alone, %t while Bulk waits, %t while Write waits; want only the last", alone, bulk, write)
	}
}

func TestSnapshotStandsStill(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	if err := db.Write(t.Context(), put("k1")); err != nil {
		t.Fatal(err)
	}
	err := db.Read(t.Context(), func(s *store.Snap) error {
		for i := range 3 {
			n, _, err := store.Value[int](s, sqlCount)
			if err != nil {
				return err
			}
			if n != 1 {
				t.Errorf("look %d sees %d rows: a write came into the snapshot", i, n)
			}
			if err := db.Write(t.Context(), put(fmt.Sprint("knew", i))); err != nil {
				return err
			}
			if n := count(t, db); n != i+2 {
				t.Errorf("another snapshot sees %d rows, want %d: a reader blocks", n, i+2)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsSeenBeforeCommit(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if err := put("k1")(tx); err != nil {
			return err
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows are seen before COMMIT", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows after COMMIT", n)
	}
}

func TestAFunctionThatHasBegunIsNotGivenUp(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	ctx, cancel := context.WithCancel(context.Background())
	err := db.Write(ctx, func(tx *store.Tx) error { cancel(); return put("k1")(tx) })
	if err != nil {
		t.Errorf("a function that had begun was given up: %v", err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows, want the one of the function that had begun", n)
	}
}

// BenchmarkWrite measures group commit: rows a second on disk (each its own
// function and its own answer), and how many commits a row costs.
func BenchmarkWrite(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "x.db"))
			defer db.Close()
			commits := db.Commits()
			var wg sync.WaitGroup
			b.ResetTimer()
			for c := range callers {
				wg.Go(func() {
					for i := c; i < b.N; i += callers {
						if err := db.Write(context.Background(), put(fmt.Sprint("k", i))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(db.Commits()-commits)/float64(b.N), "commits/row")
		})
	}
}

// Another process that tries to write is told so at once, and not when our own
// transaction has read already and can no longer become a writing one.
func TestATurnHoldsTheLockFromItsBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := store.Open(t.Context(), store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	begin := func() error {
		_, err := other.Exec("BEGIN IMMEDIATE; ROLLBACK")
		return err
	}
	if err := begin(); err != nil {
		t.Fatalf("nobody writes, and yet: %v", err)
	}
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("PRAGMA busy_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(*store.Tx) error { // which has not said a word yet
		if begin() == nil {
			t.Error("another connection may write in the middle of a turn")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Who is summoned writes in the transaction that summoned him, and a function that
// fails summons nobody.
func TestSummonedJoinTheTransaction(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	wakes := db.Wakes("lane")
	var joined error
	boom := errors.New("boom")
	err := db.Write(t.Context(), func(tx *store.Tx) error { tx.Summon("lane"); return boom })
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	select {
	case <-wakes:
		t.Error("summoned by a function that was undone")
	default:
	}
	commits := db.Commits()
	var wg sync.WaitGroup
	wg.Go(func() {
		<-wakes
		joined = db.Write(t.Context(), func(tx *store.Tx) error {
			v, ok, err := store.Value[string](tx, sqlSetting, "k1")
			if err != nil || !ok || v == "" {
				return fmt.Errorf("k1 is %q, %v, %w: whoever is summoned must see why", v, ok, err)
			}
			return put("k2")(tx)
		})
	})
	errs := oneTurn(db, func(tx *store.Tx) error { tx.Summon("lane"); return put("k1")(tx) }, func(tx *store.Tx) error {
		for urgent := 0; urgent == 0; urgent, _ = db.Queued() { // the other is about to ask, and nothing but this keeps the transaction open
			time.Sleep(50 * time.Microsecond)
		}
		return nil
	})
	wg.Wait()
	if err := errors.Join(append(errs, joined)...); err != nil {
		t.Fatal(err)
	}
	if n := db.Commits() - commits; n != 1 {
		t.Errorf("%d commits, want one for both", n)
	}
}
