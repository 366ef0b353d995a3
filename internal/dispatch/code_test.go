package dispatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// code queues one code with the life it has left, and returns its message.
func (h *house) code(person int, life time.Duration) int64 {
	h.t.Helper()
	return h.queueFor(stream("codigo"), person, 1, life)[0]
}

var sqlDeadlineOf = store.SQL(`UPDATE messages SET deadline = ?2 WHERE id = ?1`)

// leaves queues a code and says how long until its request arrives, or fails.
func (h *house) leaves(person int) time.Duration {
	h.t.Helper()
	before := time.Now()
	id := h.queue(stream("codigo"), person, 1)[0]
	h.pass(400 * time.Millisecond)
	for _, c := range h.meta.of("codigo") {
		if c.ID == id {
			return c.At.Sub(before)
		}
	}
	h.t.Fatalf("the code to person %d has not left after 400 ms; %v, holds %v", person, h.states(), h.holds())
	return 0
}

// Whatever a campaign does to its number, a code leaves at once.
func TestCampaignDelaysNoCode(t *testing.T) {
	for _, tt := range []struct {
		name string
		rate float64
		meta func(c call) answer // of everything but codes
	}{
		{"Meta answers at once", 80, func(call) answer { return answer{} }},
		{"every sender of the campaign waits for Meta", 80, func(call) answer { return answer{after: 25 * time.Second} }},
		{"a number of two a second", 2, func(call) answer { return answer{after: time.Second} }},
		{"a number of one in five seconds", 0.2, func(call) answer { return answer{after: time.Second} }},
		{"a number of a thousand a second", 1000, func(call) answer { return answer{after: 150 * time.Millisecond} }},
		{"Meta throttles the campaign", 80, func(call) answer { return answer{code: 130429, after: 50 * time.Millisecond} }},
		{"the campaign gets no answers", 80, func(call) answer { return answer{cut: true} }},
		{"the campaign's template is paused", 80, func(call) answer { return answer{code: 132015} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.rates.set(loja, tt.rate)
				h.meta.says(func(c call) answer {
					if c.Template == "codigo" {
						return answer{after: 30 * time.Millisecond}
					}
					return tt.meta(c)
				})
				h.queue(stream("oferta"), 1, 400)
				h.queue(stream("aviso"), 3001, 400)
				h.start()
				h.pass(1500 * time.Millisecond)
				gap := max(0, time.Duration(float64(time.Second)/tt.rate)-400*time.Millisecond)
				for i := range 10 {
					if wait := h.leaves(9000 + i); wait > time.Millisecond {
						t.Errorf("code %d left after %v", i, wait)
					}
					h.pass(gap) // codes wait for codes
				}
				if len(h.meta.of("oferta"))+len(h.meta.of("aviso")) == 0 {
					t.Error("the campaigns sent nothing: this shows nothing")
				}
			})
		})
	}
}

// What codes took in advance the others make up for: the number's rate holds.
func TestCodesKeepTheNumbersRate(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue(stream("oferta"), 1, 1000)
		h.queue(stream("aviso"), 3001, 1000)
		h.start()
		h.pass(2 * time.Second)
		for i := range 3 {
			h.queue(stream("codigo"), 9000+200*i, 200)
			h.pass(4 * time.Second)
		}
		codes := h.meta.of("codigo")
		if len(codes) != 600 {
			t.Fatalf("%d of 600 codes left", len(codes))
		}
		between(t, "200 codes at once", span(codes[:200]), 2300*time.Millisecond, 2600*time.Millisecond)
		perSec(t, h.meta.log(), 80)
		if all := h.meta.log(); len(all) > 80*14+2*8 {
			t.Errorf("%d messages left in 14 s of 80", len(all))
		}
	})
}

// The pair rate of Meta may be borrowed from: a code does, and the campaign
// that follows waits for both.
func TestCodePassesThePairGap(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue(stream("oferta"), 1, 1)
		h.start()
		h.pass(time.Second)
		for range 2 {
			if wait := h.leaves(1); wait > time.Millisecond {
				t.Errorf("a code to somebody who has just got a campaign left after %v", wait)
			}
		}
		h.queue(stream("aviso"), 1, 1)
		h.pass(time.Minute)
		notices := h.meta.of("aviso")
		if len(notices) != 1 {
			t.Fatalf("%d notices, want 1", len(notices))
		}
		if at := notices[0].since(); at < 3*pairGap || at > 3*pairGap+100*time.Millisecond {
			t.Errorf("after three messages the notice left at %v, want %v: one per six seconds in the long run", at, 3*pairGap)
		}
	})
}

// Meta's own word about the pair is obeyed.
func TestPairErrorDelaysACode(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(c call) answer {
			if c.Attempt == 1 {
				return answer{code: 131056}
			}
			return answer{}
		})
		h.queue(stream("codigo"), 1, 1)
		h.start()
		h.pass(time.Minute)
		calls := h.meta.of("codigo")
		if len(calls) != 2 {
			t.Fatalf("%d requests, want 2", len(calls))
		}
		between(t, "the back-off", span(calls), pairGap, pairGap+100*time.Millisecond)
	})
}

// Missing answers of codes stop their own template, and not the campaign.
func TestUnansweredCodesStopCodesAlone(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(c call) answer { return answer{cut: c.Template == "codigo"} })
		h.queue(stream("oferta"), 1001, 400)
		h.start()
		for i := range 5 { // between them the campaign gets its answers
			h.wantHolds()
			h.queue(stream("codigo"), 1+i, 1)
			h.pass(500 * time.Millisecond)
		}
		h.wantHolds("template no_answers")
		h.queue(stream("codigo"), 6, 1)
		h.pass(7 * time.Second)
		if n := len(h.meta.of("oferta")); n != 400 {
			t.Errorf("the campaign sent %d of 400", n)
		}
		if n := len(h.meta.of("codigo")); n != 5 {
			t.Errorf("%d requests with codes, want 5", n)
		}
		h.meta.says(nil)
		h.queue(stream("codigo"), 11, 2)
		h.pass(40 * time.Second) // the probe after 30 s lifts the hold
		h.wantHolds()
		if n := len(h.meta.of("codigo")); n != 8 {
			t.Errorf("%d requests in all, want 8", n)
		}
	})
}

// A request with a code ends after eight seconds; one of a campaign may take
// longer.
func TestCodeWaitsEightSecondsForMeta(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(call) answer { return answer{after: 20 * time.Second} })
		code, promo := h.queue(stream("codigo"), 1, 1)[0], h.queue(stream("oferta"), 2, 1)[0]
		h.start()
		h.pass(codeTime - 100*time.Millisecond)
		if m := h.message(code); m.State != outbox.Sending {
			t.Errorf("before eight seconds the code is %s", m.State)
		}
		h.pass(200 * time.Millisecond)
		if m := h.message(code); m.State != outbox.Unknown || m.Reason != outbox.ReasonNoAnswer {
			t.Errorf("after eight seconds the code is %s %q", m.State, m.Reason)
		}
		h.pass(15 * time.Second)
		if m := h.message(promo); m.State != outbox.Accepted {
			t.Errorf("the campaign's message is %s", m.State)
		}
	})
}

// Nothing leaves after its deadline, however it came to be late.
func TestNoCodeLeavesAfterItsDeadline(t *testing.T) {
	const life = 3 * time.Second
	for _, tt := range []struct {
		name string
		late func(h *house)
		want outbox.State
		sent int
	}{
		{"in time", func(*house) {}, outbox.Accepted, 1},
		{"revealing takes too long", func(h *house) {
			h.cfg.Reveal = func(context.Context, outbox.Message) (string, string, error) {
				time.Sleep(life + time.Second)
				return "[]", "", nil
			}
		}, outbox.Expired, 0},
		{"no connection until then", func(h *house) { h.net.setAway(true) }, outbox.Expired, 0},
		{"Meta asks for a retry later", func(h *house) { h.meta.says(func(call) answer { return answer{code: 131056} }) }, outbox.Expired, 1},
		{"Meta answers later", func(h *house) { h.meta.says(func(call) answer { return answer{after: 5 * time.Second} }) }, outbox.Unknown, 1},
		{"it waits behind other codes", func(h *house) { // the number sends one in two seconds
			h.rates.set(loja, 0.5)
			h.queue(stream("codigo"), 50, 2)
		}, outbox.Expired, 2},
		{"the senders are taken", func(h *house) {
			h.cfg.Senders = 1
			h.meta.says(func(call) answer { return answer{after: 5 * time.Second} })
			h.queue(stream("codigo"), 50, 1)
			h.start()
		}, outbox.Expired, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				tt.late(h)
				id := h.code(1, life)
				if h.d == nil {
					h.start()
				}
				h.rooms.Go(func() { // connections come back when it is too late
					time.Sleep(life)
					h.net.setAway(false)
				})
				ctx, cancel := context.WithCancel(context.Background())
				h.rooms.Go(func() { _ = h.d.Sweep(ctx) })
				h.pass(2 * time.Minute)
				cancel()
				if m := h.message(id); m.State != tt.want {
					t.Errorf("it ended %s %q", m.State, m.Reason)
				}
				calls := h.meta.log()
				for _, c := range calls {
					if c.ID == id && c.since() >= life {
						t.Errorf("it left %v after it was queued, with %v to live", c.since(), life)
					}
				}
				if len(calls) != tt.sent {
					t.Errorf("%d requests in all, want %d", len(calls), tt.sent)
				}
			})
		})
	}
}

// The same of a campaign's message, whose request is never cut short for it.
func TestNothingLeavesAfterItsDeadline(t *testing.T) {
	bubble(t, func(h *house) {
		h.cfg.Senders = 1
		h.meta.says(func(call) answer { return answer{after: 5 * time.Second} })
		ids := h.queue(stream("oferta"), 1, 2)
		for _, id := range ids {
			h.write(func(tx *store.Tx) error { return tx.One(sqlDeadlineOf, id, store.Millis(tx.Now().Add(3*time.Second))) })
		}
		h.start()
		h.pass(20 * time.Second)
		h.wantCalls(1)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 1, outbox.Expired: 1})
	})
}

// Without somebody who reveals codes none is sent, and what the row says is not
// taken for one.
func TestNoCodeWithoutReveal(t *testing.T) {
	bubble(t, func(h *house) {
		h.noCodes = true
		h.start()
		code := h.queue(stream("codigo"), 1, 1)[0]
		h.queue(stream("aviso"), 2, 1)
		h.pass(time.Second)
		h.wantCalls(1)
		if m := h.message(code); m.State != outbox.Failed || m.Reason != "code_unavailable" {
			t.Errorf("got %s %q", m.State, m.Reason)
		}
	})
}

// watchful is a door that writes down what goes through.
type watchful struct{ bodies []string }

func (w *watchful) Send(_ context.Context, _ string, body []byte) (cloudapi.Answer, error) {
	w.bodies = append(w.bodies, string(body))
	return cloudapi.Answer{Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.%p.%d", w, len(w.bodies)))}, nil
}

func (w *watchful) SendMarketing(ctx context.Context, number string, body []byte) (cloudapi.Answer, error) {
	return w.Send(ctx, number, body)
}

// Codes have a door of their own, and bring the identity key that the person
// must still have.
func TestCodesHaveTheirOwnDoor(t *testing.T) {
	bubble(t, func(h *house) {
		doors := map[whatsapp.Lane]*watchful{whatsapp.LaneAuthentication: {}, whatsapp.LaneUtility: {}, whatsapp.LaneMarketing: {}}
		h.cfg.Sender = func(_ string, l whatsapp.Lane) (cloudapi.Sender, bool) { return doors[l], true }
		h.cfg.Reveal = func(_ context.Context, m outbox.Message) (string, string, error) {
			if m.To().Value == "+5511900000002" {
				return `[{"type":"body"}]`, "", nil
			}
			return `[{"type":"body"}]`, "key-of-ana", nil
		}
		h.queue(stream("codigo"), 1, 2)
		h.queue(stream("aviso"), 1, 1)
		h.queue(stream("oferta"), 11, 1)
		h.start()
		h.pass(10 * time.Second)
		if a, u, m := len(doors[whatsapp.LaneAuthentication].bodies), len(doors[whatsapp.LaneUtility].bodies), len(doors[whatsapp.LaneMarketing].bodies); a != 2 || u != 1 || m != 1 {
			t.Fatalf("through the doors went %d, %d and %d", a, u, m)
		}
		for l, door := range doors {
			for _, b := range door.bodies {
				if has, want := strings.Contains(b, `"recipient_identity_key_hash":"key-of-ana"`), l == whatsapp.LaneAuthentication && strings.Contains(b, "00000001"); has != want {
					t.Errorf("in the %s lane left %s", l, b)
				}
				if strings.Contains(b, "recipient_identity_key_hash") != strings.Contains(b, "key-of-ana") {
					t.Errorf("an empty key left: %s", b)
				}
			}
		}
	})
}
