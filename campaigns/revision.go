package campaigns

import (
	"context"
	"errors"
	"fmt"

	"janela/internal/access"
	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/scheduler"
)

var (
	sqlNewCampaign = store.SQL(`INSERT INTO campaigns (id, state, path, created_at, changed_at) VALUES (?1, 'active', ?2, ?3, ?3)`)
	sqlSetCampaign = store.SQL(`UPDATE campaigns SET state = ?2, reason = ?3, actor = ?4, current = ?5, next = ?6, path = ?7, changed_at = ?8 WHERE id = ?1`)
	sqlNewRevision = store.SQL(`INSERT INTO revisions (id, campaign_id, hash, definition, state, plan_hash, submitted_by, submitted_at, approved_by, approved_at, audience_hash, media_hash, template_hash)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)`)
	sqlSetRevision = store.SQL(`UPDATE revisions SET state = ?2, plan_hash = ?3, template_hash = ?4, approved_by = ?5, approved_at = ?6 WHERE id = ?1`)
	sqlOpenRunsOf  = store.SQL(`SELECT count(*) FROM runs WHERE campaign_id = ?1 AND state IN ('expanding','sending')`)
)

// errCancelled says that a definition has the id of a cancelled campaign.
var errCancelled = errors.New("the campaign was cancelled, which is final; give the definition another id")

// submission is a checked definition with its frozen files.
type submission struct {
	inspection
	Audience, Media string // hashes of what was frozen; "" for none. Of several media apart by spaces
	By              string
}

// freezeFiles copies what the revision needs into the spool.
func (c *Campaigns) freezeFiles(in inspection) (s submission, err error) {
	s.inspection = in
	if in.Def.oneOff() {
		f, err := OpenFile(in.Dir, in.Def.Recipients.File)
		if err != nil {
			return s, err
		}
		defer func() { _ = f.Close() }()
		if s.Audience, err = c.freeze(f, ""); err != nil {
			return s, err
		}
	}
	s.Media, err = c.freezeMedia(in)
	return s, err
}

// Submit takes a checked definition as a revision of its campaign: at once, or
// when it is approved, or when the run under way has ended. The same content
// again changes nothing, but lets a campaign go on whose file had gone.
func (c *Campaigns) submit(ctx context.Context, s submission) error {
	return c.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		id := s.Def.ID
		camp, ok, err := ByID(tx, id)
		if err != nil {
			return err
		}
		if ok && camp.State == Cancelled {
			return errCancelled
		}
		if !ok {
			camp = Campaign{ID: id, State: Active, Path: s.Path}
			if _, err := tx.Exec(sqlNewCampaign, id, s.Path, store.Millis(tx.Now())); err != nil {
				return err
			}
		}
		camp.Path = s.Path
		if camp.State == Paused && camp.Reason == reasonFileGone {
			if err := c.resume(tx, &camp, s.By); err != nil {
				return err
			}
		}
		rev, fresh, err := c.revision(tx, s)
		if err != nil {
			return err
		}
		if rev.ID == camp.Next || rev.ID == camp.Current && camp.Next == 0 {
			return save(tx, camp)
		}
		if err := supersede(tx, camp.Next); err != nil {
			return err
		}
		if rev.ID == camp.Current { // the user took a change back before it came in force
			camp.Next = 0
			if camp.State == Active {
				if err := scheduler.Resume(tx, scheduleKey(id)); err != nil {
					return err
				}
			}
			return save(tx, camp)
		}
		if err := firedAlready(tx, s.Def, camp); err != nil {
			return err
		}
		camp.Next = rev.ID
		if camp.State == Finished {
			camp.State, camp.Reason = Active, ""
		}
		if fresh {
			err := access.Note(tx, access.Entry{Actor: s.By, Command: "campaigns submit", Object: id,
				After: fmt.Sprintf("revision %d, plan %s, %s", rev.ID, rev.PlanHash, rev.State)})
			if err != nil {
				return err
			}
		}
		if err := c.settleRevision(tx, &camp, s.Def); err != nil {
			return err
		}
		return failpoint.Err("campaigns.submit.commit")
	})
}

// supersede ends a revision that no longer waits or runs; 0 is none.
func supersede(tx *store.Tx, id int64) error {
	if id == 0 {
		return nil
	}
	old, _, err := RevisionByID(tx, id)
	if err != nil {
		return err
	}
	return tx.One(sqlSetRevision, old.ID, Superseded, old.PlanHash, old.TemplateAt, old.ApprovedBy, old.ApprovedAt)
}

// firedAlready refuses a changed one-off whose date has fired: the slot will not
// come again.
func firedAlready(tx *store.Tx, def *Definition, camp Campaign) error {
	if !def.oneOff() {
		return nil
	}
	runs, err := Runs(tx, camp.ID, 100)
	for _, r := range runs {
		if r.Civil == civil(*def.Schedule.At)[:len("2006-01-02T15:04")] {
			return errFired
		}
	}
	return err
}

// errFired says that a one-off was changed after its date had fired.
var errFired = errors.New("this campaign has run at that time; to send to more people write another at (nobody who got it gets it again)")

// revision returns the revision with the submission's content, new or known.
func (c *Campaigns) revision(tx *store.Tx, s submission) (rev Revision, fresh bool, err error) {
	hash := revisionHash(s.Data, s.Audience, s.Media)
	rev, ok, err := store.Get[Revision](tx, sqlRevHash, s.Def.ID, hash)
	if err != nil {
		return rev, false, err
	}
	plan := planHash(s.Data, s.Audience, s.Media, s.Template)
	if ok && (rev.PlanHash == plan || rev.State != Superseded) {
		if rev.State == Superseded { // the user went back to an earlier content
			rev.State = c.stateOf(s.Def.Category, rev.ApprovedBy)
			err = tx.One(sqlSetRevision, rev.ID, rev.State, plan, s.Template.Hash, rev.ApprovedBy, rev.ApprovedAt)
		}
		return rev, false, err
	}
	now := store.Millis(tx.Now())
	if ok {
		rev.State, rev.PlanHash = c.stateOf(s.Def.Category, ""), plan
		return rev, true, tx.One(sqlSetRevision, rev.ID, rev.State, plan, s.Template.Hash, "", 0)
	}
	rev = Revision{ID: tx.NewID(), Campaign: s.Def.ID, Hash: hash, Definition: string(s.Data), State: c.stateOf(s.Def.Category, ""),
		PlanHash: plan, SubmittedBy: s.By, SubmittedAt: now, AudienceHash: s.Audience, MediaHash: s.Media, TemplateAt: s.Template.Hash}
	if rev.State == Approved {
		rev.ApprovedBy, rev.ApprovedAt = byPolicy, now
	}
	_, err = tx.Exec(sqlNewRevision, rev.ID, rev.Campaign, rev.Hash, rev.Definition, rev.State, rev.PlanHash, rev.SubmittedBy, now,
		rev.ApprovedBy, rev.ApprovedAt, rev.AudienceHash, rev.MediaHash, rev.TemplateAt)
	return rev, true, err
}

// needsApproval says whether revisions of a category wait for a person.
func (c *Campaigns) needsApproval(category whatsapp.Category) bool {
	return c.live.Load().Approval == "all" || c.live.Load().Approval == "marketing" && category == whatsapp.Marketing
}

// byPolicy approves where nobody has to. It is no person's approval: when the
// configuration asks for one later, it does not count.
const byPolicy = "policy"

func (c *Campaigns) stateOf(category whatsapp.Category, approvedBy string) string {
	if c.needsApproval(category) && (approvedBy == "" || approvedBy == byPolicy) {
		return WaitingApproval
	}
	return Approved
}

// scheduleKey is the campaign's name in the scheduler.
func scheduleKey(id string) string { return "campaign:" + id }

// settleRevision puts the waiting revision in force when nothing speaks against
// it. While one waits, nothing of the old one fires any more.
func (c *Campaigns) settleRevision(tx *store.Tx, camp *Campaign, def *Definition) error {
	if camp.Next == 0 {
		return save(tx, *camp)
	}
	tx.Wake(statusTopic)
	next, _, err := RevisionByID(tx, camp.Next)
	if err != nil {
		return err
	}
	open, _, err := store.Value[int64](tx, sqlOpenRunsOf, camp.ID)
	if err != nil {
		return err
	}
	if next.State != Approved || open > 0 {
		if camp.Current > 0 {
			if err := scheduler.Suspend(tx, scheduleKey(camp.ID)); err != nil {
				return err
			}
		}
		return save(tx, *camp)
	}
	if err := supersede(tx, camp.Current); err != nil {
		return err
	}
	camp.Current, camp.Next = next.ID, 0
	if err := scheduler.Put(tx, scheduleKey(camp.ID), def.Spec(c.live.Load().Zone)); err != nil {
		return err
	}
	// A new schedule is active: one of a paused campaign would fire for nothing.
	follow := scheduler.Suspend
	if camp.State == Active {
		follow = scheduler.Resume
	}
	if err := follow(tx, scheduleKey(camp.ID)); err != nil {
		return err
	}
	return save(tx, *camp)
}

func save(tx *store.Tx, camp Campaign) error {
	tx.Wake(statusTopic)
	return tx.One(sqlSetCampaign, camp.ID, camp.State, camp.Reason, camp.Actor, camp.Current, camp.Next, camp.Path, store.Millis(tx.Now()))
}

// Reasons of a pause.
const (
	reasonFileGone = "file_removed"
	reasonOperator = "operator"
)

// pause stops a campaign: nothing of it fires or leaves until it is resumed.
func (c *Campaigns) pause(tx *store.Tx, camp *Campaign, reason, actor string) error {
	return c.pauseAs(tx, camp, reason, actor, outbox.Hold{Scope: outbox.ScopeCampaign, Target: camp.ID, Reason: "paused", Detail: reason, Actor: actor})
}

func (c *Campaigns) pauseAs(tx *store.Tx, camp *Campaign, reason, actor string, h outbox.Hold) error {
	camp.State, camp.Reason, camp.Actor = Paused, reason, actor
	_, err := outbox.Place(tx, h)
	if err != nil || camp.Current == 0 {
		return err
	}
	return scheduler.Suspend(tx, scheduleKey(camp.ID))
}

// resume takes a pause back, and with it the holds that errors placed on the
// campaign: the person who resumes has looked.
func (c *Campaigns) resume(tx *store.Tx, camp *Campaign, actor string) error {
	camp.State, camp.Reason, camp.Actor = Active, "", actor
	if _, err := outbox.Lift(tx, outbox.ScopeCampaign, camp.ID, "", actor); err != nil {
		return err
	}
	if camp.Next > 0 || camp.Current == 0 {
		return nil // the schedule stays still until the revision is settled
	}
	return scheduler.Resume(tx, scheduleKey(camp.ID))
}
