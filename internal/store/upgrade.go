package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// Upgrade says that the schema was an older one when the database was opened.
type Upgrade struct {
	From, To int64  // versions of the schema
	Backup   string // the database as it was before; "": none was made
	Why      string // none was
}

// Upgrade returns how the schema was brought up to date when the database was
// opened; ok is false where it was.
func (db *DB) Upgrade() (u Upgrade, ok bool) {
	if db.upgrade == nil {
		return u, false
	}
	return *db.upgrade, true
}

// spare is what must be left free after a copy, in bytes.
const spare = 64 << 20

// keepOlder makes a backup of a database whose schema is about to change, since
// there is no way back. Where there is no room for one it does without.
func (db *DB) keepOlder(ctx context.Context, from, to int64) error {
	db.upgrade = &Upgrade{From: from, To: to}
	if why := db.noRoom(); why != "" {
		db.upgrade.Why = why
		return nil
	}
	name := fmt.Sprintf("%s.schema-%d", db.file, from)
	for n := 2; n < 100; n++ { // one from another time stays
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s.schema-%d-%d", db.file, from, n)
	}
	c, err := db.Backup(ctx, name)
	var e sqlite3.Error
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.As(err, &e) && e.Code == sqlite3.ErrFull:
		db.upgrade.Why = "the disk is full"
		return nil
	case err != nil:
		return fmt.Errorf("a backup is made before the schema goes from %d to %d, and it failed; the database is unchanged: %w", from, to, err)
	}
	db.upgrade.Backup = c.File
	return nil
}

// noRoom says that a copy of the database does not fit beside it; "": it does,
// or nobody knows.
func (db *DB) noRoom() string {
	if db.room == nil {
		return ""
	}
	info, err := os.Stat(db.file)
	if err != nil {
		return ""
	}
	free, err := db.room(filepath.Dir(db.file))
	if need := info.Size() + db.LogSize() + spare; err == nil && free < need {
		return fmt.Sprintf("a backup needs %d MiB on the disk of the database, and %d MiB are free", need>>20, free>>20)
	}
	return ""
}
