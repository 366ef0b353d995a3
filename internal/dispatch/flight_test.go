package dispatch

import (
	"testing"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
)

// atOnce is how many calls were with Meta at once.
func (h *house) atOnce() int {
	h.meta.mu.Lock()
	defer h.meta.mu.Unlock()
	return h.meta.most
}

// in counts the calls of a number in a stretch of time.
func (h *house) in(number string, from, to time.Duration) (n int) {
	for _, c := range h.meta.log() {
		if c.Number == number && c.since() >= from && c.since() < to {
			n++
		}
	}
	return n
}

// answersAfter makes Meta take so long for every number.
func (h *house) answersAfter(d time.Duration) {
	h.meta.says(func(call) answer { return answer{after: d} })
}

// However slow the answers: the rate holds while there are senders, with no more
// requests under way than it takes; and in the beginning with few.
func TestRequestsUnderWayFollowTheAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		took           time.Duration
		level          string
		perSecond      float64 // in the end, of marketing
		senders        int
		fewest, atMost int // requests under way
	}{
		{"answers at once", 2 * time.Millisecond, "", 64, 0, 1, 5},
		{"fast, a thousand a second", 2 * time.Millisecond, "HIGH", 800, 0, 2, 5},
		{"as Meta answers", 100 * time.Millisecond, "", 64, 0, 6, 10},
		{"as Meta answers, a thousand a second", 100 * time.Millisecond, "HIGH", 800, 256, 80, 120},
		{"slow", 600 * time.Millisecond, "", 64, 0, 38, 58},
		{"slower than the senders allow", 2 * time.Second, "", 32, 64, 64, 64},
		{"few senders", time.Second, "", 3, 3, 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.cfg.Senders = tt.senders
				h.level(loja, tt.level)
				h.answersAfter(tt.took)
				from, to := 10*time.Second, 30*time.Second
				if tt.perSecond > 100 {
					from, to = 2*time.Second, 4*time.Second
				}
				h.queue(stream("oferta"), 1, int(tt.perSecond*to.Seconds()*1.1))
				h.start()
				h.pass(tt.took + 50*time.Millisecond)
				if n := h.in(loja, 0, tt.took); n > flightFloor && tt.took > 50*time.Millisecond {
					t.Errorf("%d requests left before the first answer", n)
				}
				h.pass(to)
				if n, want := float64(h.in(loja, from, to)), (to-from).Seconds()*tt.perSecond; n < 0.97*want || n > want*1.02 {
					t.Errorf("%v left in %v, want about %v", n, to-from, want)
				}
				if n := h.atOnce(); n < tt.fewest || n > tt.atMost {
					t.Errorf("%d requests were under way at once, want %d to %d", n, tt.fewest, tt.atMost)
				}
			})
		})
	}
}

// When answers fail to come there are soon few under way, and with them again as
// many as before.
func TestMissingAnswersShrinkWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	bubble(t, func(h *house) {
		h.answersAfter(500 * time.Millisecond)
		h.queue(stream("oferta"), 1, 4000)
		h.start()
		h.pass(10 * time.Second)
		before := h.d.Paces()[0]
		h.meta.says(func(call) answer { return answer{page: true, after: 500 * time.Millisecond} })
		h.pass(2 * time.Second)
		during := h.d.Paces()[0]
		h.answersAfter(500 * time.Millisecond)
		h.pass(3 * time.Minute) // the breaker's hold ends by a probe
		after := h.d.Paces()[0]
		if before.Window < 32 || during.Window > 2 || after.Window < 32 {
			t.Errorf("before %d, without answers %d, afterwards %d might be under way", before.Window, during.Window, after.Window)
		}
	})
}

// A number whose answers are slow takes no sender from another that needs it.
func TestSlowNumberTakesNoSenders(t *testing.T) {
	t.Parallel()
	bubble(t, func(h *house) {
		h.cfg.Senders = 32
		h.meta.says(func(c call) answer {
			if c.Number == filial {
				return answer{after: 10 * time.Second}
			}
			return answer{after: 200 * time.Millisecond}
		})
		h.queue(stream("oferta", from(filial)), 1, 2000)
		h.start()
		h.pass(2 * time.Minute) // it has all of them
		if n := h.in(filial, 100*time.Second, 110*time.Second); n < 31 || n > 33 {
			t.Errorf("alone it sent %d in 10 s with 32 senders", n)
		}
		begun := time.Since(began)
		h.queue(stream("oferta"), 5001, 2000)
		h.pass(40 * time.Second)
		if n := h.in(loja, begun+20*time.Second, begun+30*time.Second); n < 610 || n > 645 {
			t.Errorf("beside it the other number sent %d in 10 s, want 640", n)
		}
	})
}

var sqlLevel = store.SQL(`UPDATE numbers SET throughput = ?2 WHERE id = ?1`)

// level says what Meta allows a number.
func (h *house) level(number, level string) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error { return tx.One(sqlLevel, number, level) })
}

// The next claim obeys what Meta says of the number, and never more than is
// configured.
func TestRateFollowsWhatMetaSays(t *testing.T) {
	t.Parallel()
	bubble(t, func(h *house) {
		h.level(loja, "STANDARD")
		h.queue(stream("oferta"), 1, 4000)
		h.start()
		for _, tt := range []struct {
			level   string
			ceiling float64
			want    float64
		}{{"STANDARD", 0, 64}, {"HIGH", 0, 800}, {"HIGH", 200, 160}, {"STANDARD", 200, 64}, {"STANDARD", 10, 8}} {
			h.level(loja, tt.level)
			h.rates.set(loja, tt.ceiling)
			h.pass(time.Second)
			from := time.Since(began)
			h.pass(2 * time.Second)
			if n := float64(h.in(loja, from, from+2*time.Second)) / 2; n < 0.95*tt.want-0.5 || n > 1.05*tt.want+0.5 {
				t.Errorf("%s, at most %v: %v a second, want %v", tt.level, tt.ceiling, n, tt.want)
			}
			if got := h.d.Paces()[0]; got.PerSecond() != new(account.Number{Throughput: tt.level}).PerSecond(tt.ceiling) {
				t.Errorf("%s, at most %v: it says %+v", tt.level, tt.ceiling, got)
			}
		}
	})
}

// Who must wait for the six seconds of a person takes nothing of the campaign's
// rate nor of the number's.
func TestPairGapCostsNobodyElse(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue(stream("aviso"), 1, 50) // everybody has just got one
		h.start()
		h.pass(2 * time.Second)
		slow := func(s *outbox.Stream) { s.Campaign, s.Run, s.PerSecond = "lenta", 7, 2 }
		h.queue(stream("oferta", slow), 1, 50)
		h.queue(stream("oferta", slow), 101, 20)
		h.pass(3 * time.Second)
		if n := h.sent("oferta"); n < 6 || n > 8 {
			t.Errorf("%d left in 3 s of 2 a second, although 50 wait for their persons' turn", n)
		}
		for _, c := range h.meta.log() {
			if c.Attempt != 1 {
				t.Errorf("waiting burnt an attempt: %d", c.Attempt)
			}
		}
		h.pass(time.Minute)
		if n := h.sent("oferta"); n != 70 {
			t.Errorf("%d of 70 left", n)
		}
	})
}
