package backup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
)

// world is a database with backups of it, in fake time from 2000-01-01 UTC on.
type world struct {
	t    *testing.T
	db   *store.DB
	b    *Backups
	dir  string
	stop func()
}

func begin(t *testing.T, set Settings, free func(string) (int64, error)) *world {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "janela.db")})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, dir: set.Dir}
	w.b = New(Config{DB: db, Settings: set, Free: free})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.b.Run(ctx) })
	w.stop = func() {
		cancel()
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	return w
}

// expect compares what lies in the folder.
func (w *world) expect(want ...string) {
	w.t.Helper()
	synctest.Wait()
	entries, err := os.ReadDir(w.dir)
	if err != nil && len(want) > 0 {
		w.t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if strings.Join(have, " ") != strings.Join(want, " ") {
		w.t.Errorf("there are %q, want %q", have, want)
	}
}

func (w *world) alert(want string) {
	w.t.Helper()
	all := strings.Join(w.b.Alerts(), "; ")
	if want == "" && all != "" || !strings.Contains(all, want) {
		w.t.Errorf("the alerts are %q, want %q", all, want)
	}
}

const (
	daily  = "0 3 * * *"
	first  = "janela-20000101T030000Z.db"
	second = "janela-20000102T030000Z.db"
	third  = "janela-20000103T030000Z.db"
	fourth = "janela-20000106T120000Z.db"
)

// They are made by the schedule, the newest stay, and what others put there is
// not touched. What was due while nobody ran is made at the start.
func TestBackupsBySchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := Settings{Dir: filepath.Join(t.TempDir(), "backups"), Schedule: daily, Zone: "UTC", Keep: 2}
		w := begin(t, set, nil)
		time.Sleep(2*time.Hour + 59*time.Minute)
		w.expect()
		if s := w.b.State(); !s.Last.IsZero() || s.Overdue != 0 || !s.On {
			t.Errorf("before the first %+v", s)
		}
		time.Sleep(2 * time.Minute)
		w.expect(first)
		if c, err := store.Inspect(t.Context(), filepath.Join(w.dir, first)); err != nil || c.Total() == 0 {
			t.Errorf("%v %v", c, err)
		}
		mine := filepath.Join(w.dir, "janela-19990101T000000Z.db.old")
		left := filepath.Join(w.dir, ".janela-20000101T030000Z.db-123.partial")
		for _, f := range []string{mine, left} {
			if err := os.WriteFile(f, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(24 * time.Hour)
		w.expect("janela-19990101T000000Z.db.old", first, second)
		time.Sleep(24 * time.Hour)
		w.expect("janela-19990101T000000Z.db.old", second, third)
		s := w.b.State()
		if s.Made != 3 || s.Failed != 0 || s.Last.Day() != 3 || s.Bytes == 0 || s.Due.Day() != 4 {
			t.Errorf("after the third %+v", s)
		}
		w.stop()
		time.Sleep(3*24*time.Hour + 8*time.Hour + 59*time.Minute)
		w = begin(t, set, nil)
		defer w.stop()
		w.expect("janela-19990101T000000Z.db.old", third, fourth)
		w.alert("")
	})
}

// One that fails is told, tried again, and told no more when it has been made.
func TestBackupThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(1 << 40)
		set := Settings{Dir: filepath.Join(t.TempDir(), "backups"), Schedule: daily, Zone: "UTC", Keep: 2}
		w := begin(t, set, func(string) (int64, error) { return free.Load(), nil })
		defer func() { w.stop() }()
		synctest.Wait()
		free.Store(1 << 20)
		time.Sleep(3*time.Hour + time.Minute)
		w.expect()
		w.alert("are free in")
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		if s := w.b.State(); s.Failed != 2 || s.Overdue < 15*time.Minute {
			t.Errorf("after a quarter of an hour %+v", s)
		}
		free.Store(1 << 40)
		time.Sleep(15 * time.Minute)
		w.expect("janela-20000101T033000Z.db")
		w.alert("")
		if s := w.b.State(); s.Overdue != 0 || s.Made != 1 {
			t.Errorf("after it was made %+v", s)
		}
	})
}

// Other settings hold at once; nothing is due before they did.
func TestBackupsBySettingsThatChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "backups")
		w := begin(t, Settings{}, nil)
		defer func() { w.stop() }()
		time.Sleep(48 * time.Hour)
		w.alert("")
		w.dir = dir
		w.b.Set(Settings{Dir: dir, Schedule: "30 * * * *", Zone: "UTC", Keep: 1})
		w.expect()
		time.Sleep(31 * time.Minute)
		w.expect("janela-20000103T003000Z.db")
		w.b.Set(Settings{})
		time.Sleep(24 * time.Hour)
		w.expect("janela-20000103T003000Z.db")
		if w.b.State().On {
			t.Error("it is on, although nothing is configured")
		}
	})
}
