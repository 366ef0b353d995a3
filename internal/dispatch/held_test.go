package dispatch

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
)

// When Meta holds messages back for its quality assessment, no more of their
// template leave than were under way, until the first is decided, or a probe every
// hour is taken; other templates flow on.
func TestHeldMessagesStopTheirTemplate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		decide func(h *house, ids []int64) // within the first hour
		now    string                      // how the template stands then
	}{
		{"the first is sent", func(h *house, ids []int64) { h.decided(ids[0], "sent", 0) }, ""},
		{"they are dropped", func(h *house, ids []int64) { h.decided(ids[0], "failed", 132015) }, ""},
		{"one person cannot be reached", func(h *house, ids []int64) { h.decided(ids[0], "failed", 131026) }, "template quality_assessment"},
		{"nothing is heard", nil, "template quality_assessment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				var holding atomic.Bool
				holding.Store(true)
				h.meta.says(func(c call) answer {
					if c.Template == "oferta" && holding.Load() {
						return answer{state: "held_for_quality_assessment", after: 100 * time.Millisecond}
					}
					return answer{after: 100 * time.Millisecond}
				})
				h.queue(stream("oferta"), 1, 500)
				h.start()
				h.pass(time.Minute)
				first := h.sent("oferta")
				if first == 0 || first > 3*flightFloor {
					t.Fatalf("%d messages were held back; the first should have stopped the others", first)
				}
				h.queue(stream("aviso"), 1001, 20)
				h.pass(30 * time.Minute)
				if n := h.sent("oferta"); n != first || h.sent("aviso") != 20 || !slices.Equal(h.holds(), []string{"template quality_assessment"}) {
					t.Errorf("half an hour later %d were sent, of another template %d, holds %v", n, h.sent("aviso"), h.holds())
				}
				if tt.decide != nil {
					var ids []int64
					for _, c := range h.meta.of("oferta") {
						ids = append(ids, c.ID)
					}
					holding.Store(tt.now != "")
					tt.decide(h, ids)
					h.pass(time.Minute)
				}
				if tt.now == "" {
					if n := h.sent("oferta"); n != 500 || len(h.holds()) != 0 {
						t.Errorf("after Meta had decided %d left, holds %v", n, h.holds())
					}
					return
				}
				if n := h.sent("oferta"); n != first {
					t.Errorf("%d left before anything was decided", n)
				}
				h.pass(31 * time.Minute) // one asks
				if n := h.sent("oferta"); n != first+1 || !slices.Equal(h.holds(), []string{tt.now}) {
					t.Errorf("after an hour %d left, want one more than %d; holds %v", n, first, h.holds())
				}
				h.pass(55 * time.Minute)
				if n := h.sent("oferta"); n != first+1 {
					t.Errorf("within the next hour %d left, want %d", n, first+1)
				}
				holding.Store(false)
				h.pass(10 * time.Minute)
				if n := h.sent("oferta"); n != 500 || len(h.holds()) != 0 {
					t.Errorf("after a probe that was taken %d left, holds %v", n, h.holds())
				}
				if s := h.states(); s[outbox.AcceptedHeld] < int64(first) {
					t.Errorf("it says %v", s)
				}
			})
		})
	}
}

// decided is a status of a message that Meta held back.
func (h *house) decided(id int64, status string, code int) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		out, _, err := outbox.Observe(tx, outbox.Observation{Message: id, Attempt: 1, Status: status, At: tx.Now(), Code: code, Reason: "drop"})
		return errors.Join(err, h.follow(tx, out), h.d.Outcomes(tx, out), gate.Decided(tx, out)) // as the daemon does
	})
}
