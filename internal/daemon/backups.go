package daemon

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"janela/internal/backup"
	"janela/internal/guard"
	"janela/internal/store"
	"janela/scheduler"
)

// BackupConfig says which backups are made by themselves.
type BackupConfig struct {
	Dir      string `toml:"dir"`      // "": none
	Schedule string `toml:"schedule"` // cron, five fields
	Keep     int    `toml:"keep"`     // so many of the newest stay
	Timezone string `toml:"timezone"` // of the schedule; "": that of [campaigns], or UTC
}

var defaultBackup = BackupConfig{Schedule: "30 3 * * *", Keep: 14}

// backup is the configuration as the room wants it.
func (c *Config) backup() backup.Settings {
	if c.Backup.Dir == "" {
		return backup.Settings{}
	}
	return backup.Settings{Dir: c.file(c.Backup.Dir), Schedule: c.Backup.Schedule, Keep: c.Backup.Keep,
		Zone: cmp.Or(c.Backup.Timezone, c.Campaigns.Timezone, "UTC")}
}

// backup finds what is wrong with the backups.
func (k *checker) backup() {
	b := k.cfg.Backup
	if _, err := scheduler.CheckCron(b.Schedule); err != nil {
		k.fault("backup.schedule", err.Error(), `write five fields, "30 3 * * *" is half past three every night`)
	}
	if b.Timezone != "" {
		if _, err := time.LoadLocation(b.Timezone); err != nil || b.Timezone == "Local" {
			k.fault("backup.timezone", fmt.Sprintf("%q is no time zone", b.Timezone), "write an IANA name like America/Sao_Paulo, or leave it out for that of [campaigns]")
		}
	}
	if b.Keep < 1 || b.Keep > 10_000 {
		k.fault("backup.keep", fmt.Sprintf("%d backups cannot be kept", b.Keep), "write from 1 to 10000; 14 is two weeks of one a night")
	}
	if b.Dir == "" {
		return
	}
	below, err := filepath.Rel(k.cfg.file(k.cfg.Campaigns.Folder), k.cfg.file(b.Dir))
	if err == nil && !strings.HasPrefix(below, "..") {
		k.fault("backup.dir", "backups cannot lie in the campaigns folder", "write a folder of its own, best on another disk")
	}
}

// free asks how much room a folder's disk has.
func (d *Daemon) free(dir string) (int64, error) {
	ask := d.opt.Space
	if ask == nil {
		ask = guard.SpaceOf
	}
	s, err := ask(dir)
	return s.Free, err
}

// tellUpgrade says that the schema was brought up to date.
func (d *Daemon) tellUpgrade() {
	u, ok := d.db.Upgrade()
	switch {
	case !ok:
	case u.Backup == "":
		d.log.Warn("the schema was brought up to date without a backup: "+u.Why, "from", u.From, "to", u.To)
	default:
		d.log.Warn("the schema was brought up to date; the database as it was before is kept: remove it when all is well", "from", u.From, "to", u.To, "backup", u.Backup)
	}
}

var (
	descBackupLast    = prometheus.NewDesc("janela_backup_last_success_timestamp_seconds", "When the newest backup was begun that lies in the folder, as a Unix time; 0: there is none.", nil, nil)
	descBackupSize    = prometheus.NewDesc("janela_backup_last_size_bytes", "Size of the newest backup.", nil, nil)
	descBackupTook    = prometheus.NewDesc("janela_backup_last_duration_seconds", "How long the last backup took.", nil, nil)
	descBackupOverdue = prometheus.NewDesc("janela_backup_overdue_seconds", "For how long a backup has been due.", nil, nil)
	descBackups       = prometheus.NewDesc("janela_backups_total", "Backups by the schedule, by what became of them.", []string{"result"}, nil)
)

var backupDescs = []*prometheus.Desc{descBackupLast, descBackupSize, descBackupTook, descBackupOverdue, descBackups}

// backups tells of backups by the schedule, where there is one.
func (m *metrics) backups(gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, int64, ...string)) {
	s := m.d.backups.State()
	if !s.On {
		return
	}
	last := 0.0
	if !s.Last.IsZero() {
		last = float64(s.Last.Unix())
	}
	gauge(descBackupLast, last)
	gauge(descBackupSize, float64(s.Bytes))
	gauge(descBackupTook, s.Took.Seconds())
	gauge(descBackupOverdue, s.Overdue.Seconds())
	counter(descBackups, s.Made, "made")
	counter(descBackups, s.Failed, "failed")
}

// BackupTo copies the database into a new file, from a process of its own: the
// daemon may run or not.
func (c *Config) BackupTo(ctx context.Context, to string) (store.Copy, error) {
	return store.BackupFile(ctx, c.file(c.Store.Path), to)
}

// EngineVersion is the version of the SQLite that is linked in.
func EngineVersion() string { return store.EngineVersion() }

// Inspect looks a backup through.
func Inspect(ctx context.Context, file string) (store.Copy, error) { return store.Inspect(ctx, file) }

// RestoreFrom puts a backup in the place of the database. No daemon may run.
func (c *Config) RestoreFrom(ctx context.Context, file string, now time.Time) (store.Put, error) {
	return store.Restore(ctx, store.RestoreConfig{Path: c.file(c.Store.Path), From: file, Now: now})
}
