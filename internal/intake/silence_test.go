package intake

import (
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// again queues an unknown message a second time.
func (h *house) again(id int64) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		m, _, err := outbox.ByID(tx, id)
		if err != nil {
			return err
		}
		_, err = outbox.Again(tx, m, "janela")
		return err
	})
}

func (h *house) resend(id int64) (r outbox.Resend) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) { r, _, err = outbox.ResendOf(q, id); return err })
	return r
}

func (h *house) watermark() (at time.Time) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) { at, err = outbox.Watermark(q, loja); return err })
	return at
}

// A callback tells of the first attempt after the second has begun: both were
// sent. It is written down, the person's copy counts once, and nothing goes out a
// third time, whatever the second answer is.
func TestStatusOfTheFirstAttemptAfterTheSecondBegan(t *testing.T) {
	for answer, twice := range map[outbox.State]bool{outbox.Accepted: true, outbox.Unknown: false, outbox.Queued: false} {
		t.Run(string(answer), func(t *testing.T) {
			h := newHouse(t)
			id := h.queue(ana, "aviso", whatsapp.Utility)
			h.claim(id)
			first := h.callback(id)
			h.settle(id, outbox.Unknown, "")
			h.pass(20 * time.Minute)
			h.again(id)
			h.claim(id)
			second := strings.TrimSuffix(first, "1") + "2"
			h.deliver(envelope("messages", statuses(h.status("wamid.first", "sent", first, ana))))
			want(t, "state", h.message(id).State, outbox.Sent)
			if w := h.watermark(); !w.IsZero() {
				t.Errorf("a status of the first attempt says that news of %v have come", w)
			}
			h.write(func(tx *store.Tx) error {
				out, err := outbox.Settle(tx, []outbox.Result{{Message: id, Attempt: 2, To: answer, Wamid: "wamid.second", At: tx.Now()}})
				if err != nil {
					return err
				}
				return h.follow(tx, out)
			})
			want(t, "state after the answer", h.message(id).State, outbox.Sent)
			h.deliver(envelope("messages", statuses(h.status("wamid.first", "delivered", first, ana))), envelope("messages", statuses(h.status("wamid.first", "delivered", first, ana))))
			m := h.message(id)
			want(t, "in the end", []string{string(m.State), string(m.Wamid)}, []string{"delivered", "wamid.first"})
			want(t, "attempts", m.Attempt, 2)
			want(t, "sent twice, as far as anybody knows", func() bool { r := h.resend(id); return r.Twice() }(), twice)
			want(t, "conversations", h.conversations(), []string{"utility business " + m12(m.SentAt) + " out 1 in 0"})
			if answer == outbox.Accepted { // and its own news come
				h.deliver(envelope("messages", statuses(h.status("wamid.second", "read", second, ana))))
				want(t, "the better copy counts", h.message(id).State, outbox.Read)
				if w := h.watermark(); w.IsZero() {
					t.Error("a status of the second attempt says nothing of how far news reach")
				}
			}
		})
	}
}

func m12(ms int64) string { return store.Time(ms).Format(time.TimeOnly) }

// The status comes before our own answer would have, and the answer is lost; or
// it says that the message failed.
func TestStatusSettlesWhatNoAnswerCameFor(t *testing.T) {
	for _, status := range []string{"sent", "failed"} {
		for _, first := range []bool{true, false} {
			h := newHouse(t)
			id := h.queue(ana, "oferta", whatsapp.Marketing)
			h.claim(id)
			if !first {
				h.settle(id, outbox.Unknown, "")
				h.pass(6 * 24 * time.Hour)
			}
			var extra []string
			if status == "failed" {
				extra = append(extra, `"errors":[{"code":131026,"title":"Message undeliverable"}]`)
			}
			h.deliver(envelope("messages", statuses(h.status("wamid.a", status, h.callback(id), ana, extra...))))
			if first {
				h.settle(id, outbox.Unknown, "")
			}
			m := h.message(id)
			if string(m.State) != status || m.Wamid != "wamid.a" || m.Attempt != 1 || (m.Reason == "suppress_user") != (status == "failed") {
				t.Errorf("%s, before the answer %v: it is %s %q, wamid %v, attempt %d", status, first, m.State, m.Reason, m.Wamid != "", m.Attempt)
			}
		}
	}
}
