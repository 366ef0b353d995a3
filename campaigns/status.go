package campaigns

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/scheduler"
)

// Status is what a status file says of a campaign. Times are RFC 3339 in UTC.
type Status struct {
	ID        string           `json:"id"`
	State     string           `json:"state"` // refused when the definition has faults and nothing of it runs
	Reason    string           `json:"reason,omitempty"`
	Plan      string           `json:"plan,omitempty"`
	Waiting   string           `json:"waiting,omitempty"` // what the next revision waits for
	Next      string           `json:"next,omitempty"`    // when it fires next
	Faults    []Fault          `json:"faults,omitempty"`
	Alert     string           `json:"alert,omitempty"`
	Runs      []RunStatus      `json:"runs,omitempty"` // newest first
	Totals    map[string]int64 `json:"totals,omitempty"`
	WrittenAt string           `json:"written_at"`
}

// Fault is one problem of a definition.
type Fault struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

// RunStatus is where a run stands.
type RunStatus struct {
	ID         int64            `json:"id,string"`
	Due        string           `json:"due"` // civil time
	State      string           `json:"state"`
	Note       string           `json:"note,omitempty"`
	Rows       int64            `json:"rows"`
	Admitted   int64            `json:"admitted"`
	Rejected   int64            `json:"rejected"`
	Duplicates int64            `json:"duplicates"`
	Messages   map[string]int64 `json:"messages,omitempty"` // by state
	Reasons    map[string]int64 `json:"reasons,omitempty"`  // by reason, of those that ended with one
	Waits      []Wait           `json:"waits,omitempty"`    // why it stands still, of a run under way
	Finishes   string           `json:"finishes,omitempty"` // when it is likely to be through; "" when nobody can say
	StartedAt  string           `json:"started_at"`
	EndedAt    string           `json:"ended_at,omitempty"`
}

// mostRuns is how many runs a status tells of.
const mostRuns = 20

// StatusOf gathers what is known of a campaign.
func (c *Campaigns) StatusOf(q store.Querier, camp Campaign) (Status, error) {
	return c.StatusOfRuns(q, camp, mostRuns)
}

// StatusOfRuns is StatusOf with at most so many runs.
func (c *Campaigns) StatusOfRuns(q store.Querier, camp Campaign, most int) (Status, error) {
	s := Status{ID: camp.ID, State: camp.State, Reason: camp.Reason, WrittenAt: stamp(store.Millis(q.Now()))}
	rev, _, err := RevisionByID(q, camp.Current)
	if err != nil {
		return s, err
	}
	s.Plan = rev.PlanHash
	if camp.Next > 0 {
		next, _, err := RevisionByID(q, camp.Next)
		if err != nil {
			return s, err
		}
		if s.Plan == "" {
			s.Plan = next.PlanHash
		}
		s.Waiting = "revision with plan " + next.PlanHash + " waits for the run under way to end"
		if next.State == WaitingApproval {
			s.Waiting = "plan " + next.PlanHash + " waits for approval: janela campaigns approve " + camp.ID + " --plan " + next.PlanHash
		}
	}
	if next, ok, err := scheduler.Next(q, scheduleKey(camp.ID)); err != nil {
		return s, err
	} else if ok {
		s.Next = next.DueAt.Format(time.RFC3339)
	}
	c.mu.Lock()
	s.Alert = c.alert[camp.ID].Text
	c.mu.Unlock()
	runs, err := Runs(q, camp.ID, most)
	if err != nil {
		return s, err
	}
	for _, r := range runs {
		rs, err := runStatus(q, r)
		if err == nil {
			err = c.look(q, r, &rs)
		}
		if err != nil {
			return s, err
		}
		s.Runs = append(s.Runs, rs)
	}
	s.Totals = map[string]int64{}
	all, err := outbox.TalliesOfCampaign(q, camp.ID)
	for _, t := range all {
		s.Totals[string(t.State)] += t.N
	}
	return s, err
}

func runStatus(q store.Querier, r RunRecord) (RunStatus, error) {
	s := RunStatus{ID: r.ID, Due: r.Civil, State: r.State, Note: r.Note, Rows: r.Rows, Admitted: r.Admitted, Rejected: r.Rejected,
		Duplicates: r.Duplicates, StartedAt: stamp(r.StartedAt), EndedAt: stamp(r.EndedAt), Messages: map[string]int64{}, Reasons: map[string]int64{}}
	tallies, err := outbox.TalliesOfRun(q, r.ID)
	for _, t := range tallies {
		s.Messages[string(t.State)] += t.N
		if t.Reason != "" {
			s.Reasons[t.Reason] += t.N
		}
	}
	return s, err
}

func stamp(ms int64) string {
	if ms == 0 {
		return ""
	}
	return store.Time(ms).Format(time.RFC3339)
}

// statusEvery bounds how often status files are written while runs are busy;
// those of campaigns with a run under way are looked at so often, because what
// becomes of messages wakes nobody, and waits pass with time.
const (
	statusEvery = 2 * time.Second
	statusOpen  = time.Minute
)

// keepStatus writes the status files of campaigns that changed, until ctx ends,
// and once more then.
func (c *Campaigns) keepStatus(ctx context.Context) {
	wakes, missed := c.cfg.DB.Wakes(statusTopic), c.cfg.DB.Wakes(scheduler.MissedTopic)
	written := map[string]string{}
	all := true
	for {
		all = all || ctx.Err() != nil
		if all {
			if err := c.finishMissed(ctx); err != nil && ctx.Err() == nil {
				c.cfg.Log.Error("campaigns that missed their date could not be ended; trying again", "error", err)
			}
		}
		if err := c.writeAll(context.WithoutCancel(ctx), written, !all); err != nil && ctx.Err() == nil {
			c.cfg.Log.Error("status files could not be written", "error", err)
		}
		if all {
			if err := c.writeReports(ctx); err != nil && ctx.Err() == nil {
				c.cfg.Log.Error("reports could not be written", "error", err)
			}
		}
		if ctx.Err() != nil {
			return
		}
		all = true
		timer := time.NewTimer(statusEvery)
		select {
		case <-ctx.Done():
		case <-timer.C:
			timer.Reset(statusOpen - statusEvery)
			select {
			case <-ctx.Done():
			case <-wakes:
			case <-missed:
			case <-timer.C:
				all = false
			}
		}
		timer.Stop()
	}
}

// writeAll writes the files of campaigns whose status is another than written
// last; open: only of those with a run under way.
func (c *Campaigns) writeAll(ctx context.Context, written map[string]string, open bool) error {
	var all []Status
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		list, err := List(q)
		if err != nil {
			return err
		}
		runs, err := store.All[RunRecord](q, sqlOpenRuns)
		if err != nil {
			return err
		}
		for _, camp := range list {
			if open && !slices.ContainsFunc(runs, func(r RunRecord) bool { return r.Campaign == camp.ID }) {
				continue
			}
			s, err := c.StatusOf(q, camp)
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range all {
		at := s.WrittenAt
		s.WrittenAt = ""
		b, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if written[s.ID] == string(b) {
			continue
		}
		s.WrittenAt = at
		if err := c.writeJSON(s.ID, "status.json", s); err != nil {
			return err
		}
		written[s.ID] = string(b)
	}
	return nil
}

// writeFaults writes, or takes away, the file that says why a definition was
// refused. What runs of the campaign stands in status.json, as before.
func (c *Campaigns) writeFaults(id string, problems tomlfile.Problems) error {
	if !problems.HasErrors() {
		err := os.Remove(filepath.Join(c.cfg.Status, id, "faults.json"))
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	s := Status{ID: id, State: "refused", WrittenAt: time.Now().UTC().Format(time.RFC3339)}
	for _, p := range problems {
		s.Faults = append(s.Faults, Fault{File: p.File, Line: p.Line, Column: p.Column, Severity: p.Severity.String(), Message: p.Message, Hint: p.Hint})
	}
	return c.writeJSON(id, "faults.json", s)
}

// writeJSON replaces a file whole: a reader never sees half of it.
func (c *Campaigns) writeJSON(id, name string, v any) error {
	dir := filepath.Join(c.cfg.Status, filepath.Base(id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "."+name+".tmp")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, name))
}
