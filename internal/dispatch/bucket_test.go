package dispatch

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A bucket against one that goes through its whole life at every question.
func TestBucketAgainstModel(t *testing.T) {
	type deed struct {
		at   time.Duration
		rate float64 // set, if above 0
		n    int     // taken; below 0: given back
	}
	rapid.Check(t, func(rt *rapid.T) {
		rates := rapid.SampledFrom([]float64{0.01, 0.5, 2.5, 7, 20, 80, 1000})
		first := rates.Draw(rt, "rate")
		b := limiter(first)
		var life []deed
		at := time.Duration(0)
		start := time.Unix(1_800_000_000, 0)
		b.flow(start)
		model := func(until time.Duration) (tokens, rate float64) {
			rate = first
			tokens = max(1, math.Floor(rate/10))
			last := time.Duration(0)
			for _, d := range append(life, deed{at: until}) {
				tokens = min(max(1, math.Floor(rate/10)), tokens+(d.at-last).Seconds()*rate)
				last = d.at
				if d.rate > 0 {
					rate = d.rate
					tokens = min(tokens, max(1, math.Floor(rate/10)))
				}
				if tokens -= float64(d.n); d.n < 0 {
					tokens = min(max(1, math.Floor(rate/10)), tokens)
				}
			}
			return tokens, rate
		}
		near := func(what string, got, want time.Duration) {
			if diff := got - want; diff < -time.Microsecond || diff > time.Microsecond {
				rt.Fatalf("%s: %v, want %v after %+v", what, got, want, life)
			}
		}
		until := func(tokens, rate, want float64) time.Duration {
			return time.Duration(max(0, (want-tokens)/rate) * float64(time.Second))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"wait": func(rt *rapid.T) { at += time.Duration(rapid.IntRange(1, 5000).Draw(rt, "ms")) * time.Millisecond },
			"take": func(rt *rapid.T) {
				n := rapid.IntRange(1, 10).Draw(rt, "n")
				got := b.take(start.Add(at), n)
				life = append(life, deed{at: at, n: n})
				tokens, rate := model(at)
				near("until the last of them", got, until(tokens, rate, 0))
			},
			"give back": func(rt *rapid.T) {
				n := rapid.IntRange(1, 3).Draw(rt, "n")
				b.missing(start.Add(at))
				b.give(n)
				life = append(life, deed{at: at, n: -n})
			},
			"rate": func(rt *rapid.T) {
				r := rates.Draw(rt, "to")
				if r == b.rate() {
					return
				}
				b.setRate(start.Add(at), r)
				life = append(life, deed{at: at, rate: r})
			},
			"": func(rt *rapid.T) {
				tokens, rate := model(at)
				near("until one is there", b.missing(start.Add(at)), until(tokens, rate, 1))
			},
		})
	})
}

// Whatever asks for its turn, and whenever: of a rate that stays no second sees
// more than it allows, and a waiting sender gets all of it but the slack.
func TestSecondAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.2, 0.5, 1, 2.5, 20, 80, 333.3}).Draw(rt, "rate")
		var s second
		now := time.Unix(1_800_000_000, 0)
		var sent []time.Time
		for range rapid.IntRange(1, 300).Draw(rt, "messages") {
			if rapid.IntRange(0, 20).Draw(rt, "pause") == 0 {
				now = now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(rt, "ms")) * time.Millisecond)
			}
			d := s.wait(now, rate, 0)
			// The model goes through everything that was ever sent.
			n, span := max(1, int(rate)), time.Duration(float64(max(1, int(rate)))/rate*slack*float64(time.Second))
			var want time.Duration
			if len(sent) >= n {
				want = max(0, sent[len(sent)-n].Add(span).Sub(now))
			}
			if d != want {
				rt.Fatalf("after %d sends at %v a second: wait %v, want %v", len(sent), rate, d, want)
			}
			now = now.Add(d)
			s.add(now, rate)
			sent = append(sent, now)
		}
		n := max(1, int(rate))
		span := time.Duration(float64(n) / rate * float64(time.Second)) // a second, of whole rates
		from := 0
		for i := range sent {
			for sent[i].Sub(sent[from]) >= span {
				from++
			}
			if i-from+1 > n {
				rt.Fatalf("%d messages within %v at %v a second", i-from+1, span, rate)
			}
		}
	})
}

// The rate may change at any time: what was sent before counts all the same.
func TestSecondWhenTheRateChanges(t *testing.T) {
	var s second
	now := time.Unix(1_800_000_000, 0)
	for range 50 {
		s.add(now, 80)
	}
	if d := s.wait(now, 80, 0); d != 0 {
		t.Errorf("50 of 80 were sent, and it waits %v", d)
	}
	if d := s.wait(now, 40, 0); d != time.Duration(slack*float64(time.Second)) {
		t.Errorf("50 of now 40 were sent, and it waits %v", d)
	}
	if d := s.wait(now, 80, 30); d == 0 {
		t.Error("30 places are wanted by others, and it takes one of them")
	}
	if d := s.wait(now, 1000, 0); d != 0 {
		t.Errorf("50 of now 1,000 were sent, and it waits %v", d)
	}
}
