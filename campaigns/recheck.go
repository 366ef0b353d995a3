package campaigns

import (
	"context"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/scheduler"
)

// recheckTemplates looks again at campaigns in force when Meta changed a
// template: one whose values still fit goes on (or waits for a new approval),
// one whose values do not fit any more stays where it is, with an alert.
func (c *Campaigns) recheckTemplates(ctx context.Context) {
	changed := c.cfg.DB.Wakes(account.Changed)
	var seen mark
	woken := true
	for {
		now, err := c.lastChange(ctx)
		// A wake is a hint that may be lost; the clock is the net below it, and
		// looks only where something has changed.
		if err == nil && (woken || now != seen) {
			err = c.recheck(ctx)
		}
		if err == nil {
			seen = now
		} else if ctx.Err() == nil {
			c.cfg.Log.Error("campaigns could not be checked against the templates; trying again", "error", err)
		}
		timer := time.NewTimer(time.Minute)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
			timer.Stop()
			woken = true
		case <-timer.C:
			woken = err != nil
		}
	}
}

// mark is when templates and campaigns changed last.
type mark struct{ templates, campaigns int64 }

var (
	sqlTemplatesChanged = store.SQL(`SELECT COALESCE(MAX(changed_at), 0) FROM templates`)
	sqlCampaignsChanged = store.SQL(`SELECT COALESCE(MAX(changed_at), 0) FROM campaigns`)
)

func (c *Campaigns) lastChange(ctx context.Context) (m mark, err error) {
	err = c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		if m.templates, _, err = store.Value[int64](q, sqlTemplatesChanged); err != nil {
			return err
		}
		m.campaigns, _, err = store.Value[int64](q, sqlCampaignsChanged)
		return err
	})
	return m, err
}

func (c *Campaigns) recheck(ctx context.Context) error {
	var list []Campaign
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		list, err = List(q)
		return err
	})
	if err != nil {
		return err
	}
	for _, camp := range list {
		if camp.State == Cancelled || camp.State == Finished {
			continue
		}
		for _, id := range []int64{camp.Current, camp.Next} {
			if id == 0 {
				continue
			}
			if err := c.recheckRevision(ctx, camp, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Campaigns) recheckRevision(ctx context.Context, camp Campaign, id int64) error {
	var rev Revision
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		rev, _, err = RevisionByID(q, id)
		return err
	})
	if err != nil {
		return err
	}
	in, err := c.inspect(ctx, camp.Path, []byte(rev.Definition), nil, true)
	if err != nil || !in.Synced || in.Template.Hash == "" || in.Template.Hash == rev.TemplateAt {
		return err
	}
	for _, p := range in.Problems {
		if p.Severity == tomlfile.Error && strings.HasPrefix(p.Path, "template") && !aboutFile(p.Path) {
			c.raise(camp.ID, "Meta changed the template of campaign "+camp.ID+", and the definition does not fit it any more: "+p.String())
			return nil
		}
	}
	return c.cfg.DB.Write(ctx, func(tx *store.Tx) error { return c.retemplate(tx, camp.ID, rev.ID, in) })
}

// retemplate takes a changed template into a revision. Where revisions need an
// approval it waits for a new one: what was approved is not what would be sent.
func (c *Campaigns) retemplate(tx *store.Tx, campaign string, id int64, in inspection) error {
	rev, _, err := RevisionByID(tx, id)
	if err != nil {
		return err
	}
	camp, _, err := ByID(tx, campaign)
	if err != nil || rev.State == Superseded {
		return err
	}
	rev.PlanHash = planHash(in.Data, rev.AudienceHash, rev.MediaHash, in.Template)
	rev.TemplateAt = in.Template.Hash
	if c.needsApproval(in.Def.Category) {
		rev.State, rev.ApprovedBy, rev.ApprovedAt = WaitingApproval, "", 0
	}
	if err := tx.One(sqlSetRevision, rev.ID, rev.State, rev.PlanHash, rev.TemplateAt, rev.ApprovedBy, rev.ApprovedAt); err != nil {
		return err
	}
	err = access.Note(tx, access.Entry{Actor: "meta", Command: "campaigns template changed", Object: campaign, After: "plan " + rev.PlanHash + ", " + rev.State})
	if err != nil {
		return err
	}
	tx.Wake(statusTopic)
	if rev.State == WaitingApproval {
		// Nothing fires, and nothing of a run leaves, until somebody approved.
		// Where another revision waits already, the schedule stands still.
		if camp.Current == rev.ID && camp.Next == 0 {
			camp.Current, camp.Next = 0, rev.ID
			if err := scheduler.Suspend(tx, scheduleKey(campaign)); err != nil {
				return err
			}
		}
		return save(tx, camp)
	}
	return remakeStreams(tx, campaign, rev)
}

// remakeStreams lets the open runs of a revision go on with its template.
func remakeStreams(tx *store.Tx, campaign string, rev Revision) error {
	runs, err := Runs(tx, campaign, 100)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Revision != rev.ID || r.Stream == 0 || r.State != Expanding && r.State != SendingRun {
			continue
		}
		if err := outbox.Remake(tx, r.Stream, rev.TemplateAt); err != nil {
			return err
		}
	}
	return nil
}
