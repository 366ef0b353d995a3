package campaigns

import (
	"janela/internal/store"
)

// Campaign is a definition's identity and where it stands.
type Campaign struct {
	ID, State, Reason, Actor, Path string
	Current, Next                  int64 // revisions
	CreatedAt, ChangedAt           int64 // ms
}

// States of a campaign.
const (
	Active    = "active"
	Paused    = "paused"
	Cancelled = "cancelled"
	Finished  = "finished"
)

const campaignColumns = `id, state, reason, actor, path, current, next, created_at, changed_at`

// Fields names the places of campaignColumns.
func (c *Campaign) Fields() []any {
	return []any{&c.ID, &c.State, &c.Reason, &c.Actor, &c.Path, &c.Current, &c.Next, &c.CreatedAt, &c.ChangedAt}
}

// Revision is one content of a definition.
type Revision struct {
	ID                                  int64
	Campaign, Hash, Definition          string
	State                               string // waiting_approval, approved, superseded
	PlanHash, SubmittedBy, ApprovedBy   string
	SubmittedAt, ApprovedAt             int64
	AudienceHash, MediaHash, TemplateAt string // of what was frozen; "" for none
}

// States of a revision.
const (
	WaitingApproval = "waiting_approval"
	Approved        = "approved"
	Superseded      = "superseded"
)

const revisionColumns = `id, campaign_id, hash, definition, state, plan_hash, submitted_by, approved_by, submitted_at, approved_at,
	audience_hash, media_hash, template_hash`

// Fields names the places of revisionColumns.
func (r *Revision) Fields() []any {
	return []any{&r.ID, &r.Campaign, &r.Hash, &r.Definition, &r.State, &r.PlanHash, &r.SubmittedBy, &r.ApprovedBy, &r.SubmittedAt, &r.ApprovedAt,
		&r.AudienceHash, &r.MediaHash, &r.TemplateAt}
}

// RunRecord is one firing of a campaign.
type RunRecord struct {
	ID                             int64
	Campaign                       string
	Revision, Slot                 int64
	Civil, State, Note             string
	Stream                         int64
	Audience, AudienceHash         string
	Rows, Admitted, Rejected       int64
	Duplicates, Position, Deadline int64
	StartedAt, EndedAt             int64
}

// States of a run.
const (
	Expanding    = "expanding"
	SendingRun   = "sending"
	FinishedRun  = "finished"
	MissedRun    = "missed"
	FailedRun    = "failed"
	CancelledRun = "cancelled"
)

const runColumns = `id, campaign_id, revision_id, slot_id, civil, state, note, stream_id, audience, audience_hash, rows, admitted, rejected,
	duplicates, position, deadline, started_at, ended_at`

// Fields names the places of runColumns.
func (r *RunRecord) Fields() []any {
	return []any{&r.ID, &r.Campaign, &r.Revision, &r.Slot, &r.Civil, &r.State, &r.Note, &r.Stream, &r.Audience, &r.AudienceHash, &r.Rows, &r.Admitted, &r.Rejected,
		&r.Duplicates, &r.Position, &r.Deadline, &r.StartedAt, &r.EndedAt}
}

var (
	sqlCampaign  = store.SQL(`SELECT ` + campaignColumns + ` FROM campaigns WHERE id = ?1`)
	sqlCampaigns = store.SQL(`SELECT ` + campaignColumns + ` FROM campaigns ORDER BY id`)
	sqlRevision  = store.SQL(`SELECT ` + revisionColumns + ` FROM revisions WHERE id = ?1`)
	sqlRevHash   = store.SQL(`SELECT ` + revisionColumns + ` FROM revisions WHERE campaign_id = ?1 AND hash = ?2`)
	sqlRun       = store.SQL(`SELECT ` + runColumns + ` FROM runs WHERE id = ?1`)
	sqlRuns      = store.SQL(`SELECT ` + runColumns + ` FROM runs WHERE campaign_id = ?1 ORDER BY id DESC LIMIT ?2`)
	sqlOpenRuns  = store.SQL(`SELECT ` + runColumns + ` FROM runs WHERE state IN ('expanding','sending') ORDER BY id`)
)

// ByID returns a campaign.
func ByID(q store.Querier, id string) (Campaign, bool, error) {
	return store.Get[Campaign](q, sqlCampaign, id)
}

// List returns every campaign by id.
func List(q store.Querier) ([]Campaign, error) { return store.All[Campaign](q, sqlCampaigns) }

// RevisionByID returns a revision.
func RevisionByID(q store.Querier, id int64) (Revision, bool, error) {
	return store.Get[Revision](q, sqlRevision, id)
}

// Runs returns a campaign's runs, newest first.
func Runs(q store.Querier, id string, limit int) ([]RunRecord, error) {
	return store.All[RunRecord](q, sqlRuns, id, limit)
}

// RunByID returns a run.
func RunByID(q store.Querier, id int64) (RunRecord, bool, error) {
	return store.Get[RunRecord](q, sqlRun, id)
}
