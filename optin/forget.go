package optin

import (
	"errors"
	"slices"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ReasonForgotten: the person asked to be forgotten, and has not agreed anew.
const ReasonForgotten = "forgotten"

// ErrForgotten says that a grant is of somebody who asked to be forgotten.
var ErrForgotten = errors.New("optin: the person asked to be forgotten, and a consent from before does not bring them back")

var (
	sqlForget   = store.SQL(`INSERT INTO forgettings (id, contact_id, actor, at) VALUES (?1, ?2, ?3, ?4)`)
	sqlSuppress = store.SQL(`INSERT INTO suppressions (hash, forgetting_id) VALUES (?1, ?2)`)
	sqlBlank    = store.SQL(`UPDATE consent_events SET evidence = '{}' WHERE contact_id = ?1 AND evidence <> '{}'`)
	sqlNoText   = store.SQL(`UPDATE consent_reviews SET text = '', wamid = 'forgotten-' || id WHERE contact_id = ?1`)
	sqlAny      = store.SQL(`SELECT lifted_at FROM suppressions WHERE lifted_at = 0 LIMIT 1`)
	sqlHidden   = store.SQL(`SELECT s.forgetting_id, f.at FROM suppressions s JOIN forgettings f ON f.id = s.forgetting_id
		WHERE s.hash IN (?1, ?2) AND s.lifted_at = 0 ORDER BY f.at DESC`)
	sqlLiftOf = store.SQL(`UPDATE suppressions SET lifted_at = ?2 WHERE forgetting_id = ?1 AND lifted_at = 0`)
)

// Forget takes the evidence from the events of contacts, and remembers by keyed
// hashes of the person's names that no list may bring them back. What is not
// sealed yet is sealed before: the hash of what is taken away stays in its seal.
// What is queued, and the names themselves, are others' to take away, in the same
// transaction.
func (l *Ledger) Forget(tx *store.Tx, contacts []int64, ids []whatsapp.Identity, actor string) error {
	s := newSealer(l.cfg.Keys, l.cfg.DB.Name())
	tail, err := tailOf(tx)
	if err != nil {
		return err
	}
	for {
		rows, err := store.All[eventRow](tx, sqlSince, tail.ref, tx.NewID(), sealBatch)
		if err != nil {
			return err
		}
		var fresh []seal
		for i := range rows {
			next := s.event(&rows[i])
			s.follow(&tail, &next)
			tail = next
			fresh = append(fresh, next)
		}
		if err := writeSeals(tx, fresh); err != nil {
			return err
		}
		if len(rows) < sealBatch {
			break
		}
	}
	var hashes []string
	for _, id := range ids {
		hashes = append(hashes, l.cfg.Keys.nameHash(id, false))
		if whatsapp.MatchKey(id) != "" {
			hashes = append(hashes, l.cfg.Keys.nameHash(id, true))
		}
	}
	slices.Sort(hashes)
	for i, contact := range contacts {
		f := forgettingRow{id: tx.NewID(), contact: contact, actor: actor, at: store.Millis(tx.Now())}
		if err := tx.One(sqlForget, f.id, f.contact, f.actor, f.at); err != nil {
			return err
		}
		if i == 0 {
			for _, hash := range slices.Compact(hashes) {
				if err := tx.One(sqlSuppress, hash, f.id); err != nil {
					return err
				}
			}
		}
		next, err := s.forgetting(tx, &f)
		if err != nil {
			return err
		}
		s.follow(&tail, &next)
		tail = next
		if err := writeSeals(tx, []seal{next}); err != nil {
			return err
		}
		for _, stmt := range []*store.Stmt{sqlBlank, sqlNoText, sqlForgetOffers} {
			if _, err := tx.Exec(stmt, contact); err != nil {
				return err
			}
		}
	}
	tx.Wake(Topic) // the head moved
	return nil
}

type hidden struct{ forgetting, at int64 }

// Fields names the places of sqlHidden's columns.
func (h *hidden) Fields() []any { return []any{&h.forgetting, &h.at} }

// forgotten returns what stands against a grant.
func forgotten(tx *store.Tx, g *Grant) ([]hidden, error) {
	if _, any, err := store.Value[int64](tx, sqlAny); err != nil || !any {
		return nil, err
	}
	keys, ok := store.Carried[*Keys](tx)
	if !ok {
		return nil, errors.New("optin: people were forgotten, and the key that tells who is not there")
	}
	return store.All[hidden](tx, sqlHidden, keys.nameHash(g.Identity, false), keys.nameHash(g.Identity, true))
}

// checkForgotten refuses a grant of somebody who was forgotten, unless the
// person agreed anew, themselves and later: then they may be written to again.
// Codes are apart: who asks for one is there.
func checkForgotten(tx *store.Tx, g *Grant) error {
	if g.Category == whatsapp.Authentication {
		return nil
	}
	rows, err := forgotten(tx, g)
	if err != nil {
		return err
	}
	for _, h := range rows {
		themselves := g.AfterForgetting || g.Source == SourceWhatsApp
		if !themselves || !g.At.After(store.Time(h.at)) {
			return ErrForgotten
		}
		if _, err := tx.Exec(sqlLiftOf, h.forgetting, store.Millis(tx.Now())); err != nil {
			return err
		}
		if g.Evidence.Via == "" {
			g.Evidence.Via = "the person agreed anew after " + store.Time(h.at).Format(time.RFC3339) + ", when they were forgotten"
		}
	}
	return nil
}
