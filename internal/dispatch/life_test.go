package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

func (h *house) wantStates(want map[outbox.State]int64) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.states()); diff != "" {
		h.t.Errorf("states (-want +got):\n%s", diff)
	}
}

func (h *house) wantHolds(want ...string) {
	h.t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, h.holds()); diff != "" {
		h.t.Errorf("holds (-want +got):\n%s", diff)
	}
}

func (h *house) wantCalls(want int) {
	h.t.Helper()
	if got := len(h.meta.log()); got != want {
		h.t.Errorf("%d calls reached Meta, want %d", got, want)
	}
}

// once checks that nobody was sent to twice.
func (h *house) once() {
	h.t.Helper()
	seen := map[string]bool{}
	for _, c := range h.meta.log() {
		if seen[c.To] {
			h.t.Errorf("%s was sent to twice", c.To)
		}
		seen[c.To] = true
	}
}

func TestAnswersBecomeStates(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		state  outbox.State
		reason string
		code   int
	}{
		{"accepted", answer{}, outbox.Accepted, "", 0},
		{"held for quality", answer{state: "held_for_quality_assessment"}, outbox.AcceptedHeld, "", 0},
		{"refused", answer{code: 131026}, outbox.Failed, "suppress_user", 131026},
		{"unknown error of Meta", answer{code: 131000}, outbox.Unknown, "no_answer", 131000},
		{"a proxy's page", answer{page: true}, outbox.Unknown, "no_answer", 0},
		{"connection cut", answer{cut: true}, outbox.Unknown, "no_answer", 0},
		{"no answer", answer{hang: true}, outbox.Unknown, "no_answer", 0},
		{"window closed", answer{code: 131047}, outbox.Failed, "window", 131047},
		{"undocumented refusal", answer{code: 999_999}, outbox.Failed, "drop", 999_999},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.meta.says(func(call) answer { return tt.answer })
				id := h.queue(stream("oferta"), 1, 1)[0]
				h.start()
				h.pass(10 * time.Minute)
				m := h.message(id)
				if m.State != tt.state || m.Reason != tt.reason || m.Code != tt.code || m.Attempt != 1 {
					t.Errorf("got %s %q code %d attempt %d, want %s %q code %d attempt 1", m.State, m.Reason, m.Code, m.Attempt, tt.state, tt.reason, tt.code)
				}
				if accepted := tt.state == outbox.Accepted || tt.state == outbox.AcceptedHeld; accepted != (m.Wamid != "") {
					t.Errorf("state %s with wamid %v", m.State, m.Wamid)
				}
				h.wantCalls(1)
			})
		})
	}
}

// What surely was not taken is tried again with a growing back-off.
func TestRetriesWhatWasSurelyNotSent(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(c call) answer {
			if c.Attempt < 4 {
				return answer{code: 131016}
			}
			return answer{}
		})
		id := h.queue(stream("oferta"), 1, 1)[0]
		h.start()
		h.pass(time.Minute)
		if m := h.message(id); m.State != outbox.Accepted || m.Attempt != 4 {
			t.Fatalf("got %s after %d attempts, want accepted after 4", m.State, m.Attempt)
		}
		var attempts []int
		calls := h.meta.log()
		for i, c := range calls {
			attempts = append(attempts, c.Attempt)
			if i > 0 && c.At.Sub(calls[i-1].At) < pairGap {
				t.Errorf("attempt %d came %v after the one before", c.Attempt, c.At.Sub(calls[i-1].At))
			}
		}
		if !slices.Equal(attempts, []int{1, 2, 3, 4}) {
			t.Errorf("attempts %v", attempts)
		}
	})
}

func TestMetaAwayBurnsNothingForGood(t *testing.T) {
	bubble(t, func(h *house) {
		h.net.setAway(true)
		ids := h.queue(stream("oferta"), 1, 20)
		h.start()
		h.pass(30 * time.Second)
		h.wantCalls(0)
		if m := h.message(ids[0]); m.State != outbox.Queued || m.Attempt == 0 {
			t.Errorf("got %s attempt %d, want queued after some attempts", m.State, m.Attempt)
		}
		h.net.setAway(false)
		h.pass(10 * time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 20})
		h.once()
	})
}

func TestFiveUnknownsInARowStopTheNumberAndOneProbeLifts(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(call) answer { return answer{cut: true} })
		h.queue(stream("oferta"), 1, 300)
		h.queue(stream("oferta", from(filial)), 1001, 1) // one unknown is no row of five
		h.start()
		h.pass(10 * time.Second)
		h.wantHolds("number no_answers")
		burnt := len(h.meta.log())
		if burnt < 6 || burnt > 20 {
			t.Errorf("%d messages were burnt before the stop", burnt)
		}
		h.pass(5 * time.Second)
		h.wantCalls(burnt)

		// The first probe fails: one message, and the next comes later.
		h.pass(20 * time.Second)
		h.wantCalls(burnt + 1)
		h.wantHolds("number no_answers")

		h.meta.says(func(call) answer { return answer{after: 2 * time.Second} })
		h.pass(54 * time.Second)
		h.wantCalls(burnt + 1)
		h.pass(2 * time.Second) // 91 s: the second probe is under way, alone
		h.wantCalls(burnt + 2)
		h.pass(time.Minute)
		h.wantHolds()
		h.wantStates(map[outbox.State]int64{outbox.Unknown: int64(burnt + 1), outbox.Accepted: int64(301 - burnt - 1)})
		h.once()
	})
}

func TestAnswerInBetweenIsNoRow(t *testing.T) {
	bubble(t, func(h *house) {
		h.rates.set(loja, 2) // one after the other
		n := 0
		h.meta.says(func(call) answer { n++; return answer{cut: n%5 != 0} })
		h.queue(stream("codigo"), 1, 25)
		h.start()
		h.pass(time.Minute)
		h.wantHolds()
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 5, outbox.Unknown: 20})
	})
}

func TestErrorsActAtTheirScope(t *testing.T) {
	for _, tt := range []struct {
		code int
		hold string // "" for none
	}{
		{190, "account bad_token"}, {131031, "account account_blocked"}, {131042, "account payment"}, {80007, "account account_throttled"},
		{131048, "number number_restricted"}, {133010, "number number_unusable"}, {132015, "template template_paused"},
		{132000, "campaign campaign_error"}, {131026, ""}, {131049, ""}, {131056, ""}, {130429, ""}, {131016, ""},
	} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			bubble(t, func(h *house) {
				h.rates.set(loja, 1)
				h.meta.says(func(c call) answer {
					if c.ID > 0 && c.since() < 500*time.Millisecond {
						return answer{code: tt.code}
					}
					return answer{}
				})
				first := h.queue(stream("oferta", func(s *outbox.Stream) { s.Campaign, s.Run = "natal", 7 }), 1, 5)[0]
				h.start()
				h.pass(30 * time.Second)
				if tt.hold == "" {
					h.wantHolds()
					h.wantCalls(5 + h.message(first).Attempt - 1)
					return
				}
				h.wantHolds(tt.hold)
				h.wantCalls(1)
				h.wantStates(map[outbox.State]int64{outbox.Queued: 5}) // the first too: Meta did not take it
				if asked := h.resyncs > 0; asked != (tt.code == 190 || tt.code == 132015) {
					t.Errorf("a fresh look at the account was asked for: %v", asked)
				}
			})
		})
	}
}

// 131050 is a person's wish: what else waits for them is not sent. A message in
// the queue is cancelled; one that was claimed beside the first goes back for
// the pair's gap, and is refused.
func TestStoppedMarketingEndsTheRest(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(call) answer { return answer{code: 131050} })
		ids := append(h.queue(stream("oferta"), 1, 1), h.queue(stream("oferta", func(s *outbox.Stream) { s.Campaign, s.Run = "natal", 7 }), 1, 1)...)
		h.start()
		h.pass(time.Minute)
		h.wantCalls(1)
		ended := map[outbox.State]int{}
		for _, id := range ids {
			m := h.message(id)
			ended[m.State]++
			if m.State != outbox.Failed && m.Reason != "opted_out" {
				t.Errorf("ended %s %q", m.State, m.Reason)
			}
		}
		if ended[outbox.Failed] != 1 || ended[outbox.Cancelled]+ended[outbox.Refused] != 1 {
			t.Errorf("states %v", ended)
		}
	})
}

// A stop lets what was begun get its answer; what had not begun goes back and
// has burnt nothing.
func TestStopDrains(t *testing.T) {
	bubble(t, func(h *house) {
		h.cfg.Senders = 5
		h.meta.says(func(call) answer { return answer{after: 10 * time.Second} })
		ids := h.queue(stream("oferta"), 1, 40)
		h.start()
		h.pass(2 * time.Second)
		h.wantCalls(5)
		if n := h.states()[outbox.Sending]; n != 10 {
			t.Errorf("%d messages are claimed, want twice the five senders", n)
		}
		stopped := time.Now()
		h.stop()
		between(t, "the stop", time.Since(stopped), 7*time.Second, 9*time.Second)
		h.wantCalls(5)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 5, outbox.Queued: 35})
		for _, id := range ids {
			if m := h.message(id); m.State == outbox.Queued && m.Attempt != 0 {
				t.Errorf("message %d was never begun and counts %d attempts", id, m.Attempt)
			}
		}
		h.start()
		h.pass(3 * time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 40})
		h.once()
	})
}

func TestStopGivesUpAfterTheDrain(t *testing.T) {
	bubble(t, func(h *house) {
		h.cfg.Drain = 5 * time.Second
		var counted []outbox.State
		h.cfg.Sent = func(_ whatsapp.Lane, _ string, to outbox.State, _ string, _ time.Duration) {
			counted = append(counted, to)
		}
		h.meta.says(func(call) answer { return answer{hang: true} })
		h.queue(stream("oferta"), 1, 3)
		h.start()
		h.pass(time.Second)
		h.wantCalls(3)
		stopped := time.Now()
		h.stop()
		between(t, "the stop", time.Since(stopped), 5*time.Second, 5*time.Second+100*time.Millisecond)
		h.wantStates(map[outbox.State]int64{outbox.Unknown: 3})
		if !slices.Equal(counted, []outbox.State{outbox.Unknown, outbox.Unknown, outbox.Unknown}) {
			t.Errorf("the metrics heard of %v", counted)
		}
		h.meta.says(nil)
		h.start()
		h.pass(time.Hour)
		h.wantCalls(3)
	})
}

// After a crash nobody knows what became of what was claimed; it is never sent
// again, and all the rest is sent once.
func TestCrashTurnsSendingIntoUnknown(t *testing.T) {
	bubble(t, func(h *house) {
		h.cfg.Senders = 8
		h.meta.says(func(call) answer { return answer{after: time.Second} })
		h.queue(stream("oferta"), 1, 100)
		h.start()
		h.pass(1500 * time.Millisecond)
		before := h.states()
		if before[outbox.Sending] == 0 || before[outbox.Accepted] == 0 {
			t.Fatalf("nothing is under way: %v", before)
		}
		h.crash()
		h.start()
		h.pass(time.Millisecond)
		if n := h.states()[outbox.Unknown]; n != before[outbox.Sending] {
			t.Errorf("%d messages are unknown, %d were claimed", n, before[outbox.Sending])
		}
		if !strings.Contains(h.log.String(), "messages were in flight when the last process ended") {
			t.Error("the log does not tell of them")
		}
		h.pass(time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Unknown: before[outbox.Sending], outbox.Accepted: 100 - before[outbox.Sending]})
		h.once()
	})
}

func TestRescueTellsTheProducers(t *testing.T) {
	bubble(t, func(h *house) {
		h.meta.says(func(call) answer { return answer{hang: true} })
		ids := h.queue(stream("oferta"), 1, 300)
		h.rates.set(loja, 10_000)
		h.cfg.Senders = 300
		h.start()
		h.pass(time.Second)
		h.crash()
		h.outcomes = nil
		h.start()
		h.pass(time.Second)
		told := map[int64]bool{}
		for _, o := range h.outcomes {
			if o.From != outbox.Sending || o.To != outbox.Unknown || o.Reason != outbox.ReasonRestart {
				t.Errorf("outcome %+v", o)
			}
			told[o.Message] = true
		}
		if len(told) != len(ids) {
			t.Errorf("producers heard of %d of %d", len(told), len(ids))
		}
	})
}

// A turn whose transaction failed loses no result: it is written by the next.
func TestFailedTurnLosesNoResult(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue(stream("codigo"), 1, 6)
		h.meta.says(func(call) answer { return answer{after: time.Second} })
		h.start()
		h.pass(900 * time.Millisecond)
		h.wantCalls(6)
		h.failTurn()
		h.pass(3 * time.Second)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 6})
		h.wantCalls(6)
		for _, l := range h.d.lanes {
			if n, w := l.inFlight(), l.waitingFor(loja); n != 0 || w != 0 {
				t.Errorf("the %s lane counts %d in flight and %d waiting", l.lane, n, w)
			}
		}
		if !strings.Contains(h.log.String(), "the disk is full") {
			t.Error("the log does not tell why")
		}
	})
}

// What an error does at its scope is done although the first turn failed.
func TestFailedTurnForgetsNoReaction(t *testing.T) {
	bubble(t, func(h *house) {
		h.rates.set(loja, 1)
		h.meta.says(func(call) answer { return answer{code: 131048, after: 500 * time.Millisecond} })
		id := h.queue(stream("codigo"), 1, 3)[0]
		h.start()
		h.pass(100 * time.Millisecond)
		h.failTurn()
		h.pass(20 * time.Second)
		h.wantHolds("number number_restricted", "number codes_restricted")
		h.wantCalls(1)
		if m := h.message(id); m.State != outbox.Queued || m.Attempt != 1 {
			t.Errorf("got %s attempt %d, want queued attempt 1", m.State, m.Attempt)
		}
	})
}

// A result that was written at the second try is still one result.
func TestFailedTurnCountsNoUnknownTwice(t *testing.T) {
	bubble(t, func(h *house) {
		h.rates.set(loja, 0.1)
		h.meta.says(func(call) answer { return answer{cut: true} })
		h.queue(stream("codigo"), 1, 4)
		h.start()
		for range 4 { // each result fails once
			h.failTurn()
			h.pass(10 * time.Second)
		}
		h.pass(10 * time.Second)
		h.wantStates(map[outbox.State]int64{outbox.Unknown: 4})
		h.wantHolds()
	})
}

func TestHoldStopsARunWithinATurn(t *testing.T) {
	for _, hold := range []outbox.Hold{
		{Scope: outbox.ScopeAll, Reason: "operator", Actor: "maria"},
		{Scope: outbox.ScopeNumber, Target: loja, Reason: "operator", Actor: "maria"},
		{Scope: outbox.ScopeCategory, Target: "marketing", Reason: "operator", Actor: "maria"},
		{Scope: outbox.ScopeTemplate, Target: waba + "/oferta/pt_BR", Reason: "operator", Actor: "maria"},
	} {
		t.Run(string(hold.Scope), func(t *testing.T) {
			bubble(t, func(h *house) {
				h.queue(stream("oferta"), 1, 200)
				h.start()
				h.pass(time.Second)
				h.hold(hold)
				sent := len(h.meta.log())
				h.pass(10 * time.Second)
				if more := len(h.meta.log()) - sent; more > 14 {
					t.Errorf("%d messages left after the hold; a turn takes at most 100 ms of the rate ahead", more)
				}
				stood := len(h.meta.log())
				h.pass(time.Hour)
				h.wantCalls(stood)
				h.write(func(tx *store.Tx) error {
					_, err := outbox.Lift(tx, hold.Scope, hold.Target, "", "maria")
					return err
				})
				h.pass(10 * time.Second)
				h.wantStates(map[outbox.State]int64{outbox.Accepted: 200})
				h.once()
			})
		})
	}
}

// reveal and sender faults, before any request.
func TestCodeIsRevealedOnlyAtTheDoor(t *testing.T) {
	bubble(t, func(h *house) {
		asked := 0
		h.cfg.Reveal = func(context.Context, outbox.Message) (string, string, error) {
			if asked++; asked == 2 {
				return "", "", errors.New("the code is gone")
			}
			return `[{"type":"body","parameters":[{"type":"text","text":"123456"}]}]`, "", nil
		}
		h.rates.set(loja, 1)
		h.queue(stream("codigo"), 1, 2)
		h.queue(stream("aviso"), 11, 1)
		h.start()
		h.pass(10 * time.Second)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 2, outbox.Failed: 1})
		if asked != 2 {
			t.Errorf("the code was asked for %d times, for two codes", asked)
		}
		if strings.Contains(h.log.String(), "123456") {
			t.Error("the log holds a code")
		}
	})
}

func TestUnknownAccountFails(t *testing.T) {
	bubble(t, func(h *house) {
		h.cfg.Sender = func(string, whatsapp.Lane) (cloudapi.Sender, bool) { return nil, false }
		id := h.queue(stream("oferta"), 1, 1)[0]
		h.start()
		h.pass(time.Second)
		if m := h.message(id); m.State != outbox.Failed || m.Reason != "account_unknown" {
			t.Errorf("got %s %q", m.State, m.Reason)
		}
	})
}

func TestSweepExpiresWhatNoClaimMeets(t *testing.T) {
	bubble(t, func(h *house) {
		h.hold(outbox.Hold{Scope: outbox.ScopeAll, Reason: "operator", Actor: "maria"})
		h.queue(stream("oferta"), 1, 250)
		h.start()
		ctx, cancel := context.WithCancel(context.Background())
		h.rooms.Go(func() { _ = h.d.Sweep(ctx) })
		h.pass(47 * time.Hour)
		h.wantStates(map[outbox.State]int64{outbox.Queued: 250})
		h.pass(2 * time.Hour)
		h.wantStates(map[outbox.State]int64{outbox.Expired: 250})
		cancel()
	})
}

// Requests in flight never exceed the senders of a lane.
func TestSendersBoundWhatIsInFlight(t *testing.T) {
	bubble(t, func(h *house) {
		h.cfg.Senders = 7
		h.meta.says(func(call) answer { return answer{after: time.Second} })
		h.queue(stream("oferta"), 1, 70)
		h.start()
		h.pass(30 * time.Second)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 70})
		if h.meta.most != 7 {
			t.Errorf("%d requests were under way at once, want 7", h.meta.most)
		}
	})
}
