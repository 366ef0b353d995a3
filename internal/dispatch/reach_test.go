package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

func TestLimitAndReserve(t *testing.T) {
	for _, tt := range []struct {
		tier           string
		limit, reserve int
	}{
		{"TIER_50", 50, 25}, {"TIER_250", 250, 125}, {"TIER_1K", 1000, 200}, {"TIER_2K", 2000, 200}, {"tier_10k", 10_000, 1000},
		{"TIER_100K", 100_000, 10_000}, {"TIER_300", 300, 150}, {"TIER_400", 400, 200}, {"TIER_500", 500, 200},
		{"", 0, 0}, {"TIER_UNLIMITED", 0, 0}, {"TIER_NOT_SET", 0, 0}, {"UNLIMITED", 0, 0}, {"TIER_", 0, 0}, {"TIER_K", 0, 0},
		{"TIER_-5", 0, 0}, {"TIER_0K", 0, 0}, {"250", 0, 0}, {"TIER_99999999999999999999", 0, 0}, {"TIER_2M", 0, 0},
	} {
		if got := tier(tt.tier); got != tt.limit {
			t.Errorf("%q is read as %d, want %d", tt.tier, got, tt.limit)
		}
		if got := reserve(tt.limit); got != tt.reserve {
			t.Errorf("of %d people %d are kept, want %d", tt.limit, got, tt.reserve)
		}
	}
	var numbers []account.Number
	for i, want := range []int{0, 0, 10_000, 2000, 2000, 2000} {
		if got := limitOf(numbers); got != want {
			t.Errorf("of %d numbers the limit is %d, want %d", len(numbers), got, want)
		}
		numbers = append(numbers, account.Number{MessagingLimit: []string{"", "TIER_10K", "TIER_2K", "TIER_UNLIMITED", "TIER_100K", ""}[i]})
	}
}

// sentTo is one message of the model.
type sentTo struct {
	root int64
	at   int64        // when it was claimed, then settled
	to   outbox.State // "" on its way
	lost int          // Meta says later that it was not delivered: before which recount
}

const day = 24 * 3600 * 1000

// whom counts the people by going through everything that was ever sent.
// Whether what was lost counts is a matter of whether it was recounted.
func whom(all []sentTo, now int64, forgotten func(sentTo) bool) map[int64]bool {
	out := map[int64]bool{}
	for _, m := range all {
		switch m.to {
		case "":
			out[m.root] = true
		case outbox.Accepted, outbox.AcceptedHeld, outbox.Unknown:
			if m.at+day > now && !forgotten(m) {
				out[m.root] = true
			}
		}
	}
	return out
}

func TestReachAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{4, 10, 16}).Draw(t, "limit")
		r := &reach{limit: limit, people: map[int64]person{}}
		now, recounts := int64(1_800_000_000_000), 0
		var all []sentTo
		forgotten := func(m sentTo) bool { return m.lost > 0 && m.lost <= recounts }
		pick := func(name string, ok func(sentTo) bool) int {
			var some []int
			for i, m := range all {
				if ok(m) {
					some = append(some, i)
				}
			}
			if len(some) == 0 {
				t.Skip("there is none")
			}
			return rapid.SampledFrom(some).Draw(t, name)
		}
		t.Repeat(map[string]func(*rapid.T){
			"claim": func(*rapid.T) {
				root := rapid.Int64Range(1, 12).Draw(t, "who")
				r.claim(now, []int64{root})
				all = append(all, sentTo{root: root, at: now})
			},
			"settle": func(*rapid.T) {
				i := pick("which", func(m sentTo) bool { return m.to == "" })
				all[i].to = rapid.SampledFrom([]outbox.State{outbox.Accepted, outbox.AcceptedHeld, outbox.Unknown, outbox.Queued, outbox.Failed}).Draw(t, "to")
				all[i].at = now
				r.settle(now, all[i].root, all[i].to)
			},
			"lose": func(*rapid.T) {
				all[pick("lost", func(m sentTo) bool { return m.to == outbox.Accepted && m.lost == 0 })].lost = recounts + 1
			},
			"recount": func(*rapid.T) {
				until := map[int64]int64{}
				for _, m := range all {
					if m.to == outbox.Accepted && m.lost == 0 && m.at+day > now {
						until[m.root] = max(until[m.root], m.at+day)
					}
				}
				now++ // what is sent from now on the recount cannot know
				r.recount(limit, now, until)
				recounts++
			},
			"wait": func(*rapid.T) { now += rapid.Int64Range(1, day/3).Draw(t, "ms") },
			"": func(*rapid.T) {
				now += 1000 // it walks once a second
				want := len(whom(all, now, forgotten))
				n, next := r.left(now)
				if most := max(limit-reserve(limit)-want, 0); n > most || n == 0 && most > 0 {
					t.Fatalf("%d may be sent to; %d of %d people count", n, want, limit)
				}
				if n == 0 && next < now+1000 {
					t.Fatalf("it is full until %d, which is now", next-now)
				}
				d := &Dispatcher{reach: reach{limit: limit, people: r.people}}
				if got := d.Reach(store.Time(now)); got.People != want {
					t.Fatalf("%d people count, want %d", got.People, want)
				}
			},
		})
	})
}

// Who was surely not reached costs nothing, also before anybody walks the people.
func TestWhoWasRefusedIsGivenBackAtOnce(t *testing.T) {
	r := &reach{limit: 250, people: map[int64]person{}}
	for root := range int64(300) {
		r.claim(1_800_000_000_000, []int64{root})
		r.settle(1_800_000_000_000, root, outbox.Failed)
		if n, _ := r.left(1_800_000_000_000); n != 125 {
			t.Fatalf("after %d refusals %d may be reached", root+1, n)
		}
	}
}

func (h *house) limit(tier string) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		for _, n := range []string{loja, filial} {
			if err := tx.One(sqlTier, n, tier); err != nil {
				return err
			}
		}
		return nil
	})
}

var sqlTier = store.SQL(`UPDATE numbers SET messaging_limit = ?2 WHERE id = ?1`)

// run is a stream of a campaign of its own.
func run(id int64) func(*outbox.Stream) {
	return func(s *outbox.Stream) { s.Campaign, s.Run = fmt.Sprint("c", id), id }
}

func (h *house) now() (at time.Time) {
	h.read(func(q *store.Snap) error { at = q.Now(); return nil })
	return at
}

// sent counts the calls of templates.
func (h *house) sent(templates ...string) (n int) {
	for _, c := range h.meta.log() {
		if slices.Contains(templates, c.Template) {
			n++
		}
	}
	return n
}

// limited runs a test in a house that keeps the ledger and has a limit of 250
// people, of which 125 are kept for codes.
func limited(t *testing.T, fn func(h *house)) {
	t.Helper()
	bubble(t, func(h *house) {
		h.ledger = true
		h.limit("TIER_250")
		fn(h)
	})
}

func TestCampaignsLeavePeopleForCodes(t *testing.T) {
	limited(t, func(h *house) {
		h.queue(stream("oferta"), 1, 200)
		h.queue(stream("aviso", from(filial)), 1001, 200)
		h.start()
		h.pass(time.Minute)
		if n := h.sent("oferta", "aviso"); n != 125 {
			t.Fatalf("campaign and notices reached %d people, want 125", n)
		}
		h.queue(stream("codigo"), 2001, 125)
		h.pass(10 * time.Second)
		if n := h.sent("codigo"); n != 125 {
			t.Errorf("%d of 125 codes left: all of the limit is theirs", n)
		}
		got := h.d.Reach(h.now())
		if got.Limit != 250 || got.Reserve != 125 || got.People != 250 || !got.Full {
			t.Errorf("it says %+v", got)
		}
		between(t, "until somebody leaves", got.Opens.Sub(began), 24*time.Hour, 24*time.Hour+2*time.Second)
		if !strings.Contains(got.String(), "wait until 2026-11-24T12:0") {
			t.Errorf("it says %q", got)
		}
		h.pass(23 * time.Hour)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 250, outbox.Queued: 275})
		if n := strings.Count(h.log.String(), "messaging limit"); n != 1 {
			t.Errorf("the log tells it %d times:\n%s", n, h.log.String())
		}
		h.pass(time.Hour - 30*time.Second) // those of the campaign leave, those of the codes not yet
		if n := h.sent("oferta", "aviso"); n > 250 {
			t.Errorf("%d left", n)
		}
		h.pass(2 * time.Minute)
		if n := h.sent("oferta", "aviso"); n != 250 {
			t.Errorf("a day later %d had left, want 250", n)
		}
	})
}

func TestPersonWhoCountsCostsNothing(t *testing.T) {
	limited(t, func(h *house) {
		h.queue(stream("oferta", run(1)), 1, 100)
		h.start()
		h.pass(10 * time.Second)
		h.queue(stream("aviso", run(2)), 1, 100)
		h.queue(stream("codigo"), 1, 100)
		h.pass(30 * time.Second)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 300})
		if got := h.d.Reach(h.now()); got.People != 100 || got.Full {
			t.Errorf("it says %+v", got)
		}
		h.queue(stream("oferta", run(3)), 51, 100) // 50 of them are new
		h.pass(time.Minute)
		if got := h.d.Reach(h.now()); got.People != 125 || !got.Full {
			t.Errorf("it says %+v", got)
		}
	})
}

// What the memory knew the conversations know after a restart.
func TestReachAfterARestart(t *testing.T) {
	for name, again := range map[string]func(h *house){"stop": func(h *house) { h.stop() }, "crash": func(h *house) { h.crash() }} {
		t.Run(name, func(t *testing.T) {
			limited(t, func(h *house) {
				h.queue(stream("oferta"), 1, 200)
				h.queue(stream("codigo"), 1001, 10)
				h.start()
				h.pass(time.Minute)
				sent := len(h.meta.log())
				again(h)
				h.start()
				h.pass(time.Hour)
				h.wantCalls(sent)
				if got := h.d.Reach(h.now()); got.People != sent || !got.Full {
					t.Errorf("%d were sent to, and it says %+v", sent, got)
				}
			})
		})
	}
}

// Only whom Meta delivers to counts. What it refuses is given back at once, and
// what it says later at the next count.
func TestWhoWasNotReachedDoesNotCount(t *testing.T) {
	limited(t, func(h *house) {
		h.meta.says(func(c call) answer {
			if c.To < "+5511900000201" {
				return answer{code: 131026}
			}
			return answer{}
		})
		ids := h.queue(stream("oferta"), 1, 400)
		h.start()
		h.pass(time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Failed: 200, outbox.Accepted: 125, outbox.Queued: 75})
		for _, id := range ids[200:250] {
			h.write(func(tx *store.Tx) error {
				out, _, err := outbox.Observe(tx, outbox.Observation{Message: id, Attempt: 1, Wamid: h.message(id).Wamid, Status: "failed", At: tx.Now(), Code: 131026})
				if err != nil {
					return err
				}
				return h.follow(tx, out)
			})
		}
		h.pass(3 * time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Failed: 250, outbox.Accepted: 125, outbox.Queued: 25})
	})
}

// What may still be delivered counts, although no conversation shows it.
func TestHeldAndUnansweredCount(t *testing.T) {
	for name, a := range map[string]answer{"held": {state: "held_for_quality_assessment"}, "unanswered": {page: true}} {
		t.Run(name, func(t *testing.T) {
			limited(t, func(h *house) {
				n := 0
				h.meta.says(func(call) answer {
					if n++; n%2 == 0 { // five unknowns in a row would stop the number
						return answer{}
					}
					return a
				})
				h.queue(stream("oferta"), 1, 200)
				h.start()
				h.pass(20 * time.Minute)
				h.wantCalls(125)
				if got := h.d.Reach(h.now()); got.People != 125 {
					t.Errorf("it says %+v", got)
				}
			})
		})
	}
}

func TestReachBoundsNothing(t *testing.T) {
	for name, change := range map[string]func(h *house){
		"no limit is known":  func(h *house) { h.limit("") },
		"there is none":      func(h *house) { h.limit("TIER_UNLIMITED") },
		"a word of tomorrow": func(h *house) { h.limit("TIER_HUGE") },
	} {
		t.Run(name, func(t *testing.T) {
			limited(t, func(h *house) {
				change(h)
				h.queue(stream("oferta"), 1, 300)
				h.start()
				h.pass(time.Minute)
				h.wantCalls(300)
				if got := h.d.Reach(h.now()); got != (Reach{}) || got.String() != "no messaging limit is known" {
					t.Errorf("it says %+v", got)
				}
			})
		})
	}
	t.Run("no codes are sent", func(t *testing.T) {
		limited(t, func(h *house) {
			h.start()
			h.stop()
			h.noCodes = true
			h.queue(stream("oferta"), 1, 300)
			h.start()
			h.pass(time.Minute)
			h.wantCalls(300)
		})
	})
}

// The limit becomes known, and changes, in the middle of a campaign.
func TestLimitThatBecomesKnown(t *testing.T) {
	limited(t, func(h *house) {
		h.limit("")
		h.queue(stream("oferta"), 1, 2000)
		h.start()
		h.pass(2 * time.Second)
		before := len(h.meta.log())
		h.limit("TIER_1K")
		h.pass(time.Minute)
		if n := len(h.meta.log()); before < 100 || n < 800 || n > 800+20 {
			t.Errorf("%d were sent before the limit of 1,000 and %d in all, want 800", before, n)
		}
		h.limit("TIER_2K")
		h.pass(time.Minute)
		if n := len(h.meta.log()); n < 1800 || n > 1820 {
			t.Errorf("%d were sent when the limit rose to 2,000, want 1,800", n)
		}
	})
}

// A reply to somebody who wrote to us is not counted, and never waits.
func TestRepliesPassTheLimit(t *testing.T) {
	limited(t, func(h *house) {
		h.queue(stream("oferta"), 1, 200)
		h.start()
		h.pass(time.Minute)
		h.write(func(tx *store.Tx) error {
			reply, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Service})
			if err != nil {
				return err
			}
			for i := range 10 {
				to := whatsapp.Phone(fmt.Sprintf("+55119%08d", 5000+i)).Identity()
				c, _, err := contacts.Ensure(tx, to)
				if err != nil {
					return err
				}
				if _, _, err := conversations.RecordInbound(tx, conversations.Inbound{Number: loja, Contact: c.ID, Wamid: whatsapp.Wamid(fmt.Sprint("wamid.in", i)),
					At: tx.Now(), Type: "text", Counts: true}); err != nil {
					return err
				}
				if _, _, err := outbox.Enqueue(tx, reply, []outbox.New{{Contact: c.ID, To: to, Params: "Oi"}}); err != nil {
					return err
				}
			}
			return nil
		})
		h.pass(time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 135, outbox.Queued: 75})
		if got := h.d.Reach(h.now()); got.People != 125 {
			t.Errorf("it says %+v", got)
		}
	})
}

// A claim that was not written counts nobody.
func TestFailedTurnCountsNobody(t *testing.T) {
	limited(t, func(h *house) {
		h.queue(stream("oferta", run(1), func(s *outbox.Stream) { s.DryRun = true }), 301, 10) // its outcomes come with the claim
		h.queue(stream("oferta"), 1, 5)                                                        // the first turn begins with these
		failed := 0
		h.refuse = func(out []outbox.Outcome) error {
			if out[0].To == outbox.Cancelled && failed < 3 {
				failed++
				return errors.New("the disk is full")
			}
			return nil
		}
		h.start()
		h.pass(time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 5, outbox.Cancelled: 10})
		if got := h.d.Reach(h.now()); got.People != 5 {
			t.Errorf("it says %+v", got)
		}
		for root, p := range h.d.reach.people {
			if p.pending != 0 {
				t.Errorf("person %d still has %d messages on their way", root, p.pending)
			}
		}
	})
}
