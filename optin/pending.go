package optin

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ErrNoPending says that nothing of that id waits to be confirmed: it never did,
// was confirmed, or its time is over.
var ErrNoPending = errors.New("optin: nothing of that id waits to be confirmed")

// Pending is what a person has to confirm (double opt-in). It permits nothing.
type Pending struct {
	ID        string
	ExpiresAt time.Time
}

// Confirmation is how they did.
type Confirmation struct {
	Source   Source // by what door
	Actor    string
	At       time.Time
	Evidence Evidence // what they wrote, or the page on which they confirmed
}

// proposal is what a row of pending_consents keeps of a grant.
type proposal struct {
	Identity whatsapp.Identity `json:"identity"`
	Category whatsapp.Category `json:"category"`
	Scope    string            `json:"scope"`
	Purpose  string            `json:"purpose"`
	Source   Source            `json:"source"`
	Actor    string            `json:"actor"`
	Evidence Evidence          `json:"evidence"`
	At       time.Time         `json:"at"`
	Anew     bool              `json:"anew,omitempty"`
}

var (
	sqlPropose  = store.SQL(`INSERT INTO pending_consents (id, contact_id, client, grants, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`)
	sqlPending  = store.SQL(`SELECT id, grants FROM pending_consents WHERE id = ?1 AND client = ?2 AND expires_at > ?3`)
	sqlPendings = store.SQL(`SELECT p.id, p.grants FROM contacts c CROSS JOIN contacts m CROSS JOIN pending_consents p
		WHERE c.id = CAST(?1 AS BIGINT) AND m.root = c.root AND p.contact_id = m.id AND p.expires_at > ?2 ORDER BY p.created_at, p.id`)
	sqlConfirmed    = store.SQL(`DELETE FROM pending_consents WHERE id = ?1`)
	sqlSweepPending = store.SQL(`DELETE FROM pending_consents WHERE id IN (SELECT id FROM pending_consents WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)`)
	sqlForgetOffers = store.SQL(`DELETE FROM pending_consents WHERE contact_id = ?1`)
)

type pendingRow struct{ id, grants string }

// Fields names the places of sqlPending's columns.
func (p *pendingRow) Fields() []any { return []any{&p.id, &p.grants} }

// Propose keeps grants of one person until they confirm them, for ttl at most.
// client is who may confirm by id. Errors are those of Record.
func Propose(tx *store.Tx, client string, grants []Grant, ttl time.Duration) (Pending, error) {
	if len(grants) == 0 {
		return Pending{}, invalid("there is nothing to confirm")
	}
	kept := make([]proposal, 0, len(grants))
	for i := range grants {
		g := &grants[i]
		if err := g.check(tx.Now()); err != nil {
			return Pending{}, err
		}
		if hidden, err := forgotten(tx, g); err != nil || len(hidden) > 0 && !g.AfterForgetting {
			return Pending{}, errors.Join(err, ErrForgotten)
		}
		kept = append(kept, proposal{g.Identity, g.Category, g.Scope, g.Purpose, g.Source, g.Actor, g.Evidence, g.At, g.AfterForgetting})
	}
	c, _, err := contacts.Ensure(tx, grants[0].Identity)
	if err != nil {
		return Pending{}, err
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return Pending{}, err
	}
	p := Pending{ID: "opt_" + strings.ToLower(rand.Text()), ExpiresAt: tx.Now().Add(ttl)}
	return p, tx.One(sqlPropose, p.ID, c.ID, client, string(text), store.Millis(tx.Now()), store.Millis(p.ExpiresAt))
}

// Confirm records what one client's proposal holds, as of the confirmation and
// with both evidences. ErrNoPending: there is none.
func Confirm(tx *store.Tx, client, id string, c Confirmation) ([]Recorded, []whatsapp.Category, error) {
	row, ok, err := store.Get[pendingRow](tx, sqlPending, id, client, store.Millis(tx.Now()))
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, ErrNoPending
	}
	return row.confirm(tx, c)
}

// ConfirmAll records everything that waits for a person, who has said so in the
// chat.
func ConfirmAll(tx *store.Tx, contact int64, c Confirmation) (out []Recorded, err error) {
	rows, err := store.All[pendingRow](tx, sqlPendings, contact, store.Millis(tx.Now()))
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		recorded, _, err := row.confirm(tx, c)
		if err != nil {
			return nil, err
		}
		out = append(out, recorded...)
	}
	return out, nil
}

func (p *pendingRow) confirm(tx *store.Tx, c Confirmation) (out []Recorded, categories []whatsapp.Category, err error) {
	var kept []proposal
	if err := json.Unmarshal([]byte(p.grants), &kept); err != nil {
		return nil, nil, fmt.Errorf("optin: what waits as %s: %w", p.id, err)
	}
	for _, k := range kept {
		ev := k.Evidence
		ev.Asked = k.At.UTC().Format(time.RFC3339)
		ev.Confirmed = &c.Evidence
		r, err := Record(tx, Grant{Identity: k.Identity, Category: k.Category, Scope: k.Scope, Purpose: k.Purpose, Source: c.Source, Actor: c.Actor,
			Evidence: ev, At: c.At, AfterForgetting: k.Anew})
		if err != nil {
			return nil, nil, err
		}
		out, categories = append(out, r), append(categories, k.Category)
	}
	return out, categories, tx.One(sqlConfirmed, p.id)
}

// SweepPending removes at most limit of what was not confirmed in time.
func SweepPending(tx *store.Tx, limit int) (int64, error) {
	return tx.Exec(sqlSweepPending, store.Millis(tx.Now()), limit)
}
