package otp

import (
	"context"
	"encoding/json"
	"errors"

	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// revealed is a message's challenge, with what its request needs.
type revealed struct {
	challenge
	MessageGen int
	KnownKey   string // Meta's hash of the identity key when a code was last verified
	Changed    int64
}

// Fields names the places of sqlReveal.
func (r *revealed) Fields() []any {
	return append(r.challenge.Fields(), &r.MessageGen, &r.KnownKey, &r.Changed)
}

var sqlReveal = store.SQL(`SELECT ` + challengeColumns + `, s.gen, COALESCE(p.identity, ''), COALESCE(p.identity_changed_at, 0)
	FROM code_sends s JOIN challenges c ON c.id = s.challenge_id LEFT JOIN code_phones p ON p.phone_key = c.phone_key
	WHERE s.message_id = CAST(?1 AS INTEGER)`)

// ErrNoCode says that a message has no code to carry: its challenge is over, a
// newer code has taken its place, somebody else has the number now, or the rows
// do not belong together.
var ErrNoCode = errors.New("otp: there is no code for this message")

// Reveal makes the code of a message that is about to leave: the components of
// its template as JSON, and Meta's hash of the identity key that the number must
// still have ("" if none is known). Nothing of it is ever stored.
func (o *OTP) Reveal(ctx context.Context, m outbox.Message) (params, identityKeyHash string, err error) {
	failpoint.Hit("otp.reveal")
	err = o.deps.DB.Read(ctx, func(q *store.Snap) error {
		r, ok, err := store.Get[revealed](q, sqlReveal, m.ID)
		if err != nil {
			return err
		}
		if !ok || r.Decoy || r.now(q.Now()) != Pending || r.MessageGen != r.Gen || r.Changed > 0 || m.Kind != whatsapp.KindPhone || o.exact(m.Address) != r.PhoneMAC {
			return ErrNoCode
		}
		code, ok, err := o.code(&r.challenge, whatsapp.Phone(m.Address))
		if err != nil {
			return err
		}
		if !ok {
			return ErrNoCode
		}
		b, err := json.Marshal(whatsapp.AuthCode(code.Reveal()))
		params, identityKeyHash = string(b), r.KnownKey
		return err
	})
	if err != nil {
		return "", "", err
	}
	return params, identityKeyHash, nil
}
