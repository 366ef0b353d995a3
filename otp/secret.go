package otp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

const seedBytes = 20

// bound is what a code is bound to. Change any of it, and the code is another:
// a row that was moved to another phone, purpose or session verifies nothing.
type bound struct {
	seed    []byte // of the row, random
	id      string
	client  string
	purpose string
	e164    string // of the message's address: it stands in no table of this room
	binding string // as the row keeps it: a keyed hash
}

// secret derives the secret of HOTP under a key of the ring. Every part is
// written with its length, so that no two challenges can be read as one.
func (b bound) secret(key []byte) (Secret, error) {
	h := hmac.New(sha256.New, key)
	part(h, b.seed)
	for _, text := range []string{b.id, b.client, b.purpose, b.e164, b.binding} {
		part(h, []byte(text))
	}
	return NewSecret(h.Sum(nil))
}

func part(h hash.Hash, b []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(b)))
	h.Write(n[:])
	h.Write(b)
}
