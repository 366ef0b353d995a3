package hooks

import (
	"fmt"
	"testing"
	"time"

	"janela/internal/store"
)

func stream(name string, change ...func(*Target)) Target {
	t := Target{Name: name, Mode: Stream}
	for _, c := range change {
		c(&t)
	}
	return t
}

// heard reads a stream to its end, in small pages.
func (h *house) heard(name string, after int64) (got []StreamEvent, gap bool) {
	for first := true; ; first = false {
		var page []StreamEvent
		h.read(func(q *store.Snap) (err error) {
			var g bool
			page, g, err = h.h.Read(q, name, after, 3)
			gap = gap || first && g
			return err
		})
		if len(page) == 0 {
			return got, gap
		}
		got = append(got, page...)
		after = page[len(page)-1].ID
	}
}

// A stream keeps what happens, in order, and is read from any place on, over a
// crash too; nothing is sent, and what is older than max_age goes.
func TestStreamIsReadFromAnyPlace(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(stream("tela", func(t *Target) { t.Events = []string{"message.*"}; t.MaxAge = time.Hour }))
		for range 7 {
			h.emit("message.sent", "", 1)
			h.emit("hold.placed", "", 1) // it does not listen to those
			h.pass(time.Second)
		}
		all, gap := h.heard("tela", 0)
		if len(all) != 7 || gap {
			t.Fatalf("%d events, gap %v", len(all), gap)
		}
		for i, e := range all {
			if e.Type != "message.sent" || i > 0 && e.ID <= all[i-1].ID {
				t.Errorf("%d: %+v", i, e)
			}
		}
		h.crash()
		h.start(stream("tela", func(t *Target) { t.Events = []string{"message.*"}; t.MaxAge = time.Hour }))
		h.emit("message.read", "", 1)
		rest, gap := h.heard("tela", all[3].ID)
		if len(rest) != 4 || gap || rest[0].ID != all[4].ID || rest[3].Type != "message.read" {
			t.Errorf("from the fourth on: %d events, gap %v", len(rest), gap)
		}
		h.read(func(q *store.Snap) error {
			newest, err := h.h.Newest(q, "tela")
			if newest != rest[3].ID {
				t.Errorf("the newest is %d, want %d", newest, rest[3].ID)
			}
			return err
		})
		if r := h.reports()["tela"]; r.Waiting != 8 || r.Oldest != 0 || r.Dead != 0 {
			t.Errorf("%+v", r)
		}
		h.pass(2 * time.Hour)
		if left, gap := h.heard("tela", all[3].ID); len(left) != 0 || gap {
			t.Errorf("after its time: %d events, gap %v", len(left), gap)
		}
		h.emit("message.sent", "", 1)
		if left, gap := h.heard("tela", all[3].ID); len(left) != 1 || !gap {
			t.Errorf("who was away for too long: %d events, gap %v", len(left), gap)
		}
		h.sound()
	})
}

// A stream that is full forgets its oldest: who listens now hears what happens.
func TestFullStreamForgetsItsOldest(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(stream("tela", func(t *Target) { t.MaxBytes = 400 * (rowBytes + 100) }))
		for i := range 1000 {
			h.emitOne(Event{Type: "message.sent", Data: fmt.Sprintf("%04d", i)})
		}
		all, _ := h.heard("tela", 0)
		if n := len(all); n < 200 || n >= 1000 {
			t.Fatalf("%d are kept", n)
		}
		last := string(all[len(all)-1].Body)
		if want := `"0999"}`; last[len(last)-len(want):] != want {
			t.Errorf("the newest is %s", last)
		}
		if r := h.reports()["tela"]; r.Bytes > 400*(rowBytes+100) || r.Dropped != 0 || r.Waiting != int64(len(all)) {
			t.Errorf("%+v", r)
		}
		h.sound()
	})
}
