package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"janela/internal/store"
)

// After MaxAge a delivery is given up, and kept for a week; those behind it go
// with it in their time. What arrived late is not given up.
func TestTheTimeOfADelivery(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm", func(t *Target) { t.Events = []string{"a.*"} }), events("brief", func(t *Target) { t.MaxAge = time.Hour }))
		h.peer("crm").setAway(true)
		h.peer("brief").setAway(true)
		h.emit("a.b", "k", 5)
		h.pass(30 * time.Minute)
		h.emit("a.b", "", 1)
		h.pass(29 * time.Minute)
		equal(t, "dead too soon", h.reports()["brief"].Dead, 0)
		h.pass(3 * time.Minute)
		h.sound()
		r := h.reports()["brief"]
		equal(t, "after an hour", fmt.Sprint(r.Dead, r.Waiting, r.Died), "5 1 5")
		equal(t, "of the other", fmt.Sprint(h.reports()["crm"].Dead, h.reports()["crm"].Waiting), "0 6")
		h.peer("brief").setAway(false)
		h.pass(10 * time.Minute)
		r = h.reports()["brief"]
		equal(t, "the sixth", fmt.Sprint(r.Dead, r.Waiting, r.Delivered), "5 0 1")
		if d := h.list("brief", true); len(d) != 5 || d[0].State != "dead" || d[0].Failure != "the connection was refused" || d[0].EndedAt.IsZero() || d[0].Attempt == 0 {
			t.Errorf("%+v", d)
		}
		h.peer("brief").setAway(true)
		h.emit("late.one", "", 1)
		h.pass(72 * time.Hour)
		equal(t, "of the other", fmt.Sprint(h.reports()["crm"].Dead, h.reports()["crm"].Waiting), "6 0")
		h.pass(time.Until(began.Add(7*24*time.Hour + 59*time.Minute)))
		equal(t, "kept for a week", h.reports()["brief"].Dead, 6)
		h.pass(30 * time.Minute)
		equal(t, "kept for a week", h.reports()["brief"].Dead, 1) // the late one
		h.pass(3 * time.Hour)
		equal(t, "no longer", h.reports()["brief"].Dead, 0)
		h.pass(4 * 24 * time.Hour)
		equal(t, "rows left", h.left(), 0)
		h.sound()
		if !strings.Contains(h.log.String(), "given up") {
			t.Error("nobody was told")
		}
	})
}

// A paused target's deliveries age as well, and those of a target that is no
// longer configured: nothing stays for ever.
func TestNothingStaysForEver(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("gone"), events("removed"), events("crm"))
		h.peer("gone").answers(status(http.StatusGone))
		h.peer("removed").setAway(true)
		h.emit("a.b", "k", 250) // more than a batch
		h.stop()
		h.start(events("gone"), events("crm"))
		h.pass(3*24*time.Hour + 2*time.Minute)
		r := h.reports()
		h.stop()
		h.targets = nil // hooks are no longer used at all
		h.start()
		equal(t, "dead", fmt.Sprint(r["gone"].Dead, r["removed"].Dead, r["crm"].Dead), "250 250 0")
		equal(t, "of a removed one", r["removed"].Address, "")
		h.pass(7*24*time.Hour + time.Minute)
		equal(t, "rows left", h.left(), 0)
		h.sound()
	})
}

// A claim never sends what is overdue, also when the sweep has not come by yet.
func TestAClaimGivesUpWhatIsOverdue(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm", func(t *Target) { t.MaxAge = 10 * time.Second }))
		h.pass(30 * time.Second)
		h.write(func(tx *store.Tx) error { _, err := h.h.Pause(tx, "crm", "eva"); return err })
		h.emit("a.b", "k", 2)
		h.pass(11 * time.Second)
		h.write(func(tx *store.Tx) error { _, err := h.h.Resume(tx, "crm", "eva"); return err })
		h.pass(time.Second)
		equal(t, "requests", len(h.peer("crm").log()), 0)
		equal(t, "dead", h.reports()["crm"].Dead, 2)
		h.sound()
	})
}

// A target's rows take no more than MaxBytes; what comes beyond is dropped and
// counted, the transaction goes through, and other targets do not notice.
func TestTheQueueIsBounded(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("full", func(t *Target) { t.MaxBytes = 10_000 }), events("crm"))
		h.peer("full").setAway(true)
		data := map[string]any{"key": "k", "x": strings.Repeat("x", 400)}
		for i := range 50 {
			data["n"] = i + 1
			h.emitOne(Event{Type: "a.b", Key: "k", Data: data})
		}
		h.pass(time.Second)
		r := h.reports()["full"]
		if r.Bytes > 10_000 || r.Waiting < 9 || r.Dropped != 50-r.Waiting || !r.DroppedAt.Equal(began) {
			t.Errorf("%+v", r)
		}
		equal(t, "at the other", len(h.peer("crm").log()), 50)
		h.sound()
		h.pass(2 * time.Minute)
		if !strings.Contains(h.log.String(), "queue is full") {
			t.Error("nobody was told")
		}
		h.peer("full").setAway(false)
		h.pass(time.Minute)
		inOrder(t, h.peer("full").log(), map[string]int{"k": int(r.Waiting)})
		h.emitOne(Event{Type: "a.b", Key: "j", Data: map[string]any{"key": "j", "n": 1}})
		h.pass(0)
		inOrder(t, h.peer("full").log(), map[string]int{"k": int(r.Waiting), "j": 1})
		// Where every target is full, not even the payload is written.
		h.peer("full").setAway(true)
		h.write(func(tx *store.Tx) error {
			for range 100 {
				if err := h.h.Emit(tx, Event{Type: "a.b", Data: strings.Repeat("x", 9000)}); err != nil {
					return err
				}
			}
			return nil
		})
		h.pass(time.Second)
		equal(t, "rows", h.left(), 2)
		h.sound()
	})
}

// Large bodies are few at a time in memory, and small ones pass them by.
func TestBytesUnderWayAreBounded(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(bot("bot"))
		release := make(chan struct{})
		h.peer("bot").answers(func(http.ResponseWriter, *http.Request) { <-release })
		large := make([]byte, 3<<20)
		for i := range large {
			large[i] = 'x'
		}
		for range 5 {
			h.callback(large)
		}
		h.callback(inbound(loja, "5511900000001", "oi"))
		h.pass(0)
		got := h.peer("bot").log()
		size := 0
		for _, a := range got {
			size += len(a.Body)
		}
		if len(got) != 3 || size > maxFlying {
			t.Errorf("%d requests of %d bytes at a time", len(got), size)
		}
		close(release)
		h.pass(0)
		equal(t, "requests", len(h.peer("bot").log()), 6)
		equal(t, "rows left", h.left(), 0)
	})
}

// Retry brings back what was given up, and sends at once what waits.
func TestRetry(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm", func(t *Target) { t.MaxAge = time.Hour }))
		crm := h.peer("crm")
		crm.setAway(true)
		h.emit("a.b", "k", 3)
		h.emit("a.b", "", 250)
		h.pass(2 * time.Hour)
		equal(t, "dead", h.reports()["crm"].Dead, 253)
		dead := h.list("crm", true)
		crm.setAway(false)
		retry := func(id int64) error {
			return h.db.Write(context.Background(), func(tx *store.Tx) error { return h.h.Retry(tx, id) })
		}
		if err := retry(dead[0].ID); err != nil {
			t.Error(err)
		}
		h.pass(0)
		equal(t, "requests", len(crm.log()), 1)
		equal(t, "id", crm.log()[0].ID, dead[0].WebhookID)
		for _, id := range []int64{dead[0].ID, 0, 7} { // it has arrived: no such delivery
			if err := retry(id); !errors.Is(err, ErrUnknown) {
				t.Errorf("retry of %d: %v", id, err)
			}
		}
		h.sound()
		var all []int
		for n := 1; n > 0; {
			h.write(func(tx *store.Tx) (err error) {
				n, err = h.h.RetryTarget(tx, "crm")
				return err
			})
			all = append(all, n)
		}
		equal(t, "revived", fmt.Sprint(all), "[200 52 0]")
		h.pass(time.Second)
		equal(t, "requests", len(crm.log()), 253)
		equal(t, "rows left", h.left(), 0)
		h.sound()

		// A target that is away, or a delivery in its back-off, is tried at once.
		crm.setAway(true)
		h.emit("a.b", "k", 2)
		h.pass(55 * time.Minute)
		crm.setAway(false)
		h.write(func(tx *store.Tx) error { _, err := h.h.RetryTarget(tx, "crm"); return err })
		h.pass(0)
		equal(t, "requests", len(crm.log()), 255)
		crm.answers(status(500))
		h.emit("a.b", "k", 1)
		h.pass(55 * time.Minute)
		crm.answers(nil)
		waiting := h.list("crm", false)
		if len(waiting) != 1 || waiting[0].State != "queued" || waiting[0].Failure != "status 500" || waiting[0].Type != "a.b" || !waiting[0].Deadline.Equal(waiting[0].CreatedAt.Add(time.Hour)) {
			t.Errorf("%+v", waiting)
		}
		if err := retry(waiting[0].ID); err != nil {
			t.Error(err)
		}
		h.pass(0)
		equal(t, "rows left", h.left(), 0)
		if _, err := func() (n int, err error) {
			err = h.db.Write(context.Background(), func(tx *store.Tx) (err error) { n, err = h.h.RetryTarget(tx, "none"); return err })
			return n, err
		}(); !errors.Is(err, ErrUnknown) {
			t.Errorf("retry of no target: %v", err)
		}
	})
}

// A delivery that is retried while it waits behind another keeps its place.
func TestRetryKeepsTheOrder(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"))
		h.peer("crm").setAway(true)
		h.emit("a.b", "k", 5)
		h.pass(time.Minute)
		for _, d := range h.list("crm", false) {
			h.write(func(tx *store.Tx) error { return h.h.Retry(tx, d.ID) })
			h.sound()
		}
		h.peer("crm").setAway(false)
		h.pass(time.Minute)
		inOrder(t, h.peer("crm").log(), map[string]int{"k": 5})
	})
}

// Without targets Run waits for its end, and costs nothing.
func TestNoTargets(t *testing.T) {
	bubble(t, func(h *house) {
		before := h.db.Commits()
		h.start()
		h.emit("a.b", "k", 3)
		h.pass(24 * time.Hour)
		if n := h.db.Commits() - before; n > 4 { // three of this test, one look at what was in flight
			t.Errorf("%d commits", n)
		}
		equal(t, "reports", len(h.reports()), 0)
		var none *Hooks
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := none.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Idle targets cost a look at the database every ten minutes.
func TestIdleTargetsCostLittle(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("crm"), bot("bot"))
		before := h.db.Commits()
		h.pass(10 * time.Hour)
		if n := h.db.Commits() - before; n > 2*60+2 {
			t.Errorf("%d commits in ten idle hours", n)
		}
	})
}
