package store

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Restored says that the database is not the one that ran here last: a backup
// was restored, the file was exchanged, its write-ahead log is gone. It knows
// nothing of what was done since.
type Restored struct {
	Why     string `json:"why"`     // in words
	Found   int64  `json:"found"`   // when it was noticed, ms
	Stands  int64  `json:"stands"`  // the last instant that the database knows, ms; 0: it is new
	Ran     int64  `json:"ran"`     // the last instant that the file beside it knows, ms; 0: unknown
	Commits int64  `json:"commits"` // transactions that are gone; 0: unknown
	IDs     int64  `json:"ids"`     // no id above it was given out before
}

// epochWord begins the file beside the database, whose one line is
// "<word> <database> <epoch> <state> <commits> <id ceiling> <clock> <checksum>",
// filled up with spaces: it is written over in place, and never longer than a
// sector. Its state is running once anything was committed, until the write-ahead
// log was emptied at the end: then that is not needed any more.
const (
	epochWord   = "janela-epoch-1"
	epochLength = 256
)

// epoch is what the file beside the database says of it. Another epoch begins
// where a database is found that is not the one that ran here last: then the
// number of commits says nothing.
type epoch struct {
	database, name string
	running        bool
	commits        int64
	mark
}

func (e *epoch) line() []byte {
	state := "stopped"
	if e.running {
		state = "running"
	}
	text := fmt.Sprintf("%s %s %s %s %d %d %d", epochWord, e.database, e.name, state, e.commits, e.ceiling, e.clock)
	text = fmt.Sprintf("%s %08x", text, crc32.ChecksumIEEE([]byte(text)))
	return fmt.Appendf(nil, "%-*s\n", epochLength-1, text)
}

var errEpochForm = errors.New("it is not one that janela wrote")

func parseEpoch(data []byte) (e epoch, err error) {
	text := strings.TrimSpace(string(data))
	cut := strings.LastIndexByte(text, ' ')
	words := strings.Fields(text)
	if len(words) != 8 || words[0] != epochWord || fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text[:cut]))) != words[7] {
		return e, errEpochForm
	}
	e.database, e.name, e.running = words[1], words[2], words[3] == "running"
	for i, place := range []*int64{&e.commits, &e.ceiling, &e.clock} {
		if *place, err = strconv.ParseInt(words[4+i], 10, 64); err != nil {
			return e, errEpochForm
		}
	}
	return e, nil
}

// epochFile is the file beside the database. The writer writes it over after
// every commit and before anybody is told of it, which outlives the process;
// Keep brings it to disk, which outlives the machine.
type epochFile struct {
	path   string
	file   *os.File // nil before open
	dirty  atomic.Bool
	failed atomic.Pointer[error]
}

// read returns what the file says; ok is false where there is none.
func (f *epochFile) read() (e epoch, ok bool, err error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err == nil {
		e, err = parseEpoch(data)
	}
	return e, true, err
}

// open makes the file say e, on disk, and keeps it open.
func (f *epochFile) open(e epoch) error {
	err := f.replace(e)
	if err != nil {
		return fmt.Errorf("store: the file beside the database: %w", err)
	}
	if f.file, err = os.OpenFile(f.path, os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("store: the file beside the database: %w", err)
	}
	return nil
}

// replace writes a new file in one step.
func (f *epochFile) replace(e epoch) error {
	tmp, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(e.line())
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// write notes a commit. What fails is told by Keep: the commit stands.
func (f *epochFile) write(e epoch) {
	if f.file == nil {
		return
	}
	if _, err := f.file.WriteAt(e.line(), 0); err != nil {
		f.failed.Store(&err)
		return
	}
	f.dirty.Store(true)
}

func (f *epochFile) sync() error {
	if f.file == nil || !f.dirty.Swap(false) {
		return nil
	}
	if err := f.file.Sync(); err != nil {
		f.dirty.Store(true)
		return err
	}
	return nil
}

// stopped notes that the write-ahead log was emptied, and that nothing follows.
func (f *epochFile) stopped(e epoch) {
	e.running = false
	f.write(e)
}

func (f *epochFile) close() error {
	if f.file == nil {
		return nil
	}
	return errors.Join(f.sync(), f.file.Close())
}

// Keep brings the file beside the database to disk, and returns what failed
// since the last time. Call it every few seconds.
func (db *DB) Keep() error {
	var failed error
	if err := db.epoch.failed.Swap(nil); err != nil {
		failed = *err
	}
	if err := errors.Join(failed, db.epoch.sync()); err != nil {
		return fmt.Errorf("store: %s could not be written; a restored backup may not be noticed: %w", db.epoch.path, err)
	}
	return nil
}

// Restored says whether the database is not the one that ran here last, since
// that was noticed until EndRestored.
func (db *DB) Restored() (Restored, bool) {
	r := db.restored.Load()
	if r == nil {
		return Restored{}, false
	}
	return *r, true
}

// Older reports whether a message, or anything else with an id, was there when a
// database was found that is not the one that ran here last: more may have been
// done with it than is known.
func (tx *Tx) Older(id int64) bool { return id <= tx.db.olderIDs.Load() }

// EndRestored notes, when the transaction commits, that somebody has taken care
// of what Restored says.
func (tx *Tx) EndRestored() error {
	tx.ended = true
	return tx.One(sqlForget, "restored")
}

var sqlForget = SQL(`DELETE FROM settings WHERE name = ?1`)

// identify compares the database with the file beside it, before anything else
// is written, and begins a new epoch where they differ.
func (db *DB) identify(w *conn, m mark, logless bool) (*ids, error) {
	was, there, fault := db.epoch.read()
	have := epoch{database: db.name, mark: m}
	var err error
	if have.name, err = setting(w, "epoch"); err != nil {
		return nil, err
	}
	if have.commits, err = number(w, "commits"); err != nil {
		return nil, err
	}
	found := compare(have, was, there, fault)
	if found == nil && was.running && logless {
		if found, err = w.halfway(db.file); err != nil {
			return nil, err
		}
	}
	if found != nil && found.Ran == 0 && there && fault == nil {
		found.Stands, found.Ran = have.clock, was.clock
	}
	if there && fault == nil && was.database == have.database { // ids and instants must not come again
		m.ceiling, m.clock = max(m.ceiling, was.ceiling), max(m.clock, was.clock)
	}
	if err := db.remember(w, &have, found); err != nil {
		return nil, err
	}
	have.mark, have.running = m, was.running && !logless
	if err := db.epoch.open(have); err != nil {
		return nil, err
	}
	db.now.Store(m.clock)
	return &ids{next: m.ceiling, saved: m, epoch: have}, nil
}

// compare says in words why the database is not the one that ran here last; nil:
// it is.
func compare(have, was epoch, there bool, fault error) *Restored {
	r := &Restored{Stands: have.clock, Ran: was.clock}
	switch {
	case !there && have.name == "":
		return nil // the first start
	case !there:
		r.Why = "the file beside the database, which says how far it had come, is missing: a backup was restored, or the database came from another machine"
	case fault != nil:
		r.Ran, r.Why = 0, "the file beside the database, which says how far it had come, cannot be read: "+fault.Error()
	case was.database != have.database:
		r.Why = "another database ran here before"
	case have.name == "":
		return nil // the first start ended between the two
	case was.name != have.name:
		r.Why = "the database was put aside when another copy of it went on here"
	case was.commits > have.commits:
		r.Commits = was.commits - have.commits
		r.Why = fmt.Sprintf("the database is older than what ran here last: %d transactions are gone", r.Commits)
	default:
		return nil
	}
	return r
}

// remember loads what was found before, adds what is found now, and begins a new
// epoch for it, and for a new database.
func (db *DB) remember(w *conn, have *epoch, found *Restored) error {
	before, err := setting(w, "restored")
	if err != nil {
		return err
	}
	older, err := number(w, "older_ids")
	if err != nil {
		return err
	}
	set := map[string]string{}
	if found != nil {
		found.Found, found.IDs = db.clock.look(), have.ceiling
		older = max(older, have.ceiling)
		set["older_ids"] = strconv.FormatInt(older, 10)
	}
	if found != nil || have.name == "" {
		have.name = rand.Text()[:12]
		set["epoch"] = have.name
	}
	switch {
	case before != "":
		found = &Restored{}
		if err := json.Unmarshal([]byte(before), found); err != nil {
			return fmt.Errorf("store: read settings: %w", err)
		}
	case found != nil:
		text, err := json.Marshal(found)
		if err != nil {
			return err
		}
		set["restored"] = string(text)
	}
	db.olderIDs.Store(older)
	db.restored.Store(found)
	if len(set) == 0 {
		return nil
	}
	if _, there := set["restored"]; !there && older == 0 { // a new database: the file first, or a crash would look like a restored backup
		if err := db.epoch.replace(*have); err != nil {
			return fmt.Errorf("store: the file beside the database: %w", err)
		}
	}
	return w.set(set)
}

// set writes settings in one transaction.
func (c *conn) set(values map[string]string) error {
	err := c.exec("BEGIN IMMEDIATE")
	for name, value := range values {
		if err == nil {
			_, err = c.value("INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
		}
	}
	if err == nil {
		err = c.exec("COMMIT")
	}
	if err != nil {
		if !c.raw.AutoCommit() {
			_ = c.exec("ROLLBACK")
		}
		return fmt.Errorf("store: write settings: %w", err)
	}
	return nil
}

func setting(c *conn, name string) (string, error) {
	v, err := c.value("SELECT value FROM settings WHERE name = ?1", name)
	if err != nil {
		return "", fmt.Errorf("store: read settings: %w", err)
	}
	return v, nil
}

func number(c *conn, name string) (int64, error) {
	text, err := setting(c, name)
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("store: read settings: %w", err)
	}
	return n, nil
}

// FoundAt is when it was noticed.
func (r Restored) FoundAt() time.Time { return Time(r.Found) }

// largest is the largest database that is checked from end to end at a start.
const largest = 1 << 30

// halfway judges a database without its write-ahead log that has every commit:
// whoever opened it with sqlite3 after a crash has brought the log home; or it
// was removed, while a part of it was.
func (c *conn) halfway(file string) (*Restored, error) {
	const gone = "the write-ahead log is gone, and with it perhaps what it held"
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if info.Size() > largest {
		return &Restored{Why: gone + "; if somebody opened the database with sqlite3 after a crash, nothing is lost"}, nil
	}
	sound, err := c.value("PRAGMA integrity_check(1)")
	if err == nil && sound == "ok" {
		return nil, nil
	}
	return &Restored{Why: gone + ": the database is damaged; restore a backup"}, nil
}
