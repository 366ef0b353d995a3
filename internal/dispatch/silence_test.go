package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// lives lists aviso with a time to live of its own.
func (h *house) lives(seconds int) {
	l := listing{all: []cloudapi.Template{{ID: "aviso", Name: "aviso", Language: "pt_BR", Status: "APPROVED", Category: "UTILITY", MessageSendTTLSeconds: seconds}}}
	s := account.NewSyncer(account.Config{DB: h.db, Accounts: []string{waba}, Log: slog.New(slog.DiscardHandler),
		Reader: func(string) (cloudapi.Reader, bool) { return l, true }})
	if err := s.Sync(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

// take lets Meta take messages that are queued, without a sender; held says that
// it holds them back.
func (h *house) take(ids []int64, held bool) {
	h.t.Helper()
	for len(ids) > 0 {
		n := min(len(ids), 200)
		h.write(func(tx *store.Tx) error {
			var results []outbox.Result
			for _, id := range ids[:n] {
				m, _, err := outbox.ByID(tx, id)
				if err != nil {
					return err
				}
				s, _, err := outbox.StreamByID(tx, m.Stream)
				if err != nil {
					return err
				}
				if _, _, err := outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
					return err
				}
				r := outbox.Result{Message: id, Attempt: m.Attempt + 1, To: outbox.Accepted, At: tx.Now(), Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", id))}
				if held {
					r.To = outbox.AcceptedHeld
				}
				results = append(results, r)
			}
			_, err := outbox.Settle(tx, results)
			return err
		})
		ids = ids[n:]
	}
}

// hears applies a status of the messages.
func (h *house) hears(status string, ids ...int64) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		for _, id := range ids {
			m, _, err := outbox.ByID(tx, id)
			if err != nil {
				return err
			}
			if _, _, err := outbox.Observe(tx, outbox.Observation{Message: id, Attempt: m.Attempt, Wamid: m.Wamid, Status: status, At: tx.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweeps looks once at what outlived its time.
func (h *house) sweeps(d *Dispatcher) map[outbox.State]int64 {
	h.t.Helper()
	if err := d.presume(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	return h.states()
}

// A run is walked to its end, however long; what has arrived stays, and so does
// what Meta held back, for as long as anything may live.
func TestPresumeWalksRuns(t *testing.T) {
	bubble(t, func(h *house) {
		h.lives(3600)
		of := stream("aviso", func(s *outbox.Stream) { s.Run, s.Campaign = 7, "boleto" })
		ids := h.queueFor(of, 0, 4500, 90*24*time.Hour)
		h.take(ids[:4400], false)
		h.take(ids[4400:4490], true)
		h.hears("sent", ids[:100]...)
		h.hears("delivered", ids[3000:3100]...)
		d := New(Config{DB: h.db, Outcomes: h.follow, Log: slog.New(slog.DiscardHandler)})
		want := map[outbox.State]int64{outbox.Accepted: 4200, outbox.AcceptedHeld: 90, outbox.Sent: 100, outbox.Delivered: 100, outbox.Queued: 10}
		same := func(when string, got map[outbox.State]int64) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s:\n%s", when, diff)
			}
		}
		h.pass(74 * time.Minute)
		same("within the slack", h.sweeps(d))
		h.pass(10 * time.Minute)
		same("when nothing was heard of what came later", h.sweeps(d))
		// Another message leaves, and is heard of; of one of another number it proves nothing.
		other := h.queueFor(stream("aviso", from(filial)), 10000, 1, 90*24*time.Hour)
		h.take(other, false)
		h.hears("read", other...)
		want[outbox.Read]++
		h.pass(10 * time.Minute)
		same("when another number is heard of", h.sweeps(d))
		later := h.queueFor(stream("aviso"), 20000, 1, 90*24*time.Hour)
		h.take(later, false)
		h.hears("read", later...)
		want[outbox.Read]++
		h.pass(7 * time.Minute)
		want[outbox.PresumedExpired], want[outbox.Accepted], want[outbox.Sent] = 4300, 0, 0
		delete(want, outbox.Accepted)
		delete(want, outbox.Sent)
		same("when it is", h.sweeps(d))
		// One that leaves late lives from then on.
		h.take(ids[4490:4491], false)
		want[outbox.Accepted], want[outbox.Queued] = 1, 9
		h.pass(30 * time.Minute)
		same("what left late", h.sweeps(d))
		h.hears("delivered", ids[0])
		want[outbox.Delivered]++
		want[outbox.PresumedExpired]--
		same("what arrived after all", h.sweeps(d))
		h.pass(31 * 24 * time.Hour)
		h.take(h.queueFor(stream("aviso"), 30000, 1, 90*24*time.Hour), false)
		last := h.queueFor(stream("aviso"), 40000, 1, 90*24*time.Hour)
		h.take(last, false)
		h.hears("read", last...)
		h.pass(20 * time.Minute)
		want[outbox.Read]++
		want[outbox.PresumedExpired] += 91
		delete(want, outbox.AcceptedHeld)
		same("after a month", h.sweeps(d)) // one single message is accepted still
	})
}

// Single messages are found by their own index; of what sets no time to live the
// longest counts, and for texts as well.
func TestPresumeOfSingleMessages(t *testing.T) {
	bubble(t, func(h *house) {
		h.lives(3600)
		d := New(Config{DB: h.db, Outcomes: h.follow, Log: slog.New(slog.DiscardHandler)})
		ids := h.queue(stream("aviso"), 0, 450)
		text := h.queue(outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Utility}, 1000, 1)
		unset := h.queue(stream("codigo"), 2000, 1)
		h.take(append(append(ids, text...), unset...), false)
		h.pass(76 * time.Minute)
		later := h.queue(stream("aviso"), 3000, 1)
		h.take(later, false)
		h.hears("sent", later...)
		if diff := cmp.Diff(map[outbox.State]int64{outbox.PresumedExpired: 450, outbox.Accepted: 2, outbox.Sent: 1}, h.sweeps(d)); diff != "" {
			t.Error(diff)
		}
		h.pass(31 * 24 * time.Hour)
		h.take(h.queueFor(stream("oferta"), 4000, 1, 90*24*time.Hour), false)
		if diff := cmp.Diff(map[outbox.State]int64{outbox.PresumedExpired: 450, outbox.Accepted: 3, outbox.Sent: 1}, h.sweeps(d)); diff != "" {
			t.Errorf("nothing was heard since: %s", diff)
		}
		news := h.queueFor(stream("oferta"), 5000, 1, 90*24*time.Hour)
		h.take(news, false)
		h.hears("sent", news...)
		h.pass(20 * time.Minute)
		if diff := cmp.Diff(map[outbox.State]int64{outbox.PresumedExpired: 453, outbox.Accepted: 1, outbox.Sent: 1}, h.sweeps(d)); diff != "" {
			t.Error(diff)
		}
	})
}

// What goes out once more after its time to live: utility whose template sets a
// short one, before its deadline, where the policy says so; and once.
func TestResendExpired(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy bool
		ttl    int
		life   time.Duration
		held   bool
		again  bool
	}{
		{"by policy", true, 3600, 48 * time.Hour, false, true},
		{"parked", false, 3600, 48 * time.Hour, false, false},
		{"its deadline has passed", true, 3600, 70 * time.Minute, false, false},
		{"the longest that a template can set", true, 43200, 48 * time.Hour, false, true},
		{"of a template that sets none", true, 0, 48 * 24 * time.Hour, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.lives(c.ttl)
				d := New(Config{DB: h.db, Outcomes: h.follow, Log: slog.New(slog.DiscardHandler), Policy: Policy{ResendExpired: c.policy}})
				ids := h.queueFor(stream("aviso"), 0, 1, c.life)
				h.take(ids, false)
				for round := range 2 {
					h.pass(max(time.Duration(c.ttl)*time.Second, time.Minute) + 20*time.Minute)
					if c.ttl == 0 {
						h.pass(longestTTL)
					}
					news := h.queueFor(stream("aviso", from(loja)), 100+round, 1, 90*24*time.Hour)
					h.take(news, false)
					h.hears("read", news...)
					h.pass(time.Minute)
					h.sweeps(d)
					m := h.message(ids[0])
					if again := m.State == outbox.Queued; again != (c.again && round == 0) {
						t.Fatalf("round %d: it is %s", round, m.State)
					}
					if m.State != outbox.Queued {
						if m.State != outbox.PresumedExpired {
							t.Errorf("round %d: it is %s", round, m.State)
						}
						break
					}
					h.take(ids, false)
				}
			})
		})
	}
}
