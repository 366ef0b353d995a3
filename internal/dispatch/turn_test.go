package dispatch

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Results of a campaign wait for each other, so that few transactions are made;
// one that nothing else is on its way with waits for nobody, and none waits long.
func TestResultsGather(t *testing.T) {
	bubble(t, func(h *house) {
		h.rates.set(loja, 1_000_000)
		h.meta.says(func(call) answer { return answer{after: 5 * time.Millisecond} })
		const n = 6400
		h.queue(stream("oferta"), 1, n)
		before := h.db.Commits()
		h.start()
		h.pass(10 * time.Second)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: n})
		if got := h.db.Commits() - before; got > n/100 {
			t.Errorf("%d transactions for %d messages, want no more than one for a hundred", got, n)
		}
		h.once()
	})
	bubble(t, func(h *house) {
		h.rates.set(loja, 1_000_000)
		h.meta.says(func(c call) answer { return answer{after: 100 * time.Millisecond, hang: c.To == "+5511900000002"} })
		ids := h.queue(stream("oferta"), 1, 1)
		h.start()
		h.pass(100 * time.Millisecond)
		if m := h.message(ids[0]); m.State != outbox.Accepted {
			t.Errorf("alone: %s when its answer is there", m.State)
		}
		ids = h.queue(stream("oferta"), 2, 2)
		h.pass(100*time.Millisecond + gather)
		if m := h.message(ids[1]); m.State != outbox.Accepted {
			t.Errorf("beside one without an answer: %s after %v", m.State, gather)
		}
	})
}

// A turn with much to settle, and to claim, ends when somebody waits for the
// database; what it did not come to is done by the next.
func TestATurnMakesWayForWhoWaits(t *testing.T) {
	bubble(t, func(h *house) {
		h.rates.set(loja, 1_000_000)
		ids := h.queue(stream("oferta"), 1, 4*chunk)
		h.start()
		h.pass(time.Second)
		h.wantStates(map[outbox.State]int64{outbox.Accepted: 4 * chunk})
		h.hold(outbox.Hold{Scope: outbox.ScopeAll, Reason: "operator", Actor: "test"})
		more := h.queue(stream("oferta", func(s *outbox.Stream) { s.Run = 1 }), 4*chunk+1, 4*chunk)
		d := h.d
		h.stop()

		h.write(func(tx *store.Tx) error {
			_, err := outbox.Lift(tx, outbox.ScopeAll, "", "", "test")
			return err
		})
		// A turn by hand, with somebody who waits and with nobody.
		l := newLane(d, whatsapp.LaneMarketing)
		for _, waited := range []bool{true, false} {
			batch := make([]result, 0, 3*chunk)
			for _, id := range ids[:3*chunk] {
				batch = append(batch, result{ticket: &ticket{}, Result: outbox.Result{Message: id, Attempt: 1, To: outbox.Unknown}})
			}
			var judged []result
			var tickets []*ticket
			var wg sync.WaitGroup
			err := h.db.Bulk(context.Background(), func(tx *store.Tx) (err error) {
				if waited {
					wg.Go(func() { _ = h.db.Write(context.Background(), func(*store.Tx) error { return nil }) })
					for !tx.Hurry() {
						time.Sleep(time.Millisecond)
					}
				}
				if judged, err = l.settleAll(tx, batch); err != nil {
					return err
				}
				tickets, _, err = l.claim(tx, 3*chunk)
				return err
			})
			wg.Wait()
			if err != nil {
				t.Fatal(err)
			}
			want := 3 * chunk
			if waited {
				want = chunk
			}
			if len(judged) != want || len(tickets) != want {
				t.Errorf("somebody waits %t: %d results were settled and %d messages claimed, want %d", waited, len(judged), len(tickets), want)
			}
			for _, k := range tickets {
				if !slices.Contains(more, k.message.ID) {
					t.Errorf("message %d was claimed", k.message.ID)
				}
			}
		}
	})
}
