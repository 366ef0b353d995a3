package account

import (
	"strings"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// statusEvents are the events of message_template_status_update that are
// statuses at the same time. FLAGGED, LOCKED, REINSTATED and UNARCHIVED are not:
// after them the template is read again (Meta: message_template_status_update).
var statusEvents = map[string]bool{
	"APPROVED": true, "PENDING": true, "REJECTED": true, "PAUSED": true, "DISABLED": true, "DELETED": true,
	"IN_APPEAL": true, "PENDING_DELETION": true, "LIMIT_EXCEEDED": true, "ARCHIVED": true,
}

// ApplyStatus takes a template's new status from a callback. reread says that
// only a fresh look at Meta tells what it is now.
func ApplyStatus(tx *store.Tx, ref whatsapp.TemplateRef, event, reason string) (reread bool, err error) {
	t, ok, err := Lookup(tx, ref)
	if err != nil || !ok {
		return true, err
	}
	event = strings.ToUpper(event)
	if !statusEvents[event] {
		return true, nil
	}
	t.Status = whatsapp.TemplateStatus(event)
	if reason != "" && !strings.EqualFold(reason, "NONE") {
		t.RejectedReason = reason
	}
	if t.Status == whatsapp.TemplateApproved {
		// What an error had stopped goes on: Meta says that it may.
		if _, err := outbox.Lift(tx, outbox.ScopeTemplate, ref.Target(), "template_paused", "meta"); err != nil {
			return false, err
		}
	}
	_, err = put(tx, t)
	return false, err
}

// ApplyCategory takes a template's new category from a callback: done, not only
// announced. Streams that declare another one wait from now on.
func ApplyCategory(tx *store.Tx, ref whatsapp.TemplateRef, category whatsapp.Category) error {
	t, ok, err := Lookup(tx, ref)
	if err != nil || !ok {
		return err
	}
	t.Category = category
	_, err = put(tx, t)
	return err
}

// ApplyCorrectCategory notes that Meta announced to move the template.
func ApplyCorrectCategory(tx *store.Tx, ref whatsapp.TemplateRef, category string) error {
	t, ok, err := Lookup(tx, ref)
	if err != nil || !ok {
		return err
	}
	t.CorrectCategory = category
	_, err = put(tx, t)
	return err
}

// ApplyQuality takes a template's new quality from a callback.
func ApplyQuality(tx *store.Tx, ref whatsapp.TemplateRef, score string) error {
	t, ok, err := Lookup(tx, ref)
	if err != nil || !ok {
		return err
	}
	t.Quality = strings.ToUpper(score)
	_, err = put(tx, t)
	return err
}
