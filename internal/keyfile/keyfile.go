package keyfile

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	keyBytes = 32
	fewBytes = 12      // random 32 bytes have about 30 different ones
	maxFile  = 1 << 16 // no file of ours is larger
)

// Line is a key and its name.
type Line struct {
	Name string // small letters, digits, - and _
	Key  []byte // 32 bytes
}

// Open returns the keys of a file in its order. Where there is none it makes
// one, with a remark above (a line that begins with #) and a random key for each
// name. Errors name the file and the line, and repeat nothing of it.
func Open(path, remark string, names ...string) ([]Line, error) {
	lines, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return lines, err
	}
	if err := create(path, remark, names); err != nil {
		return nil, err
	}
	return Load(path)
}

// Load returns the keys of a file in its order. It refuses a file that others
// may read, and keys that are not random.
func Load(path string) ([]Line, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	lines, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lines, nil
}

// Replace writes the keys of a file in one step.
func Replace(path, remark string, lines []Line) error { return Write(path, text(remark, lines)) }

// Read returns a small file whole, and refuses one that others may read.
func Read(path string) ([]byte, error) {
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
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// Write replaces a file, or makes it, in one step and with mode 0600. Its folder
// must exist.
func Write(path string, data []byte) error {
	return write(path, data, func(tmp string) error { return os.Rename(tmp, path) })
}

// create makes the file, unless somebody else made it meanwhile.
func create(path, remark string, names []string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	lines := make([]Line, 0, len(names))
	for _, name := range names {
		lines = append(lines, Line{name, Random()})
	}
	return write(path, text(remark, lines), func(tmp string) error {
		if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return os.Rename(tmp, path) // a file system without links
		}
		return os.Remove(tmp)
	})
}

// write puts the bytes on disk beside path, and place puts them there.
func write(path string, data []byte, place func(tmp string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	tmp := f.Name()
	_, err = f.Write(data)
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

func text(remark string, lines []Line) []byte {
	var b bytes.Buffer
	b.WriteString(remark)
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", l.Name, hex.EncodeToString(l.Key))
	}
	return b.Bytes()
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// parse reads "<name> <64 hex>" lines.
func parse(data []byte) ([]Line, error) {
	var lines []Line
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
		case !nameForm.MatchString(name):
			return nil, fmt.Errorf("line %d: want the name of a key, of small letters and digits, then the key", n)
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
		lines = append(lines, Line{name, key})
	}
	if err := in.Err(); err != nil {
		return nil, errors.New("a line is too long")
	}
	return lines, nil
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

// Random makes a key.
func Random() []byte {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	return key
}

// Derive makes the key of one use out of one of a file (RFC 5869, without salt).
func Derive(key []byte, use string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, use, sha256.Size)
}
