package store

import "context"

// Raw runs text on the transaction's own connection: pragmas, and statements
// that only a test needs.
func (tx *Tx) Raw(text string) error {
	_, err := tx.conn.raw.ExecContext(context.Background(), text, nil)
	return err
}

// RawValue asks the transaction's own connection for one value.
func (tx *Tx) RawValue(text string) (string, error) { return tx.conn.value(text) }

// RawValue asks the snapshot's own connection for one value.
func (s *Snap) RawValue(text string) (string, error) { return s.conn.value(text) }

// Queued returns how many functions wait for the writer at each entrance.
func (db *DB) Queued() (urgent, bulk int) { return len(db.urgent), len(db.bulk) }

// ErrTxLost is what every caller of a turn gets whose transaction SQLite ended.
var ErrTxLost = errTxLost

// CheckWriter and CheckReader connect by a DSN and read the pragmas back.
func CheckWriter(dsn string) error { return check(dsn, writerPragmas) }

// CheckReader is CheckWriter for a reading connection.
func CheckReader(dsn string) error { return check(dsn, readerPragmas) }

// The DSNs as Open makes them.
var (
	WriterDSN = writerDSN
	ReaderDSN = readerDSN
)

func check(dsn string, pragmas []pragma) error {
	c, err := newConn(dsn, pragmas)
	if err != nil {
		return err
	}
	return c.close()
}

// Rewritten returns a statement as it is prepared.
func Rewritten(text string) string { return bare.ReplaceAllString(text, "+$0") }

// CopySteps is Backup with step called before each rest.
func (db *DB) CopySteps(ctx context.Context, to string, step func()) (Copy, error) {
	src, err := newConn(readerDSN(db.file), readerPragmas)
	if err != nil {
		return Copy{}, err
	}
	defer func() { _ = src.close() }()
	return copyOf(ctx, src, to, func() bool { step(); return true })
}

// NewestSchema is what Open brings a database to.
func NewestSchema() int64 { return newestSchema() }
