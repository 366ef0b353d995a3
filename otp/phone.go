package otp

import (
	"janela/internal/access"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// phone is what is remembered of a number, as far as it decides about sending;
// its wrong guesses are the limits' matter.
type phone struct{ Muted, NotOnWhatsApp, Changed int64 } // ms

// Fields names the places of sqlPhone.
func (p *phone) Fields() []any { return []any{&p.Muted, &p.NotOnWhatsApp, &p.Changed} }

var (
	sqlPhone = store.SQL(`SELECT muted_until, not_on_whatsapp_until, identity_changed_at FROM code_phones WHERE phone_key = ?1`)
	sqlMute  = store.SQL(`INSERT INTO code_phones (phone_key, muted_until, changed_at) VALUES (?1, ?2, ?3)
		ON CONFLICT (phone_key) DO UPDATE SET muted_until = excluded.muted_until, changed_at = excluded.changed_at`)
	sqlAbsent = store.SQL(`INSERT INTO code_phones (phone_key, not_on_whatsapp_until, changed_at) VALUES (?1, ?2, ?3)
		ON CONFLICT (phone_key) DO UPDATE SET not_on_whatsapp_until = excluded.not_on_whatsapp_until, changed_at = excluded.changed_at`)
	sqlChanged = store.SQL(`INSERT INTO code_phones (phone_key, identity_changed_at, changed_at) VALUES (?1, ?2, ?2)
		ON CONFLICT (phone_key) DO UPDATE SET identity_changed_at = excluded.identity_changed_at, changed_at = excluded.changed_at`)
	sqlUnlock = store.SQL(`UPDATE code_phones SET failures = 0, locked_at = 0, muted_until = 0, not_on_whatsapp_until = 0,
		identity = CASE WHEN identity_changed_at > 0 THEN '' ELSE identity END, identity_changed_at = 0, changed_at = ?2
		WHERE phone_key = ?1 AND (failures > 0 OR locked_at > 0 OR muted_until > ?2 OR not_on_whatsapp_until > ?2 OR identity_changed_at > 0)`)
	sqlForgive = store.SQL(`DELETE FROM code_failures WHERE phone_key = ?1`)
)

// ruleMuted is the rule of a phone whose person did not ask for codes; others
// stand with the limits.
const ruleMuted = "muted"

// reachable says whether codes may be asked for a phone at all. A known device
// is not bound by what others did, so that nobody can lock a person out.
func (o *OTP) reachable(q store.Querier, a sendAsk) (phone, error) {
	p, _, err := store.Get[phone](q, sqlPhone, a.phoneKey)
	switch now := q.Now(); {
	case err != nil:
		return p, err
	case p.Changed > 0:
		return p, denied(CodeIdentityChanged, "another device or person has this number now (137000): verify the person by another way, then janela otp unlock")
	case p.Muted > store.Millis(now) && !a.trusted:
		return p, &Denied{Code: CodePhoneLocked, Scope: "phone", Rule: ruleMuted, RetryAfter: store.Time(p.Muted).Sub(now),
			Detail: "the person at this number did not ask for codes"}
	default:
		return p, nil
	}
}

// Unlock opens a phone that is locked, muted, known not to be on WhatsApp, or
// has changed hands, and forgets its wrong guesses. changed is false when there
// was nothing to open.
func (o *OTP) Unlock(tx *store.Tx, phone whatsapp.Phone, actor string) (changed bool, err error) {
	key := o.phoneKey(phone)
	opened, err := tx.Exec(sqlUnlock, key, store.Millis(tx.Now()))
	if err != nil {
		return false, err
	}
	forgiven, err := tx.Exec(sqlForgive, key)
	if err != nil || opened+forgiven == 0 {
		return false, err
	}
	tx.Wake(Topic)
	return true, access.Note(tx, access.Entry{Actor: actor, Command: "otp unlock", Object: "phone " + key})
}
