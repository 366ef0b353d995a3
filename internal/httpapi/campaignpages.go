package httpapi

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/store"
)

// What the pages of campaigns show, in pages and in one piece.

// RunStatus is where a run stands.
type RunStatus = campaigns.RunStatus

// Plan is what a definition would do.
type Plan = campaigns.Plan

// CampaignsUnderWay chooses campaigns with a run that is not over.
const CampaignsUnderWay = "under_way"

// CampaignsQuery chooses a page of campaigns.
type CampaignsQuery struct {
	State string // "": all; CampaignsUnderWay, or a state
	After string // the id after which the page begins
	Limit int
	Runs  int // of each, the newest first
}

// CampaignList is one page: those that are active first, then by their last change.
type CampaignList struct {
	Campaigns []Campaign `json:"campaigns"`
	Next      string     `json:"next,omitempty"` // After of the next page; "": this is the last
}

// CampaignDetails is what one campaign is and what was done to it.
type CampaignDetails struct {
	Campaign
	Category    string             `json:"category,omitempty"`
	Template    string             `json:"template,omitempty"`
	Language    string             `json:"language,omitempty"`
	Number      string             `json:"number,omitempty"` // as the definition says; "": the only one
	Cron        string             `json:"cron,omitempty"`
	At          string             `json:"at,omitempty"` // civil time of the zone
	Zone        string             `json:"zone,omitempty"`
	DryRun      bool               `json:"dry_run,omitempty"`
	WaitingPlan string             `json:"waiting_plan,omitempty"` // that somebody has to approve
	SubmittedBy string             `json:"submitted_by,omitempty"` // the waiting plan, else the one in force
	TestNumbers []string           `json:"test_numbers"`
	Definition  string             `json:"definition,omitempty"` // that waits, else the one in force
	Revisions   []CampaignRevision `json:"revisions"`            // newest first, at most 20
	Changes     []AuditEntry       `json:"changes"`              // newest first, at most 50
}

// CampaignRevision is one content that the definition had.
type CampaignRevision struct {
	Plan        string    `json:"plan"`
	State       string    `json:"state"`
	SubmittedBy string    `json:"submitted_by"`
	SubmittedAt time.Time `json:"submitted_at"`
	ApprovedBy  string    `json:"approved_by,omitempty"`
	ApprovedAt  time.Time `json:"approved_at,omitzero"`
}

// ReportRowsQuery chooses one page of a report.
type ReportRowsQuery struct {
	Run     int64 // 0: the newest
	States  []string
	Reasons []string
	After   string // Next of the page before
	Limit   int
}

// ReportRows is one page of a report, in the order of ids, rows that became no
// message at the end.
type ReportRows struct {
	Run  int64        `json:"run,string"`
	Rows []ReportLine `json:"rows"`
	Next string       `json:"next,omitempty"`
}

// RunLosses says whom a run did not reach, and why.
type RunLosses struct {
	Run        int64         `json:"run,string"`
	Reasons    []ReasonCount `json:"reasons"`  // of messages, from the tallies
	Rejected   int64         `json:"rejected"` // rows that became no message
	Rows       []ReasonCount `json:"rows"`     // why; of the rows that were looked at
	RowsLooked int64         `json:"rows_looked"`
	Failed     int64         `json:"failed"`
	Codes      []CodeCount   `json:"codes"` // of the failed messages that were looked at
	Looked     int64         `json:"looked"`
}

// CodeCount is how many messages failed with one of Meta's errors.
type CodeCount struct {
	Code     int    `json:"code"` // 0: none of Meta's; the reason says why
	Reason   string `json:"reason"`
	Messages int64  `json:"messages"`
	Text     string `json:"text"`
	Do       string `json:"do,omitempty"`
}

// UploadReply says what an upload would do, or did.
type UploadReply struct {
	ID     string  `json:"id"`
	Taken  bool    `json:"taken"` // it lies in the campaigns folder
	Plan   *Plan   `json:"plan,omitempty"`
	Faults []Fault `json:"faults"`
	Text   string  `json:"text"` // the definition, as it was sent
}

// campaignOperations are those of the pages of campaigns.
func (s *Server) campaignOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/campaign-pages":         s.campaignPage,
		"GET /v1/campaigns/{id}/details": s.campaignDetails,
		"GET /v1/campaigns/{id}/rows":    s.reportRows,
		"GET /v1/campaigns/{id}/losses":  s.losses,
		"GET /v1/campaigns/{id}/plan":    s.campaignPlan,
		"POST /v1/uploads":               s.upload,
	}
}

func (s *Server) campaignPage(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	limit, err := whole(r, "n", 50)
	if err != nil {
		return err
	}
	runs, err := whole(r, "runs", 1)
	if err != nil {
		return err
	}
	out := CampaignList{Campaigns: []Campaign{}}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := chosenCampaigns(q, v.Get("state"))
		if err != nil {
			return err
		}
		if at := slices.IndexFunc(all, func(c campaigns.Campaign) bool { return c.ID == v.Get("after") }); at >= 0 {
			all = all[at+1:]
		}
		for i, camp := range all {
			if int64(i) == limit {
				out.Next = all[i-1].ID
				return nil
			}
			c, err := s.campaignWith(q, camp, int(min(runs, 20)))
			if err != nil {
				return err
			}
			out.Campaigns = append(out.Campaigns, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// chosenCampaigns are those of a state, in the order of the pages.
func chosenCampaigns(q store.Querier, state string) ([]campaigns.Campaign, error) {
	all, err := campaigns.List(q)
	if err != nil {
		return nil, err
	}
	if state == CampaignsUnderWay {
		ids, err := campaigns.UnderWay(q)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(c campaigns.Campaign) bool { _, ok := slices.BinarySearch(ids, c.ID); return !ok })
	} else if state != "" {
		all = slices.DeleteFunc(all, func(c campaigns.Campaign) bool { return c.State != state })
	}
	rank := []string{campaigns.Active, campaigns.Paused, campaigns.Finished, campaigns.Cancelled}
	slices.SortFunc(all, func(a, b campaigns.Campaign) int {
		return cmp.Or(cmp.Compare(slices.Index(rank, a.State), slices.Index(rank, b.State)), cmp.Compare(b.ChangedAt, a.ChangedAt), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// found returns the campaign of the path.
func found(q store.Querier, id string) (campaigns.Campaign, error) {
	camp, ok, err := campaigns.ByID(q, id)
	if err == nil && !ok {
		err = notFound("there is no campaign %q", id).hint("janela campaigns list")
	}
	return camp, err
}

func (s *Server) campaignDetails(w http.ResponseWriter, r *http.Request) error {
	out := CampaignDetails{TestNumbers: []string{}, Revisions: []CampaignRevision{}, Changes: []AuditEntry{}}
	for _, p := range s.live.Load().TestNumbers {
		out.TestNumbers = append(out.TestNumbers, p.E164())
	}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		camp, err := found(q, r.PathValue("id"))
		if err != nil {
			return err
		}
		if out.Campaign, err = s.campaignOf(q, camp); err != nil {
			return err
		}
		if err := out.defined(q, camp, s.live.Load().Zone); err != nil {
			return err
		}
		revs, err := campaigns.Revisions(q, camp.ID, 20)
		if err != nil {
			return err
		}
		for i := range revs {
			v := &revs[i]
			out.Revisions = append(out.Revisions, CampaignRevision{v.PlanHash, v.State, v.SubmittedBy, store.Time(v.SubmittedAt), v.ApprovedBy, store.Time(v.ApprovedAt)})
		}
		out.Changes, err = changesOf(q, camp)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// defined fills in what the definition says: the one that waits, else the one in
// force.
func (d *CampaignDetails) defined(q store.Querier, camp campaigns.Campaign, zone string) error {
	for _, id := range []int64{camp.Next, camp.Current} {
		rev, ok, err := campaigns.RevisionByID(q, id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if id == camp.Next && rev.State == campaigns.WaitingApproval {
			d.WaitingPlan = rev.PlanHash
		}
		def, _, _ := campaigns.ParseDefinition(camp.Path, []byte(rev.Definition))
		d.Definition, d.SubmittedBy = rev.Definition, rev.SubmittedBy
		d.Category, d.Template, d.Language, d.Number = string(def.Category), def.Template.Name, def.Template.Language, def.From
		d.Cron, d.Zone, d.DryRun = def.Schedule.Cron, def.Zone(zone), def.DryRun
		d.At = strings.Replace(def.Spec(zone).At, "T", " ", 1)
		for _, p := range def.Approval.Phones {
			if !slices.Contains(d.TestNumbers, p.E164()) {
				d.TestNumbers = append(d.TestNumbers, p.E164())
			}
		}
		return nil
	}
	return nil
}

// Bounds of the changes that a campaign shows.
const (
	mostChanges   = 50
	changesLooked = 2_000 // of the audit log, which is looked through backwards
)

// changesOf are the latest lines of the audit log about a campaign.
func changesOf(q store.Querier, camp campaigns.Campaign) ([]AuditEntry, error) {
	out := []AuditEntry{}
	first := store.FirstID(store.Time(camp.CreatedAt).Add(-time.Minute))
	entries, err := access.Audit(q, 0, changesLooked)
	for _, e := range entries {
		if e.ID < first || len(out) == mostChanges {
			break
		}
		if strings.HasPrefix(e.Command, "campaigns ") && e.Object == camp.ID {
			out = append(out, AuditEntry{e.ID, store.Time(e.At), e.Actor, e.Command, e.Object, e.Before, e.After})
		}
	}
	return out, err
}

func (s *Server) reportRows(w http.ResponseWriter, r *http.Request) error {
	run, err := whole(r, "run", 0)
	if err != nil {
		return err
	}
	limit, err := whole(r, "n", 50)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	req := campaigns.ReportRequest{ID: r.PathValue("id"), Run: run, States: words(v.Get("state")), Reasons: words(v.Get("reason"))}
	var place campaigns.ReportPlace
	if after := v.Get("after"); after != "" {
		// A place names its run, so that a run that begins meanwhile does not come
		// into the middle.
		at, err := PageQuery{After: after}.ints(3)
		if err != nil {
			return invalid("after is no next of an earlier page")
		}
		req.Run, place = at[0], campaigns.ReportPlace{Rejects: at[1] == 1, Last: at[2]}
	}
	rows, of, next, more, err := s.cfg.Campaigns.ReportPage(r.Context(), req, place, int(min(max(limit, 1), 1000)))
	if err != nil {
		return err
	}
	out := ReportRows{Run: of, Rows: []ReportLine{}}
	for i := range rows {
		out.Rows = append(out.Rows, reportLine(rows[i]))
	}
	if more {
		rejects := "0"
		if next.Rejects {
			rejects = "1"
		}
		out.Next = pageToken(strconv.FormatInt(of, 10), rejects, strconv.FormatInt(next.Last, 10))
	}
	return writeJSON(w, out)
}

func (s *Server) losses(w http.ResponseWriter, r *http.Request) error {
	run, err := whole(r, "run", 0)
	if err != nil {
		return err
	}
	l, err := s.cfg.Campaigns.Losses(r.Context(), r.PathValue("id"), run)
	if err != nil {
		return err
	}
	out := RunLosses{Run: l.Run, Reasons: []ReasonCount{}, Rejected: l.Rejected, Rows: []ReasonCount{}, RowsLooked: l.RowsLooked, Failed: l.Failed, Codes: []CodeCount{}, Looked: l.Looked}
	for _, t := range l.Tallies {
		if t.Reason != "" && t.State != outbox.Failed {
			out.Reasons = append(out.Reasons, reasonCount(t.State, t.Reason, t.N))
		}
	}
	for reason, n := range l.ByRow {
		out.Rows = append(out.Rows, reasonCount(campaigns.Rejected, reason, n))
	}
	for _, all := range [][]ReasonCount{out.Reasons, out.Rows} {
		slices.SortFunc(all, func(a, b ReasonCount) int {
			return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Reason, b.Reason))
		})
	}
	for _, c := range l.Codes {
		text, do := campaigns.Explain(string(outbox.Failed), c.Reason, c.Code)
		out.Codes = append(out.Codes, CodeCount{c.Code, c.Reason, c.N, text, do})
	}
	return writeJSON(w, out)
}

func reasonCount(state outbox.State, reason string, n int64) ReasonCount {
	text, do := campaigns.Explain(string(state), reason, 0)
	return ReasonCount{State: state, Reason: reason, Messages: n, Text: text, Do: do}
}

// campaignPlan is the plan of a campaign's definition as it lies in the folder.
func (s *Server) campaignPlan(w http.ResponseWriter, r *http.Request) error {
	var path string
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		camp, err := found(q, r.PathValue("id"))
		path = camp.Path
		return err
	})
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return err
	}
	if err := readable(path); err != nil {
		return err
	}
	patient(w)
	s.askMeta(r.Context())
	plan, problems, err := s.cfg.Campaigns.Plan(r.Context(), path, campaigns.PlanOptions{})
	if err != nil {
		return unplanned(err)
	}
	out := PlanReply{Faults: faultsOf(problems)}
	if !problems.HasErrors() || plan.Rows > 0 {
		out.Plan = &plan
	}
	return writeJSON(w, out)
}

// upload judges a definition with its files as a browser's form sends them, and,
// where that is asked and there are no faults, puts it into the campaigns folder.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	how := upload{put: r.URL.Query().Get("put") == "true", named: true, form: true, audience: r.URL.Query().Get("audience")}
	view := planView{ID: "plan", Faults: []Fault{}}
	out := UploadReply{}
	err := s.withUpload(w, r, &view, how, func(u *campaigns.Upload) error {
		out.Text = u.Text()
		if !how.put || Faulty(view.Faults) {
			return nil
		}
		out.Taken = true
		return campaignProblem(u.Put(r.Context(), Actor(r.Context())))
	})
	if err != nil {
		return err
	}
	out.ID, out.Plan, out.Faults = view.ID, view.Plan, view.Faults
	return writeJSON(w, out)
}

// CampaignsPage lists one page of the campaigns.
func (c *Client) CampaignsPage(ctx context.Context, q CampaignsQuery) (out CampaignList, err error) {
	v := url.Values{"state": {q.State}, "after": {q.After}, "n": {strconv.Itoa(cmp.Or(q.Limit, 50))}, "runs": {strconv.Itoa(cmp.Or(q.Runs, 1))}}
	return out, c.call(ctx, "GET", "/v1/campaign-pages", v, nil, &out)
}

// CampaignDetails shows one campaign, and what was done to it.
func (c *Client) CampaignDetails(ctx context.Context, id string) (out CampaignDetails, err error) {
	return out, c.call(ctx, "GET", "/v1/campaigns/"+id+"/details", nil, nil, &out)
}

// ReportRows reads one page of a report.
func (c *Client) ReportRows(ctx context.Context, id string, q ReportRowsQuery) (out ReportRows, err error) {
	v := ReportQuery{Run: q.Run, States: q.States, Reasons: q.Reasons}.values()
	v.Set("after", q.After)
	v.Set("n", strconv.Itoa(cmp.Or(q.Limit, 50)))
	return out, c.call(ctx, "GET", "/v1/campaigns/"+id+"/rows", v, nil, &out)
}

// Losses says whom a run (0: the newest) did not reach, and why.
func (c *Client) Losses(ctx context.Context, id string, run int64) (out RunLosses, err error) {
	return out, c.call(ctx, "GET", "/v1/campaigns/"+id+"/losses", url.Values{"run": {strconv.FormatInt(run, 10)}}, nil, &out)
}

// CampaignPlan is the plan of a campaign's definition as it lies in the folder.
func (c *Client) CampaignPlan(ctx context.Context, id string) (out PlanReply, err error) {
	return out, c.call(ctx, "GET", "/v1/campaigns/"+id+"/plan", nil, nil, &out)
}

// Upload sends a definition with its files, as multipart/form-data of a kind with
// its boundary; put: it becomes a campaign, unless it has faults. audience is the
// name that a part audience gets.
func (c *Client) Upload(ctx context.Context, kind string, body io.Reader, put bool, audience string) (out UploadReply, err error) {
	resp, err := c.doAs(ctx, "POST", "/v1/uploads", url.Values{"put": {strconv.FormatBool(put)}, "audience": {audience}}, kind, body)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	return out, readOne(resp.Body, &out)
}
