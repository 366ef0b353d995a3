package campaigns

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/scheduler"
)

var (
	sqlNewRun = store.SQL(`INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, started_at) VALUES (?1, ?2, ?3, ?4, ?5, 'expanding', ?6)`)
	sqlEndRun = store.SQL(`UPDATE runs SET state = ?2, note = ?3, ended_at = ?4 WHERE id = ?1 AND state IN ('expanding','sending')`)
	sqlLeft   = store.SQL(`SELECT COALESCE(SUM(t.n), 0) FROM streams s JOIN tallies t ON t.stream_id = s.id
		WHERE s.run_id = ?1 AND s.run_id > 0 AND t.state IN ('queued','sending')`)
)

// Fire begins a run: the scheduler calls it in the transaction that marks the
// slot as fired, so a slot has exactly one run.
func (c *Campaigns) Fire(tx *store.Tx, f scheduler.Firing) error {
	id, ok := strings.CutPrefix(f.Key, "campaign:")
	if !ok {
		return nil
	}
	camp, found, err := ByID(tx, id)
	if err != nil || !found || camp.State != Active || camp.Current == 0 {
		return err
	}
	tx.Wake(runsTopic)
	tx.Wake(statusTopic)
	if _, err = tx.Exec(sqlNewRun, tx.NewID(), id, camp.Current, f.SlotID, f.Civil, store.Millis(tx.Now())); err != nil {
		return err
	}
	return failpoint.Err("campaigns.fire.commit")
}

// finishRun ends a run whose last message is settled, and with it a one-off
// campaign; a revision that waited for the end comes in force.
func (c *Campaigns) finishRun(tx *store.Tx, id int64) error {
	run, ok, err := RunByID(tx, id)
	if err != nil || !ok || run.State != SendingRun {
		return err
	}
	left, _, err := store.Value[int64](tx, sqlLeft, id)
	if err != nil || left > 0 {
		return err
	}
	if err := c.endRun(tx, run, FinishedRun, run.Note); err != nil {
		return err
	}
	return failpoint.Err("campaigns.finish.commit")
}

// endRun ends a run in any way.
func (c *Campaigns) endRun(tx *store.Tx, run RunRecord, state, note string) error {
	if err := tx.One(sqlEndRun, run.ID, state, note, store.Millis(tx.Now())); err != nil {
		return err
	}
	tx.Wake(statusTopic)
	camp, _, err := ByID(tx, run.Campaign)
	if err != nil || camp.State == Cancelled {
		return err
	}
	if camp.Next > 0 {
		next, _, err := RevisionByID(tx, camp.Next)
		if err != nil {
			return err
		}
		def, _, _ := ParseDefinition(camp.Path, []byte(next.Definition))
		return c.settleRevision(tx, &camp, def)
	}
	if done, err := c.done(tx, camp); err != nil || !done {
		return err
	}
	return finish(tx, &camp)
}

// finish ends a campaign of which nothing is to come.
func finish(tx *store.Tx, camp *Campaign) error {
	camp.State, camp.Reason = Finished, ""
	if _, err := tx.Exec(sqlNoGuard, camp.ID); err != nil {
		return err
	}
	return save(tx, *camp)
}

// done reports whether nothing of an active campaign is under way or to come.
func (c *Campaigns) done(tx *store.Tx, camp Campaign) (bool, error) {
	if camp.State != Active || camp.Current == 0 || camp.Next > 0 {
		return false, nil
	}
	_, more, err := scheduler.Next(tx, scheduleKey(camp.ID))
	if err != nil || more {
		return false, err
	}
	open, _, err := store.Value[int64](tx, sqlOpenRunsOf, camp.ID)
	return open == 0, err
}

// expandRuns admits the recipients of new runs, and goes on with those that an
// earlier process had begun.
func (c *Campaigns) expandRuns(ctx context.Context) {
	wakes := c.cfg.DB.Wakes(runsTopic)
	const again = 5 * time.Second
	var wg sync.WaitGroup
	defer wg.Wait()
	var busy sync.Map // runs being expanded: a large one keeps no other waiting
	retry := make(chan struct{}, 1)
	for {
		wait := time.Minute
		var open []RunRecord
		err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
			var err error
			open, err = store.All[RunRecord](q, sqlOpenRuns)
			return err
		})
		if err != nil {
			wait = again
		}
		for _, run := range open {
			if run.State != Expanding {
				continue
			}
			if _, twice := busy.LoadOrStore(run.ID, true); twice {
				continue
			}
			wg.Go(func() {
				err := c.expand(ctx, run)
				if err != nil && ctx.Err() == nil {
					c.cfg.Log.Error("a run could not be expanded; trying again", "campaign", run.Campaign, "run", run.ID, "error", err)
					select {
					case <-ctx.Done():
					case <-time.After(again):
					}
				}
				busy.Delete(run.ID)
				if err != nil {
					select {
					case retry <- struct{}{}:
					default:
					}
				}
			})
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-wakes:
			timer.Stop()
		case <-retry:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// fail ends a run that cannot be carried out, and tells somebody.
func (c *Campaigns) fail(ctx context.Context, run RunRecord, state, note string) error {
	c.raise(run.Campaign, fmt.Sprintf("campaign %s, run of %s: %s", run.Campaign, run.Civil, note))
	return c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error { return c.endRun(tx, run, state, note) })
}

// unapproved stands for the hash of a template that nobody has approved for a
// run yet: no template has it, so messages wait until remakeStreams.
const unapproved = "waits for approval"

// streamOf is the stream of a run. It carries the template that its revision
// was approved with, which may be another than the one Meta has by now.
func (c *Campaigns) streamOf(run RunRecord, in inspection, rev Revision) outbox.Stream {
	d := in.Def
	template := rev.TemplateAt
	if rev.State == WaitingApproval {
		template = unapproved
	}
	return outbox.Stream{Number: in.Number.ID, WABA: in.Number.WABA, Category: d.Category, Template: d.Template.Name,
		Language: whatsapp.Language(d.Template.Language), Campaign: d.ID, Run: run.ID, Windows: d.Windows(c.live.Load().Zone),
		PerSecond: d.Throttle.PerSecond, Throttle: d.pace(c.live.Load().Zone), NotApproved: d.Template.OnNotApproved, TemplateHash: template, DryRun: d.DryRun, Files: rev.MediaHash, ProductPolicy: d.Template.ProductPolicy}
}
