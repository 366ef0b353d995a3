package campaigns

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"janela/internal/failpoint"
)

// freeze copies a file into the spool, under a name or, without one, under the
// hash of its content, and returns that hash: what runs is this copy, whatever
// becomes of the file. A file that changes while it is copied is refused.
func (c *Campaigns) freeze(in *os.File, name string) (hash string, err error) {
	if err := os.MkdirAll(c.cfg.Spool, 0o700); err != nil {
		return "", err
	}
	before, err := openMark(in)
	if err != nil {
		return "", err
	}
	out, err := os.CreateTemp(c.cfg.Spool, "copy-*") // mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		_ = out.Close()
		_ = os.Remove(out.Name())
	}()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), in); err != nil {
		return "", fmt.Errorf("copy %s: %w", filepath.Base(in.Name()), err)
	}
	if after, err := openMark(in); err != nil || after != before {
		return "", &busyError{filepath.Base(in.Name())}
	}
	if err := out.Sync(); err != nil {
		return "", err
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	if name == "" {
		name = hash
	}
	if err := failpoint.Err("campaigns.freeze"); err != nil {
		return "", err
	}
	if err := os.Rename(out.Name(), c.spooled(name)); err != nil {
		return "", err
	}
	if err := syncDir(c.cfg.Spool); err != nil { // the database is about to say that it is there
		return "", err
	}
	return hash, failpoint.Err("campaigns.frozen")
}

// syncDir makes the names in a folder survive a power cut.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// spooled is where a frozen copy is.
func (c *Campaigns) spooled(name string) string { return filepath.Join(c.cfg.Spool, name) }

// busyError says that a file changed while it was read.
type busyError struct{ name string }

func (e *busyError) Error() string {
	return e.name + " changed while it was read; it is tried again when it is quiet"
}

func openMark(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d/%d", info.Size(), info.ModTime().UnixNano()), nil
}
