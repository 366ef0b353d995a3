package store

import (
	"context"
	"database/sql"
)

// Raw runs text on the transaction's own connection: pragmas, and statements
// that only a test needs.
func (tx *Tx) Raw(text string) error { return tx.conn.exec(text) }

// RawValue asks the transaction's own connection for one value.
func (tx *Tx) RawValue(text string) (string, error) { return tx.conn.value(text) }

// RawValue asks the snapshot's own connection for one value.
func (s *Snap) RawValue(text string) (string, error) { return s.conn.value(text) }

func (c *conn) value(text string) (v string, err error) {
	err = c.c.QueryRowContext(context.Background(), text).Scan(&v)
	return v, err
}

// Queued returns how many functions wait for the writer at each entrance.
func (db *DB) Queued() (urgent, bulk int) { return len(db.urgent), len(db.bulk) }

// ErrTxLost is what every caller of a turn gets whose transaction SQLite ended.
var ErrTxLost = errTxLost

// CheckWriter and CheckReader connect by a DSN and read the pragmas back.
func CheckWriter(ctx context.Context, dsn string) error { return check(ctx, dsn, writerPragmas) }

// CheckReader is CheckWriter for a reading connection.
func CheckReader(ctx context.Context, dsn string) error { return check(ctx, dsn, readerPragmas) }

// The DSNs as Open makes them.
var (
	WriterDSN = writerDSN
	ReaderDSN = readerDSN
)

func check(ctx context.Context, dsn string, pragmas []pragma) error {
	pool, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	c, err := newConn(ctx, pool, pragmas)
	if err != nil {
		return err
	}
	return c.c.Close()
}

// Rewritten returns a statement as it is prepared.
func Rewritten(text string) string { return bare.ReplaceAllString(text, "+$0") }
