package optin

import (
	"bytes"
	"math"

	"janela/internal/store"
)

var (
	sqlForgottenAfter = store.SQL(`SELECT id FROM forgettings WHERE contact_id = ?1 AND id > ?2 LIMIT 1`)
	sqlForgettings    = store.SQL(`SELECT id, contact_id, actor, at FROM forgettings WHERE id > ?1 AND id <= ?2 ORDER BY id`)
	sqlHashesOf       = store.SQL(`SELECT hash FROM suppressions WHERE forgetting_id = ?1 ORDER BY hash`)
)

// forgettingRow is a row of forgettings.
type forgettingRow struct {
	id, contact int64
	actor       string
	at          int64
}

// Fields names the places of sqlForgettings' columns.
func (f *forgettingRow) Fields() []any { return []any{&f.id, &f.contact, &f.actor, &f.at} }

// forgetting makes the seal of one, without its place in the chain: over the row
// and the hashes that keep the person from coming back.
func (s *sealer) forgetting(q store.Querier, f *forgettingRow) (seal, error) {
	s.begin("forgetting 1\n")
	for _, n := range []int64{f.id, f.contact, f.at} {
		s.number(n)
	}
	s.text(f.actor)
	err := store.Each(q, sqlHashesOf, func(c *store.Col[string]) error { s.text(c.V); return nil }, f.id)
	return seal{kind: sealForgetting, ref: f.id, proof: []byte{}, digest: s.sum(s.plain)}, err
}

// forgetting compares one with its seal.
func (v *verifier) forgetting(q store.Querier, s *seal) error {
	if err := v.events(q, s.ref, func(e *eventRow) error { v.unexpected(e); return nil }); err != nil {
		return err
	}
	if err := v.strangers(q, s.ref-1); err != nil {
		return err
	}
	rows, err := store.All[forgettingRow](q, sqlForgettings, s.ref-1, s.ref)
	if err != nil {
		return err
	}
	v.last, v.lastForgetting = max(v.last, s.ref), max(v.lastForgetting, s.ref)
	if len(rows) == 0 {
		v.fault(Fault{Kind: FaultForgetting, Seq: s.seq, Event: s.ref, Detail: "the forgetting is gone"})
		return nil
	}
	should, err := v.sealer.forgetting(q, &rows[0])
	if err == nil && !bytes.Equal(should.digest, s.digest) {
		v.fault(Fault{Kind: FaultForgetting, Seq: s.seq, Event: s.ref, Contact: rows[0].contact,
			Detail: "the forgetting, or what keeps the person from coming back, is not what was sealed"})
	}
	return err
}

// strangers tells of forgettings up to an id that have no seal: each is sealed
// in the transaction that makes it.
func (v *verifier) strangers(q store.Querier, to int64) error {
	err := store.Each(q, sqlForgettings, func(f *forgettingRow) error {
		if !v.told[f.id] {
			v.fault(Fault{Kind: FaultForgetting, Event: f.id, Contact: f.contact, Detail: "a forgetting has no seal"})
		}
		return nil
	}, v.lastForgetting, to)
	if to < math.MaxInt64 {
		v.lastForgetting = max(v.lastForgetting, to)
	}
	return err
}
