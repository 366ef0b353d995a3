package intake

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// failed are the callbacks that could not be applied.
func (h *house) failed() (out []FailedCallback) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		for after := int64(0); ; after = out[len(out)-1].ID {
			page, err := Failed(q, after, 2)
			out = append(out, page...)
			if err != nil || len(page) < 2 {
				return err
			}
		}
	})
	return out
}

// A callback that could not be applied is applied again by a person, when its
// cause is gone; what it tells is then known, once.
func TestRetry(t *testing.T) {
	h := newHouse(t)
	id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	h.onTell = func(*store.Tx, []outbox.Outcome) error { return errors.New("a follower cannot take this") }
	at := store.Millis(h.wall())
	h.deliver(envelope("messages", statuses(h.status("wamid.a", "delivered", h.callback(id), ana))), "no JSON", `{"object":"whatsapp_business_account"}`)
	all := h.failed()
	if len(all) != 3 || all[0].ReceivedAt != at || all[0].FailedAt != at || all[0].Why != "a follower cannot take this" {
		t.Fatalf("%+v", all)
	}
	h.pass(time.Hour)
	retry := func(id int64) (ok bool) {
		h.write(func(tx *store.Tx) (err error) { ok, err = Retry(tx, id); return err })
		return ok
	}
	want(t, "retried", retry(all[0].ID), true)
	want(t, "one that waits already", retry(all[0].ID), false)
	want(t, "one that never was", retry(7), false)
	h.apply()
	again := h.failed()
	if len(again) != 3 || again[0].FailedAt != store.Millis(h.wall()) {
		t.Errorf("its cause is there still, and it is %+v", again)
	}
	h.onTell = nil
	want(t, "retried", retry(all[0].ID), true)
	h.apply()
	want(t, "left", len(h.failed()), 2)
	want(t, "the message", h.message(id).State, outbox.Delivered)
	want(t, "one that was applied", retry(all[0].ID), false)
	h.read(func(q *store.Snap) error {
		n, err := CountFailed(q)
		want(t, "counted", n, int64(2))
		return err
	})
}

// A new version tries once what an earlier one could not apply, however much it
// is; the same version does not try again at its next start.
func TestANewVersionTriesOnce(t *testing.T) {
	h := newHouse(t)
	var bodies []string
	for i := range 2*retryBatch + 20 {
		bodies = append(bodies, fmt.Sprintf(`{"object":"whatsapp_business_account","n":%d}`, i))
	}
	h.deliver(bodies...)
	want(t, "failed", len(h.failed()), len(bodies))
	start := func(version string) (tried int) {
		in := New(Config{DB: h.db, Version: version, Resync: func() {}, Log: slog.New(slog.NewTextHandler(&h.log, nil))})
		if err := in.retryOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, r := range h.rows() {
			if r.State == "stored" {
				tried++
			}
		}
		h.apply()
		return tried
	}
	want(t, "without a version", start(""), 0)
	want(t, "by a version", start("v1.2.3"), len(bodies))
	want(t, "by the same once more", start("v1.2.3"), 0)
	h.crash()
	want(t, "by the same after a crash", start("v1.2.3"), 0)
	want(t, "by the next", start("v1.2.4"), len(bodies))
	want(t, "failed", len(h.failed()), len(bodies))
}
