package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-sqlite3"

	"janela/internal/outbox"
	"janela/internal/store"
)

func open(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// holds are those that stand: category and reason.
func holds(t *testing.T, db *store.DB) (out []string) {
	t.Helper()
	err := db.Read(t.Context(), func(q *store.Snap) error {
		all, err := outbox.Holds(q)
		for _, h := range all {
			out = append(out, h.Target+" "+h.Reason)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReserveOfADisk(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct{ total, configured, want int64 }{
		{64 << 20, 0, 64 << 20 / 5}, {gib, 0, gib / 5}, {4 * gib, 0, 512 << 20}, {20 * gib, 0, gib}, {80 * gib, 0, 4 * gib}, {4000 * gib, 0, 4 * gib},
		{20 * gib, 7, 7}, {gib, 100 * gib, 100 * gib},
	} {
		if got := (Space{Total: c.total}).reserve(c.configured); got != c.want {
			t.Errorf("of %d bytes, with %d configured, %d must be free, want %d", c.total, c.configured, got, c.want)
		}
	}
}

// What can wait stops first, and goes on last but for a margin. Who releases a
// hold means it, until there was room again. A restart takes over what stands.
func TestADiskThatFillsAndEmpties(t *testing.T) {
	db := open(t)
	var free int64
	var blind error
	fresh := func() *Guard {
		g := New(Config{DB: db, Reserve: 1000, Space: func(string) (Space, error) { return Space{Free: free, Total: 10_000}, blind }})
		if err := g.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		return g
	}
	free = 5000
	g := fresh()
	const m, u = "marketing disk_low", "utility disk_low"
	for _, c := range []struct {
		free    int64
		restart bool
		want    []string
	}{
		{1000, false, nil}, {999, false, []string{m}}, {500, false, []string{m}}, {499, false, []string{m, u}}, {0, true, []string{m, u}},
		{600, false, []string{m, u}}, {625, true, []string{m}}, {1249, false, []string{m}}, {1250, false, nil}, {100, true, []string{m, u}},
	} {
		free = c.free
		if c.restart {
			g = fresh()
		}
		g.look(t.Context())
		if diff := cmp.Diff(c.want, holds(t, db)); diff != "" {
			t.Errorf("with %d bytes free: %s", c.free, diff)
		}
	}
	if err := g.lift(t.Context(), "marketing", ReasonDiskLow); err != nil {
		t.Fatal(err)
	}
	g.look(t.Context())
	blind = errors.New("no such file system")
	g.look(t.Context())
	if diff := cmp.Diff([]string{u}, holds(t, db)); diff != "" {
		t.Errorf("after somebody released marketing: %s", diff)
	}
	if s, reserve, ok := g.Disk(); s.Free != 100 || reserve != 1000 || !ok {
		t.Errorf("it says %+v %d %t", s, reserve, ok)
	}
}

// log keeps what is logged.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// A database that cannot be written is told of once, tried again and again, at
// most every eight seconds, and goes on by itself.
func TestAFaultEndsByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), store.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var l log
		g := New(Config{DB: db, Log: l.logger(), Space: func(string) (Space, error) { return Space{Free: 1 << 40, Total: 1 << 40}, nil }})
		if err := g.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.Run(ctx) })
		hold := func() error { return g.place(ctx, "utility", "operator", "") }
		for round := 1; round <= 2; round++ {
			db.Break(true)
			if err := hold(); err == nil {
				t.Fatal("the disk is not broken")
			}
			time.Sleep(time.Hour)
			if p := Problems(db); len(p) != 1 || !strings.Contains(p[0], "cannot be written") {
				t.Errorf("the problems are %q", p)
			}
			if n := l.count("cannot be written"); n != round {
				t.Errorf("round %d: it was told %d times", round, n)
			}
			db.Break(false)
			time.Sleep(8*time.Second + time.Millisecond)
			if db.Fault() != nil || len(Problems(db)) > 0 || l.count("can be written again") != round {
				t.Errorf("round %d: eight seconds after its end the fault stands: %v", round, db.Fault())
			}
		}
		cancel()
		wg.Wait()
	})
}

// Of all that is logged only what Guard tells by itself is left out.
func TestCalm(t *testing.T) {
	var l log
	logger := slog.New(Calm(l.logger().Handler())).With("room", "x").WithGroup("g")
	full := sqlite3.Error{Code: sqlite3.ErrFull}
	for _, err := range []error{full, fmt.Errorf("a turn: %w", full), errors.Join(errors.New("and"), sqlite3.Error{Code: sqlite3.ErrReadonly})} {
		logger.Error("trying again", "lane", "utility", "error", err)
	}
	if n := l.count("\n"); n > 0 {
		t.Errorf("told: %s", l.buf.String())
	}
	for _, err := range []error{nil, errors.New("database or disk is full"), sqlite3.Error{Code: sqlite3.ErrConstraint}, sqlite3.Error{Code: sqlite3.ErrBusy}} {
		logger.Error("trying again", "error", err)
	}
	logger.Info("hello", "n", 1)
	if n := l.count("\n"); n != 5 || l.count("room=x") != 5 {
		t.Errorf("not told: %s", l.buf.String())
	}
}

// A reader that has kept the log for more than a minute is told of once, and
// ended when the log has grown too large.
func TestALongReaderIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), store.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var l log
		g := New(Config{DB: db, Log: l.logger()})
		g.log.most = 1 << 40
		end := make(chan struct{})
		var got error
		var wg sync.WaitGroup
		wg.Go(func() {
			got = db.Read(t.Context(), func(q *store.Snap) error {
				if _, err := outbox.Holds(q); err != nil {
					return err
				}
				<-end
				_, err := outbox.Holds(q)
				return err
			})
		})
		for range 3 * 60 {
			time.Sleep(time.Second)
			g.log.look(g)
		}
		if l.count("has been open for long") != 1 || l.count("TestALongReaderIsTold") != 1 {
			t.Errorf("it was told so: %s", l.buf.String())
		}
		g.log.most = 0
		g.log.look(g)
		close(end)
		wg.Wait()
		if !errors.Is(got, store.ErrTooLong) {
			t.Errorf("it got %v", got)
		}
	})
}
