package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
	"janela/scheduler"
)

var (
	// The firings that were committed, counted where a crash cannot forget them.
	sqlCount = store.SQL(`INSERT INTO settings (name, value) VALUES (?1, '1')
		ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(settings.value AS INTEGER) + 1 AS TEXT)`)
	sqlCounts = store.SQL(`SELECT substr(name, 7), CAST(value AS INTEGER) FROM settings WHERE name LIKE 'fired/%' ORDER BY name`)
	sqlRows   = store.SQL(`SELECT civil, state, note, due_at FROM slots WHERE schedule_key = ?1 ORDER BY due_at, civil`)
)

type countRow struct {
	name string
	n    int
}

func (c *countRow) Fields() []any { return []any{&c.name, &c.n} }

type slotRow struct {
	civil, state, note string
	due                int64
}

func (s *slotRow) Fields() []any { return []any{&s.civil, &s.state, &s.note, &s.due} }

const zone = "America/Sao_Paulo" // UTC-3 all year, since 2019

// house is a database with a scheduler's loop, in fake time. Its wall clock is
// the bubble's clock plus an offset, so that it can be stepped.
type house struct {
	t       *testing.T
	path    string
	db      *store.DB
	stop    context.CancelFunc
	ended   chan error
	running sync.WaitGroup

	// What the bubble's goroutines share: sleeping orders them, but the race
	// detector does not know.
	mu     sync.Mutex
	offset time.Duration
	calls  []scheduler.Firing // every call of fire, also those that were undone
	fail   func(scheduler.Firing) error
	slow   time.Duration // how long fire takes
}

// newHouse starts a house whose wall shows a local time in zone.
func newHouse(t *testing.T, civil string) *house { return newHouseIn(t, civil, zone) }

func newHouseIn(t *testing.T, civil, zone string) *house {
	h := &house{t: t, path: filepath.Join(t.TempDir(), "x.db"), offset: time.Until(instant(t, civil, zone))}
	h.open()
	return h
}

// wall is what the house's clock shows.
func (h *house) wall() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.offset)
}

// step sets the wall clock.
func (h *house) step(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offset += d
}

// forget drops the calls up to now.
func (h *house) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = nil
}

// breaks makes every firing end with what fail returns.
func (h *house) breaks(fail func(scheduler.Firing) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = fail
}

func instant(t *testing.T, civil, zone string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02T15:04:05", civil, loc)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (h *house) open() {
	h.t.Helper()
	db, err := store.Open(h.t.Context(), store.Config{Path: h.path, Wall: h.wall})
	if err != nil {
		h.t.Fatal(err)
	}
	h.db = db
}

// start runs the loop on the open database.
func (h *house) start() {
	ctx, cancel := context.WithCancel(context.Background())
	loop := scheduler.NewLoop(h.db, h.fire, slog.New(slog.DiscardHandler))
	h.stop, h.ended = cancel, make(chan error, 1)
	h.running.Go(func() { h.ended <- loop.Run(ctx) })
	synctest.Wait()
}

func (h *house) fire(tx *store.Tx, f scheduler.Firing) error {
	h.mu.Lock()
	h.calls = append(h.calls, f)
	fail := h.fail
	h.mu.Unlock()
	time.Sleep(h.slow)
	if _, err := tx.Exec(sqlCount, "fired/"+f.Key+"/"+f.Civil); err != nil {
		return err
	}
	if fail != nil {
		return fail(f)
	}
	return nil
}

func (h *house) close() {
	h.t.Helper()
	h.halt()
	if err := h.db.Close(); err != nil {
		h.t.Error(err)
	}
}

func (h *house) halt() {
	h.t.Helper()
	if h.stop == nil {
		return
	}
	h.stop()
	if err := <-h.ended; err != nil {
		h.t.Errorf("the loop ended with %v", err)
	}
	h.stop = nil
}

// crash kills the house: the loop must notice.
func (h *house) crash() {
	h.t.Helper()
	h.db.Crash()
	if h.stop != nil {
		if err := <-h.ended; !errors.Is(err, store.ErrCrashed) {
			h.t.Errorf("after a crash the loop ended with %v", err)
		}
		h.stop()
		h.stop = nil
	}
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

func (h *house) put(key string, spec scheduler.Spec) {
	h.t.Helper()
	if spec.Zone == "" {
		spec.Zone = zone
	}
	h.write(func(tx *store.Tx) error { return scheduler.Put(tx, key, spec) })
}

// sleep lets time pass, and what is due then happen.
func (h *house) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (h *house) read(fn func(q *store.Snap) error) {
	h.t.Helper()
	if err := h.db.Read(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// fired returns how often each "key/civil" fired, and lasted.
func (h *house) fired() map[string]int {
	h.t.Helper()
	out := map[string]int{}
	h.read(func(q *store.Snap) error {
		return store.Each(q, sqlCounts, func(c *countRow) error { out[c.name] = c.n; return nil })
	})
	return out
}

// slots returns "civil state" of each slot of a schedule.
func (h *house) slots(key string) (out []string) {
	h.t.Helper()
	for _, r := range h.rows(key) {
		out = append(out, r.civil+" "+r.state)
	}
	return out
}

func (h *house) rows(key string) (out []slotRow) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) { out, err = store.All[slotRow](q, sqlRows, key); return err })
	return out
}

func (h *house) next(key string) string {
	h.t.Helper()
	var out string
	h.read(func(q *store.Snap) error {
		f, ok, err := scheduler.Next(q, key)
		if ok {
			out = fmt.Sprintf("%s %s", f.Civil, f.DueAt.Format(time.RFC3339))
		}
		return err
	})
	return out
}

// civils returns the local minutes of the calls for one schedule, in order.
func (h *house) civils(key string) (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if c.Key == key {
			out = append(out, c.Civil)
		}
	}
	return out
}
