package campaigns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/optin"
)

// Reasons of a pause, and of its hold, that a campaign's guard gives.
const (
	ReasonGuardFailed  = "guard_failed"
	ReasonGuardBlocked = "guard_blocked"
	ReasonGuardQuality = "guard_quality"
)

// guardActor is who pauses a campaign whose guard has tripped.
const guardActor = "guard"

// codeUserStopped is Meta's error for marketing to somebody who stopped it from
// this business (Meta: Cloud API, Error codes).
const codeUserStopped = 131050

// stopWithin is how long after its message a stop is put down to a campaign.
const stopWithin = 24 * time.Hour

var (
	sqlNewGuard = store.SQL(`INSERT INTO guards (run_id, campaign_id, since, events) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (run_id) DO NOTHING`)
	sqlGuards   = store.SQL(`SELECT ` + guardColumns + ` FROM guards ORDER BY run_id`)
	sqlGuard    = store.SQL(`SELECT ` + guardColumns + ` FROM guards WHERE run_id = ?1`)
	sqlCount    = store.SQL(`UPDATE guards SET sample = sample + ?2, failed = failed + ?3, blocked = blocked + ?4 WHERE run_id = ?1`)
	sqlEvents   = store.SQL(`UPDATE guards SET events = ?2 WHERE run_id = ?1`)
	sqlRated    = store.SQL(`UPDATE guards SET quality = ?2 WHERE run_id = ?1`)
	sqlAnew     = store.SQL(`UPDATE guards SET since = ?2, sample = 0, failed = 0, blocked = 0, quality = ?3 WHERE campaign_id = ?1`)
	sqlNoGuard  = store.SQL(`DELETE FROM guards WHERE campaign_id = ?1`)
	sqlOldGuard = store.SQL(`DELETE FROM guards WHERE campaign_id = ?1 AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = guards.run_id AND r.state IN ('expanding','sending'))`)

	sqlLastEvent = store.SQL(`SELECT COALESCE(MAX(id), 0) FROM consent_events`)
	sqlStops     = store.SQL(`SELECT id, contact_id, source, at FROM consent_events WHERE id > ?1 AND id <= ?2 AND kind = 'revoke' AND category = ?3 ORDER BY id LIMIT 500`)
	// The person's latest message of any run before the stop, and how often the
	// person had stopped in between.
	sqlStopped = store.SQL(`SELECT m.run_id, m.claimed_at, (SELECT COUNT(*) FROM consent_events e WHERE e.contact_id = CAST(?1 AS BIGINT) AND e.id < ?4
			AND e.kind = 'revoke' AND e.category = ?5 AND e.recorded_at >= m.accepted_at)
		FROM contacts p JOIN contacts k ON k.root = p.root JOIN messages m ON m.contact_id = k.id AND m.contact_id > 0 AND m.run_id > 0
		WHERE p.id = CAST(?1 AS BIGINT) AND m.accepted_at > ?2 AND m.accepted_at <= ?3 ORDER BY m.accepted_at DESC LIMIT 1`)
)

const guardColumns = `run_id, campaign_id, since, sample, failed, blocked, quality, events`

// guardRow is what the guard has seen of a run.
type guardRow struct {
	Run                            int64
	Campaign                       string
	Since, Sample, Failed, Blocked int64
	Quality                        string
	Events                         int64
}

// Fields names the places of guardColumns.
func (g *guardRow) Fields() []any {
	return []any{&g.Run, &g.Campaign, &g.Since, &g.Sample, &g.Failed, &g.Blocked, &g.Quality, &g.Events}
}

// guarded is a run with a guard, as its definition says.
type guarded struct {
	Guard
	campaign, category, number string
}

// startGuard begins to watch a run, and pauses its campaign at once if the number
// is rated too low for it. The run before is not watched any more.
func (c *Campaigns) startGuard(tx *store.Tx, run RunRecord, in inspection) error {
	if _, err := tx.Exec(sqlOldGuard, run.Campaign); err != nil || !in.Def.Guard.Set() {
		return err
	}
	last, _, err := store.Value[int64](tx, sqlLastEvent)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(sqlNewGuard, run.ID, run.Campaign, store.Millis(tx.Now()), last); err != nil {
		return err
	}
	tx.Wake(guardTopic)
	row, _, err := store.Get[guardRow](tx, sqlGuard, run.ID)
	if err != nil {
		return err
	}
	return c.judgeQuality(tx, row, in.Def.Guard, in.Number.ID)
}

// guardOf returns the guard of a run; nil: it has none.
func (c *Campaigns) guardOf(q store.Querier, run int64) (*guarded, error) {
	c.mu.Lock()
	g, known := c.guards[run]
	c.mu.Unlock()
	if known {
		return g, nil
	}
	_, ok, err := store.Get[guardRow](q, sqlGuard, run)
	if err != nil {
		return nil, err
	}
	if ok {
		if g, err = readGuard(q, run); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.guards) >= 1000 {
		clear(c.guards) // of runs that ended; to read one again costs little
	}
	c.guards[run] = g
	return g, nil
}

func readGuard(q store.Querier, id int64) (*guarded, error) {
	run, _, err := RunByID(q, id)
	if err != nil {
		return nil, err
	}
	rev, _, err := RevisionByID(q, run.Revision)
	if err != nil {
		return nil, err
	}
	s, _, err := outbox.StreamByID(q, run.Stream)
	def, _, _ := ParseDefinition("", []byte(rev.Definition)) // it was judged when it was submitted
	return &guarded{def.Guard, run.Campaign, string(def.Category), s.Number}, err
}

// guardOutcomes counts what became of a guarded run's messages, in the
// transaction of the change, and pauses the campaign when there are too many
// failures.
func (c *Campaigns) guardOutcomes(tx *store.Tx, out []outbox.Outcome) error {
	type change struct{ sample, failed, blocked int64 }
	changes := map[int64]*change{}
	var order []int64
	for _, o := range out {
		left, failed := answered(o), o.From != o.To && (o.To == outbox.Failed || o.From == outbox.Failed)
		if o.Run == 0 || !left && !failed {
			continue
		}
		g, err := c.guardOf(tx, o.Run)
		if err != nil || g == nil {
			if err != nil {
				return err
			}
			continue
		}
		if !left {
			if inside, err := c.inSample(tx, o); err != nil {
				return err
			} else if !inside {
				continue
			}
		}
		ch := changes[o.Run]
		if ch == nil {
			ch = &change{}
			changes[o.Run] = ch
			order = append(order, o.Run)
		}
		if left {
			ch.sample++
		}
		switch stopped := o.Code == codeUserStopped; {
		case o.To == outbox.Failed && stopped:
			ch.failed, ch.blocked = ch.failed+1, ch.blocked+1
		case o.To == outbox.Failed:
			ch.failed++
		case o.From == outbox.Failed: // delivered all the same
			ch.failed--
		}
	}
	for _, run := range order {
		ch := changes[run]
		if n, err := tx.Exec(sqlCount, run, ch.sample, ch.failed, ch.blocked); err != nil || n == 0 {
			return err
		}
		if ch.failed > 0 || ch.blocked > 0 {
			if err := c.judgeSample(tx, run); err != nil {
				return err
			}
		}
	}
	return nil
}

// answered reports whether an outcome is what came of a send: of what Meta surely
// did not take, and what is tried again, nothing is known yet.
func answered(o outbox.Outcome) bool {
	return o.From == outbox.Sending && o.To != outbox.Queued && o.To != outbox.Expired && o.To != outbox.Cancelled
}

// inSample reports whether a message that failed by status left since the sample
// began.
func (c *Campaigns) inSample(tx *store.Tx, o outbox.Outcome) (bool, error) {
	row, ok, err := store.Get[guardRow](tx, sqlGuard, o.Run)
	if err != nil || !ok {
		return false, err
	}
	m, _, err := outbox.ByID(tx, o.Message)
	return m.ClaimedAt >= row.Since, err
}

// judgeSample pauses a campaign of whose messages too many failed, or were
// stopped.
func (c *Campaigns) judgeSample(tx *store.Tx, run int64) error {
	row, ok, err := store.Get[guardRow](tx, sqlGuard, run)
	if err != nil || !ok {
		return err
	}
	g, err := c.guardOf(tx, run)
	if err != nil || g == nil || row.Sample < g.MinSample {
		return err
	}
	switch {
	case over(row.Failed, row.Sample, g.MaxFailedPercent):
		return c.trip(tx, row.Campaign, ReasonGuardFailed, fmt.Sprintf("%d of %d messages failed (%.1f %%), and max_failed_percent = %v",
			row.Failed, row.Sample, percentOf(row.Failed, row.Sample), *g.MaxFailedPercent))
	case over(row.Blocked, row.Sample, g.MaxBlockedPercent):
		return c.trip(tx, row.Campaign, ReasonGuardBlocked, fmt.Sprintf("%d of %d people stopped such messages (%.1f %%), and max_blocked_by_user_percent = %v",
			row.Blocked, row.Sample, percentOf(row.Blocked, row.Sample), *g.MaxBlockedPercent))
	default:
		return nil
	}
}

func percentOf(n, of int64) float64 { return 100 * float64(n) / float64(of) }

func over(n, of int64, most *float64) bool { return most != nil && percentOf(n, of) > *most }

// rank orders Meta's ratings of a number; 0 for green and for those that say
// nothing.
func rank(quality string) int {
	switch strings.ToLower(quality) {
	case QualityRed:
		return 2
	case QualityYellow:
		return 1
	default:
		return 0
	}
}

// tooLow reports whether a rating of the number pauses a campaign that was
// resumed with another.
func (g *Guard) tooLow(quality, resumed string) bool {
	return g.PauseOnQuality != "" && rank(quality) >= rank(g.PauseOnQuality) && rank(quality) > rank(resumed)
}

// judgeQuality pauses a campaign whose number is rated too low. With a rating
// somebody has resumed with it goes on, until it gets worse, or has been better.
func (c *Campaigns) judgeQuality(tx *store.Tx, row guardRow, g Guard, number string) error {
	if g.PauseOnQuality == "" {
		return nil
	}
	n, _, err := account.NumberByID(tx, number)
	if err != nil {
		return err
	}
	if rank(n.Quality) < rank(row.Quality) {
		return tx.One(sqlRated, row.Run, n.Quality)
	}
	if !g.tooLow(n.Quality, row.Quality) {
		return nil
	}
	return c.trip(tx, row.Campaign, ReasonGuardQuality, fmt.Sprintf("Meta rates the number %s %s, and pause_on_quality = %q", n.Name, strings.ToLower(n.Quality), g.PauseOnQuality))
}

// trip pauses a campaign until somebody resumes it.
func (c *Campaigns) trip(tx *store.Tx, id, reason, why string) error {
	camp, ok, err := ByID(tx, id)
	if err != nil || !ok || camp.State != Active {
		return err
	}
	if err := c.pauseAs(tx, &camp, reason, guardActor, outbox.Hold{Scope: outbox.ScopeCampaign, Target: id, Reason: reason, Detail: why, Actor: guardActor}); err != nil {
		return err
	}
	if err := access.Note(tx, access.Entry{Actor: guardActor, Command: "campaigns pause", Object: id, Before: Active, After: reason + ": " + why}); err != nil {
		return err
	}
	c.raise(id, fmt.Sprintf("campaign %s was paused: %s; look at it, then janela campaigns resume %s", id, why, id))
	return save(tx, camp)
}

// guardAnew begins a new sample: somebody has looked, and resumes.
func (c *Campaigns) guardAnew(tx *store.Tx, id string) error {
	runs, err := Runs(tx, id, 1)
	if err != nil || len(runs) == 0 {
		return err
	}
	s, _, err := outbox.StreamByID(tx, runs[0].Stream)
	if err != nil {
		return err
	}
	n, _, err := account.NumberByID(tx, s.Number)
	if err != nil {
		return err
	}
	_, err = tx.Exec(sqlAnew, id, store.Millis(tx.Now()), n.Quality)
	return err
}

// guardEvery is how often the number's rating, and who stopped messages, are
// looked at while a run is watched.
const guardEvery = 2 * time.Second

// guardTopic is woken when a run begins to be watched.
const guardTopic store.Topic = "campaigns.guards"

// watchGuards looks at what no outcome tells, until ctx ends.
func (c *Campaigns) watchGuards(ctx context.Context) {
	wakes := c.cfg.DB.Wakes(guardTopic)
	for {
		wait := guardEvery
		watched, err := c.lookAtGuards(ctx)
		if err != nil && ctx.Err() == nil {
			c.cfg.Log.Error("the guards of campaigns could not look; trying again", "error", err)
		} else if !watched {
			wait = time.Minute
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-wakes:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (c *Campaigns) lookAtGuards(ctx context.Context) (watched bool, err error) {
	var rows []guardRow
	var last int64
	err = c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		if rows, err = store.All[guardRow](q, sqlGuards); err != nil || len(rows) == 0 {
			return err
		}
		last, _, err = store.Value[int64](q, sqlLastEvent)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, row := range rows {
		if err := c.lookAtGuard(ctx, row, last); err != nil {
			return false, err
		}
	}
	return len(rows) > 0, nil
}

// lookAtGuard writes only where there is something to write.
func (c *Campaigns) lookAtGuard(ctx context.Context, row guardRow, last int64) error {
	quality := false
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		g, err := c.guardOf(q, row.Run)
		if err != nil || g == nil || g.PauseOnQuality == "" {
			return err
		}
		n, _, err := account.NumberByID(q, g.number)
		if err != nil {
			return err
		}
		camp, _, err := ByID(q, row.Campaign)
		quality = rank(n.Quality) < rank(row.Quality) || camp.State == Active && g.tooLow(n.Quality, row.Quality)
		return err
	})
	if err != nil || !quality && row.Events == last {
		return err
	}
	return c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		row, ok, err := store.Get[guardRow](tx, sqlGuard, row.Run)
		if err != nil || !ok {
			return err
		}
		g, err := c.guardOf(tx, row.Run)
		if err != nil || g == nil {
			return err
		}
		if err := c.countStops(tx, row, g, last); err != nil {
			return err
		}
		return c.judgeQuality(tx, row, g.Guard, g.number)
	})
}

// stop is somebody's revocation.
type stop struct {
	id, contact int64
	source      string
	at          int64
}

// Fields names the places of sqlStops.
func (s *stop) Fields() []any { return []any{&s.id, &s.contact, &s.source, &s.at} }

// stopped is the message before a stop.
type stopped struct{ run, claimed, before int64 }

// Fields names the places of sqlStopped.
func (s *stopped) Fields() []any { return []any{&s.run, &s.claimed, &s.before} }

// countStops counts the people who stopped messages of the campaign's category by
// themselves, in the chat or in WhatsApp's settings, within a day after the run's
// message, if no campaign wrote to them in between. A stop that Meta tells with
// error 131050 is counted with the failure.
func (c *Campaigns) countStops(tx *store.Tx, row guardRow, g *guarded, last int64) error {
	if row.Events >= last {
		return nil
	}
	events, err := store.All[stop](tx, sqlStops, row.Events, last, g.category)
	if err != nil {
		return err
	}
	if len(events) == 500 {
		last = events[len(events)-1].id
	}
	var n int64
	for _, e := range events {
		if e.source != string(optin.SourceWhatsApp) && e.source != string(optin.SourcePreferences) {
			continue
		}
		m, ok, err := store.Get[stopped](tx, sqlStopped, e.contact, e.at-stopWithin.Milliseconds(), e.at, e.id, g.category)
		if err != nil {
			return err
		}
		if ok && m.run == row.Run && m.claimed >= row.Since && m.before == 0 {
			n++
		}
	}
	if err := tx.One(sqlEvents, row.Run, last); err != nil || n == 0 {
		return err
	}
	if err := tx.One(sqlCount, row.Run, 0, 0, n); err != nil {
		return err
	}
	return c.judgeSample(tx, row.Run)
}
