package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"janela/internal/failpoint"
)

// ErrLost says that a compare-and-set changed no row: somebody else was first.
var ErrLost = errors.New("store: the row was not in the expected state")

// ErrLocked says that another process holds the database.
var ErrLocked = errors.New("another janela holds the database; stop it first, or talk to it through its socket")

// ErrClosed says that the database was closed.
var ErrClosed = errors.New("store: closed")

// ErrCrashed is what every transaction gets after Crash.
var ErrCrashed = errors.New("store: crashed")

// Config says which database to open.
type Config struct {
	Path string                          // the SQLite file; made with mode 0600 if it is not there
	Wall func() time.Time                // the clock; nil for time.Now
	Free func(dir string) (int64, error) // bytes that are free there; nil: nobody asks before a backup
}

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	name    string
	clock   *clock
	onJump  func(*Tx, Jump) error
	lock    *flock.Flock
	free    idleReaders
	readers []*conn
	copying atomic.Pointer[conn] // makes a backup; nil: none is under way
	upgrade *Upgrade             // nil: the schema was the newest
	room    func(dir string) (int64, error)
	tender  *conn // brings the log home; nil until it is needed
	tended  int64 // commits, when it last was
	urgent  chan *job
	bulk    chan *job
	scrub   chan *job // unbuffered: nobody is left waiting when the writer ends
	file    string
	carried sync.Map // by type
	noted   noted
	quit    chan struct{}
	done    sync.WaitGroup
	closing sync.Once
	crashed atomic.Bool
	broken  atomic.Bool
	stats   stats

	now      atomic.Int64 // the latest Now given out, ms
	fault    atomic.Pointer[Fault]
	stall    stall
	epoch    epochFile
	restored atomic.Pointer[Restored]
	olderIDs atomic.Int64

	wakes struct {
		sync.Mutex
		subscribers map[Topic][]chan struct{}
	}
}

const maxReaders = 4

// Open opens the database at cfg.Path, takes its lock, brings its schema up to
// date, and starts the writer. It refuses a file that another process holds
// (ErrLocked), and one that a newer janela has written.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("store: make the database's folder: %w", err)
	}
	db := &DB{
		clock:  newClock(cfg.Wall),
		lock:   flock.New(cfg.Path+".lock", flock.SetPermissions(0o600)),
		urgent: make(chan *job, 1024),
		bulk:   make(chan *job, 1024),
		scrub:  make(chan *job),
		file:   cfg.Path,
		room:   cfg.Free,
		stall:  stall{born: time.Now()},
		epoch:  epochFile{path: cfg.Path + ".epoch"},
		quit:   make(chan struct{}),
		free:   idleReaders{tickets: make(chan struct{}, maxReaders)},
	}
	db.wakes.subscribers = map[Topic][]chan struct{}{}
	held, err := db.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("store: lock %s.lock: %w", cfg.Path, err)
	}
	if !held {
		return nil, fmt.Errorf("%s: %w", cfg.Path, ErrLocked)
	}
	if err := db.open(ctx, cfg.Path); err != nil {
		return nil, errors.Join(err, db.release())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, file string) error {
	if err := failpoint.Err("store.open"); err != nil {
		return err
	}
	if err := precreate(file); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := checkVersion(); err != nil {
		return err
	}
	_, err := os.Stat(file + "-wal")
	logless := errors.Is(err, os.ErrNotExist)
	w, err := newConn(writerDSN(file), writerPragmas) // before the migrations': the last to leave would remove the log
	if err != nil {
		return fmt.Errorf("store: open %s: %w", file, err)
	}
	if err := migrate(ctx, writerDSN(file), func(from, to int64) error { return db.keepOlder(ctx, from, to) }); err != nil {
		return errors.Join(err, w.close())
	}
	failpoint.Hit("store.migrated")
	ids, err := db.prepare(w, logless)
	if err != nil {
		return errors.Join(err, w.close())
	}
	for range maxReaders {
		r, err := newConn(readerDSN(file), readerPragmas)
		if err != nil {
			return errors.Join(fmt.Errorf("store: open %s for reading: %w", file, err), w.close())
		}
		db.free.put(r)
		db.readers = append(db.readers, r)
	}
	writer := &writer{db: db, conn: w, ids: ids}
	db.done.Go(writer.run)
	return nil
}

// idleReaders are the connections that nobody reads with. The one that read last
// is taken first: what it has in memory is most likely still true, where nothing
// was committed meanwhile.
type idleReaders struct {
	tickets chan struct{} // one for each; whoever has one may take
	mu      sync.Mutex
	idle    []*conn
}

func (r *idleReaders) take() *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.idle) - 1
	c := r.idle[last]
	r.idle = r.idle[:last]
	return c
}

func (r *idleReaders) put(c *conn) {
	r.mu.Lock()
	r.idle = append(r.idle, c)
	r.mu.Unlock()
	r.tickets <- struct{}{}
}

// prepare reads, or on a new database makes, the settings.
func (db *DB) prepare(w *conn, logless bool) (*ids, error) {
	var m mark
	for name, place := range map[string]*int64{"id_ceiling": &m.ceiling, "clock": &m.clock} {
		var err error
		if *place, err = number(w, name); err != nil {
			return nil, err
		}
	}
	if _, err := w.value("INSERT INTO settings (name, value) VALUES ('db', ?1) ON CONFLICT (name) DO NOTHING", rand.Text()[:12]); err != nil {
		return nil, fmt.Errorf("store: write settings: %w", err)
	}
	var err error
	if db.name, err = setting(w, "db"); err != nil {
		return nil, err
	}
	return db.identify(w, m, logless)
}

// Name is the random text of this database, which callback ids carry.
func (db *DB) Name() string { return db.name }

// Crash makes every commit from this instant fail, and gives the file free, as
// if the process had been killed. For tests of what a crash leaves behind.
func (db *DB) Crash() {
	db.crashed.Store(true)
	_ = db.Close()
}

// Close ends the writer after what it has begun, moves the log into the
// database file, and gives the lock free. Further calls get ErrClosed.
func (db *DB) Close() error {
	var err error
	db.closing.Do(func() {
		close(db.quit)
		db.done.Wait()
		err = db.release()
	})
	return err
}

func (db *DB) release() error {
	var errs []error
	if db.tender != nil {
		errs = append(errs, db.tender.close())
	}
	for range db.readers { // waits for every snapshot to end
		<-db.free.tickets
		errs = append(errs, db.free.take().close())
	}
	errs = append(errs, db.epoch.close(), db.lock.Unlock())
	return errors.Join(errs...)
}

// current returns the wall clock in ms, never lower than it returned before,
// unless AcceptWall said so.
func (db *DB) current() int64 {
	now := db.clock.look()
	for {
		last := db.now.Load()
		if now <= last {
			return last
		}
		if db.now.CompareAndSwap(last, now) {
			return now
		}
	}
}

// Millis returns t as the database stores it: milliseconds UTC, 0 for none.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is the inverse of Millis, in UTC.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
