package optin

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"strings"

	"janela/internal/store"
)

// Kinds of what is sealed.
const (
	sealEvent      = "event"
	sealForgetting = "forgetting"
)

var (
	sqlSeal = store.SQL(sealRows(1))
	// sqlManySeals writes many at once: half the time of a statement for each.
	sqlManySeals = store.SQL(sealRows(manySeals))
	sqlTail      = store.SQL(`SELECT seq, kind, ref, evidence_hash, digest, mac FROM consent_seals
		WHERE seq = (SELECT MAX(seq) FROM consent_seals)`)
	sqlSeals = store.SQL(`SELECT seq, kind, ref, evidence_hash, digest, mac FROM consent_seals WHERE seq > ?1 ORDER BY seq LIMIT ?2`)
	sqlSince = store.SQL(`SELECT id, contact_id, category, kind, scope, purpose, source, evidence, actor, at, recorded_at
		FROM consent_events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3`)
)

const manySeals = 25

// sealRows is a statement that writes n seals.
func sealRows(n int) string {
	rows := make([]string, n)
	for i := range rows {
		p := 6 * i
		rows[i] = fmt.Sprintf("(?%d, ?%d, ?%d, ?%d, ?%d, ?%d)", p+1, p+2, p+3, p+4, p+5, p+6)
	}
	return "INSERT INTO consent_seals (seq, kind, ref, evidence_hash, digest, mac) VALUES " + strings.Join(rows, ", ")
}

// writeSeals writes them in their order.
func writeSeals(tx *store.Tx, seals []seal) error {
	args := make([]any, 0, 6*manySeals)
	for len(seals) > 0 {
		stmt, n := sqlSeal, 1
		if len(seals) >= manySeals {
			stmt, n = sqlManySeals, manySeals
		}
		args = args[:0]
		for i := range seals[:n] {
			s := &seals[i]
			args = append(args, s.seq, s.kind, s.ref, s.proof, s.digest, s.mac)
		}
		if _, err := tx.Exec(stmt, args...); err != nil {
			return err
		}
		seals = seals[n:]
	}
	return nil
}

// seal is a row of consent_seals.
type seal struct {
	seq    int64 // from 1, without gaps
	kind   string
	ref    int64
	proof  []byte // keyed hash of the evidence; empty for what has none
	digest []byte // of all other fields
	mac    []byte // of this row and the mac before it
}

// Fields names the places of sqlSeals' columns.
func (s *seal) Fields() []any { return []any{&s.seq, &s.kind, &s.ref, &s.proof, &s.digest, &s.mac} }

// sealer hashes; one goroutine uses it at a time.
type sealer struct {
	genesis      []byte
	chain, proof hash.Hash
	plain        hash.Hash
	buf          []byte
}

// newSealer takes the name of the database, so that the seals of one stand for
// nothing in another.
func newSealer(k *Keys, database string) *sealer {
	return &sealer{genesis: keyed(k.of.chain, []byte("janela consents 1\n"+database)), chain: hmac.New(sha256.New, k.of.chain),
		proof: hmac.New(sha256.New, k.of.proof), plain: sha256.New()}
}

func (s *sealer) begin(what string) { s.buf = append(s.buf[:0], what...) }

func (s *sealer) number(n int64) { s.buf = binary.BigEndian.AppendUint64(s.buf, uint64(n)) }

// text has its length before it, so that no two rows hash the same bytes.
func (s *sealer) text(t string) {
	s.number(int64(len(t)))
	s.buf = append(s.buf, t...)
}

func (s *sealer) sum(h hash.Hash) []byte {
	h.Reset()
	h.Write(s.buf)
	return h.Sum(nil)
}

// event makes the seal of an event, without its place in the chain.
func (s *sealer) event(e *eventRow) seal {
	s.begin("event 1\n")
	for _, n := range []int64{e.ID, e.Contact, e.at, e.recorded} {
		s.number(n)
	}
	s.text(string(e.Category))
	s.text(e.Kind)
	s.text(e.Scope)
	s.text(e.Purpose)
	s.text(string(e.Source))
	s.text(e.Actor)
	out := seal{kind: sealEvent, ref: e.ID, digest: s.sum(s.plain)}
	out.proof = s.evidence(e.evidence)
	return out
}

func (s *sealer) evidence(text string) []byte {
	s.begin(text)
	return s.sum(s.proof)
}

// mac of a seal behind the one whose mac is before. Its number is not part of
// it: where a seal was taken out and the others numbered anew, only the one
// behind the gap is wrong.
func (s *sealer) mac(before []byte, l *seal) []byte {
	s.begin("")
	s.buf = append(s.buf, before...)
	s.text(l.kind)
	s.number(l.ref)
	s.text(string(l.proof))
	s.text(string(l.digest))
	return s.sum(s.chain)
}

// follow puts a seal behind the tail.
func (s *sealer) follow(tail, l *seal) {
	l.seq = tail.seq + 1
	before := tail.mac
	if tail.seq == 0 {
		before = s.genesis
	}
	l.mac = s.mac(before, l)
}

// tailOf returns the last seal, a zero one where there is none.
func tailOf(q store.Querier) (seal, error) {
	t, _, err := store.Get[seal](q, sqlTail)
	return t, err
}

func (s *seal) is(other *seal) bool { return s.seq == other.seq && bytes.Equal(s.mac, other.mac) }
