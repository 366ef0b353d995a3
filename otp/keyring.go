package otp

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	keyBytes  = 32
	keepKids  = 3  // the newest and the two before it: a challenge lives 20 min, so one would do
	fewBytes  = 12 // random 32 bytes have about 30 different ones
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
	file   []keyLine // as in the file: index first, then the newest
	index  []byte    // of hashes, derived
	makers []maker   // newest first
}

// keyLine is one line of the file.
type keyLine struct {
	name string // "index", or a key id
	key  []byte
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
	data, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = newKeys(path); err == nil {
			data, err = readKeys(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("otp: key file: %w", err)
	}
	lines, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("otp: key file %s: %w", path, err)
	}
	k := &Keyring{path: path}
	return k, k.take(lines)
}

func readKeys(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read %s (mode %#o); run chmod 600 %s, and rotate the keys if somebody may have", path, info.Mode().Perm(), path)
	}
	return io.ReadAll(io.LimitReader(f, 1<<16))
}

// newKeys makes the file, unless somebody else made it meanwhile.
func newKeys(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	index, err := randomKey()
	if err != nil {
		return err
	}
	first, err := randomKey()
	if err != nil {
		return err
	}
	return writeKeys(path, []keyLine{{indexName, index}, {"k1", first}}, func(tmp string) error {
		if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return os.Rename(tmp, path) // a file system without links
		}
		return os.Remove(tmp)
	})
}

func randomKey() ([]byte, error) {
	key := make([]byte, keyBytes)
	_, err := rand.Read(key)
	return key, err
}

// writeKeys puts the lines on disk beside path, and place puts them there.
func writeKeys(path string, lines []keyLine, place func(tmp string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".otp-key-*") // mode 0600
	if err != nil {
		return err
	}
	tmp := f.Name()
	var b bytes.Buffer
	b.WriteString(keyHead)
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", l.name, hex.EncodeToString(l.key))
	}
	_, err = f.Write(b.Bytes())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = place(tmp)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

var kidForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// parseKeys reads "index <64 hex>" and "<kid> <64 hex>" lines.
func parseKeys(data []byte) ([]keyLine, error) {
	var index, keys []keyLine
	seen := map[string]bool{}
	in := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; in.Scan(); n++ {
		text := strings.TrimSpace(in.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		name, digits, _ := strings.Cut(text, " ")
		key, err := hex.DecodeString(strings.TrimSpace(digits))
		switch {
		case !kidForm.MatchString(name):
			return nil, fmt.Errorf("line %d: want \"index\" or a key id of small letters and digits, then a key", n)
		case err != nil || len(key) != keyBytes:
			return nil, fmt.Errorf("line %d: a key has %d hexadecimal digits", n, 2*keyBytes)
		case distinct(key) < fewBytes:
			return nil, fmt.Errorf("line %d: the key is not random; take one from openssl rand -hex %d", n, keyBytes)
		case seen[name]:
			return nil, fmt.Errorf("line %d: %s stands there twice", n, name)
		case seen[string(key)]:
			return nil, fmt.Errorf("line %d: the key stands there twice", n)
		}
		seen[name], seen[string(key)] = true, true
		if name == indexName {
			index = append(index, keyLine{name, key})
		} else {
			keys = append(keys, keyLine{name, key})
		}
	}
	if err := in.Err(); err != nil {
		return nil, errors.New("a line is too long")
	}
	if len(index) == 0 || len(keys) == 0 {
		return nil, errors.New("it needs the line of the index key and one of a code key at least; restore it from its copy, or remove it, and every limit and lock is forgotten")
	}
	return append(index, keys...), nil
}

func distinct(key []byte) int {
	var seen [256]bool
	n := 0
	for _, b := range key {
		if !seen[b] {
			seen[b] = true
			n++
		}
	}
	return n
}

// take derives what is worked with.
func (k *Keyring) take(lines []keyLine) error {
	index, err := derive(lines[0].key, "otp/index/v1")
	if err != nil {
		return err
	}
	makers := make([]maker, 0, len(lines)-1)
	for _, l := range lines[1:] {
		key, err := derive(l.key, "otp/hotp/v1")
		if err != nil {
			return err
		}
		makers = append(makers, maker{l.name, key})
	}
	k.ring.Store(&ring{file: lines, index: index, makers: makers})
	return nil
}

// derive makes the key of one use (RFC 5869, without salt).
func derive(key []byte, use string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, use, sha256.Size)
}

// Rotate puts a new key on top and returns its id. New challenges use it; the
// two before it stay, so that codes under way can still be verified. The file
// is replaced in one step. A file that was changed by hand meanwhile is read
// first.
func (k *Keyring) Rotate() (kid string, err error) {
	k.rotating.Lock()
	defer k.rotating.Unlock()
	data, err := readKeys(k.path)
	if err != nil {
		return "", fmt.Errorf("otp: key file: %w", err)
	}
	lines, err := parseKeys(data)
	if err != nil {
		return "", fmt.Errorf("otp: key file %s: %w", k.path, err)
	}
	if !bytes.Equal(lines[0].key, k.ring.Load().file[0].key) {
		return "", fmt.Errorf("otp: key file %s: its index key is another one than at start; restore it from its copy", k.path)
	}
	key, err := randomKey()
	if err != nil {
		return "", err
	}
	kid = nextKid(lines[1:])
	old := lines[1:min(len(lines), keepKids)]
	next := append([]keyLine{lines[0], {kid, key}}, old...)
	if err := writeKeys(k.path, next, func(tmp string) error { return os.Rename(tmp, k.path) }); err != nil {
		return "", fmt.Errorf("otp: key file: %w", err)
	}
	return kid, k.take(next)
}

// nextKid is k and one more than the highest of such ids.
func nextKid(keys []keyLine) string {
	most := 0
	for _, l := range keys {
		digits, ok := strings.CutPrefix(l.name, "k")
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
