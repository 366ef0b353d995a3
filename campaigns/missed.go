package campaigns

import (
	"context"
	"fmt"

	"janela/internal/store"
	"janela/scheduler"
)

// A campaign in force with nothing to come, nothing under way, and a last slot
// that did not fire.
var sqlMissedOut = store.SQL(`SELECT c.id, s.civil, s.note FROM campaigns c JOIN slots s ON s.schedule_key = 'campaign:' || c.id
	WHERE c.state = 'active' AND c.current > 0 AND c.next = 0 AND s.state IN ('missed', 'skipped')
	AND NOT EXISTS (SELECT 1 FROM slots l WHERE l.schedule_key = s.schedule_key AND (l.state = 'due' OR l.due_at > s.due_at))
	AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.campaign_id = c.id AND r.state IN ('expanding', 'sending'))`)

// missedOut is a campaign whose only or last date passed without a run.
type missedOut struct{ campaign, civil, note string }

// Fields names the places of sqlMissedOut.
func (m *missedOut) Fields() []any { return []any{&m.campaign, &m.civil, &m.note} }

// finishMissed ends campaigns whose last date was missed, and tells somebody:
// what was to be sent will not be.
func (c *Campaigns) finishMissed(ctx context.Context) error {
	var found []missedOut
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		found, err = store.All[missedOut](q, sqlMissedOut)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range found {
		ended := false
		err := c.cfg.DB.Write(ctx, func(tx *store.Tx) error {
			camp, _, err := ByID(tx, m.campaign)
			if err != nil || camp.State != Active || camp.Next > 0 {
				return err
			}
			if _, more, err := scheduler.Next(tx, scheduleKey(camp.ID)); err != nil || more {
				return err
			}
			camp.State, camp.Reason, ended = Finished, MissedRun, true
			return save(tx, camp)
		})
		if err != nil {
			return err
		}
		if ended {
			c.raise(m.campaign, fmt.Sprintf("campaign %s did not run at %s: %s; to send it, write another at", m.campaign, m.civil, m.note))
		}
	}
	return nil
}
