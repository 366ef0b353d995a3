package otp

import (
	"crypto/subtle"
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// guessed is a challenge with what a guess is judged by.
type guessed struct {
	challenge
	Address      string                // of its message
	Kind         whatsapp.IdentityKind // of that
	MessageState outbox.State
	DeliveredAt  int64  // ms
	Identity     string // Meta's hash of the identity key, as this challenge's messages reported it
	KnownKey     string // as it was when a code was last verified
	Absent       int64  // ms: the phone counts as not on WhatsApp until then
}

// Fields names the places of sqlGuess.
func (g *guessed) Fields() []any {
	return append(g.challenge.Fields(), &g.Address, &g.Kind, &g.MessageState, &g.DeliveredAt, &g.Identity, &g.KnownKey, &g.Absent)
}

var (
	sqlGuess = store.SQL(`SELECT ` + challengeColumns + `, COALESCE(m.address, ''), COALESCE(m.kind, ''), COALESCE(m.state, ''), COALESCE(m.delivered_at, 0),
		COALESCE((SELECT s.identity FROM code_sends s WHERE s.challenge_id = c.id AND s.identity <> '' ORDER BY s.message_id DESC LIMIT 1), ''),
		COALESCE(p.identity, ''), COALESCE(p.not_on_whatsapp_until, 0)
		FROM challenges c LEFT JOIN messages m ON m.id = c.message_id LEFT JOIN code_phones p ON p.phone_key = c.phone_key
		WHERE c.id = CAST(?1 AS TEXT)`)
	sqlAttempt = store.SQL(`UPDATE challenges SET attempts = attempts + 1
		WHERE id = ?1 AND state = 'pending' AND expires_at > ?2 AND attempts < max_attempts`)
)

// Verify judges a guess: counted first, then compared. The transaction must be
// committed also when the Verdict is Denied, because of what the guess cost; an
// error is a fault of the machine.
func (o *OTP) Verify(tx *store.Tx, c Caller, id string, p Proof) (Verdict, error) {
	v, err := o.verify(tx, c, id, p)
	if d := (*Denied)(nil); errors.As(err, &d) {
		v, err = Verdict{Denied: d}, nil
	}
	o.countGuessed(tx, v, err)
	return v, err
}

func (o *OTP) verify(tx *store.Tx, c Caller, id string, p Proof) (Verdict, error) {
	typed, ok := readCode(p.Code)
	if !ok {
		return Verdict{}, badFormat()
	}
	ip, err := o.ipKey(p.ClientIP)
	if err != nil {
		return Verdict{}, err
	}
	binding, err := o.bindingKey(p.Binding)
	if err != nil {
		return Verdict{}, err
	}
	g, ok, err := store.Get[guessed](tx, sqlGuess, id)
	if err != nil {
		return Verdict{}, err
	}
	if !ok || !c.knows(&g.challenge) || subtle.ConstantTimeCompare([]byte(g.Binding), []byte(binding)) != 1 {
		return Verdict{}, denied(CodeNotFound, "there is no such challenge")
	}
	if len(typed) != g.Digits {
		return Verdict{}, badFormat()
	}
	limits := o.cfg().limitsOf(o.cfg().Purposes[g.Purpose])
	if err := o.mayGuess(tx, g.PhoneKey, ip, g.Trusted, limits); err != nil {
		return Verdict{}, err
	}
	n, err := tx.Exec(sqlAttempt, g.ID, store.Millis(tx.Now()))
	if err != nil {
		return Verdict{}, err
	}
	if n == 0 {
		return Verdict{}, g.gone(tx.Now())
	}
	g.Attempts++
	to, code, ok, err := o.expected(tx, &g)
	switch {
	case err != nil:
		return Verdict{}, err
	case !ok:
		return Verdict{}, o.spoilt(tx, &g.challenge)
	case code.Equal(typed) && !g.Decoy: // in this order: both cost the same
		return o.right(tx, &g, to)
	default:
		return Verdict{}, o.wrong(tx, c, &g, limits)
	}
}

func badFormat() error {
	return denied(CodeInvalidFormat, "a code has only digits, as many as its purpose says; this cost no attempt")
}

// expected returns the code that would be right, and the number it is bound to.
func (o *OTP) expected(q store.Querier, g *guessed) (to whatsapp.Phone, code Code, ok bool, err error) {
	if g.Decoy {
		to, ok = nobody, true
	} else if g.Message == 0 { // none was sent on WhatsApp
		to, ok, err = o.address(q, &g.challenge)
	} else if g.Kind == whatsapp.KindPhone && o.exact(g.Address) == g.PhoneMAC {
		to, ok = whatsapp.Phone(g.Address), true
	}
	if err != nil || !ok {
		return "", Code{}, false, err
	}
	code, ok, err = o.code(&g.challenge, to)
	return to, code, ok, err
}

// spoilt ends a challenge whose code nobody can make any more: its key is gone,
// or the rows do not belong together.
func (o *OTP) spoilt(tx *store.Tx, ch *challenge) error {
	if err := o.end(tx, ch, Failed, codeUnavailable); err != nil {
		return err
	}
	return ch.gone(tx.Now())
}

const codeUnavailable = "code_unavailable"

// right ends the challenge in success, and all others of its phone and purpose
// with it.
func (o *OTP) right(tx *store.Tx, g *guessed, to whatsapp.Phone) (Verdict, error) {
	changed := g.Identity != "" && g.KnownKey != "" && g.Identity != g.KnownKey
	reason := ""
	if changed {
		reason = identityChanged
	}
	if err := g.close(tx, Verified, reason); err != nil {
		return Verdict{}, err
	}
	if g.MessageState == outbox.Queued { // only the latest can be
		if err := o.drop(tx, &g.challenge, "code_over"); err != nil {
			return Verdict{}, err
		}
	}
	byWhatsApp, identity := g.Message > 0 && g.Channel != sms, g.Identity
	if !byWhatsApp { // it proves nothing about who has the number there
		identity = ""
	}
	if err := o.guessedRight(tx, g.PhoneKey, g.Trusted, identity); err != nil {
		return Verdict{}, err
	}
	if g.Message > 0 || g.Channel == sms {
		if err := o.markVerified(tx, g.ID); err != nil {
			return Verdict{}, err
		}
	}
	if byWhatsApp {
		o.countTyped(g.DeliveredAt, tx.Now())
	}
	if byWhatsApp && g.Absent > store.Millis(tx.Now()) { // the code arrived there
		if _, err := tx.Exec(sqlAbsent, g.PhoneKey, 0, store.Millis(tx.Now())); err != nil {
			return Verdict{}, err
		}
	}
	siblings, err := store.All[challenge](tx, sqlPending, g.PhoneKey, g.Purpose)
	if err != nil {
		return Verdict{}, err
	}
	for i := range siblings {
		if siblings[i].now(tx.Now()) != Pending { // it has expired; the sweep says so
			continue
		}
		if err := o.end(tx, &siblings[i], Superseded, ""); err != nil {
			return Verdict{}, err
		}
	}
	return o.success(&g.challenge, to), nil
}

func (o *OTP) success(ch *challenge, to whatsapp.Phone) Verdict {
	changed := ch.Reason == identityChanged
	return Verdict{ID: ch.ID, To: to.E164(), Purpose: ch.Purpose, Channel: ch.Channel, VerifiedAt: store.Time(ch.EndedAt), IdentityChanged: changed,
		StepUpRequired: changed || o.cfg().Purposes[ch.Purpose].StepUpRequired}
}

const identityChanged = "identity_changed"

// wrong counts the guess against the phone, and ends the challenge with its last
// attempt.
func (o *OTP) wrong(tx *store.Tx, c Caller, g *guessed, l Limits) error {
	locked, err := o.guessedWrong(tx, g.PhoneKey, g.Trusted, l)
	if err != nil {
		return err
	}
	if locked {
		err := access.Note(tx, access.Entry{Actor: "api:" + c.Client, Command: "otp lock", Object: "phone " + g.PhoneKey, After: "too many wrong guesses in a row"})
		if err != nil {
			return err
		}
	}
	if g.Attempts >= g.MaxAttempts {
		if err := o.end(tx, &g.challenge, Exhausted, ""); err != nil {
			return err
		}
	} else {
		tx.Wake(Topic)
	}
	return &Denied{Code: CodeInvalidCode, Detail: "this is not the code", AttemptsLeft: g.MaxAttempts - g.Attempts}
}

// VerifiedNumber makes the answer to a verified challenge again, for a caller
// that repeats the request whose answer it lost: the number stands in no reply
// that is kept.
func (o *OTP) VerifiedNumber(q store.Querier, c Caller, id string) (Verdict, error) {
	ch, err := o.find(q, c, id)
	if err != nil {
		return Verdict{}, err
	}
	if ch.State != Verified {
		return Verdict{}, ch.gone(q.Now())
	}
	to, ok, err := o.address(q, &ch)
	if err == nil && !ok {
		err = &Denied{Code: CodeGone, Reason: codeUnavailable, Detail: "the number of this challenge is not known any more"}
	}
	if err != nil {
		return Verdict{}, err
	}
	return o.success(&ch, to), nil
}

// readCode reads a code as people type and paste it: full-width digits, spaces,
// hyphens and invisible marks are understood. ok is false for what cannot be a
// code.
func readCode(typed string) (code string, ok bool) {
	if len(typed) > 64 {
		return "", false
	}
	var b strings.Builder
	for _, r := range norm.NFKC.String(typed) {
		switch {
		case unicode.IsSpace(r), unicode.In(r, unicode.Pd, unicode.Cf), r == '\u2212':
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			return "", false
		}
	}
	return b.String(), b.Len() >= minDigits && b.Len() <= maxDigits
}
