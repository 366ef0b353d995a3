package daemon

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// secretFile reads a secret from a file, again when the file has changed: a
// token can be replaced without a restart.
type secretFile struct {
	path  string
	mu    sync.Mutex
	mark  string
	value []byte
	seen  time.Time
}

// lookEvery bounds how often the file is looked at.
const lookEvery = time.Second

// get returns the file's content without surrounding space.
func (s *secretFile) get() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value != nil && time.Since(s.seen) < lookEvery {
		return s.value, nil
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	mark := fmt.Sprintf("%d/%d", info.Size(), info.ModTime().UnixNano())
	s.seen = time.Now()
	if mark == s.mark && s.value != nil {
		return s.value, nil
	}
	if err := checkSecretFile(s.path); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	s.value, s.mark = bytes.TrimSpace(b), mark
	if len(s.value) == 0 {
		s.value = nil
		return nil, fmt.Errorf("%s is empty", s.path)
	}
	return s.value, nil
}

// secret is a value of the environment, or a file.
func secret(value, path string) func() ([]byte, error) {
	if value != "" {
		b := []byte(strings.TrimSpace(value))
		return func() ([]byte, error) { return b, nil }
	}
	f := &secretFile{path: path}
	return f.get
}

// lines splits a secret into one per line: two while one is being replaced.
func lines(b []byte) [][]byte {
	var out [][]byte
	for _, l := range bytes.Split(b, []byte("\n")) {
		if l = bytes.TrimSpace(l); len(l) > 0 {
			out = append(out, l)
		}
	}
	return out
}
