package hooks

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Targets are added, moved and taken out while the others go on: nothing that
// waits is lost, nothing comes out of order, and a request under way is not
// broken off. One that is taken out and put back has one loop.
func TestTargetsThatChange(t *testing.T) {
	bubble(t, func(h *house) {
		h.peer("new")
		h.peer("moved")
		h.start(events("crm"), events("bi"))
		set := func(targets ...Target) {
			t.Helper()
			if err := h.h.Set(context.Background(), targets); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		h.emit("message.sent", "message:1", 1)
		h.peer("bi").answers(func(w http.ResponseWriter, _ *http.Request) { time.Sleep(2 * time.Second) })
		h.emit("message.sent", "message:2", 1)
		set(events("crm", func(t *Target) { t.URL = "https://moved/in" }), events("new"))
		h.emit("message.sent", "message:3", 2)
		h.pass(3 * time.Second)
		inOrder(t, h.peer("bi").log(), map[string]int{"message:1": 1, "message:2": 1})
		inOrder(t, h.peer("crm").log(), map[string]int{"message:1": 1, "message:2": 1})
		equal(t, "at its new address", len(h.peer("moved").log()), 2)
		equal(t, "at the new target", len(h.peer("new").log()), 2)

		// While nobody takes it, what waits for bi is not there: it was taken out.
		h.peer("bi").answers(nil)
		for range 3 {
			set(events("bi"), events("new"))
			set(events("new"))
		}
		set(events("bi"), events("new"))
		h.emit("message.sent", "message:4", 2)
		h.pass(3 * time.Second)
		inOrder(t, h.peer("bi").log(), map[string]int{"message:1": 1, "message:2": 1, "message:4": 2})

		// What is wrong changes nothing.
		if err := h.h.Set(context.Background(), []Target{events("bi"), {Name: "x", URL: "ftp://x", Mode: Events}}); err == nil {
			t.Error("a target without a usable address was taken")
		}
		h.emit("message.sent", "message:5", 1)
		h.pass(time.Second)
		inOrder(t, h.peer("bi").log(), map[string]int{"message:1": 1, "message:2": 1, "message:4": 2, "message:5": 1})
	})
}
