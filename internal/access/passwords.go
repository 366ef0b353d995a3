package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// MinPassword is how many characters a password has at least.
const MinPassword = 12

// maxPassword bounds what is hashed, in bytes.
const maxPassword = 1024

// ErrPassword says why a password cannot be one.
var ErrPassword = errors.New("the password cannot be used")

// ErrBusy says that more passwords are being checked than the machine does at
// once.
var ErrBusy = errors.New("access: too many passwords are being checked")

// Password is one that was checked against the rules and hashed: all that is
// kept of it.
type Password struct{ hash string }

// cost is what a guess costs: argon2id with the parameters that OWASP's Password
// Storage Cheat Sheet gives as equal to its others, m in KiB.
type cost struct {
	m, t uint32
	p    uint8
}

var (
	current = cost{m: 19_456, t: 2, p: 1}
	most    = cost{m: 65_536, t: 3, p: 1} // no row of the database makes us work harder
)

// computing has a place for each of the hashes that may be computed at once: each
// takes 19 to 64 MiB while it lasts. waiting bounds how many stand before it.
var (
	computing = make(chan struct{}, 2)
	waiting   atomic.Int64
)

const maxWaiting = 32

// argon is argon2.IDKey, in one of the places.
func argon(ctx context.Context, password string, salt []byte, c cost, length uint32) ([]byte, error) {
	defer waiting.Add(-1)
	if waiting.Add(1) > maxWaiting {
		return nil, ErrBusy
	}
	select {
	case computing <- struct{}{}:
		defer func() { <-computing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if computed != nil {
		computed(len(computing))
	}
	return argon2.IDKey([]byte(password), salt, c.t, c.m, c.p, length), nil
}

// computed hears of every hash that is computed, for tests.
var computed func(atOnce int)

// HashPassword checks a new password of somebody, and hashes it. It takes a
// moment: never call it inside of a transaction. What is wrong with it is
// ErrPassword.
func HashPassword(ctx context.Context, name, plain string) (Password, error) {
	if err := checkPassword(name, plain); err != nil {
		return Password{}, err
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key, err := argon(ctx, normal(plain), salt, current, 32)
	if err != nil {
		return Password{}, err
	}
	return Password{phc(current, salt, key)}, nil
}

// checkPassword says what is wrong with a new password.
func checkPassword(name, plain string) error {
	switch n := utf8.RuneCountInString(normal(plain)); {
	case !utf8.ValidString(plain):
		return fmt.Errorf("%w: it is not UTF-8", ErrPassword)
	case strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: it has a character that no form can send, such as a line break or tab", ErrPassword)
	case n < MinPassword:
		return fmt.Errorf("%w: it has %d characters and needs %d; some words in a row are good", ErrPassword, n, MinPassword)
	case len(plain) > maxPassword:
		return fmt.Errorf("%w: it has more than %d bytes", ErrPassword, maxPassword)
	case strings.Trim(strings.ReplaceAll(strings.ToLower(plain), name, ""), " ._-") == "":
		return fmt.Errorf("%w: it is the name", ErrPassword)
	case strings.Count(plain, plain[:1]) == len(plain):
		return fmt.Errorf("%w: it is one character over and over", ErrPassword)
	default:
		return nil
	}
}

// normal is a text as every keyboard writes it (NFC): ç may be one character or
// two.
func normal(plain string) string { return norm.NFC.String(plain) }

// phc writes a hash as a PHC string.
func phc(c cost, salt, key []byte) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.m, c.t, c.p, b.EncodeToString(salt), b.EncodeToString(key))
}

var phcForm = regexp.MustCompile(`^\$argon2id\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$`)

// parsePHC reads what phc wrote.
func parsePHC(text string) (c cost, salt, key []byte, err error) {
	bad := errors.New("access: a password hash in the database cannot be read")
	m := phcForm.FindStringSubmatch(text)
	if m == nil {
		return c, nil, nil, bad
	}
	var n [3]uint64
	for i := range n {
		n[i], _ = strconv.ParseUint(m[i+1], 10, 32) // the form has digits
	}
	if n[0] < 8 || n[0] > uint64(most.m) || n[1] < 1 || n[1] > uint64(most.t) || n[2] != uint64(most.p) {
		return c, nil, nil, bad
	}
	salt, err = base64.RawStdEncoding.DecodeString(m[4])
	if err != nil {
		return c, nil, nil, bad
	}
	if key, err = base64.RawStdEncoding.DecodeString(m[5]); err != nil {
		return c, nil, nil, bad
	}
	return cost{uint32(n[0]), uint32(n[1]), uint8(n[2])}, salt, key, nil
}

// matches reports whether a password is the one of a hash, which is "" for
// nobody's: that takes as long, and never matches.
func matches(ctx context.Context, hash, plain string) (bool, error) {
	c, salt, key := current, make([]byte, 16), make([]byte, 32)
	if hash != "" {
		var err error
		if c, salt, key, err = parsePHC(hash); err != nil {
			return false, err
		}
	}
	if len(plain) > maxPassword {
		plain, hash = "", ""
	}
	got, err := argon(ctx, normal(plain), salt, c, uint32(len(key)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, key) == 1 && hash != "", nil
}
