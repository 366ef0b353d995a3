package campaigns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
)

// stopHold is what the STOP file places: all marketing stands still.
var stopHold = outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: "stop_file", Actor: "file",
	Detail: "the file STOP lies in the campaigns folder; remove it to go on"}

// watchFolder looks at the folder again and again.
func (c *Campaigns) watchFolder(ctx context.Context) {
	tick := time.NewTicker(c.cfg.Poll)
	defer tick.Stop()
	w := &folderWatch{c: c, refused: map[string]refusal{}}
	w.changed = c.cfg.DB.Wakes(account.Changed)
	if err := c.expectFiles(ctx); err != nil && ctx.Err() == nil {
		c.cfg.Log.Error("files that were removed while the daemon stood still are not noticed", "error", err)
	}
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.changed:
			w.offerRefused()
		}
	}
}

// expectFiles tells the watcher which definitions were there when the daemon
// stopped, so that one that was removed meanwhile is missed.
func (c *Campaigns) expectFiles(ctx context.Context) error {
	return c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		list, err := List(q)
		for _, camp := range list {
			if below, err := filepath.Rel(c.cfg.Folder, camp.Path); camp.State == Active && err == nil && !strings.HasPrefix(below, "..") {
				c.watch.files[camp.Path] = &watched{drop: drop{ID: camp.ID, Path: camp.Path, Dir: filepath.Dir(camp.Path)}}
			}
		}
		return err
	})
}

// folderWatch is the state of the loop.
type folderWatch struct {
	c       *Campaigns
	stopped *bool // what the STOP file was last seen to be; nil: not looked yet
	refused map[string]refusal
	changed <-chan struct{}
}

// refusal is a definition that was not taken.
type refusal struct{ again bool } // worth another look when templates change

// offerRefused has another look at definitions that may have been refused for
// what Meta said, or did not say yet, of their template.
func (w *folderWatch) offerRefused() {
	for path, r := range w.refused {
		if r.again {
			w.c.watch.again(path)
		}
	}
}

func (w *folderWatch) look(ctx context.Context) {
	c := w.c
	s, err := c.watch.look(time.Now())
	w.brake(ctx, s.Stop, err)
	if err != nil {
		c.raise("folder", err.Error()+" ("+c.cfg.Folder+")")
		return
	}
	c.clear("folder")
	for _, name := range s.Odd {
		c.cfg.Log.Warn("this file is not accepted; definitions are written in TOML", "file", filepath.Join(c.cfg.Folder, name))
	}
	if len(s.Ready) == 0 && len(s.Removed) == 0 {
		return
	}
	ids := siblingsByID(s.Present)
	for _, d := range s.Ready {
		w.take(ctx, d, ids)
	}
	for _, d := range s.Removed {
		delete(w.refused, d.Path)
		c.gone(ctx, d)
	}
}

// brake follows the STOP file. When the folder cannot be read, what stood
// before stands on.
func (w *folderWatch) brake(ctx context.Context, stop bool, err error) {
	if err != nil && !errors.Is(err, errEmptied) || w.stopped != nil && *w.stopped == stop {
		return
	}
	dbErr := w.c.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		if stop {
			fresh, err := outbox.Place(tx, stopHold)
			if err != nil || !fresh {
				return err
			}
			return access.Note(tx, access.Entry{Actor: "file", Command: "hold", Object: "marketing", After: "stop_file"})
		}
		n, err := outbox.Lift(tx, stopHold.Scope, stopHold.Target, stopHold.Reason, "file")
		if err != nil || n == 0 {
			return err
		}
		return access.Note(tx, access.Entry{Actor: "file", Command: "release", Object: "marketing", Before: "stop_file"})
	})
	if dbErr != nil {
		if ctx.Err() == nil {
			w.c.cfg.Log.Error("the STOP file could not be obeyed; trying again", "error", dbErr)
		}
		return
	}
	if stop {
		w.c.raise("STOP", "the STOP file stops all marketing")
	} else {
		w.c.clear("STOP")
	}
	w.stopped = &stop
}

// siblingsByID lists the files of every id that stands in more than one.
func siblingsByID(present []drop) map[string][]string {
	all := map[string][]string{}
	for _, d := range present {
		all[d.ID] = append(all[d.ID], d.Path)
	}
	for id, files := range all {
		if len(files) < 2 {
			delete(all, id)
		}
	}
	return all
}

// take reads, checks and submits one definition, and tells what came of it in
// the log and in a status file.
func (w *folderWatch) take(ctx context.Context, d drop, twins map[string][]string) {
	c := w.c
	failpoint.Hit("campaigns.take")
	data, err := readLimited(d.Path)
	if err != nil {
		w.refuse(d, tomlfile.Problems{{File: d.Path, Line: 1, Column: 1, Message: err.Error()}}, false)
		return
	}
	planned, err := c.planned(ctx, d.ID)
	if err == nil {
		var in inspection
		in, err = c.inspect(ctx, d.Path, data, others(twins, d), planned)
		if err == nil && (in.Problems.HasErrors() || !in.Synced) {
			w.refuse(d, in.Problems, true)
			return
		}
		if err == nil {
			err = w.accept(ctx, d, in)
		}
	}
	var busy *busyError
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &busy):
		c.watch.again(d.Path)
	case errors.Is(err, errCancelled) || errors.Is(err, errFired):
		w.refuse(d, tomlfile.Problems{{File: d.Path, Line: 1, Column: 1, Message: err.Error()}}, false)
	default:
		c.cfg.Log.Error("a definition could not be taken; trying again", "file", d.Path, "error", err)
		c.watch.again(d.Path)
	}
}

func (w *folderWatch) accept(ctx context.Context, d drop, in inspection) error {
	s, err := w.c.freezeFiles(in)
	if err != nil {
		return err
	}
	s.By = submitter(d, in.Data, s.Audience)
	if err := w.c.submit(ctx, s); err != nil {
		return err
	}
	if err := failpoint.Err("campaigns.submitted"); err != nil {
		return err
	}
	delete(w.refused, d.Path)
	for _, p := range in.Problems {
		w.c.cfg.Log.Warn(p.String())
	}
	w.c.cfg.Log.Info("campaign taken", "campaign", d.ID, "plan", planHash(s.Data, s.Audience, s.Media, s.Template))
	return w.c.writeFaults(d.ID, nil)
}

// refuse tells every fault at once. again: what Meta says may change it.
func (w *folderWatch) refuse(d drop, problems tomlfile.Problems, again bool) {
	_, known := w.refused[d.Path]
	w.refused[d.Path] = refusal{again: again}
	if !problems.HasErrors() {
		if !known {
			w.c.cfg.Log.Info("a campaign waits until Meta has been asked for its templates", "campaign", d.ID)
		}
		w.c.watch.again(d.Path)
		return
	}
	for _, p := range problems {
		if p.Severity == tomlfile.Error {
			w.c.cfg.Log.Error("campaign refused: "+p.String(), "campaign", d.ID)
		} else {
			w.c.cfg.Log.Warn("campaign: "+p.String(), "campaign", d.ID)
		}
	}
	if err := w.c.writeFaults(d.ID, problems); err != nil {
		w.c.cfg.Log.Error("the status file could not be written", "campaign", d.ID, "error", err)
	}
}

// planned reports whether a campaign's schedule is in force.
func (c *Campaigns) planned(ctx context.Context, id string) (yes bool, err error) {
	err = c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		camp, _, err := ByID(q, id)
		yes = camp.Current > 0 || camp.Next > 0
		return err
	})
	return yes, err
}

// others leaves a definition's own path out of the files with its id.
func others(twins map[string][]string, d drop) map[string][]string {
	out := map[string][]string{}
	for id, files := range twins {
		for _, f := range files {
			if f != d.Path {
				out[id] = append(out[id], f)
			}
		}
	}
	return out
}

// gone pauses the campaign of a removed file. Where another file has its id,
// that one is looked at again.
func (c *Campaigns) gone(ctx context.Context, d drop) {
	for path, f := range c.watch.files {
		if f.ID == d.ID {
			c.watch.again(path)
			return
		}
	}
	paused := false
	err := c.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		camp, ok, err := ByID(tx, d.ID)
		if err != nil || !ok || camp.State != Active || camp.Path != d.Path {
			return err
		}
		if err := c.pause(tx, &camp, reasonFileGone, "file"); err != nil {
			return err
		}
		if err := access.Note(tx, access.Entry{Actor: "file", Command: "campaigns pause", Object: d.ID, After: reasonFileGone}); err != nil {
			return err
		}
		paused = true
		return save(tx, camp)
	})
	if err != nil && ctx.Err() == nil {
		c.cfg.Log.Error("a campaign whose file is gone could not be paused", "campaign", d.ID, "error", err)
		return
	}
	if !paused {
		return
	}
	c.cfg.Log.Warn("the definition is gone: its campaign is paused until the file comes back; to end it for good run janela campaigns cancel "+d.ID+" --yes", "campaign", d.ID)
}

// owner names who dropped a file, for the audit log and the second pair of eyes.
func owner(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return "file"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "file"
	}
	uid := strconv.FormatUint(uint64(st.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return "file:" + strings.ReplaceAll(u.Username, " ", "_")
	}
	return fmt.Sprintf("file:uid-%s", uid)
}
