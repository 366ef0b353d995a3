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

// sentTo is one message of the model. Times in ms.
type sentTo struct {
	root      int64
	lane      whatsapp.Lane
	claimed   int64
	pending   bool
	taken     int64 // Meta took it, or perhaps did; 0: not
	delivered int64
	failed    bool
}

const (
	day    = 24 * 3600 * 1000
	minute = 60 * 1000
)

// last is when the message last began to count; 0: it does not.
func (m sentTo) last() int64 {
	switch {
	case m.failed || m.pending || m.taken == 0:
		return 0
	default:
		return max(m.taken, m.delivered)
	}
}

// whom counts the people as Meta does, by going through everything that was ever
// sent; who is on the way counts.
func whom(all []sentTo, now, span int64) map[int64]bool {
	out := map[int64]bool{}
	for _, m := range all {
		if m.pending || m.last() > 0 && m.last()+span > now {
			out[m.root] = true
		}
	}
	return out
}

// Of whom Meta counts none is missing, and nobody counts for minutes longer; what
// lanes may still reach follows from who counts and who made them count.
func TestReachAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{4, 10, 16, 60}).Draw(t, "limit")
		r := &reach{limit: limit, codes: rapid.Bool().Draw(t, "codes"), people: map[int64]*person{}}
		now := int64(1_800_000_000_000)
		var all []sentTo
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
		heard := func(i int, less bool) { // as Outcomes does, by the database
			if !less && !r.later(now, all[i].root) {
				return
			}
			var last int64
			for _, m := range all {
				if m.root == all[i].root && m.last() > now-Counted.Milliseconds() {
					last = max(last, m.last())
				}
			}
			r.heard(now, all[i].root, last, all[i].lane)
		}
		t.Repeat(map[string]func(*rapid.T){
			"claim": func(*rapid.T) {
				m := sentTo{root: rapid.Int64Range(1, 12).Draw(t, "who"), lane: whatsapp.Lane(rapid.IntRange(0, 2).Draw(t, "lane")), claimed: now, pending: true}
				r.claim(now, m.lane, []int64{m.root})
				all = append(all, m)
			},
			"settle": func(*rapid.T) {
				i := pick("which", func(m sentTo) bool { return m.pending })
				to := rapid.SampledFrom([]outbox.State{outbox.Accepted, outbox.AcceptedHeld, outbox.Unknown, outbox.Queued, outbox.Failed}).Draw(t, "to")
				if all[i].pending = false; to != outbox.Queued && to != outbox.Failed {
					all[i].taken = now
				}
				r.settle(now, all[i].root, to)
			},
			"fail": func(*rapid.T) {
				i := pick("failed", func(m sentTo) bool { return m.taken > 0 && !m.failed && m.delivered == 0 })
				all[i].failed = true
				heard(i, true)
			},
			"deliver": func(*rapid.T) {
				i := pick("delivered", func(m sentTo) bool { return m.taken > 0 && !m.failed && m.delivered == 0 && now-m.taken < day })
				all[i].delivered = now
				heard(i, false)
			},
			"restart, or the hour": func(*rapid.T) {
				if rapid.Bool().Draw(t, "restart") {
					for i := range all { // what was on its way is unknown
						if all[i].pending {
							all[i].pending, all[i].taken = false, all[i].claimed
						}
					}
					r = &reach{limit: limit, codes: r.codes, people: map[int64]*person{}}
				}
				var found []conversations.Person
				for _, m := range all {
					if m.last() > now-Counted.Milliseconds() {
						found = append(found, conversations.Person{Root: m.root, Category: []whatsapp.Category{whatsapp.Authentication, whatsapp.Utility, whatsapp.Marketing}[m.lane], Last: m.last()})
					}
				}
				r.recount(limit, now, found)
			},
			"wait": func(*rapid.T) { now += rapid.Int64Range(1, day/3).Draw(t, "ms") },
			"": func(*rapid.T) {
				d := &Dispatcher{reach: reach{limit: limit, codes: r.codes, people: r.people, paid: r.paid, leaving: r.leaving}}
				got := d.Reach(store.Time(now))
				r.paid, r.leaving = d.reach.paid, d.reach.leaving
				least, most := whom(all, now, day), whom(all, now, day+2*minute)
				paid := [3]int{}
				for root, p := range r.people {
					if paid[p.payer]++; !most[root] {
						t.Fatalf("person %d still counts: %+v at %d, %+v", root, *p, now, all)
					}
				}
				for root := range least {
					if r.people[root] == nil || !r.counts(now, root) {
						t.Fatalf("person %d does not count at %d: %+v", root, now, all)
					}
				}
				if paid != r.paid || got.People != len(r.people) {
					t.Fatalf("it says %+v, paid by %v; %v are there", got, r.paid, paid)
				}
				keep := [3]int{whatsapp.LaneUtility: 0, whatsapp.LaneMarketing: max(0, limit/20-paid[whatsapp.LaneUtility])}
				if r.codes {
					codes := max(spare(limit), reserve(limit)-paid[whatsapp.LaneAuthentication])
					keep[whatsapp.LaneUtility] += codes
					keep[whatsapp.LaneMarketing] += codes
				}
				for l := whatsapp.LaneAuthentication; l <= whatsapp.LaneMarketing; l++ {
					n, next := r.left(now, l)
					if want := max(0, limit-len(r.people)-keep[l]); n != want {
						t.Fatalf("%v may reach %d more, want %d: %+v", l, n, want, got)
					}
					if n == 0 && next <= now {
						t.Fatalf("it is full until %d, which is now", next-now)
					}
				}
			},
		})
	})
}

// Who was surely not reached costs nothing, also before anybody walks the people.
func TestWhoWasRefusedIsGivenBackAtOnce(t *testing.T) {
	r := &reach{limit: 250, codes: true, people: map[int64]*person{}}
	for root := range int64(300) {
		r.claim(1_800_000_000_000, whatsapp.LaneMarketing, []int64{root})
		r.settle(1_800_000_000_000, root, outbox.Failed)
		if n, _ := r.left(1_800_000_000_000, whatsapp.LaneMarketing); n != 113 {
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
		if got.Limit != 250 || got.Reserve != 125 || got.Notices != 12 || got.People != 250 || !got.Full || got.Marketing+got.Utility > 0 {
			t.Errorf("it says %+v", got)
		}
		between(t, "until somebody leaves", got.Opens.Sub(began), Counted, Counted+2*time.Second)
		if !strings.Contains(got.String(), "campaigns and notices to people who got nothing in that time wait until 2026-11-24T12:01") {
			t.Errorf("it says %q", got)
		}
		h.pass(23 * time.Hour)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 250, outbox.Queued: 275})
		if n := strings.Count(h.log.String(), "messaging limit"); n != 1 {
			t.Errorf("the log tells it %d times:\n%s", n, h.log.String())
		}
		h.pass(time.Hour - 20*time.Second) // those of the campaign leave soon
		if n := h.sent("oferta", "aviso"); n != 125 {
			t.Errorf("%d left before anybody had left the count", n)
		}
		h.pass(2 * time.Minute)
		if n := h.sent("oferta", "aviso"); n != 250 {
			t.Errorf("a day later %d had left, want 250", n)
		}
	})
}

// Marketing leaves some people to notices; what codes and notices have used of
// theirs is no longer kept.
func TestMarketingLeavesPeopleForNotices(t *testing.T) {
	t.Parallel()
	limited(t, func(h *house) {
		h.queue(stream("oferta"), 1, 300)
		h.start()
		h.pass(time.Minute)
		for _, step := range []struct {
			template      string
			first, n      int
			campaign, all int // then
		}{{"aviso", 1001, 5, 113, 118}, {"aviso", 1101, 20, 113, 125}, {"codigo", 2001, 100, 113, 225}, {"codigo", 2101, 25, 113, 250}} {
			h.queue(stream(step.template), step.first, step.n)
			h.pass(time.Minute)
			if n := h.sent("oferta"); n != step.campaign {
				t.Errorf("after %d more of %s the campaign has reached %d people, want %d", step.n, step.template, n, step.campaign)
			}
			if got := h.d.Reach(h.now()); got.People != step.all {
				t.Errorf("after %d more of %s it says %v, want %d people", step.n, step.template, got, step.all)
			}
		}
		h.pass(Counted) // the first 113 leave, and with them nobody of the codes
		if n := h.sent("oferta"); n < 220 || n > 226 {
			t.Errorf("a day later the campaign has reached %d people: %v", n, h.d.Reach(h.now()))
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
		if got := h.d.Reach(h.now()); got.People != 113 || !got.Full {
			t.Errorf("it says %+v", got)
		}
		if n := len(h.meta.log()); n != 300+50+13 {
			t.Errorf("%d were sent, want 363: 50 of the last 100 count already, and 13 more fit", n)
		}
	})
}

// Who counts already gets what is for them although the limit is used up, from
// the middle of a long campaign, and also what is queued then.
func TestWhoCountsDoesNotWait(t *testing.T) {
	t.Parallel()
	limited(t, func(h *house) {
		h.queue(stream("oferta", run(1)), 1, 113)
		h.start()
		h.pass(10 * time.Second)
		if got := h.d.Reach(h.now()); !got.Full || got.People != 113 {
			t.Fatalf("it says %+v", got)
		}
		h.queue(stream("oferta", run(2)), 1001, 2500)
		h.queue(stream("oferta", run(2)), 51, 50)
		h.queue(stream("oferta", run(2)), 4001, 500)
		h.pass(10 * time.Second)
		if n := h.sent("oferta"); n != 163 {
			t.Errorf("%d were sent, want 113 and 50", n)
		}
		h.queue(stream("oferta", run(3)), 1, 1)
		before := time.Now()
		h.pass(3 * time.Second)
		if n := h.sent("oferta"); n != 164 {
			t.Errorf("what came later did not leave within %v: %d were sent", time.Since(before), n)
		}
		h.queue(stream("codigo"), 1500, 1) // a code makes somebody count for whom a message waits
		h.pass(2 * time.Minute)
		if n := h.sent("oferta"); n != 165 {
			t.Errorf("%d were sent, want one more", n)
		}
		if got := h.d.Reach(h.now()); got.People != 114 {
			t.Errorf("it says %+v", got)
		}
	})
}

// What is delivered late counts from then, also after a restart.
func TestDeliveredLateCountsLonger(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			limited(t, func(h *house) {
				ids := h.queue(stream("oferta"), 1, 113)
				h.start()
				h.pass(10 * time.Hour)
				h.write(func(tx *store.Tx) error {
					for _, id := range ids[:40] {
						out, _, err := outbox.Observe(tx, outbox.Observation{Message: id, Attempt: 1, Status: "delivered", At: tx.Now()})
						if err := errors.Join(err, h.follow(tx, out), h.d.Outcomes(tx, out)); err != nil {
							return err
						}
					}
					return nil
				})
				h.pass(14 * time.Hour)
				if restart {
					h.stop()
					h.start()
				}
				for _, step := range []struct {
					pass time.Duration
					want int
				}{{0, 113}, {2 * time.Minute, 40}, {10*time.Hour - 2*time.Minute, 40}, {2 * time.Minute, 0}} {
					h.pass(step.pass)
					if got := h.d.Reach(h.now()); got.People != step.want {
						t.Errorf("%v after the beginning it says %v, want %d", time.Since(began), got, step.want)
					}
				}
			})
		})
	}
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
		h.wantStates(map[outbox.State]int64{outbox.Failed: 200, outbox.Accepted: 113, outbox.Queued: 87})
		for _, id := range ids[200:250] {
			h.write(func(tx *store.Tx) error {
				out, _, err := outbox.Observe(tx, outbox.Observation{Message: id, Attempt: 1, Wamid: h.message(id).Wamid, Status: "failed", At: tx.Now(), Code: 131026})
				if err != nil {
					return err
				}
				return errors.Join(h.follow(tx, out), h.d.Outcomes(tx, out))
			})
		}
		h.pass(3 * time.Minute)
		h.wantStates(map[outbox.State]int64{outbox.Failed: 250, outbox.Accepted: 113, outbox.Queued: 37})
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
				for range 250 { // what Meta holds back stops its template: somebody releases it
					h.pass(5 * time.Second)
					h.write(func(tx *store.Tx) error {
						_, err := outbox.Lift(tx, outbox.ScopeTemplate, waba+"/oferta/pt_BR", "", "maria")
						return err
					})
				}
				h.wantCalls(113)
				if got := h.d.Reach(h.now()); got.People != 113 {
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
}

// Without codes nothing is kept for them, and the limit holds all the same.
func TestWithoutCodesAllIsForTheOthers(t *testing.T) {
	limited(t, func(h *house) {
		h.noCodes = true
		h.queue(stream("oferta"), 1, 300)
		h.start()
		h.pass(time.Minute)
		h.wantCalls(238)
		h.queue(stream("aviso"), 1001, 30)
		h.pass(time.Minute)
		h.wantCalls(250)
		if got := h.d.Reach(h.now()).String(); !strings.HasPrefix(got, "250 of 250 people in 24 hours; 12 are kept for notices: campaigns and notices") {
			t.Errorf("it says %q", got)
		}
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
		if n := len(h.meta.log()); before < 100 || n < 750 || n > 750+20 {
			t.Errorf("%d were sent before the limit of 1,000 and %d in all, want 750", before, n)
		}
		h.limit("TIER_2K")
		h.pass(time.Minute)
		if n := len(h.meta.log()); n < 1700 || n > 1720 {
			t.Errorf("%d were sent when the limit rose to 2,000, want 1,700", n)
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
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 123, outbox.Queued: 87})
		if got := h.d.Reach(h.now()); got.People != 113 {
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
