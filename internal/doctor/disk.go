package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"janela/internal/store"
)

// dir is the folder of the database, or the nearest one above that exists.
func (l *look) dir() string {
	dir := filepath.Dir(l.Config.File(l.Config.Store.Path))
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

var (
	filesystemNetwork   = declare("filesystem", "network", WARN, "the database lies on {kind} ({folder}): locks and the write-ahead log are not safe over a network", "write a local disk into [store] path, and move the database with janela backup and janela restore")
	filesystemMemory    = declare("filesystem", "memory", WARN, "the database lies in memory, on {kind} ({folder}): a restart of the machine takes it", "write a disk into [store] path")
	filesystemContainer = declare("filesystem", "container", WARN, "the database lies inside of a container, on {kind} ({folder}): the next container has none of it", "mount a volume there, or write one into [store] path")
)

func (l *look) filesystem(context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	dir := l.dir()
	is, err := l.FileSystem(dir)
	if err != nil {
		return outcome{skip: err.Error()}
	}
	at := []string{"kind", is.Name, "folder", dir}
	switch is.Doubt {
	case "network":
		return outcome{found: []Finding{filesystemNetwork.of(at...)}}
	case "memory":
		return outcome{found: []Finding{filesystemMemory.of(at...)}}
	case "container":
		return outcome{found: []Finding{filesystemContainer.of(at...)}}
	}
	return outcome{ok: strings.TrimSpace(is.Name + " at " + dir)}
}

var (
	databaseFolder  = declare("database", "folder_not_writable", FAIL, "nothing can be written into {folder}: {error}", "chown USER {folder}, for the user of the daemon; or write another place into [store] path")
	databaseUnread  = declare("database", "unreadable", FAIL, "{file} cannot be read: {error}", "run as the user of the daemon; if the file is damaged: janela restore the newest backup")
	databaseDamaged = declare("database", "damaged", FAIL, "{file} is damaged: {what}", "stop the daemon, keep the file, look at the disk, and janela restore the newest backup")
	databaseJournal = declare("database", "journal", FAIL, "{file} is in the journal mode {mode}, not wal", "somebody changed it, or the file system cannot do it: put it on a local disk, and start janela")
	databaseNewer   = declare("database", "newer", FAIL, "{file} has the schema {schema}, and this program knows {newest}: a newer janela wrote it", "use the newer janela")
	databaseOlder   = declare("database", "older", WARN, "{file} has the schema {schema}; the next start brings it up to {newest}, after a backup", "make a backup of your own before: janela backup FILE")
	databaseOpen    = declare("database", "readable_by_others", FAIL, "{file} can be read by others (mode {mode})", "chmod 600 {file}")
	databaseLarge   = declare("database", "not_looked_through", WARN, "{file} is too large to be looked through in {time}", "janela backup FILE looks through every page of the copy")
)

// lookThrough bounds how long the database is looked through.
var lookThrough = 30 * time.Second

func (l *look) database(ctx context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	file := l.Config.File(l.Config.Store.Path)
	if err := writable(l.dir()); err != nil {
		return outcome{found: []Finding{databaseFolder.of("folder", l.dir(), "error", err.Error())}}
	}
	limited, cancel := context.WithTimeout(ctx, lookThrough)
	defer cancel()
	f, err := store.Examine(limited, file)
	var o outcome
	add := func(x *fault, pairs ...string) { o.found = append(o.found, x.of(append(pairs, "file", file)...)) }
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return outcome{ok: "there is none yet; the first start makes it"}
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		add(databaseLarge, "time", lookThrough.String())
	case err != nil && strings.Contains(err.Error(), "malformed"):
		add(databaseDamaged, "what", err.Error())
		return o
	case err != nil:
		add(databaseUnread, "error", err.Error())
		return o
	}
	if len(f.Faults) > 0 {
		add(databaseDamaged, "what", strings.Join(f.Faults, "; "))
	}
	if !strings.EqualFold(f.Journal, "wal") {
		add(databaseJournal, "mode", f.Journal)
	}
	if f.Mode&0o077 != 0 {
		add(databaseOpen, "mode", fmt.Sprintf("%04o", f.Mode))
	}
	switch schema, newest := fmt.Sprint(f.Schema), fmt.Sprint(f.Newest); {
	case f.Schema > f.Newest:
		add(databaseNewer, "schema", schema, "newest", newest)
	case f.Schema < f.Newest:
		add(databaseOlder, "schema", schema, "newest", newest)
	}
	o.ok = fmt.Sprintf("whole, %s, schema %d", mib(f.Bytes), f.Schema)
	return o
}

// writable tries whether a file can be made in a folder.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".janela-doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

var (
	diskFull = declare("disk", "below_reserve", FAIL, "{free} are free on the disk of the database, and {reserve} must be: marketing stands still, and below {half} notices too", "make room on the disk of {folder}, or lower [store] reserve_mb")
	diskLow  = declare("disk", "low", WARN, "{free} are free on the disk of the database; below {reserve} marketing stands still", "make room on the disk of {folder}")
)

func (l *look) disk(context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	dir := l.dir()
	s, err := l.Space(dir)
	if err != nil {
		return outcome{skip: err.Error()}
	}
	reserve := s.Reserve(l.Config.Store.ReserveMB << 20)
	at := []string{"free", mib(s.Free), "reserve", mib(reserve), "half", mib(reserve / 2), "folder", dir}
	switch {
	case s.Free < reserve:
		return outcome{found: []Finding{diskFull.of(at...)}}
	case s.Free < 2*reserve:
		return outcome{found: []Finding{diskLow.of(at...)}}
	}
	return outcome{ok: fmt.Sprintf("%s free, %s are kept", mib(s.Free), mib(reserve))}
}
