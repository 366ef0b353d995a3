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

// migrate brings the schema up to date, forward only, and refuses a database
// that a newer janela has written. Its connection is closed when it returns.
func migrate(ctx context.Context, dsn string) (err error) {
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
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("store: read the schema's version: %w", err)
	}
	if have > newest {
		return fmt.Errorf("store: the database has schema %d and this janela knows %d: it was written by a newer version; use that one", have, newest)
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
