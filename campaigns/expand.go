package campaigns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"janela/internal/csvfile"
	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

// expansion is one run on its way from an audience to messages.
type expansion struct {
	c      *Campaigns
	run    RunRecord
	rev    Revision
	in     inspection
	stream outbox.Stream
	looked *Audience // as it was when its columns were resolved; closed
	mapper *Mapper
	dups   *duplicates // the numbers of all rows
	skip   *rowSet     // rows whose number another row has
	rows   int

	walkFrom int // rows, from which on it is worth while to walk the book
	ends     time.Time

	people   *acquaintance // who the people of the rows are; nil: not found beforehand
	known    store.Moment  // at which the people of the portion were looked up
	finished map[int]bool  // lines that a portion had got to when a crash broke it off; nil: not asked yet
}

var (
	sqlRunAudience = store.SQL(`UPDATE runs SET audience = ?2, audience_hash = ?3 WHERE id = ?1 AND state = 'expanding'`)
	sqlRunStream   = store.SQL(`UPDATE runs SET stream_id = ?2, rows = ?3, deadline = ?4 WHERE id = ?1 AND state = 'expanding'`)
	sqlRunSending  = store.SQL(`UPDATE runs SET state = 'sending' WHERE id = ?1 AND state = 'expanding'`)
)

// unusable ends a run: its audience or its template cannot be used.
type unusable struct{ state, note string }

func (e *unusable) Error() string { return e.note }

// expand admits the recipients of a run. It may be called again after a crash:
// it goes on at the row it had reached.
func (c *Campaigns) expand(ctx context.Context, run RunRecord) error {
	x := &expansion{c: c, run: run, walkFrom: mostPortion}
	defer x.forget()
	err := x.all(ctx)
	var stop *unusable
	if errors.As(err, &stop) {
		err = c.fail(ctx, run, stop.state, stop.note)
	}
	if errors.Is(err, store.ErrLost) { // the campaign was cancelled meanwhile
		var now RunRecord
		readErr := c.cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
			now, _, err = RunByID(q, run.ID)
			return err
		})
		if readErr == nil && now.State != Expanding {
			err = nil
		}
	}
	if err == nil {
		failpoint.Hit("campaigns.expanded")
		_ = os.Remove(c.spooled(runCopy(run.ID))) // the copy of a one-off stays for its revision
	}
	return err
}

// runCopy names the copy of a cron run's audience in the spool. It is the run's
// own: copies are removed, and two runs may have the same content.
func runCopy(run int64) string { return fmt.Sprintf("run-%d", run) }

// forget gives free what was kept of the audience.
func (x *expansion) forget() {
	if x.dups != nil {
		x.dups.close()
		x.dups = nil
	}
	x.people.close()
	x.people = nil
}

func (x *expansion) all(ctx context.Context) error {
	if err := x.prepare(ctx); err != nil {
		return err
	}
	path, err := x.audience(ctx)
	if err != nil {
		return err
	}
	if err := x.compile(ctx, path); err != nil {
		return err
	}
	if err := x.survey(ctx, path); err != nil {
		return err
	}
	if err := x.admit(ctx, path); err != nil {
		return err
	}
	x.c.clear(x.run.Campaign)
	return x.c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		if err := tx.One(sqlRunSending, x.run.ID); err != nil {
			return err
		}
		if err := failpoint.Err("campaigns.sending.commit"); err != nil {
			return err
		}
		return x.c.finishRun(tx, x.run.ID) // nothing may be left to send
	})
}

// prepare reads the revision and judges it once more: the template may have
// changed since it was taken.
func (x *expansion) prepare(ctx context.Context) error {
	err := x.c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		x.rev, _, err = RevisionByID(q, x.run.Revision)
		return err
	})
	if err != nil {
		return err
	}
	camp, err := x.campaign(ctx)
	if err != nil {
		return err
	}
	x.in, err = x.c.inspect(ctx, camp.Path, []byte(x.rev.Definition), nil, true)
	if err != nil {
		return err
	}
	for _, p := range x.in.Problems {
		if p.Severity == tomlfile.Error && frozenMatters(p.Path) && !x.skips(p.Path) {
			return &unusable{FailedRun, p.String()}
		}
	}
	if end := x.in.Def.Schedule.EndsAt; end != nil {
		loc, err := time.LoadLocation(x.in.Def.Zone(x.c.live.Load().Zone))
		if err != nil {
			return err
		}
		x.ends = end.AsTime(loc)
	}
	return nil
}

func (x *expansion) campaign(ctx context.Context) (camp Campaign, err error) {
	err = x.c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		camp, _, err = ByID(q, x.run.Campaign)
		return err
	})
	return camp, err
}

// skips reports whether a fault is only that the template is not approved now,
// and the definition says to skip what comes then: the gate refuses each row, so
// that the report names them.
func (x *expansion) skips(path string) bool {
	t := &x.in.Template
	return path == "template.name" && x.in.Def.Template.OnNotApproved == NotApprovedSkip && t.Hash != "" && !t.Sendable()
}

// frozenMatters reports whether a fault concerns a run, whose files and date
// are settled already.
func frozenMatters(path string) bool {
	for _, about := range []string{"from", "template"} {
		if len(path) >= len(about) && path[:len(about)] == about && !aboutFile(path) {
			return true
		}
	}
	return false
}

// audience returns the frozen audience. That of a cron run is frozen now: its
// file is read afresh at each firing, and an absent one is a missed run.
func (x *expansion) audience(ctx context.Context) (string, error) {
	if x.run.AudienceHash == "" {
		name, hash := x.in.Def.Recipients.File, x.rev.AudienceHash
		if !x.in.Def.oneOff() {
			day, err := time.Parse("2006-01-02T15:04", x.run.Civil)
			if err != nil {
				return "", fmt.Errorf("civil time of the run: %w", err)
			}
			name = x.in.Def.Recipients.FileOn(day)
			if hash, err = x.freezeAudience(ctx, name); err != nil {
				return "", err
			}
		}
		err := x.c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error { return tx.One(sqlRunAudience, x.run.ID, name, hash) })
		if err != nil {
			return "", err
		}
		x.run.Audience, x.run.AudienceHash = name, hash
	}
	path := x.c.spooled(x.run.AudienceHash)
	if !x.in.Def.oneOff() {
		path = x.c.spooled(runCopy(x.run.ID))
	}
	if _, err := os.Stat(path); err != nil {
		return "", &unusable{FailedRun, "the frozen copy of " + x.run.Audience + " is gone from the spool: " + err.Error()}
	}
	return path, nil
}

// freezeAudience copies the file of a cron run. One that was written to just
// now may be half a copy: it must stay as it is for a while first.
func (x *expansion) freezeAudience(ctx context.Context, name string) (string, error) {
	for {
		f, err := x.openAudience(name)
		if err != nil {
			return "", err
		}
		quiet, err := x.c.quiet(ctx, f, filepath.Join(x.in.Dir, name))
		if err == nil && !quiet {
			_ = f.Close()
			continue
		}
		hash := ""
		if err == nil {
			hash, err = x.c.freeze(f, runCopy(x.run.ID))
		}
		return hash, errors.Join(err, f.Close())
	}
}

// quiet waits until a file that was changed lately has not changed for the time
// that makes it stable; false says that it is another file by now.
func (c *Campaigns) quiet(ctx context.Context, f *os.File, path string) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if age := time.Since(info.ModTime()); age >= c.cfg.Stable {
		return true, nil
	}
	before := targetMark(path)
	timer := time.NewTimer(c.cfg.Stable)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return targetMark(path) == before, nil
	}
}

func (x *expansion) openAudience(name string) (*os.File, error) {
	f, err := OpenFile(x.in.Dir, name)
	var why *FileError
	if errors.As(err, &why) {
		state := FailedRun
		if why.Missing {
			state = MissedRun
		}
		return nil, &unusable{state, why.Error()}
	}
	return f, err
}

// compile resolves columns and uploads the files.
func (x *expansion) compile(ctx context.Context, path string) error {
	needs, err := x.in.requirement()
	if err != nil {
		return &unusable{FailedRun, "template " + x.in.Def.Template.Name + ": " + err.Error()}
	}
	opt := MapperOptions{Zone: x.in.Def.Zone(x.c.live.Load().Zone), Needs: needs}
	ids, err := x.c.upload(ctx, x.in.Number, x.in.Def, x.rev.MediaHash)
	if err != nil {
		return err
	}
	opt.File = func(name string) string { return ids[name] }
	if x.run.ID > 0 { // its messages may wait longer than an id lives
		opt.File = x.fileName
	}
	a, err := OpenAudience(path)
	if err != nil {
		return x.unreadable(err)
	}
	defer func() { _ = a.Close() }()
	x.looked = a
	if x.mapper, err = Compile(x.in.Def, a.Header, opt); err != nil {
		return &unusable{FailedRun, x.run.Audience + ": " + err.Error()}
	}
	return nil
}

// fileName names a file of the definition by its content.
func (x *expansion) fileName(name string) string {
	frozen := strings.Fields(x.rev.MediaHash)
	for i, m := range x.in.Def.Files() {
		if m.Name == name && i < len(frozen) {
			return whatsapp.FileID(frozen[i])
		}
	}
	return ""
}

func (x *expansion) unreadable(err error) error {
	var why *csvfile.Error
	if errors.As(err, &why) {
		return &unusable{FailedRun, x.run.Audience + ": " + why.Error()}
	}
	return err
}

// each reads the audience row by row; row counts from 0.
func (x *expansion) each(ctx context.Context, path string, fn func(row int, r Recipient, bad *Reject) error) (rows int, err error) {
	a, err := x.looked.again(path)
	if err != nil {
		return 0, x.unreadable(err)
	}
	defer func() { _ = a.Close() }()
	var row csvfile.Row
	for {
		if err := a.Next(&row); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return rows, x.unreadable(err)
		}
		if rows%1024 == 0 && ctx.Err() != nil {
			return rows, ctx.Err()
		}
		r, bad := x.mapper.MapRow(&row)
		if err := fn(rows, r, bad); err != nil {
			return rows, err
		}
		rows++
	}
}

// survey passes over the whole audience before anybody is admitted: it finds
// the rows that name a number again, and stops the run where too many rows are
// unusable.
func (x *expansion) survey(ctx context.Context, path string) error {
	x.dups = newDuplicates(x.c.cfg.Spool)
	bad := 0
	news := noticed{x: x, dups: x.dups}
	rows, err := x.each(ctx, path, func(row int, r Recipient, reject *Reject) error {
		if reject != nil {
			bad++
			return nil
		}
		return news.add(ctx, r, row)
	})
	if err != nil {
		return err
	}
	if err := news.flush(ctx); err != nil {
		return err
	}
	x.rows = rows
	d := x.in.Def.Recipients
	if percent := 100 * float64(bad) / float64(max(rows, 1)); percent > d.MaxRejectedPercent {
		return &unusable{FailedRun, fmt.Sprintf("%d of %d rows of %s cannot be used (%.1f %%), more than max_rejected_percent = %g; mend the file, or raise the limit (janela plan shows the rows)",
			bad, rows, x.run.Audience, percent, d.MaxRejectedPercent)}
	}
	if x.skip, err = x.dups.skip(d.Duplicates == DuplicatesLast); err != nil {
		return err
	}
	if d.Duplicates == DuplicatesFail && x.skip.n > 0 {
		return &unusable{FailedRun, fmt.Sprintf("%s names %d numbers again, and duplicates = \"fail\"", x.run.Audience, x.skip.n)}
	}
	return x.c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		rev, _, err := RevisionByID(tx, x.run.Revision) // anew: its template may have changed meanwhile
		if err != nil {
			return err
		}
		if x.stream, err = outbox.OpenStream(tx, x.c.streamOf(x.run, x.in, rev)); err != nil {
			return err
		}
		x.run.Stream = x.stream.ID
		if err := tx.One(sqlRunStream, x.run.ID, x.stream.ID, rows, store.Millis(x.ends)); err != nil {
			return err
		}
		if err := x.c.startGuard(tx, x.run, x.in); err != nil {
			return err
		}
		return failpoint.Err("campaigns.stream.commit")
	})
}
