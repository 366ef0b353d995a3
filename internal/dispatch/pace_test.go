package dispatch

import (
	"fmt"
	"testing"
	"time"

	"janela/internal/outbox"
)

// perSec checks that in no second more than most calls arrived.
func perSec(t testing.TB, calls []call, most int) {
	t.Helper()
	from := 0
	for i := range calls {
		for calls[i].At.Sub(calls[from].At) >= time.Second {
			from++
		}
		if n := i - from + 1; n > most {
			t.Fatalf("%d calls arrived within one second, until %v; at most %d may", n, calls[i].since(), most)
		}
	}
}

// span is the time from the first call to the last.
func span(calls []call) time.Duration {
	if len(calls) == 0 {
		return 0
	}
	return calls[len(calls)-1].At.Sub(calls[0].At)
}

func between(t testing.TB, what string, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s took %v, want from %v to %v", what, got, least, most)
	}
}

func TestNumberIsPacedAtItsRate(t *testing.T) {
	for _, tt := range []struct {
		name, template string
		rate           float64
		n              int
		want           time.Duration // what the lane's share of the rate makes of n
	}{
		{"marketing has four fifths of 80", "oferta", 80, 192, 3 * time.Second},
		{"utility nine tenths", "aviso", 80, 216, 3 * time.Second},
		{"authentication all", "codigo", 80, 240, 3 * time.Second},
		{"a slow number", "codigo", 2, 10, 4500 * time.Millisecond},
		{"slower than one a second", "codigo", 0.5, 5, 8 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.rates.set(loja, tt.rate)
				h.queue(stream(tt.template), 1, tt.n)
				h.start()
				h.pass(2 * tt.want)
				calls := h.meta.log()
				if len(calls) != tt.n {
					t.Fatalf("%d of %d were sent in %v; %v\n%s", len(calls), tt.n, 2*tt.want, h.states(), h.log.String())
				}
				between(t, fmt.Sprint(tt.n, " messages"), span(calls), tt.want-300*time.Millisecond, tt.want+tt.want/10)
				perSec(t, calls, max(1, int(tt.rate)))
			})
		})
	}
}

func TestStreamIsPacedAtItsOwnRate(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		n    int
		want time.Duration
	}{{0.5, 6, 10 * time.Second}, {2.5, 11, 4 * time.Second}, {20, 100, 5 * time.Second}, {0.01, 3, 200 * time.Second}} {
		t.Run(fmt.Sprint(tt.rate), func(t *testing.T) {
			bubble(t, func(h *house) {
				h.queue(stream("oferta", perSecond(tt.rate)), 1, tt.n)
				h.start()
				h.pass(2 * tt.want)
				calls := h.meta.log()
				if len(calls) != tt.n {
					t.Fatalf("%d of %d were sent", len(calls), tt.n)
				}
				between(t, fmt.Sprint(tt.n, " messages"), span(calls), tt.want-200*time.Millisecond, tt.want+tt.want/10)
			})
		})
	}
}

// A slow stream takes nothing from another one of the same number.
func TestSlowStreamBlocksNoOther(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue(stream("oferta", perSecond(0.5), func(s *outbox.Stream) { s.Campaign, s.Run = "lenta", 7 }), 1, 20)
		h.queue(stream("oferta"), 101, 128)
		h.start()
		h.pass(4 * time.Second)
		fast := 0
		for _, c := range h.meta.log() {
			if c.To >= "+5511900000101" {
				fast++
			}
		}
		if fast != 128 {
			t.Errorf("in 4 s the fast stream sent %d of 128", fast)
		}
	})
}

func TestDryNumberBlocksNobody(t *testing.T) {
	bubble(t, func(h *house) {
		h.rates.set(filial, 0.2)
		h.queue(stream("oferta", from(filial)), 1, 200)
		h.queue(stream("oferta"), 1001, 256)
		h.start()
		h.pass(5 * time.Second)
		by := map[string]int{}
		for _, c := range h.meta.log() {
			by[c.Number]++
		}
		if by[loja] != 256 || by[filial] < 1 || by[filial] > 3 {
			t.Errorf("in 5 s loja sent %d of 256 and filial %d; filial may send one in 5 s", by[loja], by[filial])
		}
	})
}

// A code or a notice leaves at once although a campaign fills the number.
func TestFloodDelaysNoCodeAndNoNotice(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(call) answer { return answer{after: 500 * time.Millisecond} })
		h.queue(stream("oferta"), 1, 700)
		h.start()
		h.pass(2 * time.Second)
		for i := range 10 {
			for j, template := range []string{"codigo", "aviso"} {
				before := time.Now()
				id := h.queue(stream(template), 5000+10*i+j, 1)[0]
				h.pass(300 * time.Millisecond)
				var at time.Time
				for _, c := range h.meta.of(template) {
					if c.ID == id {
						at = c.At
					}
				}
				if wait := at.Sub(before); at.IsZero() || wait > 10*time.Millisecond {
					t.Fatalf("%s number %d left after %v (zero time: never)", template, i, wait)
				}
			}
		}
		if n := len(h.meta.of("oferta")); n < 300 {
			t.Errorf("the campaign itself sent only %d in 8 s", n)
		}
	})
}

// Even when notices and a campaign together ask for more than the number has.
func TestTwoFloodsDelayNoCode(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue(stream("oferta"), 1, 500)
		h.queue(stream("aviso"), 3001, 500)
		h.start()
		h.pass(2 * time.Second)
		for i := range 10 {
			before := time.Now()
			h.queue(stream("codigo"), 9000+i, 1)
			h.pass(500 * time.Millisecond)
			codes := h.meta.of("codigo")
			if len(codes) != i+1 {
				t.Fatalf("code %d has not left after 500 ms", i)
			}
			if wait := codes[i].At.Sub(before); wait > time.Millisecond {
				t.Errorf("code %d left after %v", i, wait)
			}
		}
		perSec(t, h.meta.log(), 80)
	})
}

// Meta allows one message per six seconds to one recipient.
func TestPairGap(t *testing.T) {
	bubble(t, func(h *house) {
		for _, template := range []string{"aviso", "oferta", "aviso"} {
			h.queue(stream(template), 1, 1)
			h.queue(stream(template), 1, 1)
		}
		h.queue(stream("aviso"), 2, 1) // another person does not wait
		h.start()
		h.pass(time.Minute)
		var ana []call
		for _, c := range h.meta.log() {
			if c.To == "+5511900000001" {
				ana = append(ana, c)
			} else if c.since() > time.Second {
				t.Errorf("another person's message waited until %v", c.since())
			}
		}
		if len(ana) != 6 {
			t.Fatalf("%d of 6 messages were sent: %v", len(ana), h.states())
		}
		for i := range ana[1:] {
			if gap := ana[i+1].At.Sub(ana[i].At); gap < pairGap {
				t.Errorf("messages %d and %d to one person are %v apart, less than %v", i, i+1, gap, pairGap)
			}
		}
		for _, c := range ana {
			if c.Attempt != 1 {
				t.Errorf("waiting for the pair burnt an attempt: %d", c.Attempt)
			}
		}
		between(t, "six messages to one person", span(ana), 30*time.Second, 36*time.Second)
	})
}

// What waits for its pair is not taken again and again within the millisecond
// to which its time is cut.
func TestPairGapWithinAMillisecond(t *testing.T) {
	bubble(t, func(h *house) {
		time.Sleep(300 * time.Microsecond)
		h.queue(stream("aviso"), 1, 1)
		h.start()
		h.queue(stream("aviso"), 1, 1)
		h.pass(pairGap - 200*time.Microsecond)
		h.queue(stream("aviso"), 2, 1) // the lane looks at the very millisecond
		h.pass(time.Second)
		h.wantCalls(3)
		if calls := h.meta.log(); calls[2].At.Sub(calls[0].At) < pairGap {
			t.Errorf("the second message to one person left after %v", calls[2].At.Sub(calls[0].At))
		}
	})
}

// Two floods together leave a tenth of the number for codes.
func TestTwoFloodsLeaveAReserve(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue(stream("oferta"), 1, 500)
		h.queue(stream("aviso"), 3001, 500)
		h.start()
		h.pass(10 * time.Second)
		if n := len(h.meta.log()); n < 700 || n > 720+8 {
			t.Errorf("%d messages left in 10 s, want nine tenths of 800", n)
		}
		perSec(t, h.meta.log(), 80)
	})
}

// The number is slowed down once per burst of throttles, and comes back by
// itself.
func TestThrottleHalvesAndRecovers(t *testing.T) {
	bubble(t, func(h *house) {
		h.rates.set(loja, 10)
		until := began.Add(time.Second)
		h.meta.says(func(c call) answer {
			if c.At.Before(until) {
				return answer{code: 130429}
			}
			return answer{}
		})
		h.queue(stream("codigo"), 1, 700)
		h.start()
		h.pass(69 * time.Second)
		calls := h.meta.log()
		in := func(from, to time.Duration) (n int) {
			for _, c := range calls {
				if c.since() >= from && c.since() < to {
					n++
				}
			}
			return n
		}
		for _, tt := range []struct {
			at        time.Duration
			perSecond float64
		}{{2 * time.Second, 5}, {12 * time.Second, 6}, {22 * time.Second, 7}, {62 * time.Second, 10}} {
			n, want := in(tt.at, tt.at+7*time.Second), 7*tt.perSecond
			if float64(n) < want*0.95-1 || float64(n) > want*1.05+1 {
				t.Errorf("in the 7 s after %v came %d calls, want about %v", tt.at, n, want)
			}
		}
	})
}
