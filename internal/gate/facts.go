package gate

import (
	"cmp"
	"slices"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// consentFacts are the three subselects over the consent ledger: the grant is
// the contact's own, revocations are those of every contact of the person.
// ?2 category, ?3 and ?4 the scopes beside '*', ?5 the number. A block and a
// review come in one figure, because a walk for each would be paid with every
// message: the block's time, else less than zero the earliest review's.
const (
	grantOf  = `COALESCE((SELECT MAX(g.granted_at) FROM consents g WHERE g.contact_id = m.contact_id AND g.category = ?2 AND g.scope IN ('*', ?3, ?4)), 0)`
	revokeOf = `COALESCE((SELECT MAX(r.revoked_at) FROM contacts p JOIN contacts k ON k.root = p.root JOIN consents r ON r.contact_id = k.id
		WHERE p.id = m.contact_id AND r.category = ?2 AND r.scope IN ('*', ?3, ?4)), 0)`
	blockOf = `COALESCE((SELECT MAX(CASE b.scope WHEN '@meta' THEN b.revoked_at ELSE -b.revoked_at END)
		FROM contacts p JOIN contacts k ON k.root = p.root JOIN consents b ON b.contact_id = k.id
		WHERE p.id = m.contact_id AND b.category = ?2 AND b.scope IN ('@meta', '@review') AND b.revoked_at > b.granted_at), 0)`
	windowOf = `COALESCE((SELECT MAX(w.closes_at) FROM contacts p JOIN contacts k ON k.root = p.root JOIN service_windows w ON w.contact_id = k.id
		WHERE p.id = m.contact_id AND w.number_id = ?5), 0)`
	// What Meta's errors say of the contact; a join, because it is one row by its
	// key, or none.
	setbackOf        = `COALESCE(d.capped_until, 0), COALESCE(d.undeliverable_at, 0)`
	candidateColumns = `m.id, m.stream_id, m.run_id, m.contact_id, m.address, m.kind, m.params, m.reply_to, m.line, m.state, m.reason,
		m.code, m.attempt, m.not_before, m.deadline, m.accepted_at`
)

// candidate is a message with the facts that decide about it.
type candidate struct {
	Message outbox.Message
	Facts   MessageFacts
}

// Fields names the places of candidateColumns and the facts.
func (c *candidate) Fields() []any {
	m := &c.Message
	return []any{&m.ID, &m.Stream, &m.Run, &m.Contact, &m.Address, &m.Kind, &m.Params, &m.ReplyTo, &m.Line, &m.State, &m.Reason,
		&m.Code, &m.Attempt, &m.NotBefore, &m.Deadline, &m.AcceptedAt,
		&c.Facts.Consent.GrantedAt, &c.Facts.Consent.RevokedAt, &c.Facts.Consent.MetaBlock, &c.Facts.WindowEnd, &c.Facts.CappedUntil,
		&c.Facts.UndeliverableAt}
}

func (c *candidate) facts() MessageFacts {
	f := c.Facts
	f.Consent.split()
	f.Kind, f.Contact, f.NotBefore, f.Deadline = c.Message.Kind, c.Message.Contact, c.Message.NotBefore, c.Message.Deadline
	return f
}

// The next messages of a stream, each with the rows that decide about its
// recipient: in one row of the answer where there is one. Subselects as above
// would look up the person anew for every figure. Consents are not asked for
// what is free-form, nor windows for what is not.
const (
	nextColumns = `id, contact_id, address, kind, params, reply_to, line, reason, code, attempt, not_before, deadline, accepted_at`
	nextOf      = `(SELECT ` + nextColumns + ` FROM messages WHERE stream_id = ?1 AND state = 'queued' AND not_before <= ?2 ORDER BY not_before, id LIMIT ?3) q
		LEFT JOIN contacts p ON p.id = q.contact_id LEFT JOIN contacts k ON k.root = p.root`
)

// next is one row of it.
type next struct {
	Message          outbox.Message
	owner            int64 // the contact, one of the person's, that the row is of
	scope            string
	granted, revoked int64
	closes           int64
	capped, gone     int64
}

// Fields names the places of sqlNext's columns.
func (n *next) Fields() []any {
	m := &n.Message
	return []any{&m.ID, &m.Contact, &m.Address, &m.Kind, &m.Params, &m.ReplyTo, &m.Line, &m.Reason, &m.Code, &m.Attempt, &m.NotBefore, &m.Deadline, &m.AcceptedAt,
		&n.owner, &n.scope, &n.granted, &n.revoked, &n.closes, &n.capped, &n.gone}
}

var (
	sqlNext = store.SQL(`SELECT q.*, COALESCE(k.id, 0), COALESCE(r.scope, ''), COALESCE(r.granted_at, 0), COALESCE(r.revoked_at, 0), 0, ` + setbackOf + `
		FROM ` + nextOf + ` LEFT JOIN setbacks d ON d.contact_id = q.contact_id LEFT JOIN consents r ON r.contact_id = k.id AND r.category = ?4`)
	sqlNextText = store.SQL(`SELECT q.*, COALESCE(k.id, 0), '', 0, 0, COALESCE(w.closes_at, 0), 0, 0
		FROM ` + nextOf + ` LEFT JOIN service_windows w ON w.contact_id = k.id AND w.number_id = ?4`)
	sqlOne = store.SQL(`SELECT ` + candidateColumns + `, ` + grantOf + `, ` + revokeOf + `, ` + blockOf + `, ` + windowOf + `, ` + setbackOf + `
		FROM messages m LEFT JOIN setbacks d ON d.contact_id = m.contact_id WHERE m.id = ?1`)
	// One walk over the person's few rows: three subselects as above would take
	// more than twice as long, and every login code asks this.
	sqlPerson = store.SQL(`SELECT COALESCE(MAX(CASE WHEN k.id = p.id AND (r.scope = '*' OR r.scope = ?3 OR r.scope = ?4) THEN r.granted_at END), 0),
			COALESCE(MAX(CASE WHEN r.scope = '*' OR r.scope = ?3 OR r.scope = ?4 THEN r.revoked_at END), 0),
			COALESCE(MAX(CASE WHEN r.revoked_at > r.granted_at THEN CASE r.scope WHEN '@meta' THEN r.revoked_at WHEN '@review' THEN -r.revoked_at END END), 0),
			COALESCE((SELECT MAX(w.closes_at) FROM contacts a JOIN contacts b ON b.root = a.root JOIN service_windows w ON w.contact_id = b.id
				WHERE a.id = ?1 AND w.number_id = ?5), 0)
		FROM contacts p JOIN contacts k ON k.root = p.root JOIN consents r ON r.contact_id = k.id WHERE p.id = ?1 AND r.category = ?2`)
)

// candidates reads the next n messages of a stream with what decides about them.
func candidates(q store.Querier, s outbox.Stream, number account.Number, n int) ([]candidate, error) {
	name, unit := scopes(number)
	stmt, by := sqlNext, string(s.Category)
	if s.Category == whatsapp.Service {
		stmt, by = sqlNextText, s.Number
	}
	out := make([]candidate, 0, n)
	at := make(map[int64]int, n)
	err := store.Each(q, stmt, func(row *next) error {
		i, ok := at[row.Message.ID]
		if !ok {
			i = len(out)
			at[row.Message.ID] = i
			m := row.Message
			m.Stream, m.Run, m.State = s.ID, s.Run, outbox.Queued
			out = append(out, candidate{Message: m})
		}
		f := &out[i].Facts
		f.WindowEnd = max(f.WindowEnd, row.closes)
		f.CappedUntil, f.UndeliverableAt = row.capped, row.gone
		f.Consent.add(row, name, unit)
		return nil
	}, s.ID, store.Millis(q.Now()), n, by)
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.Message.NotBefore, b.Message.NotBefore), cmp.Compare(a.Message.ID, b.Message.ID))
	})
	return out, err
}

// add takes in one row of the ledger of consents.
func (c *Consent) add(row *next, name, unit string) {
	switch row.scope {
	case "*", name, unit:
		if row.owner == row.Message.Contact {
			c.GrantedAt = max(c.GrantedAt, row.granted)
		}
		c.RevokedAt = max(c.RevokedAt, row.revoked)
	case "@meta":
		if row.revoked > row.granted {
			c.MetaBlock, c.ReviewAt = max(c.MetaBlock, row.revoked), 0
		}
	case "@review":
		if row.revoked > row.granted && c.MetaBlock == 0 && (c.ReviewAt == 0 || row.revoked < c.ReviewAt) {
			c.ReviewAt = row.revoked
		}
	}
}

// FactsOfStream reads what decides about a stream.
func FactsOfStream(q store.Querier, s outbox.Stream, holds []outbox.Hold) (StreamFacts, error) {
	f := StreamFacts{Stream: s}
	var err error
	if f.Number, f.Known, err = account.NumberByID(q, s.Number); err != nil {
		return f, err
	}
	if s.Template != "" {
		if f.Template, f.Listed, err = account.Lookup(q, s.Ref()); err != nil {
			return f, err
		}
	}
	for _, h := range holds {
		if h.Stops(&s) {
			f.Holds = append(f.Holds, h)
		}
	}
	f.Behind = max(q.Now().Sub(q.Wall()), 0)
	if s.Throttle.PerDay > 0 {
		if f.Today, err = outbox.SentToday(q, s); err != nil {
			return f, err
		}
	}
	f.Fileless, err = fileless(q, s)
	return f, err
}

// scopes are those beside '*' that speak for a number. One that it has not is
// '*' again, so that no row of an empty scope speaks for it.
func scopes(n account.Number) (name, unit string) {
	return cmp.Or(n.Name, "*"), cmp.Or(n.Unit, "*")
}

// FactsOfPerson reads what decides about a person for messages of a category
// from a number: for plan, why and what arrives by API.
func FactsOfPerson(q store.Querier, contact int64, category whatsapp.Category, n account.Number) (MessageFacts, error) {
	name, unit := scopes(n)
	row, _, err := store.Get[personRow](q, sqlPerson, contact, string(category), name, unit, n.ID)
	f := MessageFacts(row)
	f.Consent.split()
	f.Contact, f.Kind = contact, whatsapp.KindPhone
	if err != nil || reaches(category) {
		return f, err
	}
	set, err := SetbackOf(q, contact)
	if err != nil {
		return f, err
	}
	f.CappedUntil, f.UndeliverableAt = set.CappedUntil, set.UndeliverableAt
	f.Barred, err = barredFrom(q, n.WABA, contact)
	return f, err
}

type personRow MessageFacts

// Fields names the places of sqlPerson.
func (p *personRow) Fields() []any {
	return []any{&p.Consent.GrantedAt, &p.Consent.RevokedAt, &p.Consent.MetaBlock, &p.WindowEnd}
}

// split takes the block and the review apart, which the statements bring as one.
func (c *Consent) split() {
	if c.MetaBlock < 0 {
		c.MetaBlock, c.ReviewAt = 0, -c.MetaBlock
	}
}
