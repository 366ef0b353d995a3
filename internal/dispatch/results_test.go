package dispatch

import (
	"testing"

	"pgregory.net/rapid"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// Whatever a turn settles of what it took, and whatever comes meanwhile: each
// result is settled once, in the order in which they came, and what is kept for
// the next turn holds none.
func TestResultsAreSettledOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLane(&Dispatcher{cfg: Config{Senders: 4}}, whatsapp.LaneMarketing)
		came, settled := int64(0), int64(0)
		come := func(n int) {
			for range n {
				came++
				l.came(result{Result: outbox.Result{Message: came}})
			}
		}
		amount := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(mostTurn-3, mostTurn+20))
		for range rapid.IntRange(1, 10).Draw(t, "turns") {
			come(amount.Draw(t, "come"))
			batch, _ := l.take()
			come(rapid.IntRange(0, 20).Draw(t, "come meanwhile"))
			if rapid.IntRange(0, 4).Draw(t, "the transaction fails") == 0 {
				l.putBack(batch)
				continue
			}
			judged := append(l.spare.judged[:0], batch[:rapid.IntRange(0, len(batch)).Draw(t, "settled")]...)
			l.putBack(batch[len(judged):])
			for i := range judged {
				if settled++; judged[i].Message != settled {
					t.Fatalf("result %d was settled in the place of %d", judged[i].Message, settled)
				}
			}
			l.reuse(batch, judged)
			for _, kept := range [][]result{l.spare.judged, l.spare.batch} {
				for i := range kept {
					if kept[i] != (result{}) {
						t.Fatalf("a turn that is over keeps result %d", kept[i].Message)
					}
				}
			}
		}
		for settled < came {
			batch, _ := l.take()
			if len(batch) == 0 {
				t.Fatalf("%d of %d results were lost", came-settled, came)
			}
			for i := range batch {
				if settled++; batch[i].Message != settled {
					t.Fatalf("result %d was settled in the place of %d", batch[i].Message, settled)
				}
			}
		}
	})
}
