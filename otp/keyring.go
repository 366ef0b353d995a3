package otp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"janela/internal/keyfile"
)

const (
	keepKids  = 3 // the newest and the two before it: a challenge lives 20 min, so one would do
	indexName = "index"
	keyHead   = "# Keys of one-time codes. Keep a copy: without the index key every limit and lock is forgotten.\n"
)

// Keyring holds the keys that stand in no database: those that codes are made
// of, by id, and the one of the keyed hashes, which does not rotate. It never
// prints itself.
type Keyring struct {
	path     string
	rotating sync.Mutex
	ring     atomic.Pointer[ring] // also what fmt stops at, where it can call no method
}

// ring is what the file says, never changed once it is there.
type ring struct {
	file   []keyfile.Line // as in the file: index first, then the newest
	index  []byte         // of hashes, derived
	makers []maker        // newest first
}

// maker makes secrets of codes.
type maker struct {
	kid string
	key []byte // derived
}

// OpenKeyring reads the key file, and makes it where there is none, with mode
// 0600. It refuses one that others may read, and keys that are not random; an
// error names the file and the line and repeats nothing of it.
func OpenKeyring(path string) (*Keyring, error) {
	lines, err := keyfile.Open(path, keyHead, indexName, "k1")
	if err == nil {
		lines, err = ordered(path, lines)
	}
	if err != nil {
		return nil, fmt.Errorf("otp: key file: %w", err)
	}
	k := &Keyring{path: path}
	return k, k.take(lines)
}

// ordered puts the index key first. Without it, or without a code key, nothing
// can be worked with.
func ordered(path string, lines []keyfile.Line) ([]keyfile.Line, error) {
	at := slices.IndexFunc(lines, func(l keyfile.Line) bool { return l.Name == indexName })
	if at < 0 || len(lines) < 2 {
		return nil, fmt.Errorf("%s: it needs the line of the index key and one of a code key at least; restore it from its copy, or remove it, and every limit and lock is forgotten", path)
	}
	return append([]keyfile.Line{lines[at]}, slices.Delete(slices.Clone(lines), at, at+1)...), nil
}

// take derives what is worked with.
func (k *Keyring) take(lines []keyfile.Line) error {
	index, err := keyfile.Derive(lines[0].Key, "otp/index/v1")
	if err != nil {
		return err
	}
	makers := make([]maker, 0, len(lines)-1)
	for _, l := range lines[1:] {
		key, err := keyfile.Derive(l.Key, "otp/hotp/v1")
		if err != nil {
			return err
		}
		makers = append(makers, maker{l.Name, key})
	}
	k.ring.Store(&ring{file: lines, index: index, makers: makers})
	return nil
}

// Rotate puts a new key on top and returns its id. New challenges use it; the
// two before it stay, so that codes under way can still be verified. The file
// is replaced in one step. A file that was changed by hand meanwhile is read
// first.
func (k *Keyring) Rotate() (kid string, err error) {
	k.rotating.Lock()
	defer k.rotating.Unlock()
	lines, err := keyfile.Load(k.path)
	if err == nil {
		lines, err = ordered(k.path, lines)
	}
	if err != nil {
		return "", fmt.Errorf("otp: key file: %w", err)
	}
	if !bytes.Equal(lines[0].Key, k.ring.Load().file[0].Key) {
		return "", fmt.Errorf("otp: key file %s: its index key is another one than at start; restore it from its copy", k.path)
	}
	kid = nextKid(lines[1:])
	old := lines[1:min(len(lines), keepKids)]
	next := append([]keyfile.Line{lines[0], {Name: kid, Key: keyfile.Random()}}, old...)
	if err := keyfile.Replace(k.path, keyHead, next); err != nil {
		return "", fmt.Errorf("otp: key file: %w", err)
	}
	return kid, k.take(next)
}

// nextKid is k and one more than the highest of such ids.
func nextKid(keys []keyfile.Line) string {
	most := 0
	for _, l := range keys {
		digits, ok := strings.CutPrefix(l.Name, "k")
		if n, err := strconv.Atoi(digits); ok && err == nil {
			most = max(most, n)
		}
	}
	return "k" + strconv.Itoa(most+1)
}

// newest returns the id of the key that new challenges use.
func (k *Keyring) newest() string { return k.ring.Load().makers[0].kid }

// secret derives a challenge's secret. ok is false when the key is gone.
func (k *Keyring) secret(kid string, b bound) (s Secret, ok bool, err error) {
	for _, m := range k.ring.Load().makers {
		if m.kid == kid {
			s, err = b.secret(m.key)
			return s, err == nil, err
		}
	}
	return Secret{}, false, nil
}

// mac returns the keyed hash of data: 16 bytes as hexadecimal digits. The same
// data give another hash in another domain.
func (k *Keyring) mac(domain string, data []byte) string {
	h := hmac.New(sha256.New, k.ring.Load().index)
	h.Write([]byte(domain))
	h.Write([]byte{':'})
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// String returns <secret>.
func (k *Keyring) String() string { return masked }

// Format writes <secret> for every verb.
func (k *Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue is <secret>.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText writes <secret>; JSON uses it too.
func (k *Keyring) MarshalText() ([]byte, error) { return []byte(masked), nil }
