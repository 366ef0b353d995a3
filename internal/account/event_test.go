package account

import (
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

func TestApplyStatus(t *testing.T) {
	ref := whatsapp.TemplateRef{WABA: first, Name: "a", Language: "pt_BR"}
	for _, tt := range []struct {
		event, reason string
		reread        bool
		status        whatsapp.TemplateStatus
		rejected      string
	}{
		{"APPROVED", "NONE", false, "APPROVED", ""},
		{"PENDING", "", false, "PENDING", ""},
		{"REJECTED", "INVALID_FORMAT", false, "REJECTED", "INVALID_FORMAT"},
		{"PAUSED", "", false, "PAUSED", ""},
		{"DISABLED", "", false, "DISABLED", ""},
		{"DELETED", "", false, "DELETED", ""},
		{"IN_APPEAL", "", false, "IN_APPEAL", ""},
		{"PENDING_DELETION", "", false, "PENDING_DELETION", ""},
		{"LIMIT_EXCEEDED", "", false, "LIMIT_EXCEEDED", ""},
		{"ARCHIVED", "", false, "ARCHIVED", ""},
		{"paused", "", false, "PAUSED", ""},
		{"FLAGGED", "", true, "APPROVED", ""},
		{"LOCKED", "", true, "APPROVED", ""},
		{"REINSTATED", "", true, "APPROVED", ""},
		{"UNARCHIVED", "", true, "APPROVED", ""},
		{"SOMETHING_NEW", "", true, "APPROVED", ""},
	} {
		t.Run(tt.event, func(t *testing.T) {
			h := newHouse(t)
			h.sync()
			h.write(func(tx *store.Tx) error {
				reread, err := ApplyStatus(tx, ref, tt.event, tt.reason, time.Time{})
				want(t, "read again", reread, tt.reread)
				return err
			})
			got := h.template(first, "a")
			want(t, "status", got.Status, tt.status)
			want(t, "reason", got.RejectedReason, tt.rejected)
			want(t, "sendable", got.Sendable(), tt.status == whatsapp.TemplateApproved)
			want(t, "the other account's", h.template(second, "a").Status, "PENDING")
		})
	}
}

// A template that Meta approves again goes on, whatever an error had stopped;
// what people or others stopped stays stopped.
func TestApprovalLiftsThePause(t *testing.T) {
	h := newHouse(t)
	h.sync()
	ref := whatsapp.TemplateRef{WABA: first, Name: "a", Language: "pt_BR"}
	h.write(func(tx *store.Tx) error {
		for _, hold := range []outbox.Hold{
			{Scope: outbox.ScopeTemplate, Target: ref.Target(), Reason: "template_paused", Actor: "meta"},
			{Scope: outbox.ScopeTemplate, Target: ref.Target(), Reason: "operator", Actor: "maria"},
			{Scope: outbox.ScopeTemplate, Target: second + "/a/pt_BR", Reason: "template_paused", Actor: "meta"},
		} {
			if _, err := outbox.Place(tx, hold); err != nil {
				return err
			}
		}
		_, err := ApplyStatus(tx, ref, "PAUSED", "", time.Time{})
		return err
	})
	want(t, "holds", len(h.holds()), 3)
	h.write(func(tx *store.Tx) error {
		_, err := ApplyStatus(tx, ref, "APPROVED", "", time.Time{})
		return err
	})
	want(t, "holds", h.holds(), []string{"template " + ref.Target() + " operator", "template " + second + "/a/pt_BR template_paused"})
}

func TestEventsOfUnknownTemplatesChangeNothing(t *testing.T) {
	h := newHouse(t)
	h.sync()
	before := h.known()
	ref := whatsapp.TemplateRef{WABA: first, Name: "nova", Language: "pt_BR"}
	h.write(func(tx *store.Tx) error {
		reread, err := ApplyStatus(tx, ref, "APPROVED", "", time.Time{})
		want(t, "read again", reread, true)
		if err != nil {
			return err
		}
		if _, err := ApplyCategory(tx, ref, whatsapp.Utility, time.Time{}); err != nil {
			return err
		}
		if _, err := ApplyCorrectCategory(tx, ref, "UTILITY", time.Time{}); err != nil {
			return err
		}
		_, err = ApplyQuality(tx, ref, "RED", time.Time{})
		return err
	})
	want(t, "templates", h.known(), before)
}

func TestApplyCategoryAndQuality(t *testing.T) {
	h := newHouse(t)
	h.sync()
	ref := whatsapp.TemplateRef{WABA: first, Name: "a", Language: "pt_BR"}
	before := h.template(first, "a")
	lane := h.db.Wakes(outbox.Topic(whatsapp.LaneMarketing))
	h.write(func(tx *store.Tx) error { _, err := ApplyCorrectCategory(tx, ref, "UTILITY", time.Time{}); return err })
	h.write(func(tx *store.Tx) error { _, err := ApplyQuality(tx, ref, "yellow", time.Time{}); return err })
	announced := h.template(first, "a")
	want(t, "announced", []string{announced.CorrectCategory, announced.Quality, string(announced.Category), announced.Hash}, []string{"UTILITY", "YELLOW", "marketing", before.Hash})
	asleep(t, "when nothing that decides changed", lane)
	h.write(func(tx *store.Tx) error { _, err := ApplyCategory(tx, ref, whatsapp.Utility, time.Time{}); return err })
	done := h.template(first, "a")
	want(t, "category", done.Category, whatsapp.Utility)
	if done.Hash == before.Hash {
		t.Error("another category kept its hash")
	}
	woken(t, "at the change", lane)
	// A look at Meta has the last word.
	h.pass(time.Second)
	h.sync()
	want(t, "after a look", h.template(first, "a").Category, whatsapp.Marketing)
}
