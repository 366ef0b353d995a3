package intake

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
)

// cpu is the time that this process has spent computing, in all threads.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// accepted is people messages of one campaign that Meta has taken.
func (h *house) accepted(people int) (ids []int64) {
	h.t.Helper()
	for from := 0; from < people; from += 200 {
		h.write(func(tx *store.Tx) error {
			s, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR", Run: 7, Campaign: "natal"})
			if err != nil {
				return err
			}
			var news []outbox.New
			for i := from; i < min(from+200, people); i++ {
				id := whatsapp.Phone(benchPhone(i)).Identity()
				c, _, err := contacts.Ensure(tx, id)
				if err != nil {
					return err
				}
				news = append(news, outbox.New{Contact: c.ID, To: id, Params: `[{"type":"body","parameters":[{"type":"text","text":"Ana"}]}]`})
			}
			batch, _, err := outbox.Enqueue(tx, s, news)
			if err != nil {
				return err
			}
			ids = append(ids, batch...)
			var moves []outbox.Move
			var results []outbox.Result
			for _, id := range batch {
				m, _, err := outbox.ByID(tx, id)
				if err != nil {
					return err
				}
				moves = append(moves, outbox.Move{Message: m, To: outbox.Sending})
				results = append(results, outbox.Result{Message: id, Attempt: 1, To: outbox.Accepted, Wamid: benchWamid(id), At: tx.Now()})
			}
			if _, _, err := outbox.Apply(tx, s, moves); err != nil {
				return err
			}
			out, err := outbox.Settle(tx, results)
			if err != nil {
				return err
			}
			return h.follow(tx, out)
		})
	}
	return ids
}

func benchPhone(i int) string { return fmt.Sprintf("+1202555%04d%03d", i/1000, i%1000) }

func benchWamid(id int64) whatsapp.Wamid {
	return whatsapp.Wamid(fmt.Sprintf("wamid.HBgNMTIwMjU1NTAxMDAVAgARGBI%032X", uint64(id)*0x9E3779B97F4A7C15))
}

// statusesOf returns signed callbacks with sent, delivered and read of people
// messages, per statuses in each.
func statusesOf(b *testing.B, people, per int) (h *house, bodies, signed []string) {
	h = newHouse(b)
	ids := h.accepted(people)
	for i, what := range []string{"sent", "delivered", "read"} {
		h.pass(time.Duration(i+1) * time.Second)
		for from := 0; from < people; from += per {
			var list []string
			for j := from; j < min(from+per, people); j++ {
				list = append(list, h.status(string(benchWamid(ids[j])), what, h.callback(ids[j]), benchPhone(j),
					`"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}`))
			}
			bodies = append(bodies, envelope("messages", statuses(list...)))
		}
	}
	for _, body := range bodies {
		signed = append(signed, sign(secret, body))
	}
	return h, bodies, signed
}

var sqlReadOnes = store.SQL(`SELECT COUNT(*) FROM messages WHERE state = 'read' AND sent_at > 0 AND delivered_at > 0 AND read_at > 0`)

// read3 counts the messages of which all three statuses are known.
func (h *house) read3() (n int64) {
	h.read(func(q *store.Snap) (err error) {
		n, _, err = store.Value[int64](q, sqlReadOnes)
		return err
	})
	return n
}

// BenchmarkStatuses brings sent, delivered and read of every message by signed
// callbacks, ten statuses in each, through the handler to the ledgers, and in
// the same run only verifies and decodes the same callbacks.
func BenchmarkStatuses(b *testing.B) {
	for _, per := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d-in-a-callback", per), func(b *testing.B) {
			const people = 5000
			var plain, plainCPU, whole, wholeCPU time.Duration
			for b.Loop() {
				b.StopTimer()
				h, bodies, signed := statusesOf(b, people, per)
				b.StartTimer()
				start, used := time.Now(), cpu(b)
				for i, body := range bodies {
					if !webhook.Verify([][]byte{[]byte(secret)}, signed[i], []byte(body)) {
						b.Fatal("not verified")
					}
					if _, err := webhook.Decode([]byte(body)); err != nil {
						b.Fatal(err)
					}
				}
				plain, plainCPU = time.Since(start), cpu(b)-used

				ctx, stop := context.WithCancel(context.Background())
				var run sync.WaitGroup
				commits := h.db.Commits()
				start, used = time.Now(), cpu(b)
				run.Go(func() { _ = h.in.Run(ctx) })
				var next atomic.Int64
				var posts sync.WaitGroup
				for range 16 {
					posts.Go(func() {
						for i := next.Add(1) - 1; i < int64(len(bodies)); i = next.Add(1) - 1 {
							if w := h.post(bodies[i], signed[i]); w.Code != http.StatusOK {
								b.Errorf("%d %s", w.Code, w.Body)
							}
						}
					})
				}
				posts.Wait()
				for h.in.Stats.Applied.Load() < int64(len(bodies)) {
					time.Sleep(time.Millisecond)
				}
				whole, wholeCPU = time.Since(start), cpu(b)-used
				stop()
				run.Wait()
				n := float64(3 * people)
				b.ReportMetric(n/whole.Seconds(), "statuses/s")
				b.ReportMetric(float64(wholeCPU.Microseconds())/n, "cpu-µs/status")
				b.ReportMetric(float64(plainCPU.Microseconds())/n, "decode-µs/status")
				b.ReportMetric(plain.Seconds()/whole.Seconds(), "of-decode-loop")
				b.ReportMetric(float64(h.db.Commits()-commits)/n, "commits/status")
				if n := h.read3(); n != people {
					b.Fatalf("%d of %d messages are read", n, people)
				}
			}
		})
	}
}
