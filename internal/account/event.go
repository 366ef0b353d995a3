package account

import (
	"strings"
	"time"

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

// told brings what a callback tells of a template into the form in which it
// counts. at is Meta's time of it, zero if it tells none. stale: what is known of
// the template is newer, by a reading or another callback; Meta repeats for days
// what it could not deliver, and in no order.
func told(tx *store.Tx, t *Template, at time.Time) (stale bool) {
	now := tx.Now()
	if at.IsZero() || at.After(now) {
		at = now
	}
	ms := store.Millis(at)
	if ms < t.EventAt || ms < t.ReadAt {
		return true
	}
	t.ToldAt, t.EventAt = store.Millis(now), ms
	return false
}

// ApplyStatus takes a template's new status from a callback. reread says that
// only a fresh look at Meta tells what it is now. What is older than what is
// known lets nothing go on; but a stop counts until that look.
func ApplyStatus(tx *store.Tx, ref whatsapp.TemplateRef, event, reason string, at time.Time) (reread bool, err error) {
	t, ok, err := Lookup(tx, ref)
	if err != nil || !ok {
		return true, err
	}
	event = strings.ToUpper(event)
	if !statusEvents[event] {
		return true, nil
	}
	stale := told(tx, &t, at)
	if stale && (event == string(whatsapp.TemplateApproved) || tx.Now().Sub(at) > staleStop) {
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
	return stale, err
}

// staleStop is how old a stop may be that counts although something newer is
// known: clocks differ by seconds, not by hours.
const staleStop = 10 * time.Minute

// ApplyCategory takes a template's new category from a callback: done, not only
// announced. Streams that declare another one wait from now on.
func ApplyCategory(tx *store.Tx, ref whatsapp.TemplateRef, category whatsapp.Category, at time.Time) (reread bool, err error) {
	return change(tx, ref, at, func(t *Template) { t.Category = category })
}

// ApplyCorrectCategory notes that Meta announced to move the template.
func ApplyCorrectCategory(tx *store.Tx, ref whatsapp.TemplateRef, category string, at time.Time) (reread bool, err error) {
	return change(tx, ref, at, func(t *Template) { t.CorrectCategory = category })
}

// ApplyQuality takes a template's new quality from a callback.
func ApplyQuality(tx *store.Tx, ref whatsapp.TemplateRef, score string, at time.Time) (reread bool, err error) {
	return change(tx, ref, at, func(t *Template) { t.Quality = strings.ToUpper(score) })
}

// change takes what a callback tells of a template that is known, unless
// something newer is known of it: then only a fresh look tells what holds.
func change(tx *store.Tx, ref whatsapp.TemplateRef, at time.Time, fn func(t *Template)) (reread bool, err error) {
	t, ok, err := Lookup(tx, ref)
	if err != nil || !ok {
		return false, err
	}
	if told(tx, &t, at) {
		return true, nil
	}
	fn(&t)
	_, err = put(tx, t)
	return false, err
}
