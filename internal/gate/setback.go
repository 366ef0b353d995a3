package gate

import (
	"time"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// undeliverableDays is on how many different days messages to a person must
// have failed as undeliverable until nothing more is sent to them. Meta does not
// say whether they are not on WhatsApp, or have an old app, or have not accepted
// its terms: one day says little, and every further try counts against the
// number's quality.
const undeliverableDays = 3

// dayLength is how far apart two failures count as of different days, so that
// midnight does not make two of one evening.
const dayLength = 20 * time.Hour

// Setback is what Meta's errors say of a person.
type Setback struct {
	Contact         int64
	CappedUntil     int64 // ms; no marketing before
	Days            int   // on which messages to them were undeliverable
	CountedAt       int64 // ms; the last of them
	UndeliverableAt int64 // ms; since when nothing but codes and answers goes to them; 0: it may
}

// Fields names the places of setbackColumns.
func (s *Setback) Fields() []any {
	return []any{&s.Contact, &s.CappedUntil, &s.Days, &s.CountedAt, &s.UndeliverableAt}
}

const setbackColumns = `contact_id, capped_until, days, counted_at, undeliverable_at`

var (
	sqlSetback = store.SQL(`SELECT ` + setbackColumns + ` FROM setbacks WHERE contact_id = ?1`)
	sqlCap     = store.SQL(`INSERT INTO setbacks (contact_id, capped_until) VALUES (?1, ?2)
		ON CONFLICT (contact_id) DO UPDATE SET capped_until = excluded.capped_until WHERE setbacks.capped_until < excluded.capped_until`)
	sqlUndelivered = store.SQL(`INSERT INTO setbacks (contact_id, days, counted_at, undeliverable_at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (contact_id) DO UPDATE SET days = excluded.days, counted_at = excluded.counted_at, undeliverable_at = excluded.undeliverable_at`)
	sqlReachable = store.SQL(`UPDATE setbacks SET days = 0, counted_at = 0, undeliverable_at = 0 WHERE (days > 0 OR undeliverable_at > 0)
		AND contact_id IN (SELECT k.id FROM contacts p CROSS JOIN contacts k WHERE p.id = ?1 AND k.root = p.root)`)
	// Whether anything reached any contact of the person since: then the count
	// begins anew.
	sqlArrived = store.SQL(`SELECT COALESCE(MAX(m.delivered_at), 0), COALESCE(MAX(m.read_at), 0) FROM contacts p CROSS JOIN contacts k CROSS JOIN messages m
		WHERE p.id = ?1 AND k.root = p.root AND m.contact_id = k.id AND m.contact_id > 0 AND m.run_id > 0
		UNION ALL SELECT COALESCE(MAX(m.delivered_at), 0), COALESCE(MAX(m.read_at), 0) FROM contacts p CROSS JOIN contacts k CROSS JOIN messages m
		WHERE p.id = ?1 AND k.root = p.root AND m.contact_id = k.id AND m.contact_id > 0 AND m.run_id = 0
		UNION ALL SELECT COALESCE(MAX(m.delivered_at), 0), COALESCE(MAX(m.read_at), 0) FROM contacts p CROSS JOIN contacts k CROSS JOIN past_messages m
		WHERE p.id = ?1 AND k.root = p.root AND m.contact_id = k.id AND m.contact_id > 0`)
	sqlUndeliverable = store.SQL(`SELECT ` + setbackColumns + ` FROM setbacks WHERE undeliverable_at > 0
		AND (undeliverable_at, contact_id) > (?1, ?2) ORDER BY undeliverable_at, contact_id LIMIT ?3`)
	sqlUndeliverables = store.SQL(`SELECT COUNT(*) FROM setbacks WHERE undeliverable_at > 0`)
)

type arrived struct{ delivered, read int64 }

// Fields names the places of sqlArrived.
func (a *arrived) Fields() []any { return []any{&a.delivered, &a.read} }

// SetbackOf returns what Meta's errors say of a contact.
func SetbackOf(q store.Querier, contact int64) (Setback, error) {
	s, _, err := store.Get[Setback](q, sqlSetback, contact)
	return s, err
}

// Undeliverable lists at most limit contacts to whom nothing but codes and
// answers is sent, the oldest first, from behind one on.
func Undeliverable(q store.Querier, after Setback, limit int) ([]Setback, error) {
	return store.All[Setback](q, sqlUndeliverable, after.UndeliverableAt, after.Contact, limit)
}

// CountUndeliverable counts them.
func CountUndeliverable(q store.Querier) (int64, error) {
	n, _, err := store.Value[int64](q, sqlUndeliverables)
	return n, err
}

// Reachable takes back that messages to a person cannot be delivered: they wrote
// to us, a message reached them, or somebody says so. It returns how many
// contacts it was said of.
func Reachable(tx *store.Tx, contact int64) (int64, error) { return tx.Exec(sqlReachable, contact) }

// capped defers marketing to the person: Meta chose not to deliver it, and
// trying again sooner only harms the number.
func capped(tx *store.Tx, f Failure) error {
	until := tx.Now().Add(longer(f.Code.RetryAfter, 24*time.Hour))
	return f.ofPerson(tx, func(contact int64) error {
		_, err := tx.Exec(sqlCap, contact, store.Millis(until))
		return err
	})
}

// undelivered counts a day on which the person could not be reached, and says
// whether it was the one too many.
func undelivered(tx *store.Tx, f Failure) (gone bool, err error) {
	s, err := SetbackOf(tx, f.Message.Contact)
	if err != nil || f.Message.Contact == 0 || s.UndeliverableAt > 0 {
		return false, err
	}
	now := store.Millis(tx.Now())
	if s.Days > 0 && now-s.CountedAt < dayLength.Milliseconds() {
		return false, nil
	}
	since, err := store.All[arrived](tx, sqlArrived, f.Message.Contact)
	if err != nil {
		return false, err
	}
	for _, a := range since {
		if max(a.delivered, a.read) >= s.CountedAt {
			s.Days = 0
		}
	}
	s.Days++
	if gone = s.Days >= undeliverableDays; gone {
		s.UndeliverableAt = now
	}
	return gone, f.ofPerson(tx, func(contact int64) error {
		_, err := tx.Exec(sqlUndelivered, contact, s.Days, now, s.UndeliverableAt)
		return err
	})
}

// ofPerson calls fn for every contact of the person whom a message went to.
func (f *Failure) ofPerson(tx *store.Tx, fn func(contact int64) error) error {
	members, err := contacts.Members(tx, f.Message.Contact)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}

// reaches says whether a category goes to somebody to whom messages cannot be
// delivered: a code does, whose sender decides by a rule of its own, and an
// answer, because they wrote.
func reaches(c whatsapp.Category) bool { return c == whatsapp.Authentication || c == whatsapp.Service }
