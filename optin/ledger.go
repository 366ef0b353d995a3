package optin

import (
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlHave = store.SQL(`SELECT id FROM consent_events WHERE contact_id = ?1 AND category = ?2 AND kind = ?3
		AND scope = ?4 AND purpose = ?5 AND source = ?6 AND at = ?7 ORDER BY id LIMIT 1`)
	sqlAppend = store.SQL(`INSERT INTO consent_events (id, contact_id, category, kind, scope, purpose, source, evidence, actor, at, recorded_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)`)
	sqlGranted = store.SQL(`INSERT INTO consents (contact_id, category, scope, granted_at, grant_event) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (contact_id, category, scope) DO UPDATE SET granted_at = excluded.granted_at, grant_event = excluded.grant_event
		WHERE excluded.granted_at > consents.granted_at`)
	sqlRevoked = store.SQL(`INSERT INTO consents (contact_id, category, scope, revoked_at, revoke_event) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (contact_id, category, scope) DO UPDATE SET revoked_at = excluded.revoked_at, revoke_event = excluded.revoke_event
		WHERE excluded.revoked_at > consents.revoked_at`)
	sqlStandings = store.SQL(`SELECT k.contact_id, k.scope, k.granted_at, k.revoked_at, k.grant_event, k.revoke_event
		FROM contacts c JOIN contacts m ON m.root = c.root JOIN consents k ON k.contact_id = m.id
		WHERE c.id = ?1 AND k.category = ?2 ORDER BY k.contact_id, k.scope`)
	sqlLastGrant = store.SQL(`SELECT COALESCE(MAX(granted_at), 0) FROM consents WHERE contact_id = ?1 AND category = ?2`)
	sqlHistory   = store.SQL(`SELECT e.id, e.contact_id, e.category, e.kind, e.scope, e.purpose, e.source, e.evidence, e.actor, e.at, e.recorded_at
		FROM contacts c JOIN contacts m ON m.root = c.root JOIN consent_events e ON e.contact_id = m.id
		WHERE c.id = ?1 ORDER BY e.id`)
)

// append writes an event down and brings consents up to date, unless the same
// event is there already: fresh is false then, and e.ID the one that is. moved
// says that the event is now the latest of its kind.
func (e *Event) append(tx *store.Tx) (fresh, moved bool, err error) {
	if err := e.afterGrants(tx); err != nil {
		return false, false, err
	}
	have, ok, err := store.Value[int64](tx, sqlHave, e.Contact, e.Category, e.Kind, e.Scope, e.Purpose, e.Source, store.Millis(e.At))
	if err != nil || ok {
		e.ID = have
		return false, false, err
	}
	return e.appendNew(tx)
}

// afterGrants puts a revocation behind the grants of a clock that was ahead: by
// the clock as it is now they were given in the future, and whoever stops now
// stops after them.
func (e *Event) afterGrants(tx *store.Tx) error {
	if e.Kind != kindRevoke {
		return nil
	}
	last, _, err := store.Value[int64](tx, sqlLastGrant, e.Contact, e.Category)
	if err != nil || last <= store.Millis(tx.Wall()) {
		return err
	}
	e.RecordedAt = store.Time(max(last, store.Millis(tx.Now())))
	e.At = e.RecordedAt
	return nil
}

// appendNew is append for an event that cannot be there yet. Its instant in
// consents is never later than that of recording: see doc.go.
func (e *Event) appendNew(tx *store.Tx) (fresh, moved bool, err error) {
	if e.RecordedAt.IsZero() {
		e.RecordedAt = tx.Now()
	}
	e.ID = tx.NewID()
	_, err = tx.Exec(sqlAppend, e.ID, e.Contact, e.Category, e.Kind, e.Scope, e.Purpose, e.Source, e.Evidence.json(), e.Actor,
		store.Millis(e.At), store.Millis(e.RecordedAt))
	if err != nil {
		return false, false, err
	}
	stmt := sqlGranted
	if e.Kind == kindRevoke {
		stmt = sqlRevoked
	}
	tx.Wake(Topic) // to be sealed
	n, err := tx.Exec(stmt, e.Contact, e.Category, e.Scope, store.Millis(e.counts()), e.ID)
	return true, n > 0, err
}

// counts is the instant at which the event takes effect, as stored. A revocation
// with an impossible date is not lost: it counts from when it was recorded.
func (e *Event) counts() time.Time {
	if e.At.After(e.RecordedAt) || e.At.Before(earliest) {
		return e.RecordedAt
	}
	return store.Time(store.Millis(e.At))
}

// standings returns the rows of everybody who is the same person as contact.
func standings(q store.Querier, contact int64, category whatsapp.Category) ([]Standing, error) {
	rows, err := store.All[standingRow](q, sqlStandings, contact, category)
	out := make([]Standing, len(rows))
	for i, r := range rows {
		r.GrantedAt, r.RevokedAt = store.Time(r.granted), store.Time(r.revoked)
		out[i] = r.Standing
	}
	return out, err
}

type standingRow struct {
	Standing
	granted, revoked int64
}

func (r *standingRow) Fields() []any {
	return []any{&r.Contact, &r.Scope, &r.granted, &r.revoked, &r.GrantEvent, &r.RevokeEvent}
}
