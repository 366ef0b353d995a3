package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
)

// told is the data of the events of a test.
type told struct {
	Type      string
	Timestamp time.Time
	Data      struct {
		Key string
		N   int
	}
}

func tell(t testing.TB, a arrival) (e told) {
	t.Helper()
	if err := json.Unmarshal(a.Body, &e); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	return e
}

// inOrder checks that of every key 1, 2, … n arrived, in that order, when
// repeats are dropped.
func inOrder(t testing.TB, all []arrival, want map[string]int) {
	t.Helper()
	next := map[string]int{}
	for _, a := range firsts(all) {
		e := tell(t, a)
		if next[e.Data.Key]++; e.Data.N != next[e.Data.Key] {
			t.Errorf("of key %q number %d arrived where %d was due", e.Data.Key, e.Data.N, next[e.Data.Key])
			next[e.Data.Key] = e.Data.N
		}
	}
	equal(t, "what arrived", next, want)
}

// An event is there the instant its transaction is committed, signed; nothing of
// it stays.
func TestAnEventArrivesAtOnce(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"))
		h.pass(17 * time.Second)
		h.emit("message.delivered", "message:1", 1)
		got := h.peer("crm").log()
		if len(got) != 1 {
			t.Fatalf("%d requests, want 1", len(got))
		}
		a := got[0]
		equal(t, "when", a.since(), 17*time.Second)
		equal(t, "content type", a.Header.Get("Content-Type"), "application/json")
		equal(t, "agent", a.Header.Get("User-Agent"), "janela")
		equal(t, "path", a.Path, "/in")
		equal(t, "body", string(a.Body), `{"type":"message.delivered","timestamp":"2026-11-23T12:00:17.000Z","data":{"key":"message:1","n":1}}`)
		if err := verify(a, aSecret, a.At); err != nil {
			t.Error(err)
		}
		equal(t, "rows left", h.left(), 0)
		r := h.reports()["crm"]
		equal(t, "report", fmt.Sprint(r.Delivered, r.Failed, r.Waiting, r.Bytes, r.Oldest), "1 0 0 0 0s")
		h.sound()
	})
}

// What nobody wants leaves no row, and what is rolled back is told to nobody.
func TestNothingIsToldThatNobodyWantsOrThatDidNotHappen(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm", func(t *Target) { t.Events = []string{"consent.*"} }), bot("bot", func(t *Target) { t.Fields = []string{"messages"} }))
		h.peer("crm").setAway(true)
		h.peer("bot").setAway(true)
		h.emit("message.read", "", 3)
		h.write(func(tx *store.Tx) error {
			return h.h.Pass(tx, Callback{Body: []byte("{}"), Changes: []Change{{Field: "account_update"}}})
		})
		equal(t, "rows", h.left(), 0)
		boom := errors.New("boom")
		err := h.db.Write(context.Background(), func(tx *store.Tx) error {
			if err := h.h.Emit(tx, Event{Type: "consent.revoked"}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		h.pass(time.Minute)
		equal(t, "rows", h.left(), 0)
		equal(t, "dials", h.peer("crm").tried()+h.peer("bot").tried(), 0)
		equal(t, "wants", fmt.Sprint(h.h.Wants("consent.revoked"), h.h.Wants("message.read")), "true false")
		var none *Hooks
		h.write(func(tx *store.Tx) error {
			return errors.Join(none.Emit(tx, Event{Type: "a"}), none.Pass(tx, none.Callback([]byte("{}"), http.Header{})))
		})
	})
}

// Faults of the program are errors, not webhooks.
func TestEmitRefusesWhatIsNoEvent(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"))
		for _, e := range []Event{{Type: ""}, {Type: "Message.Read"}, {Type: "a..b"}, {Type: "a.b", Data: func() {}}} {
			err := h.db.Write(context.Background(), func(tx *store.Tx) error { return h.h.Emit(tx, e) })
			if err == nil {
				t.Errorf("%q with %T went through", e.Type, e.Data)
			}
		}
		equal(t, "rows", h.left(), 0)
	})
}

// outages are the ways of not being there.
var outages = map[string]func(*receiver, bool){
	"refused": func(r *receiver, on bool) { r.setAway(on) },
	"500":     answering(status(http.StatusInternalServerError)),
	"502":     answering(status(http.StatusBadGateway)),
	"503":     answering(status(http.StatusServiceUnavailable)),
	"404":     answering(status(http.StatusNotFound)),
	"silence": answering(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	"cut":     answering(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
}

func answering(does http.HandlerFunc) func(*receiver, bool) {
	return func(r *receiver, on bool) {
		if on {
			r.answers(does)
		} else {
			r.answers(nil)
		}
	}
}

// A target that is down for an hour, in whatever way, loses nothing, gets all in
// order and soon, and was not flooded meanwhile.
func TestATargetThatWasDownForAnHourLosesNothing(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.start(events("crm"))
				crm := h.peer("crm")
				want := map[string]int{}
				outage(crm, true)
				for i := range 60 {
					var some []Event
					for k := range 5 {
						key := fmt.Sprint("message:", k)
						want[key]++
						some = append(some, Event{Type: "message.read", Key: key, Data: map[string]any{"key": key, "n": i + 1}})
					}
					h.emitOne(some...)
					h.pass(time.Minute)
				}
				tries := max(len(crm.log()), crm.tried())
				if tries < 20 || tries > 200 {
					t.Errorf("%d requests in an hour, want one in a while", tries)
				}
				equal(t, "waiting", h.reports()["crm"].Waiting, 300)
				equal(t, "age of the oldest", h.reports()["crm"].Oldest, time.Hour)
				h.sound()
				before := len(crm.log())
				outage(crm, false)
				h.pass(5 * time.Minute)
				inOrder(t, crm.log()[before:], want)
				equal(t, "rows left", h.left(), 0)
				h.sound()
				if !strings.Contains(h.log.String(), "is back") || strings.Count(h.log.String(), "is tried again and again") != 1 {
					t.Errorf("the log says\n%s", h.log.String())
				}
			})
		})
	}
}

// Order over crashes and restarts as well: the outage is longer than a process.
func TestTheQueueOutlivesTheProcess(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"))
		crm := h.peer("crm")
		crm.setAway(true)
		for i := range 6 {
			for range 10 {
				h.emitOne(Event{Type: "a.b", Key: "k", Data: map[string]any{"key": "k", "n": len(h.list("crm", false)) + 1}})
			}
			h.pass(7 * time.Minute)
			if i%2 == 0 {
				h.crash()
			} else {
				h.stop()
			}
			h.start()
		}
		h.sound()
		crm.setAway(false)
		h.pass(4 * time.Minute)
		inOrder(t, crm.log(), map[string]int{"k": 60})
		equal(t, "rows left", h.left(), 0)
	})
}

// A dead or slow target never delays another: each event is at the good one the
// instant it happens.
func TestADeadTargetDelaysNobody(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("good"), events("slow"), events("dead"))
		h.peer("dead").setAway(true)
		h.peer("slow").answers(func(http.ResponseWriter, *http.Request) { time.Sleep(9 * time.Second) })
		want := map[string]int{}
		var some []Event
		for i := range 1000 {
			key := fmt.Sprint("message:", i%100)
			want[key]++
			some = append(some, Event{Type: "message.sent", Key: key, Data: map[string]any{"key": key, "n": want[key]}})
			if i%10 == 9 {
				h.emitOne(some...)
				some = nil
			}
			if i%50 == 49 {
				h.pass(time.Second)
			}
		}
		good := h.peer("good").log()
		equal(t, "at the good one", len(good), 1000)
		for _, a := range good {
			if e := tell(t, a); !e.Timestamp.Equal(a.At) {
				t.Fatalf("an event of %v arrived at %v", e.Timestamp, a.At)
			}
		}
		inOrder(t, good, want)
		h.pass(15 * time.Minute)
		inOrder(t, h.peer("slow").log(), want)
		equal(t, "at once, at the slow one", h.peer("slow").most, 16)
		equal(t, "waiting", fmt.Sprint(h.reports()["good"].Waiting, h.reports()["slow"].Waiting, h.reports()["dead"].Waiting), "0 0 1000")
		h.sound()
		h.peer("dead").setAway(false)
		h.pass(3 * time.Minute)
		inOrder(t, h.peer("dead").log(), want)
		equal(t, "rows left", h.left(), 0)
	})
}

// One delivery that a target cannot take holds up its own key for a while, and
// nobody else; then those behind it go on. It is tried until its time is over.
func TestADeliveryThatCannotBeTakenStepsAside(t *testing.T) {
	for mode, patience := range map[Mode]time.Duration{Events: 6 * time.Hour, Passthrough: 2 * time.Minute} {
		t.Run(string(mode), func(t *testing.T) {
			bubble(t, func(h *house) {
				target := events("it")
				if mode == Passthrough {
					target = bot("it")
				}
				h.start(target)
				h.peer("it").answers(func(w http.ResponseWriter, r *http.Request) {
					if b, _ := io.ReadAll(r.Body); strings.Contains(string(b), "poison") {
						w.WriteHeader(http.StatusInternalServerError)
					}
				})
				send := func(person, body string) {
					h.write(func(tx *store.Tx) error {
						if mode == Passthrough {
							return h.h.Pass(tx, Callback{Body: []byte(body), Changes: []Change{{Field: "messages", Person: person}}})
						}
						return h.h.Emit(tx, Event{Type: "a.b", Key: person, Data: body})
					})
				}
				count := func(what string) (n int) {
					for _, a := range h.peer("it").log() {
						if strings.Contains(string(a.Body), what) {
							n++
						}
					}
					return n
				}
				send("ana", "poison")
				send("ana", "behind it")
				h.pass(30 * time.Second)
				equal(t, "behind it at first", count("behind it"), 0)
				send("bia", "somebody else") // the target is thought to be away: found out soon
				h.pass(10 * time.Second)
				equal(t, "somebody else", count("somebody else"), 1)
				h.pass(patience - 45*time.Second)
				equal(t, "behind it just before", count("behind it"), 0)
				h.pass(30*time.Second + 2*mode.probe()) // the target is thought to be away: it is asked now and then
				equal(t, "behind it", count("behind it"), 1)
				h.sound()
				h.pass(4 * 24 * time.Hour)
				equal(t, "given up", h.reports()["it"].Dead, 1)
				if n := count("poison"); n < 60 || n > 250 {
					t.Errorf("it was tried %d times in three days", n)
				}

				// Beside others that arrive, it waits no longer than it must.
				send("eva", "poison again")
				send("eva", "after it")
				for range 29 {
					h.pass(patience / 30)
					send("bia", "somebody else")
				}
				h.pass(patience/30 - time.Second)
				equal(t, "after it just before", count("after it"), 0)
				h.pass(2 * time.Second)
				equal(t, "after it", count("after it"), 1)
			})
		})
	}
}

// 410 pauses, and nothing is lost: Resume and another address end the pause.
func TestGonePausesTheTarget(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"), events("erp"))
		crm := h.peer("crm")
		crm.answers(status(http.StatusGone))
		h.emit("a.b", "k", 3)
		h.pass(time.Hour)
		equal(t, "requests", len(crm.log()), 1)
		equal(t, "of the other", len(h.peer("erp").log()), 3)
		r := h.reports()["crm"]
		equal(t, "report", fmt.Sprintf("%v %s %d %v", r.Paused, r.Reason, r.Waiting, r.Since.Sub(began)), "true gone 3 0s")
		if !strings.Contains(h.log.String(), "410") {
			t.Error("nobody was told")
		}
		h.stop()
		h.start() // the same address: still gone
		h.pass(time.Hour)
		equal(t, "requests", len(crm.log()), 1)
		crm.answers(nil)
		h.write(func(tx *store.Tx) error {
			changed, err := h.h.Resume(tx, "crm", "cli:eva")
			if !changed {
				t.Error("nothing was resumed")
			}
			return err
		})
		h.pass(0)
		inOrder(t, crm.log()[1:], map[string]int{"k": 3})
		equal(t, "actor", h.reports()["crm"].Actor, "cli:eva")

		crm.answers(status(http.StatusGone))
		h.emit("a.b", "j", 1)
		equal(t, "paused", h.reports()["crm"].Paused, true)
		crm.answers(nil)
		h.stop()
		before := len(crm.log())
		h.targets[0].URL += "/new"
		h.start()
		equal(t, "after the new address", len(crm.log())-before, 1)
		equal(t, "paused", h.reports()["crm"].Paused, false)
	})
}

// An operator's pause holds over a new address.
func TestAnOperatorsPause(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"))
		pause := func(name string) (changed bool, err error) {
			err = h.db.Write(context.Background(), func(tx *store.Tx) (err error) {
				changed, err = h.h.Pause(tx, name, "cli:eva")
				return err
			})
			return changed, err
		}
		for i, want := range []bool{true, false} {
			if changed, err := pause("crm"); changed != want || err != nil {
				t.Errorf("pause %d: %v %v", i, changed, err)
			}
		}
		if _, err := pause("none"); !errors.Is(err, ErrUnknown) {
			t.Errorf("pause of no target: %v", err)
		}
		h.emit("a.b", "", 2)
		h.stop()
		h.targets[0].URL += "/new"
		h.start()
		h.pass(time.Hour)
		equal(t, "requests", len(h.peer("crm").log()), 0)
		h.write(func(tx *store.Tx) error { _, err := h.h.Resume(tx, "crm", "cli:eva"); return err })
		h.pass(0)
		equal(t, "requests", len(h.peer("crm").log()), 2)
	})
}

// A redirect is never followed: what it names gets nothing.
func TestRedirectsAreNotFollowed(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"), events("elsewhere", func(t *Target) { t.Events = []string{"never"} }))
		for _, code := range []int{301, 302, 303, 307, 308} {
			h.peer("crm").answers(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "https://elsewhere/in")
				w.WriteHeader(code)
			})
			h.emit("a.b", "", 1)
			h.pass(time.Minute)
		}
		equal(t, "at the other address", h.peer("elsewhere").tried(), 0)
		equal(t, "waiting", h.reports()["crm"].Waiting, 5)
		if l := h.list("crm", false); l[0].Failure != "status 308" && l[0].Failure != "status 301" {
			t.Errorf("failure %q", l[0].Failure)
		}
	})
}

// Retry-After is the target's own pause.
func TestRetryAfterIsKept(t *testing.T) {
	for _, c := range []struct {
		code  int
		after string
		from  time.Duration
		to    time.Duration
	}{
		{429, "600", 10 * time.Minute, 11 * time.Minute},
		{503, began.Add(20 * time.Minute).Format(http.TimeFormat), 20 * time.Minute, 21 * time.Minute},
		{429, "100000000", time.Hour, time.Hour + time.Minute},
		{429, "-1", time.Second, 2 * time.Second},
		{429, "soon", time.Second, 2 * time.Second},
		{500, "600", time.Second, 2 * time.Second},
	} {
		t.Run(fmt.Sprint(c.code, " ", c.after), func(t *testing.T) {
			bubble(t, func(h *house) {
				h.start(events("crm"))
				crm := h.peer("crm")
				crm.answers(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", c.after)
					w.WriteHeader(c.code)
					crm.mu.Lock()
					crm.does = nil
					crm.mu.Unlock()
				})
				h.emit("a.b", "", 1)
				h.pass(2 * time.Hour)
				got := crm.log()
				if len(got) != 2 {
					t.Fatalf("%d requests", len(got))
				}
				if d := got[1].since(); d < c.from-200*time.Millisecond || d > c.to {
					t.Errorf("the second request came after %v, want %v to %v", d, c.from, c.to)
				}
			})
		})
	}
}

// The id stays, the time of the signature does not.
func TestARepeatHasTheSameID(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"), events("erp"))
		h.peer("crm").answers(status(500))
		h.emit("a.b", "", 1)
		h.pass(20 * time.Second)
		h.peer("crm").answers(nil)
		h.pass(20 * time.Second)
		got := h.peer("crm").log()
		if len(got) < 4 {
			t.Fatalf("%d requests", len(got))
		}
		for _, a := range got {
			equal(t, "id", a.ID, h.peer("erp").log()[0].ID)
			equal(t, "body", string(a.Body), string(got[0].Body))
			if err := verify(a, aSecret, a.At); err != nil {
				t.Error(err)
			}
		}
		if strings.ContainsAny(got[0].ID, ". ") || !strings.HasPrefix(got[0].ID, "msg_") {
			t.Errorf("id %q", got[0].ID)
		}
	})
}

// A stop waits for answers; what has none by then is sent again, and was not
// counted as a failure.
func TestStopWaitsForAnswers(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("quick"), events("slow"))
		h.peer("quick").answers(func(http.ResponseWriter, *http.Request) { time.Sleep(4 * time.Second) })
		h.peer("slow").answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		h.emit("a.b", "k", 2)
		begun := time.Now()
		h.stop()
		equal(t, "the stop took", time.Since(begun), 5*time.Second)
		for _, p := range h.peers {
			p.answers(nil)
		}
		h.start()
		h.pass(0)
		inOrder(t, h.peer("quick").log(), map[string]int{"k": 2})
		equal(t, "requests of the quick one", len(h.peer("quick").log()), 2)
		inOrder(t, h.peer("slow").log(), map[string]int{"k": 2})
		equal(t, "requests of the slow one", len(h.peer("slow").log()), 3)
		equal(t, "rows left", h.left(), 0)
		if err := h.h.Run(context.Background()); !errors.Is(err, errTwice) {
			t.Errorf("a second Run: %v", err)
		}
	})
}

// Two loops over one database, as two nodes will be: nothing is sent twice.
func TestTwoLoopsNeverSendTheSame(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"))
		other, err := New(context.Background(), Config{DB: h.db, Targets: h.targets, Transport: h.transport})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		h.rooms.Go(func() { _ = other.Run(ctx) })
		synctest.Wait()
		h.peer("crm").answers(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })
		want := map[string]int{}
		for i := range 300 {
			key := fmt.Sprint(i % 40)
			want[key]++
			h.emitOne(Event{Type: "a.b", Key: key, Data: map[string]any{"key": key, "n": want[key]}})
		}
		h.pass(time.Minute)
		cancel()
		equal(t, "requests", len(h.peer("crm").log()), 300)
		inOrder(t, h.peer("crm").log(), want)
		a, b := h.reports()["crm"].Delivered, other.all()[0].stats.delivered.Load()
		if a == 0 || b == 0 || a+b != 300 {
			t.Errorf("the loops delivered %d and %d", a, b)
		}
		h.sound()
	})
}
