package hooks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"janela/internal/store"
)

// works are hooks over a real database, real sockets and the machine's own
// clock, and a bot that notes when a callback reaches it.
type works struct {
	b    *testing.B
	db   *store.DB
	h    *Hooks
	slow time.Duration // how long the bot takes to answer

	mu      sync.Mutex
	arrived map[int]time.Time
}

func newWorks(b *testing.B, slow time.Duration, more ...Target) *works {
	w := &works{b: b, slow: slow, arrived: map[int]time.Time{}}
	server := httptest.NewServer(w)
	b.Cleanup(server.Close)
	var err error
	if w.db, err = store.Open(context.Background(), store.Config{Path: filepath.Join(b.TempDir(), "janela.db")}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.db.Close() })
	targets := append([]Target{{Name: "bot", URL: server.URL, Mode: Passthrough}}, more...)
	if w.h, err = New(context.Background(), Config{DB: w.db, Targets: targets, Log: slog.New(slog.DiscardHandler)}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.h.Run(ctx) })
	b.Cleanup(func() { cancel(); running.Wait() })
	return w
}

func (w *works) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, rest, _ := bytes.Cut(body, []byte(`"body":"`))
	digits, _, _ := bytes.Cut(rest, []byte(`"`))
	if n, err := strconv.Atoi(string(digits)); err == nil {
		w.mu.Lock()
		w.arrived[n] = at
		w.mu.Unlock()
	}
	time.Sleep(w.slow)
}

// take stores a callback as intake does, and returns when it was on disk.
func (w *works) take(n int) time.Time {
	body := inbound(loja, fmt.Sprintf("55119%08d", n), strconv.Itoa(n))
	c := w.h.Callback(body, metas(body))
	if err := w.db.Write(context.Background(), func(tx *store.Tx) error { return w.h.Pass(tx, c) }); err != nil {
		w.b.Error(err)
	}
	return time.Now()
}

// report tells the times of p50, p99 and the longest, in microseconds.
func report(b *testing.B, what string, all []time.Duration) {
	slices.Sort(all)
	for name, at := range map[string]int{"p50": len(all) / 2, "p99": len(all) * 99 / 100, "max": len(all) - 1} {
		b.ReportMetric(float64(all[at].Microseconds()), what+"-"+name+"-µs")
	}
}

// From the commit of a callback to its arrival at the bot, at a steady rate; the
// bot takes 50 ms to answer. stored is how long Meta's 200 waits for the commit.
func BenchmarkPassthrough(b *testing.B) {
	dead := Target{Name: "dead", URL: "http://127.0.0.1:9/", Mode: Passthrough} // nobody listens on discard
	for _, c := range []struct {
		name      string
		perSecond int
		more      []Target
	}{{"20 a second", 20, nil}, {"240 a second", 240, nil}, {"240 a second beside a dead target", 240, []Target{dead}}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorks(b, 50*time.Millisecond, c.more...)
			var mu sync.Mutex
			commits, stored := map[int]time.Time{}, []time.Duration{}
			var takers sync.WaitGroup
			tick := time.NewTicker(time.Second / time.Duration(c.perSecond))
			defer tick.Stop()
			for n := range b.N {
				<-tick.C
				takers.Go(func() {
					begun := time.Now()
					at := w.take(n)
					mu.Lock()
					defer mu.Unlock()
					commits[n] = at
					stored = append(stored, at.Sub(begun))
				})
			}
			takers.Wait()
			for { // the bot has all
				w.mu.Lock()
				n := len(w.arrived)
				w.mu.Unlock()
				if n == b.N {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			var took []time.Duration
			for n, at := range commits {
				took = append(took, max(w.arrived[n].Sub(at), 0))
			}
			report(b, "arrival", took)
			report(b, "stored", stored)
		})
	}
}

// What the transaction of an event pays, by how many targets want it.
func BenchmarkEmit(b *testing.B) {
	for _, n := range []int{0, 1, 3} {
		b.Run(fmt.Sprint(n, " targets"), func(b *testing.B) {
			db, err := store.Open(context.Background(), store.Config{Path: filepath.Join(b.TempDir(), "janela.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			var targets []Target
			for i := range 3 {
				targets = append(targets, events(fmt.Sprint("t", i), func(t *Target) {
					t.MaxBytes = 1 << 40
					if i >= n {
						t.Events = []string{"never.*"}
					}
				}))
			}
			h, err := New(context.Background(), Config{DB: db, Targets: targets})
			if err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				if err := db.Bulk(context.Background(), func(tx *store.Tx) error { // 200 at a time, as a campaign's turn
					for range 200 {
						i++
						if err := h.Emit(tx, Event{Type: "message.delivered", Key: strconv.Itoa(i % 5000), Data: map[string]any{"id": i, "campaign": "natal26"}}); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*200), "ns/event")
		})
	}
}

// How fast a queue is worked off by a target that answers at once.
func BenchmarkBacklog(b *testing.B) {
	w := newWorks(b, 0)
	begun := time.Now()
	for n := 0; n < b.N; n += 100 {
		if err := w.db.Write(context.Background(), func(tx *store.Tx) error {
			for i := n; i < min(n+100, b.N); i++ {
				body := inbound(loja, fmt.Sprintf("55119%08d", i), strconv.Itoa(i))
				if err := w.h.Pass(tx, w.h.Callback(body, metas(body))); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for {
		w.mu.Lock()
		n := len(w.arrived)
		w.mu.Unlock()
		if n == b.N {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "callbacks/s")
}

func BenchmarkChanges(b *testing.B) {
	small := inbound(loja, "5511900000001", "oi")
	big := slices.Concat([]byte(`{"entry":[{"changes":[{"field":"messages","value":{"statuses":[{"x":"`), bytes.Repeat([]byte("x"), 3<<20), []byte(`"}]}}]}]}`))
	for name, body := range map[string][]byte{"one message": small, "3 MB": big} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				Changes(body)
			}
		})
	}
}
