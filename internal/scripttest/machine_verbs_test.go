package scripttest

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// wall sets janela's wall clock: +1h or -1h from the true time, which Meta and
// everybody else keeps; 0s is right again. The monotonic clock goes on.
func wall(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	d, err := time.ParseDuration(l.words[0])
	if err != nil {
		return fmt.Errorf("%q is no time; write +1h, -24h or 0s", l.words[0])
	}
	w.skew.Store(int64(d))
	w.settle()
	return nil
}

// backupVerb makes a copy of the database, as sqlite3's own backup does.
func backupVerb(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+w.database())
	if err != nil {
		return err
	}
	_, err = db.Exec("VACUUM INTO ?", w.path(l.words[0]))
	return errors.Join(err, db.Close())
}

// restore puts a backup in the place of the database, while janela does not run.
func restore(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	if w.house != nil {
		return errors.New("janela runs; write stop or crash first")
	}
	for _, name := range []string{"-wal", "-shm"} {
		if err := os.Remove(w.database() + name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	w.past = true
	data, err := os.ReadFile(w.path(l.words[0]))
	if err != nil {
		return err
	}
	return os.WriteFile(w.database(), data, 0o600)
}

// lose removes files of the database: db itself, db-wal, db.epoch.
func lose(w *world, l line) error {
	if w.house != nil {
		return errors.New("janela runs; write stop or crash first")
	}
	w.past = true
	for _, name := range l.words {
		if err := os.Remove(w.database() + strings.TrimPrefix(name, "db")); err != nil {
			return err
		}
	}
	return need(l, 1)
}

// disk says how much is free, or lets every commit that writes fail as on a full
// one.
func disk(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	d, err := w.running()
	if err != nil {
		return err
	}
	switch l.words[0] {
	case "full", "well":
		d.DB().Break(l.words[0] == "full")
	default:
		mib, err := strconv.ParseInt(l.words[0], 10, 64)
		if err != nil {
			return fmt.Errorf("%q is neither MiB nor full nor well", l.words[0])
		}
		w.free.Store(mib << 20)
	}
	w.settle()
	return nil
}

// expectLogged counts the lines of the log that hold a text.
func expectLogged(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	most, err := strconv.Atoi(l.words[0])
	if err != nil {
		return fmt.Errorf("%q is no number of lines", l.words[0])
	}
	text := strings.Join(l.words[1:], " ")
	n := 0
	for row := range strings.Lines(w.logs.text()) {
		if strings.Contains(row, text) {
			n++
		}
	}
	if n == 0 || n > most {
		return fmt.Errorf("%d lines of the log say so, expected at least one and at most %d", n, most)
	}
	return nil
}
