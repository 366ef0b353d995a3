package intake

import (
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// look asks whether news are missing, for a process that began then.
func (h *house) look(started time.Time) {
	h.t.Helper()
	if err := h.in.watch(h.t.Context(), &started); err != nil {
		h.t.Fatal(err)
	}
}

// accept is a message that Meta takes, in a state.
func (h *house) accept(as outbox.State) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		return h.in.Accepted(tx, []outbox.Outcome{{To: outbox.Failed}, {To: as}})
	})
}

func TestSilence(t *testing.T) {
	const limit = 15 * time.Minute
	held := []string{"category marketing webhook_silent until 0"}
	for _, tt := range []struct {
		name string
		do   func(h *house)
		want []string
	}{
		{"nothing was sent", func(h *house) { h.pass(24 * time.Hour); h.look(began) }, []string{}},
		{"just before", func(h *house) { h.accept(outbox.Accepted); h.pass(limit - time.Millisecond); h.look(began) }, []string{}},
		{"at the limit", func(h *house) { h.accept(outbox.Accepted); h.pass(limit); h.look(began) }, held},
		{"held back by Meta", func(h *house) { h.accept(outbox.AcceptedHeld); h.pass(limit); h.look(began) }, []string{}},
		{"a new process listens first", func(h *house) {
			h.accept(outbox.Accepted)
			h.pass(limit)
			h.look(h.wall().Add(-settleIn + time.Millisecond))
		}, []string{}},
		{"and then it misses them", func(h *house) {
			h.accept(outbox.Accepted)
			h.pass(limit)
			h.look(h.wall().Add(-settleIn))
		}, held},
		{"somebody wrote since", func(h *house) {
			h.accept(outbox.Accepted)
			h.pass(time.Minute)
			h.deliver(envelope("messages", messages(h.text(bia, "Oi"))))
			h.pass(limit)
			h.look(began)
		}, []string{}},
		{"a template was approved since", func(h *house) { // which does not come by the field messages
			h.accept(outbox.Accepted)
			h.deliver(envelope("message_template_status_update", `{"event":"APPROVED","message_template_name":"oferta","message_template_language":"pt_BR"}`))
			h.pass(limit)
			h.look(began)
		}, held},
		{"lifted by news", func(h *house) {
			h.accept(outbox.Accepted)
			h.pass(limit)
			h.look(began)
			h.deliver(envelope("messages", messages(h.text(bia, "Oi"))))
			h.look(began)
		}, []string{}},
		{"released by somebody: as long again", func(h *house) {
			h.accept(outbox.Accepted)
			h.pass(limit)
			h.look(began)
			h.write(func(tx *store.Tx) error {
				_, err := outbox.Lift(tx, outbox.ScopeCategory, string(whatsapp.Marketing), reasonSilent, "operator")
				return err
			})
			h.look(began) // sees it
			h.pass(time.Hour)
			h.look(began) // nothing was accepted since
			h.accept(outbox.Accepted)
			h.pass(limit - time.Millisecond)
			h.look(began)
		}, []string{}},
		{"released by somebody, and silent again", func(h *house) {
			h.accept(outbox.Accepted)
			h.pass(limit)
			h.look(began)
			h.write(func(tx *store.Tx) error {
				_, err := outbox.Lift(tx, outbox.ScopeCategory, string(whatsapp.Marketing), reasonSilent, "operator")
				return err
			})
			h.look(began)
			h.accept(outbox.Accepted)
			h.pass(limit)
			h.look(began)
		}, held},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.in.Set(Live{Silent: limit})
			tt.do(h)
			want(t, "holds", h.holds(), tt.want)
		})
	}
}

// The hold says what to mend: the signature where callbacks come with a wrong
// one, else the subscription.
func TestSilenceSaysWhatToMend(t *testing.T) {
	h := newHouse(t)
	if text := h.in.mend(hearing{waiting: 1}); !strings.Contains(text, "subscribed_apps") || !strings.Contains(text, "has ever come") {
		t.Error(text)
	}
	if text := h.in.mend(hearing{waiting: 1, heard: 1}); !strings.Contains(text, "came since 1970") {
		t.Error(text)
	}
	h.post("{}", "sha256=00")
	if text := h.in.mend(hearing{waiting: 1}); !strings.Contains(text, "app_secret_file") {
		t.Error(text)
	}
}
