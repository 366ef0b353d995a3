package dispatch

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// codeOf is one of Meta's codes of a class.
func codeOf(t *testing.T, class whatsapp.Class) int {
	t.Helper()
	for _, c := range whatsapp.Codes() {
		if c.Class == class && c.Code > 0 {
			return c.Code
		}
	}
	t.Fatalf("no code has the class %s", class)
	return 0
}

// attempts counts the attempts of messages, and of how many.
func (h *house) attempts(ids []int64) (messages, all int) {
	for _, id := range ids {
		if n := h.message(id).Attempt; n > 0 {
			messages, all = messages+1, all+n
		}
	}
	return messages, all
}

// What stops a scope stops the messages behind it before they are tried: of a
// hundred, one meets the error, and one by one those that probe. When the cause
// is gone, all go, each once.
func TestAStoppedScopeBurnsNoAttempts(t *testing.T) {
	for _, e := range gate.Effects() {
		if e.Hold == "" {
			continue
		}
		t.Run(string(e.Class), func(t *testing.T) {
			bubble(t, func(h *house) {
				code := codeOf(t, e.Class)
				h.meta.says(func(call) answer { return answer{code: code} })
				ids := h.queueFor(stream("oferta", perSecond(2), func(s *outbox.Stream) { s.Campaign, s.Run = "natal", 7 }), 0, 100, 90*24*time.Hour)
				h.start()
				h.pass(9 * time.Second)
				if diff := cmp.Diff([]string{e.Scope + " " + e.Hold}, h.holds()); diff != "" {
					t.Fatalf("holds:\n%s", diff)
				}
				if n, all := h.attempts(ids); n != 1 || all != 1 {
					t.Errorf("%d messages were tried, %d times in all; want one, once", n, all)
				}
				h.pass(6 * time.Hour) // of probes
				calls, held := len(h.meta.log()), time.Duration(0)
				h.read(func(q *store.Snap) error {
					all, err := outbox.Holds(q)
					for _, o := range all {
						if o.Probe {
							held = store.Time(o.Until).Sub(q.Now())
						}
					}
					return err
				})
				if e.Probe > 0 && (held <= 0 || calls < 3) {
					t.Errorf("after hours of the same answer the hold lasts %v more, after %d requests", held, calls)
				}
				if _, all := h.attempts(ids); all != calls || calls > 40 {
					t.Errorf("%d requests in six hours, and %d attempts", calls, all)
				}
				if e.Probe == 0 && calls != 1 {
					t.Errorf("%d requests, although nothing may try by itself", calls)
				}
				h.meta.says(nil)
				if e.Probe == 0 {
					h.write(func(tx *store.Tx) error {
						_, err := outbox.Lift(tx, outbox.Scope(e.Scope), "natal", e.Hold, "maria")
						return err
					})
				}
				h.pass(held + 2*time.Hour)
				if got := h.states(); got[outbox.Accepted] != 100 {
					t.Errorf("in the end %v", got)
				}
				if holds := h.holds(); len(holds) > 0 {
					t.Errorf("%v stands still", holds)
				}
			})
		})
	}
}

// A restricted number stops what the business begins. A code tries whether it is
// about codes as well; if it is, they wait apart, and a code probes.
func TestARestrictedNumberAndCodes(t *testing.T) {
	bubble(t, func(h *house) {
		var offersMeet, codesMeet atomic.Bool // who meets the restriction
		offersMeet.Store(true)
		h.meta.says(func(c call) answer {
			if c.Template == "oferta" && offersMeet.Load() || c.Template == "codigo" && codesMeet.Load() {
				return answer{code: 131048}
			}
			return answer{}
		})
		offers := h.queue(stream("oferta", perSecond(2)), 0, 20)
		h.start()
		h.pass(5 * time.Second)
		notices, codes := h.queue(stream("aviso"), 100, 5), h.queueFor(stream("codigo"), 200, 5, 10*time.Minute)
		h.pass(5 * time.Second)
		if diff := cmp.Diff([]string{"number number_restricted"}, h.holds()); diff != "" {
			t.Errorf("holds:\n%s", diff)
		}
		if n, _ := h.attempts(append(offers, notices...)); n != 1 {
			t.Errorf("%d offers and notices were tried", n)
		}
		if n, _ := h.attempts(codes); n != 5 {
			t.Errorf("%d of 5 codes went", n)
		}
		// Codes meet it too.
		codesMeet.Store(true)
		late := h.queueFor(stream("codigo"), 300, 5, 10*time.Minute)
		h.pass(50 * time.Second)
		if diff := cmp.Diff([]string{"number number_restricted", "number codes_restricted"}, h.holds()); diff != "" {
			t.Errorf("holds:\n%s", diff)
		}
		if n := len(h.meta.of("codigo")); n < 6 || n > 10 { // those under way with the first meet it as well
			t.Errorf("%d requests with codes", n)
		}
		before := len(h.meta.of("codigo"))
		codesMeet.Store(false)
		h.pass(30 * time.Second)
		if n := len(h.meta.of("codigo")); n != before+5 {
			t.Errorf("after a minute %d more codes went, want 5: one probes, then all", n-before)
		}
		for _, id := range late {
			if m := h.message(id); m.State != outbox.Accepted {
				t.Errorf("a code is %s %s", m.State, m.Reason)
			}
		}
		if diff := cmp.Diff([]string{"number number_restricted"}, h.holds()); diff != "" {
			t.Errorf("a code that went lifts the hold of the rest:\n%s", diff)
		}
		// The rest waits its hour.
		offersMeet.Store(false)
		h.pass(57 * time.Minute)
		if n, _ := h.attempts(append(offers, notices...)); n != 1 {
			t.Errorf("%d offers and notices were tried before the hour was over", n)
		}
		h.pass(10 * time.Minute)
		if got := h.states(); got[outbox.Accepted] != 35 {
			t.Errorf("in the end %v", got)
		}
	})
}

// Some errors are a matter of one message until several in a row meet them: then
// the campaign stops, and the last of them goes on with it.
func TestErrorsInARowStopTheCampaign(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  int
		fails func(n int) bool // of the n-th request, from 1
		stop  int              // requests until it stops; 0: never
	}{
		{"too long", 132005, func(int) bool { return true }, 3},
		{"too long, with others between", 132005, func(n int) bool { return n%3 != 0 }, 0},
		{"a code that nobody knows", 139999, func(int) bool { return true }, 5},
		{"a person in an experiment", 130472, func(int) bool { return true }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				n := 0
				h.meta.says(func(call) answer {
					if n++; c.fails(n) {
						return answer{code: c.code}
					}
					return answer{}
				})
				h.queue(stream("oferta", perSecond(1), func(s *outbox.Stream) { s.Campaign, s.Run = "natal", 7 }), 0, 20)
				h.start()
				h.pass(40 * time.Second)
				var want []string
				if c.stop > 0 {
					want = []string{"campaign campaign_error"}
				}
				if diff := cmp.Diff(want, append([]string(nil), h.holds()...)); diff != "" {
					t.Errorf("holds:\n%s", diff)
				}
				got := h.states()
				if c.stop > 0 && (len(h.meta.log()) != c.stop || got[outbox.Failed] != int64(c.stop-1) || got[outbox.Queued] != int64(21-c.stop)) {
					t.Errorf("after %d requests: %v", len(h.meta.log()), got)
				}
				if c.stop == 0 && got[outbox.Queued] != 0 {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// Too fast for one pair: nothing else goes to that person meanwhile, and
// everybody else's messages flow on.
func TestAPairRests(t *testing.T) {
	bubble(t, func(h *house) {
		refused := 0
		h.meta.says(func(c call) answer {
			if c.To == "+5511900000000" && c.since() < 100*time.Second {
				refused++
				return answer{code: 131056}
			}
			return answer{}
		})
		h.queue(stream("oferta"), 0, 1)
		h.start()
		h.pass(time.Second)
		for run := range 4 {
			h.queue(stream("oferta", func(s *outbox.Stream) { s.Campaign, s.Run = "natal", int64(7+run) }), 0, 1+10*run)
		}
		h.pass(30 * time.Minute)
		last := time.Duration(-1)
		for _, c := range h.meta.log() {
			if c.To == "+5511900000000" {
				if last >= 0 && c.since()-last < pairGap {
					t.Errorf("messages to the person are %v apart", c.since()-last)
				}
				last = c.since()
			} else if c.since() > 30*time.Second {
				t.Errorf("somebody else's message left after %v", c.since())
			}
		}
		// One every six seconds would meet it seventeen times.
		if refused > 10 {
			t.Errorf("messages to the person met it %d times: they did not wait for each other", refused)
		}
		if got := h.states(); got[outbox.Accepted] != 65 {
			t.Errorf("%v", got)
		}
	})
}
