package campaigns

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"janela/internal/store"
)

// writeReports puts the report of each campaign's newest run that has ended
// beside its status file, and its rejected rows if there are any. The files
// carry the run's end as their time: that is how a run is known to be written.
func (c *Campaigns) writeReports(ctx context.Context) error {
	var ended []RunRecord
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		list, err := List(q)
		if err != nil {
			return err
		}
		for _, camp := range list {
			runs, err := Runs(q, camp.ID, 2)
			if err != nil {
				return err
			}
			for _, r := range runs {
				if r.EndedAt > 0 {
					ended = append(ended, r)
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, run := range ended {
		if err := c.writeReport(ctx, run); err != nil {
			return err
		}
	}
	return nil
}

// coarse is how exactly a file system may keep times; runs of one campaign are
// a minute apart.
const coarse = 3 * time.Second

func (c *Campaigns) writeReport(ctx context.Context, run RunRecord) error {
	dir := filepath.Join(c.cfg.Status, filepath.Base(run.Campaign))
	report, rejects := filepath.Join(dir, "report.csv"), filepath.Join(dir, "rejects.csv")
	end := store.Time(run.EndedAt)
	if info, err := os.Stat(report); err == nil && info.ModTime().Sub(end).Abs() < coarse {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if run.Rejected+run.Duplicates == 0 {
		if err := os.Remove(rejects); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	} else if err := c.writeRunCSV(ctx, rejects, run.ID, ReportRequest{States: []string{Rejected}}, end); err != nil {
		return err
	}
	return c.writeRunCSV(ctx, report, run.ID, ReportRequest{}, end) // last: it says that both are done
}

// writeRunCSV replaces a file whole: a reader never sees half of it.
func (c *Campaigns) writeRunCSV(ctx context.Context, path string, run int64, req ReportRequest, at time.Time) error {
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = c.reportRunCSV(ctx, run, req, f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = errors.Join(os.Chtimes(tmp, at, at), os.Rename(tmp, path))
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}
