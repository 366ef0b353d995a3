package otp

import (
	"bytes"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"io"
	"log/slog"

	potp "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

const (
	minSecret = 20 // bytes
	minDigits = 6
	maxDigits = 8 // more would be biased: the truncated hash has 31 bits
	masked    = "<secret>"
)

// Secret is the key that codes are made of. It never prints itself. The zero
// Secret makes no codes.
type Secret struct{ key []byte }

// NewSecret takes a copy of at least 20 random bytes.
func NewSecret(key []byte) (Secret, error) {
	if len(key) < minSecret {
		return Secret{}, fmt.Errorf("otp: the secret has %d bytes and needs at least %d", len(key), minSecret)
	}
	return Secret{bytes.Clone(key)}, nil
}

// Code returns the code of a counter, with 6 to 8 digits.
func (s Secret) Code(counter uint64, digits int) (Code, error) {
	if len(s.key) < minSecret {
		return Code{}, fmt.Errorf("otp: a secret of %d bytes makes no codes; use NewSecret", len(s.key))
	}
	if digits < minDigits || digits > maxDigits {
		return Code{}, fmt.Errorf("otp: a code has %d to %d digits, not %d", minDigits, maxDigits, digits)
	}
	text, err := hotp.GenerateCodeCustom(base32.StdEncoding.EncodeToString(s.key), counter, hotp.ValidateOpts{
		Digits:    potp.Digits(digits),
		Algorithm: potp.AlgorithmSHA256,
		Encoder:   potp.EncoderDefault, // any other text would make empty codes
	})
	if err != nil {
		return Code{}, fmt.Errorf("otp: make a code: %w", err)
	}
	if len(text) != digits {
		return Code{}, fmt.Errorf("otp: made a code of %d digits instead of %d", len(text), digits)
	}
	return Code{text}, nil
}

// Code is a one-time code. It never prints itself; Reveal does.
type Code struct{ digits string }

// Reveal returns the digits, for the message that carries them and nothing else.
func (c Code) Reveal() string { return c.digits }

// Equal says whether typed is this code, in a time that does not depend on how
// much of it is right. An empty code equals nothing, not even an empty text.
func (c Code) Equal(typed string) bool {
	if c.digits == "" || typed == "" {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(c.digits), []byte(typed)) == 1
}

// String returns <secret>.
func (s Secret) String() string { return masked }

// Format writes <secret> for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue is <secret>.
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText writes <secret>; JSON uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// String returns <secret>.
func (c Code) String() string { return masked }

// Format writes <secret> for every verb.
func (c Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue is <secret>.
func (c Code) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText writes <secret>; JSON uses it too.
func (c Code) MarshalText() ([]byte, error) { return []byte(masked), nil }
