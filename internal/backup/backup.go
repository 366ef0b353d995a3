package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"janela/internal/store"
	"janela/scheduler"
)

// Settings say what is made when.
type Settings struct {
	Dir      string // "": nothing is made
	Schedule string // cron, five fields
	Zone     string // IANA name
	Keep     int    // so many of the newest stay
}

// Config says what Backups work with.
type Config struct {
	DB       *store.DB
	Settings Settings
	Free     func(dir string) (int64, error) // bytes that are free there; nil: nobody asks
	Log      *slog.Logger
}

// State is what is known of the backups.
type State struct {
	On      bool
	Last    time.Time     // when the newest that lies there was begun; zero: none
	Bytes   int64         // its size
	Took    time.Duration // how long the last one took that was made since the start
	Due     time.Time     // when the next one is to be made, or was; zero: not known yet
	Overdue time.Duration // for how long it has been due
	Made    int64         // since the start
	Failed  int64
	Err     error     // why the last one failed; nil: it did not
	ErrAt   time.Time // when
}

// Backups makes them. Make one with New and call Run.
type Backups struct {
	cfg     Config
	changed chan struct{}

	mu    sync.Mutex
	set   Settings
	state State
	since time.Time // when it was first looked: nothing was due before
	again time.Time // after a failure: not sooner
}

// lookEvery is how often it is asked whether one is due.
const lookEvery = 30 * time.Second

const (
	retryAfter = 15 * time.Minute
	// late is how long one may be due before somebody is told.
	late = time.Hour
	// spare is what must be left free beside a backup, in bytes.
	spare = 64 << 20
)

// New returns Backups of a database.
func New(cfg Config) *Backups {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Backups{cfg: cfg, set: cfg.Settings, changed: make(chan struct{}, 1), since: cfg.DB.Now(), state: State{On: cfg.Settings.Dir != ""}}
}

// Set changes what is made when, from now on.
func (b *Backups) Set(s Settings) {
	b.mu.Lock()
	if s != b.set {
		b.set, b.again, b.since = s, time.Time{}, b.cfg.DB.Now()
		b.state = State{On: s.Dir != "", Made: b.state.Made, Failed: b.state.Failed}
	}
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// State returns what is known, now.
func (b *Backups) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state
	if !s.Due.IsZero() {
		s.Overdue = max(b.cfg.DB.Now().Sub(s.Due), 0)
	}
	return s
}

// Alerts says what a person should look at.
func (b *Backups) Alerts() []string {
	s := b.State()
	last := "there is none"
	if !s.Last.IsZero() {
		last = "the newest is of " + s.Last.Format(time.RFC3339)
	}
	switch {
	case s.Err != nil:
		return []string{fmt.Sprintf("the backup of %s failed, and %s: %v", s.ErrAt.Format(time.RFC3339), last, s.Err)}
	case s.Overdue >= late:
		return []string{fmt.Sprintf("a backup has been due for %s, and %s", s.Overdue.Round(time.Minute), last)}
	}
	return nil
}

// Run makes backups until ctx ends.
func (b *Backups) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		b.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-b.changed:
		}
	}
}

// look makes a backup if one is due.
func (b *Backups) look(ctx context.Context) {
	b.mu.Lock()
	set, since, again := b.set, b.since, b.again
	b.mu.Unlock()
	if set.Dir == "" {
		return
	}
	now := b.cfg.DB.Now()
	have, err := list(set.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.failed(set, now, err)
		return
	}
	last, from := newest(have), since
	if !last.at.IsZero() {
		from = last.at
	}
	due, err := scheduler.After(set.Schedule, set.Zone, from)
	if err != nil {
		b.failed(set, now, err)
		return
	}
	b.note(set, func(s *State) { s.Last, s.Bytes, s.Due = last.at, last.bytes, due })
	if now.Before(due) || now.Before(again) {
		return
	}
	made, err := b.make(ctx, set, now)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		b.failed(set, now, err)
	default:
		took := b.cfg.DB.Now().Sub(now)
		next, _ := scheduler.After(set.Schedule, set.Zone, now)
		b.note(set, func(s *State) {
			s.Last, s.Bytes, s.Took, s.Due, s.Err, s.Made = now, made.Bytes, took, next, nil, s.Made+1
		})
		b.cfg.Log.Info("a backup was made and looked through", "file", made.File, "bytes", made.Bytes, "rows", made.Total(), "took", took.Round(time.Millisecond))
		b.prune(set)
	}
}

// note changes what is known, unless the settings have changed meanwhile.
func (b *Backups) note(set Settings, fn func(*State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.set == set {
		fn(&b.state)
	}
}

func (b *Backups) failed(set Settings, now time.Time, err error) {
	first := b.State().Err == nil
	b.note(set, func(s *State) { s.Err, s.ErrAt, s.Failed = err, now, s.Failed+1 })
	b.mu.Lock()
	if b.set == set {
		b.again = now.Add(retryAfter)
	}
	b.mu.Unlock()
	if first {
		b.cfg.Log.Error("a backup failed; it is tried again every quarter of an hour", "folder", set.Dir, "error", err)
	}
}

// form is how a backup is named.
const form = "janela-20060102T150405Z.db"

var (
	named   = regexp.MustCompile(`^janela-\d{8}T\d{6}Z\.db$`)
	partial = regexp.MustCompile(`^\.janela-\d{8}T\d{6}Z\.db-[0-9]+\.partial(-journal)?$`)
)

// file is a backup that lies there.
type file struct {
	name  string
	at    time.Time
	bytes int64
}

// list returns what lies in a folder, the oldest first.
func list(dir string) (out []file, err error) {
	entries, err := os.ReadDir(dir) // by name, which is by time
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	for _, e := range entries {
		at, err := time.Parse(form, e.Name())
		if err != nil || !named.MatchString(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		f := file{name: e.Name(), at: at}
		if info, err := e.Info(); err == nil {
			f.bytes = info.Size()
		}
		out = append(out, f)
	}
	return out, nil
}

func newest(have []file) file {
	if len(have) == 0 {
		return file{}
	}
	return have[len(have)-1]
}

// make makes one, in a folder that is made when it is not there.
func (b *Backups) make(ctx context.Context, set Settings, now time.Time) (store.Copy, error) {
	if err := os.MkdirAll(set.Dir, 0o700); err != nil {
		return store.Copy{}, fmt.Errorf("backup: %w", err)
	}
	entries, err := os.ReadDir(set.Dir)
	if err != nil {
		return store.Copy{}, fmt.Errorf("backup: %w", err)
	}
	for _, e := range entries { // of a process that ended in the middle
		if partial.MatchString(e.Name()) {
			_ = os.Remove(filepath.Join(set.Dir, e.Name()))
		}
	}
	if b.cfg.Free != nil {
		free, err := b.cfg.Free(set.Dir)
		if need := b.cfg.DB.Size() + spare; err == nil && free < need {
			return store.Copy{}, fmt.Errorf("backup: %d MiB are free in %s, and %d are needed: make room, or lower [backup] keep", free>>20, set.Dir, need>>20)
		}
	}
	return b.cfg.DB.Backup(ctx, filepath.Join(set.Dir, now.UTC().Format(form)))
}

// prune removes the oldest.
func (b *Backups) prune(set Settings) {
	have, err := list(set.Dir)
	if err != nil || len(have) <= set.Keep {
		return
	}
	for _, f := range have[:len(have)-set.Keep] {
		if err := os.Remove(filepath.Join(set.Dir, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.cfg.Log.Warn("an old backup could not be removed", "file", filepath.Join(set.Dir, f.name), "error", err)
		}
	}
}
