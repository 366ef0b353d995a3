package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"janela/internal/store"
)

// tripper lets a test step between the claim, the request and the answer.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Wherever the process dies, what was committed arrives, in order, and what was
// not is told to nobody.
func TestAKillAtEveryStep(t *testing.T) {
	var once sync.Once
	steps := map[string]struct {
		arrange func(h *house)
		emit    func(h *house)
		repeats int // requests beside the first of each, when all is done
	}{
		"before the event is committed": {emit: func(h *house) {
			err := h.db.Write(context.Background(), func(tx *store.Tx) error {
				err := h.h.Emit(tx, Event{Type: "a.b", Key: "k", Data: "never"})
				h.rooms.Go(h.db.Crash)
				synctest.Wait() // the crash waits for this transaction to end
				return err
			})
			if !errors.Is(err, store.ErrCrashed) {
				h.t.Errorf("the transaction: %v", err)
			}
		}},
		"between the commit and the claim": {emit: func(h *house) {
			live := h.h
			h.stop() // nobody claims
			h.h = live
			h.done <- nil // for reopen
			h.emit("a.b", "k", 3)
			h.db.Crash()
		}},
		"between the claim and the request": {arrange: func(h *house) {
			h.wrap = func(http.RoundTripper) http.RoundTripper {
				return tripper(func(*http.Request) (*http.Response, error) {
					once.Do(h.db.Crash)
					return nil, errRefused
				})
			}
		}},
		"while the target works": {repeats: 1, arrange: func(h *house) {
			h.peer("crm").answers(func(http.ResponseWriter, *http.Request) { once.Do(h.db.Crash) })
		}},
		"while the target works, and it answers nothing": {repeats: 1, arrange: func(h *house) {
			h.peer("crm").answers(func(http.ResponseWriter, *http.Request) {
				once.Do(func() { h.db.Crash(); panic(http.ErrAbortHandler) })
			})
		}},
		"between the answer and its row": {repeats: 1, arrange: func(h *house) {
			h.wrap = func(inner http.RoundTripper) http.RoundTripper {
				return tripper(func(r *http.Request) (*http.Response, error) {
					resp, err := inner.RoundTrip(r)
					once.Do(h.db.Crash)
					return resp, err
				})
			}
		}},
		"after all": {emit: func(h *house) {
			h.emit("a.b", "k", 3)
			h.db.Crash()
		}},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			once = sync.Once{}
			bubble(t, func(h *house) {
				h.peer("crm")
				if step.arrange != nil {
					step.arrange(h)
				}
				h.start(events("crm"))
				if step.emit != nil {
					step.emit(h)
				} else {
					h.write(func(tx *store.Tx) error { // one transaction: the crash comes after it
						for n := range 3 {
							if err := h.h.Emit(tx, Event{Type: "a.b", Key: "k", Data: map[string]any{"key": "k", "n": n + 1}}); err != nil {
								return err
							}
						}
						return nil
					})
					synctest.Wait()
				}
				h.reopen()
				h.wrap = nil
				h.sound()
				h.start()
				h.pass(time.Minute)
				want := map[string]int{"k": 3}
				if strings.HasPrefix(name, "before") {
					want = map[string]int{}
				}
				inOrder(t, h.peer("crm").log(), want)
				equal(t, "repeats", len(h.peer("crm").log())-len(firsts(h.peer("crm").log())), step.repeats)
				equal(t, "rows left", h.left(), 0)
				h.sound()
			})
		})
	}
}

// recorder gathers faults instead of ending the test, so that rapid can look for
// the smallest case.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	faults []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }

func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }

// deed is one step of a random life.
type deed struct {
	what   string // emit, undo, callback, mood, wait, stop, crash
	kind   string // of an event
	key    string // of an event; the person of a callback
	number string
	target int
	mood   string // "" or one of outages
	wait   time.Duration
	times  int
}

// life is a random one: targets, and what happens.
type life struct {
	targets []Target
	deeds   []deed
}

func drawLife(t *rapid.T) life {
	few := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	var l life
	for i := range rapid.IntRange(1, 3).Draw(t, "targets") {
		if rapid.Bool().Draw(t, "bot") {
			l.targets = append(l.targets, bot(fmt.Sprint("t", i), func(o *Target) {
				o.Fields = rapid.SampledFrom([][]string{nil, {"messages"}, {"account_*", "messages"}, {"flows"}}).Draw(t, "fields")
			}))
		} else {
			l.targets = append(l.targets, events(fmt.Sprint("t", i), func(o *Target) {
				o.Events = rapid.SampledFrom([][]string{nil, {"message.*"}, {"consent.revoked"}}).Draw(t, "events")
				o.Numbers = rapid.SampledFrom([][]string{nil, {loja}}).Draw(t, "numbers")
			}))
		}
		l.targets[i].AtOnce = rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "at once")
	}
	// A chatbot's order is kept for two minutes only where it answers with an error.
	moods := slices.Sorted(maps.Keys(outages))
	quiet := []string{"refused", "503", "404"}
	for range rapid.IntRange(1, 14).Draw(t, "deeds") {
		d := deed{what: few("what", "emit", "emit", "callback", "callback", "undo", "mood", "mood", "wait", "wait", "stop", "crash"),
			kind: few("kind", "message.sent", "message.read", "consent.revoked"), key: few("key", "", "1", "2"), number: few("number", "", loja, filial),
			target: rapid.IntRange(0, len(l.targets)-1).Draw(t, "target"), times: rapid.IntRange(1, 5).Draw(t, "times"),
			wait: time.Duration(rapid.IntRange(0, 1_500_000).Draw(t, "ms")) * time.Millisecond}
		if l.targets[d.target].Mode == Events {
			d.mood = few("mood", append(moods, "", "", "")...)
		} else {
			d.mood = few("mood", append(quiet, "", "")...)
		}
		l.deeds = append(l.deeds, d)
	}
	return l
}

// must is what one target must hear, in the order of the commits.
type must struct{ body, key string }

// play plays a life beside a naive model: a list per target of what must reach
// it.
func (l life) play(t testing.TB, h *house) {
	model := make([][]must, len(l.targets))
	took := make([]map[string]int, len(l.targets)) // answered 200, by id
	var mu sync.Mutex
	for i, target := range l.targets {
		took[i] = map[string]int{}
		h.peer(target.Name)
	}
	good := func(i int) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			took[i][r.Header.Get("webhook-id")]++
		}
	}
	up := func(i int) {
		r := h.peer(l.targets[i].Name)
		r.setAway(false)
		r.answers(good(i))
	}
	for i := range l.targets {
		up(i)
	}
	h.start(l.targets...)
	n, crashes := 0, 0
	for _, d := range l.deeds {
		switch d.what {
		case "emit", "undo":
			for range d.times {
				n++
				e := Event{Type: d.kind, Number: d.number, Key: d.key, Data: n, At: began}
				undo := errors.New("undo")
				err := h.db.Write(context.Background(), func(tx *store.Tx) error {
					if err := h.h.Emit(tx, e); err != nil || d.what == "emit" {
						return err
					}
					return undo
				})
				if d.what == "undo" {
					if !errors.Is(err, undo) {
						t.Errorf("undo: %v", err)
					}
					continue
				}
				for i, target := range l.targets {
					if target.Mode == Events && naive(target.Events, e.Type) && (len(target.Numbers) == 0 || e.Number != filial) {
						model[i] = append(model[i], must{fmt.Sprintf(`{"type":%q,"timestamp":"2026-11-23T12:00:00.000Z","data":%d}`, e.Type, n), e.Key})
					}
				}
			}
		case "callback":
			for range d.times {
				n++
				field := map[string]string{"": "account_update", "1": "messages", "2": "messages"}[d.key]
				body := fmt.Sprintf(`{"entry":[{"changes":[{"field":%q,"value":{"messages":[{"from":%q,"n":%d}]}}]}]}`, field, d.key, n)
				h.callback([]byte(body))
				for i, target := range l.targets {
					if target.Mode == Passthrough && naive(target.Fields, field) {
						model[i] = append(model[i], must{body, d.key})
					}
				}
			}
		case "mood":
			synctest.Wait() // an answer that an outage swallows is asked for again, and rightly
			up(d.target)
			if d.mood != "" {
				outages[d.mood](h.peer(l.targets[d.target].Name), true)
			}
		case "wait":
			h.pass(d.wait)
		case "stop":
			h.stop()
			h.start()
		case "crash":
			h.crash()
			h.start()
			crashes++
		}
		h.sound()
	}
	for i := range l.targets {
		up(i)
	}
	h.pass(2 * time.Hour)
	for i, target := range l.targets {
		l.check(t, target, model[i], firsts(h.peer(target.Name).log()))
		for id, n := range took[i] {
			if n > 1 && crashes == 0 {
				t.Errorf("%s took %s, and got it %d times", target.Name, id, n)
			}
		}
	}
	equal(t, "rows left", h.left(), 0)
	h.sound()
}

// check compares what arrived with what had to: the same, and of each key in the
// same order.
func (life) check(t testing.TB, target Target, want []must, got []arrival) {
	byKey := func(all []must) map[string][]string {
		out := map[string][]string{}
		for _, m := range all {
			out[m.key] = append(out[m.key], m.body)
		}
		slices.Sort(out[""]) // no order is promised
		return out
	}
	key := map[string]string{}
	for _, m := range want {
		key[m.body] = m.key
	}
	var heard []must
	for _, a := range got {
		k, ok := key[string(a.Body)]
		if !ok {
			t.Errorf("%s heard of %s", target.Name, a.Body)
		}
		heard = append(heard, must{string(a.Body), k})
	}
	equal(t, target.Name+" by key", fmt.Sprint(byKey(heard)), fmt.Sprint(byKey(want)))
}

func naive(patterns []string, text string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return globs(p, text) })
}

// Whatever targets do, and whenever the process ends: what was committed reaches
// those who want it, in its order, and nothing else does; and nothing stays.
func TestWhateverTargetsDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := drawLife(rt)
		rec := &recorder{TB: t}
		path := filepath.Join(t.TempDir(), "janela.db")
		synctest.Test(t, func(*testing.T) {
			h := open(rec, path)
			defer h.close()
			l.play(rec, h)
		})
		if len(rec.faults) > 0 {
			rt.Fatalf("%+v\n%s", l, strings.Join(rec.faults, "\n"))
		}
	})
}
