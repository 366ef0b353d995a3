package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"janela/internal/failpoint"
)

//go:embed migrations/*.sql
var migrations embed.FS

// newerError says that a newer janela has written the database.
type newerError struct{ have, newest int64 }

func (e newerError) Error() string {
	return fmt.Sprintf("the database has schema %d and this janela knows %d: it was written by a newer version; use that one", e.have, e.newest)
}

// newestSchema is the version that migrate brings a database to.
func newestSchema() (newest int64) {
	files, _ := migrations.ReadDir("migrations") // it is in the program
	for _, f := range files {
		if v, err := goose.NumericComponent(f.Name()); err == nil {
			newest = max(newest, v)
		}
	}
	return newest
}

// migrate brings the schema up to date, forward only, and refuses a database
// that a newer janela has written. A database that it changes it gives to before
// first, whose error keeps everything as it is. Its connection is closed when it
// returns.
func migrate(ctx context.Context, dsn string, before func(from, to int64) error) (err error) {
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return fmt.Errorf("store: open: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("store: migrations: %w", err)
	}
	newest := newestSchema()
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("store: read the schema's version: %w", err)
	}
	if have > newest {
		return fmt.Errorf("store: %w", newerError{have, newest})
	}
	if have > 0 && have < newest {
		if err := before(have, newest); err != nil {
			return err
		}
	}
	for {
		if err := failpoint.Err("store.migrate"); err != nil {
			return err
		}
		if _, err := p.UpByOne(ctx); errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		} else if err != nil {
			return fmt.Errorf("store: migrate: %w", err)
		}
		failpoint.Hit("store.migrate.step")
	}
}
