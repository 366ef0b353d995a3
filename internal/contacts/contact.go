package contacts

import (
	"errors"
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Contact is one entry of the book. Contacts with the same Root are the same
// person.
type Contact struct{ ID, Root int64 }

// errEmpty says that the caller had nothing to look for.
var errEmpty = errors.New("contacts: an empty identity names nobody; leave it out")

// seenEvery is how coarse last_seen is: a campaign must not write a row per
// message to say that a number is still a number.
const seenEvery = 24 * time.Hour

// The parameters of joins are cast because SQLite prepares a join anew each time
// a bare parameter that is compared for equality is bound.
var (
	sqlFind = store.SQL(`SELECT c.id, c.root, i.last_seen FROM identities i
		JOIN contacts c ON c.id = i.contact_id WHERE i.value = CAST(?1 AS TEXT) AND i.kind = CAST(?2 AS TEXT)`)
	sqlCreate = store.SQL(`INSERT INTO contacts (id, root, created_at) VALUES (?1, ?1, ?2)`)
	sqlName   = store.SQL(`INSERT INTO identities (value, kind, contact_id, match_key, first_seen, last_seen)
		VALUES (?1, ?2, ?3, ?4, ?5, ?5)`)
	sqlSeen = store.SQL(`UPDATE identities SET last_seen = ?3 WHERE value = ?1 AND kind = ?2`)
)

type found struct {
	Contact
	lastSeen int64
}

// Fields names the places of sqlFind's columns.
func (f *found) Fields() []any { return []any{&f.ID, &f.Root, &f.lastSeen} }

// Find returns the contact that the identity points to, exactly as spelt. ok is
// false when nobody has it.
func Find(q store.Querier, id whatsapp.Identity) (c Contact, ok bool, err error) {
	f, ok, err := find(q, id)
	return f.Contact, ok, err
}

func find(q store.Querier, id whatsapp.Identity) (f found, ok bool, err error) {
	if id.Zero() {
		return f, false, errEmpty
	}
	f, ok, err = store.Get[found](q, sqlFind, id.Value, string(id.Kind))
	if err != nil {
		return f, false, fmt.Errorf("contacts: find %v: %w", id, err)
	}
	return f, ok, nil
}

// OfWamid returns the contact that a message's id of Meta's names, where it can
// be read and somebody has that identity.
func OfWamid(q store.Querier, w whatsapp.Wamid) (c Contact, ok bool, err error) {
	id, ok := w.Person()
	if !ok {
		return c, false, nil
	}
	if id.Kind == whatsapp.KindWaID { // as the book has it most often
		if c, ok, err = Find(q, whatsapp.Identity{Kind: whatsapp.KindPhone, Value: "+" + id.Value}); err != nil || ok {
			return c, ok, err
		}
	}
	return Find(q, id)
}

// Ensure is Find, and makes a contact with the identity when there is none.
func Ensure(tx *store.Tx, id whatsapp.Identity) (c Contact, created bool, err error) {
	f, ok, err := seen(tx, id)
	if err != nil || ok {
		return f.Contact, false, err
	}
	c, err = create(tx)
	if err != nil {
		return c, false, err
	}
	return c, true, name(tx, c, id)
}

// seen is find, and keeps last_seen.
func seen(tx *store.Tx, id whatsapp.Identity) (f found, ok bool, err error) {
	f, ok, err = find(tx, id)
	if err != nil || !ok {
		return f, ok, err
	}
	if now := tx.Now(); now.Sub(store.Time(f.lastSeen)) >= seenEvery {
		if err := tx.One(sqlSeen, id.Value, string(id.Kind), store.Millis(now)); err != nil {
			return f, true, fmt.Errorf("contacts: note that %v was seen: %w", id, err)
		}
	}
	return f, true, nil
}

func create(tx *store.Tx) (Contact, error) {
	id := tx.NewID()
	if err := tx.One(sqlCreate, id, store.Millis(tx.Now())); err != nil {
		return Contact{}, fmt.Errorf("contacts: make a contact: %w", err)
	}
	return Contact{ID: id, Root: id}, nil
}

func name(tx *store.Tx, c Contact, id whatsapp.Identity) error {
	if id.Kind == whatsapp.KindPhone {
		tx.Changes(phones)
	}
	err := tx.One(sqlName, id.Value, string(id.Kind), c.ID, whatsapp.MatchKey(id), store.Millis(tx.Now()))
	if err != nil {
		return fmt.Errorf("contacts: store %v of contact %d: %w", id, c.ID, err)
	}
	return nil
}
