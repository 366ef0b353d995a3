package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/mattn/go-sqlite3"

	"janela/internal/failpoint"
)

// minVersion has the fix for the WAL-reset bug that could lose commits with two
// connections (SQLite 3.51.3).
const minVersion = 3_051_003

// pragma is a setting and the value it must read back as: the driver ignores
// misspelt options of its DSN, and sets synchronous=NORMAL unless told.
type pragma struct{ name, want string }

var writerPragmas = []pragma{
	{"journal_mode", "wal"},
	{"synchronous", failpoint.Usual("synchronous_is", "2")}, // FULL: what is committed survives a power cut
	{"foreign_keys", "1"},
	{"busy_timeout", "5000"},
	{"secure_delete", "1"},
	{"query_only", "0"},
}

var readerPragmas = []pragma{
	{"journal_mode", "wal"},
	{"synchronous", "2"},
	{"busy_timeout", "5000"},
	{"query_only", "1"},
}

func writerDSN(file string) string {
	q := url.Values{}
	q.Set("_journal_mode", "WAL")
	q.Set("_synchronous", failpoint.Usual("synchronous", "FULL"))
	q.Set("_txlock", "immediate")
	q.Set("_busy_timeout", "5000")
	q.Set("_foreign_keys", "on")
	q.Set("_secure_delete", "on")
	q.Set("_mutex", "no") // one goroutine at a time uses a connection
	return dsn(file, q)
}

func readerDSN(file string) string {
	q := url.Values{}
	q.Set("mode", "ro")
	q.Set("_query_only", "on")
	q.Set("_mutex", "no")
	q.Set("_synchronous", "FULL")
	q.Set("_busy_timeout", "5000")
	return dsn(file, q)
}

func dsn(file string, q url.Values) string {
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + q.Encode()
}

// precreate makes the file with mode 0600: SQLite itself would make it 0644.
// It runs before the first connection; a descriptor of a live database file
// must never be closed in this process.
func precreate(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return os.Chmod(file, 0o600)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// EngineVersion is the version of the SQLite that is linked in.
func EngineVersion() string {
	text, _, _ := sqlite3.Version()
	return text
}

func checkVersion() error {
	text, number, _ := sqlite3.Version()
	if number < minVersion {
		return fmt.Errorf("store: SQLite %s is linked, which can lose commits; build without the libsqlite3 tag", text)
	}
	return nil
}

// conn is one connection with its prepared statements. One goroutine uses it
// at a time.
type conn struct {
	raw      *sqlite3.SQLiteConn
	stmts    map[*Stmt]*prepared
	controls map[string]*prepared // BEGIN, COMMIT and the like
	reading  reading
}

func newConn(dsn string, pragmas []pragma) (*conn, error) {
	dc, err := (&sqlite3.SQLiteDriver{}).Open(dsn)
	if err != nil {
		return nil, err
	}
	c := &conn{raw: dc.(*sqlite3.SQLiteConn), stmts: map[*Stmt]*prepared{}, controls: map[string]*prepared{}}
	if err := c.configure(pragmas); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *conn) configure(pragmas []pragma) error {
	for _, p := range pragmas {
		got, err := c.value("PRAGMA " + p.name)
		if err != nil {
			return fmt.Errorf("read back %s: %w", p.name, err)
		}
		if !strings.EqualFold(got, p.want) {
			return fmt.Errorf("%s is %q and must be %q; the file system may not support it", p.name, got, p.want)
		}
	}
	for _, set := range []string{
		fmt.Sprintf("wal_autocheckpoint = %d", autoPages),
		"cache_size = -8000",  // KB: an index in random order is more than the usual 2 MB
		"temp_store = MEMORY", // a savepoint's undo log would go to a file from 64 KB on: a third of the writer's time
	} {
		if _, err := c.value("PRAGMA " + set); err != nil {
			return err
		}
	}
	return nil
}

// bare finds parameters. SQLite prepares a statement again at every execution
// when a bare parameter may steer the query plan (col = ?1, LIMIT ?2) and its
// bindings were cleared, which the driver does: 72 µs instead of 4.5 µs for the
// facts of one message. A unary plus, which changes nothing else, prevents it.
var bare = regexp.MustCompile(`\?[0-9]+`)

// stmt prepares a statement once per connection.
func (c *conn) stmt(s *Stmt) (*prepared, error) {
	if p, ok := c.stmts[s]; ok {
		return p, nil
	}
	p, err := c.prepare(bare.ReplaceAllString(s.text, "+$0"))
	if err != nil {
		return nil, fmt.Errorf("store: prepare %q: %w", firstLine(s.text), err)
	}
	c.stmts[s] = p
	return p, nil
}

// exec runs text that is the same every time.
func (c *conn) exec(text string) error {
	p, ok := c.controls[text]
	if !ok {
		var err error
		if p, err = c.prepare(text); err != nil {
			return err
		}
		c.controls[text] = p
	}
	_, err := p.exec(nil)
	return err
}

// value returns the first column of the first row as text, empty where there is
// none. Its statement is not kept.
func (c *conn) value(text string, args ...any) (v string, err error) {
	p, err := c.prepare(text)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.raw.Close()) }()
	err = p.each(args, func(row []driver.Value) (bool, error) {
		v = fmt.Sprint(row[0])
		return false, nil
	})
	return v, err
}

// close finalises the statements first: SQLite would keep the files open for
// them.
func (c *conn) close() error {
	var errs []error
	for _, p := range c.stmts {
		errs = append(errs, p.raw.Close())
	}
	for _, p := range c.controls {
		errs = append(errs, p.raw.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// firstLine names a statement in errors.
func firstLine(s string) string {
	const most = 160
	line, _, _ := strings.Cut(s, "\n")
	if len(line) > most { // one over many rows
		line = line[:most] + "…"
	}
	return line
}

// Passing reports whether an error comes from the machine (a full disk, an I/O
// error, a lock) or from what others asked in the same transaction, and not from
// what was asked of the database: the same may go well later.
func Passing(err error) bool {
	var turn *turnError
	if errors.As(err, &turn) {
		return true
	}
	var e sqlite3.Error
	if errors.As(err, &e) {
		switch e.Code {
		case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrNomem, sqlite3.ErrReadonly, sqlite3.ErrCantOpen:
			return true
		}
	}
	return errors.Is(err, errTxLost) || errors.Is(err, ErrClosed) || errors.Is(err, ErrCrashed)
}
