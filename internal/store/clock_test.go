package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
)

// A wall clock that is so far from the true one.
type skewed struct{ by time.Duration }

func (s *skewed) now() time.Time { return time.Now().Add(s.by) }

func openSkewed(t *testing.T, path string, s *skewed) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: path, Wall: s.now})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestJumpsOfTheWallClock(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []time.Duration // what the wall clock is off by, one after the other, ten seconds apart
		want  []time.Duration // the jumps that are told
	}{
		{"a second forward and back", []time.Duration{time.Second, 0, -time.Second, 0}, nil},
		{"two seconds", []time.Duration{2 * time.Second, 0}, nil},
		{"three seconds", []time.Duration{3 * time.Second, 0}, []time.Duration{3 * time.Second, -3 * time.Second}},
		{"an hour forward", []time.Duration{time.Hour}, []time.Duration{time.Hour}},
		{"an hour back", []time.Duration{-time.Hour}, []time.Duration{-time.Hour}},
		{"a day forward and back", []time.Duration{24 * time.Hour, 0}, []time.Duration{24 * time.Hour, -24 * time.Hour}},
		{"eight hours asleep", []time.Duration{8 * time.Hour, 8 * time.Hour}, []time.Duration{8 * time.Hour}},
		{"slowly wrong", []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			synctest.Test(t, func(t *testing.T) {
				wall := &skewed{}
				db := openSkewed(t, path, wall)
				defer db.Close()
				var got []time.Duration
				db.OnJump(func(_ *store.Tx, j store.Jump) error { got = append(got, j.By); return nil })
				last := db.Now()
				for _, by := range c.steps {
					time.Sleep(10 * time.Second)
					wall.by = by
					err := db.Write(t.Context(), func(tx *store.Tx) error {
						if tx.Now().Before(last) {
							t.Errorf("it is %v, after %v", tx.Now(), last)
						}
						if want := wall.now().Truncate(time.Millisecond).UTC(); !tx.Wall().Equal(want) {
							t.Errorf("the wall clock shows %v, and is told as %v", want, tx.Wall())
						}
						last = tx.Now()
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What hears of a jump runs before anything else in the transaction, is undone
// with it, and then runs again; all loops are woken by the one that commits.
func TestAJumpIsToldFirstAndAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	synctest.Test(t, func(t *testing.T) {
		wall := &skewed{}
		db := openSkewed(t, path, wall)
		defer db.Close()
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			return tx.Raw(`CREATE TABLE parents (id INTEGER PRIMARY KEY);
				CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)`)
		})
		if err != nil {
			t.Fatal(err)
		}
		wakes := db.Wakes("any")
		fail, told := errors.New("not yet"), 0
		db.OnJump(func(tx *store.Tx, _ store.Jump) error {
			if told++; told == 1 {
				return fail
			}
			return put("kjump")(tx)
		})
		if db.Jumped() {
			t.Error("jumped, and nothing happened")
		}
		wall.by = time.Hour
		if !db.Jumped() || db.Steady() > 0 {
			t.Errorf("after an hour forward: jumped %t, steady for %v", db.Jumped(), db.Steady())
		}
		if err := db.Write(t.Context(), put("k1")); err != nil {
			t.Errorf("another function failed with it: %v", err)
		}
		if !db.Jumped() {
			t.Error("it was told in vain, and not kept")
		}
		select {
		case <-wakes:
			t.Error("woken although nobody has heard")
		default:
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.Raw("INSERT INTO children VALUES (7)") }); err == nil { // only COMMIT will see it
			t.Error("a commit that had to fail went well")
		}
		if got := names(t, db); !cmp.Equal(got, []string{"k1"}) || !db.Jumped() {
			t.Errorf("after a failed commit there is %v, and a jump to be told: %t", got, db.Jumped())
		}
		err = db.Write(t.Context(), func(tx *store.Tx) error {
			if v, ok, err := store.Value[string](tx, sqlSetting, "kjump"); v != "v" || !ok || err != nil {
				t.Errorf("the transaction began before the jump was told: %q %v", v, err)
			}
			return nil
		})
		if err != nil || db.Jumped() || told != 3 {
			t.Errorf("told %d times, still to be told %t: %v", told, db.Jumped(), err)
		}
		synctest.Wait()
		select {
		case <-wakes:
		default:
			t.Error("nobody was woken")
		}
		time.Sleep(time.Minute)
		if s := db.Steady(); s != time.Minute {
			t.Errorf("steady for %v", s)
		}
	})
}

// Time stands where the wall clock was set back, also over a restart, until
// somebody accepts the clock as it is. Ids never come again.
func TestAcceptingTheWallClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	synctest.Test(t, func(t *testing.T) {
		wall := &skewed{24 * time.Hour}
		db := openSkewed(t, path, wall)
		var last int64
		look := func() (now time.Time) {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				id := tx.NewID()
				if id <= last {
					t.Errorf("id %d comes after %d", id, last)
				}
				last, now = id, tx.Now()
				if got, want := store.Takes(tx, time.Minute), time.Minute+tx.Now().Sub(tx.Wall()); got != want {
					t.Errorf("a minute takes %v, want %v", got, want)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return now
		}
		ahead := look()
		wall.by = 0
		for range 2 {
			time.Sleep(time.Hour)
			if now := look(); now.After(ahead) || db.Ahead() < 20*time.Hour {
				t.Errorf("it is %v after %v, ahead %v", now, ahead, db.Ahead())
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openSkewed(t, path, wall)
		}
		accept := func(fail error) {
			err := db.Write(t.Context(), func(tx *store.Tx) error {
				if was, is := tx.AcceptWall(); !was.Equal(ahead) || !is.Equal(wall.now().UTC().Truncate(time.Millisecond)) {
					t.Errorf("accepted %v after %v", is, was)
				}
				return fail
			})
			if !errors.Is(err, fail) {
				t.Error(err)
			}
		}
		accept(errors.New("no"))
		if db.Ahead() == 0 {
			t.Error("a function that failed has moved time")
		}
		accept(nil)
		for range 2 {
			if now := look(); db.Ahead() != 0 || now.Sub(wall.now()).Abs() > time.Second {
				t.Errorf("it is %v, and the clock shows %v", now, wall.now())
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openSkewed(t, path, wall)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
