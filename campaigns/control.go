package campaigns

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/scheduler"
)

// What a command can be refused for; the errors' own texts say it in full.
var (
	ErrNotFound = errors.New("campaigns: not found")
	ErrRefused  = errors.New("campaigns: refused")
)

// refusedError is a command that was understood and is not carried out.
type refusedError struct {
	kind   error // ErrNotFound or ErrRefused
	text   string
	reason string // "" for one that nobody has to tell apart
}

// Reasons of refusals that programs can tell apart.
const (
	RefusedCancelled   = "cancelled"         // the campaign was cancelled, which is final
	RefusedFinished    = "finished"          // the campaign has finished
	RefusedFourEyes    = "four_eyes"         // who submitted it may not approve it
	RefusedNothing     = "nothing_waits"     // nothing of it waits for approval
	RefusedPlanChanged = "plan_changed"      // what waits is another plan by now
	RefusedNoTest      = "no_test_number"    // a test goes to test_numbers only
	RefusedConsent     = "no_opt_in"         // of a test: nobody has recorded a consent
	RefusedNoAudience  = "audience_not_kept" // the rows of the run are not kept
	RefusedNotUploaded = "not_uploaded"      // what lies in the folder came by other means
)

// RefusedReason is why a command was refused, one of the Refused words; "" where
// the error's text is all there is.
func RefusedReason(err error) string {
	var r *refusedError
	errors.As(err, &r)
	if r == nil {
		return ""
	}
	return r.reason
}

func refuse(reason, format string, args ...any) error {
	return &refusedError{ErrRefused, fmt.Sprintf(format, args...), reason}
}

func (e *refusedError) Error() string { return e.text }

// Unwrap lets errors.Is find the kind.
func (e *refusedError) Unwrap() error { return e.kind }

func refusef(format string, args ...any) error {
	return refuse("", format, args...)
}

// mustFind returns a campaign that a command names.
func mustFind(q store.Querier, id string) (Campaign, error) {
	camp, ok, err := ByID(q, id)
	if err == nil && !ok {
		err = &refusedError{ErrNotFound, fmt.Sprintf("there is no campaign %q; janela campaigns list shows those there are", id), ""}
	}
	return camp, err
}

// command changes one campaign in one transaction.
func (c *Campaigns) command(ctx context.Context, id, actor string, fn func(tx *store.Tx, camp *Campaign) error) error {
	if actor == "" {
		return refusef("nobody is named as the one who does this")
	}
	return c.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		camp, err := mustFind(tx, id)
		if err != nil {
			return err
		}
		tx.Wake(statusTopic)
		return fn(tx, &camp)
	})
}

// Approve lets the revision with this plan be sent. plan must be the hash of
// what waits now: a definition, audience or template that changed since the
// approver looked is another plan. Approving what is approved changes nothing.
func (c *Campaigns) Approve(ctx context.Context, id, plan, actor string) error {
	return c.command(ctx, id, actor, func(tx *store.Tx, camp *Campaign) error {
		if camp.State == Cancelled {
			return refuse(RefusedCancelled, "campaign %s was cancelled, which is final", id)
		}
		rev, err := approvable(tx, *camp, plan)
		if err != nil || rev.State == Approved {
			return err
		}
		if c.live.Load().FourEyes && person(actor) == person(rev.SubmittedBy) {
			return refuse(RefusedFourEyes, "%s submitted plan %s of campaign %s, and four_eyes = true: somebody else must approve it", person(actor), plan, id)
		}
		rev.State, rev.ApprovedBy, rev.ApprovedAt = Approved, actor, store.Millis(tx.Now())
		if err := tx.One(sqlSetRevision, rev.ID, rev.State, rev.PlanHash, rev.TemplateAt, rev.ApprovedBy, rev.ApprovedAt); err != nil {
			return err
		}
		err = access.Note(tx, access.Entry{Actor: actor, Command: "campaigns approve", Object: id, Before: WaitingApproval, After: "plan " + plan})
		if err != nil {
			return err
		}
		if err := remakeStreams(tx, id, rev); err != nil {
			return err
		}
		if rev.ID != camp.Next {
			return nil
		}
		def, _, _ := ParseDefinition(camp.Path, []byte(rev.Definition)) // it was judged when it was submitted
		return c.settleRevision(tx, camp, def)
	})
}

// approvable finds the revision with a plan among those that somebody could
// mean: the next, the current, and those of runs under way, whose template may
// have changed.
func approvable(tx *store.Tx, camp Campaign, plan string) (Revision, error) {
	ids := []int64{camp.Next, camp.Current}
	runs, err := Runs(tx, camp.ID, 100)
	if err != nil {
		return Revision{}, err
	}
	for _, r := range runs {
		if r.State == Expanding || r.State == SendingRun {
			ids = append(ids, r.Revision)
		}
	}
	var waiting string
	for _, id := range ids {
		rev, ok, err := RevisionByID(tx, id)
		if err != nil {
			return rev, err
		}
		if ok && rev.PlanHash == plan && rev.State != Superseded {
			return rev, nil
		}
		if ok && rev.State == WaitingApproval && waiting == "" {
			waiting = rev.PlanHash
		}
	}
	if waiting == "" {
		return Revision{}, refuse(RefusedNothing, "nothing of campaign %s waits for approval", camp.ID)
	}
	return Revision{}, refuse(RefusedPlanChanged, "plan %q is not what waits: the definition, its audience or its template is another by now; look at it with janela plan %s, then approve it with janela campaigns approve %s --plan %s",
		plan, camp.Path, camp.ID, waiting)
}

// person is who an actor is, by whatever door: "file:bob" is bob.
func person(actor string) string {
	if _, name, ok := strings.Cut(actor, ":"); ok {
		return name
	}
	return actor
}

// Pause stops a campaign until Resume: nothing of it fires, nothing leaves. The
// return of a removed file does not end it.
func (c *Campaigns) Pause(ctx context.Context, id, actor, reason string) error {
	if reason = strings.TrimSpace(reason); reason == "" || reason == reasonFileGone {
		reason = reasonOperator
	}
	return c.command(ctx, id, actor, func(tx *store.Tx, camp *Campaign) error {
		if err := stillGoing(*camp); err != nil {
			return err
		}
		before := standing(*camp)
		if err := c.pause(tx, camp, reason, actor); err != nil {
			return err
		}
		if err := access.Note(tx, access.Entry{Actor: actor, Command: "campaigns pause", Object: id, Before: before, After: reason}); err != nil {
			return err
		}
		return save(tx, *camp)
	})
}

// Resume lets a paused campaign go on, and lifts the holds that errors placed on
// it: whoever resumes has looked.
func (c *Campaigns) Resume(ctx context.Context, id, actor string) error {
	err := c.command(ctx, id, actor, func(tx *store.Tx, camp *Campaign) error {
		if err := stillGoing(*camp); err != nil {
			return err
		}
		before := standing(*camp)
		if err := c.guardAnew(tx, id); err != nil {
			return err
		}
		if camp.State == Paused {
			if err := c.resume(tx, camp, actor); err != nil {
				return err
			}
		} else if n, err := outbox.Lift(tx, outbox.ScopeCampaign, id, "", actor); err != nil || n == 0 {
			return err
		}
		if err := access.Note(tx, access.Entry{Actor: actor, Command: "campaigns resume", Object: id, Before: before, After: Active}); err != nil {
			return err
		}
		// What was in flight may have ended during the pause.
		if done, err := c.done(tx, *camp); err != nil {
			return err
		} else if done {
			return finish(tx, camp)
		}
		return save(tx, *camp)
	})
	if err == nil {
		c.clear(id)
	}
	return err
}

func stillGoing(camp Campaign) error {
	switch camp.State {
	case Cancelled:
		return refuse(RefusedCancelled, "campaign %s was cancelled, which is final; give the definition another id", camp.ID)
	case Finished:
		return refuse(RefusedFinished, "campaign %s has finished", camp.ID)
	default:
		return nil
	}
}

func standing(camp Campaign) string {
	if camp.Reason == "" {
		return camp.State
	}
	return camp.State + ": " + camp.Reason
}

// cancelHold stops a campaign while it is being cancelled. It stands until the
// last queued message is cancelled, also over a restart.
func cancelHold(id, actor string) outbox.Hold {
	return outbox.Hold{Scope: outbox.ScopeCampaign, Target: id, Reason: "cancelled", Detail: "its queued messages are being cancelled", Actor: actor}
}

const reasonCampaignCancelled = "campaign_cancelled"

// Cancel ends a campaign for good: nothing fires, nothing that is queued leaves.
// What Meta has already stays sent. It returns how many messages this call
// cancelled; cancelling again finishes what a crash left, and is no error.
func (c *Campaigns) Cancel(ctx context.Context, id, actor string) (cancelled int64, err error) {
	err = c.command(ctx, id, actor, func(tx *store.Tx, camp *Campaign) error {
		if camp.State == Cancelled {
			return nil
		}
		if err := access.Note(tx, access.Entry{Actor: actor, Command: "campaigns cancel", Object: id, Before: standing(*camp), After: Cancelled}); err != nil {
			return err
		}
		if _, err := outbox.Place(tx, cancelHold(id, actor)); err != nil {
			return err
		}
		if err := scheduler.Remove(tx, scheduleKey(id)); err != nil {
			return err
		}
		if _, err := tx.Exec(sqlNoGuard, id); err != nil {
			return err
		}
		camp.State, camp.Reason, camp.Actor = Cancelled, "", actor
		if err := save(tx, *camp); err != nil {
			return err
		}
		runs, err := store.All[RunRecord](tx, sqlOpenRuns)
		for _, r := range runs {
			if r.Campaign != id {
				continue
			}
			if err := c.endRun(tx, r, CancelledRun, "the campaign was cancelled"); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	c.clear(id)
	return c.cancelQueued(ctx, id, actor)
}

// cancelQueued cancels what is queued, a batch a transaction, and then lifts
// every hold on the campaign.
func (c *Campaigns) cancelQueued(ctx context.Context, id, actor string) (cancelled int64, err error) {
	var streams []outbox.Stream
	err = c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		streams, err = outbox.StreamsOfCampaign(q, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, s := range streams {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return cancelled, err
			}
			n := 0
			err := c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
				out, err := outbox.CancelStream(tx, s.ID, batchRows, reasonCampaignCancelled)
				n = len(out)
				if err != nil {
					return err
				}
				tx.Wake(statusTopic)
				return c.tell(tx, out)
			})
			if err != nil {
				return cancelled, err
			}
			cancelled += int64(n)
			more = n > 0
		}
	}
	return cancelled, c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		_, err := outbox.Lift(tx, outbox.ScopeCampaign, id, "", actor)
		return err
	})
}

// finishCancels goes on with what an earlier process had begun to cancel.
func (c *Campaigns) finishCancels(ctx context.Context) {
	var left []outbox.Hold
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		holds, err := outbox.Holds(q)
		for _, h := range holds {
			if h.Scope == outbox.ScopeCampaign && h.Reason == cancelHold("", "").Reason {
				left = append(left, h)
			}
		}
		return err
	})
	for _, h := range left {
		var n int64
		if n, err = c.cancelQueued(ctx, h.Target, h.Actor); err != nil {
			break
		}
		c.cfg.Log.Info("the rest of a cancelled campaign was cancelled", "campaign", h.Target, "messages", n)
	}
	if err != nil && ctx.Err() == nil {
		c.cfg.Log.Error("a cancelled campaign still has queued messages; they stay held, cancel it again", "error", err)
	}
}

// cancelReturned cancels what a send gave back to the queue of a campaign that
// was cancelled meanwhile.
func (c *Campaigns) cancelReturned(tx *store.Tx, out []outbox.Outcome) error {
	looked := map[int64]bool{}
	for _, o := range out {
		if o.To != outbox.Queued || o.Campaign == "" || looked[o.Stream] {
			continue
		}
		looked[o.Stream] = true
		camp, ok, err := ByID(tx, o.Campaign)
		if err != nil {
			return err
		}
		if !ok || camp.State != Cancelled {
			continue
		}
		ended, err := outbox.CancelStream(tx, o.Stream, batchRows, reasonCampaignCancelled)
		if err != nil {
			return err
		}
		if err := c.tell(tx, ended); err != nil {
			return err
		}
	}
	return nil
}
