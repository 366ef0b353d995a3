package console

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
	"janela/internal/outbox"
)

func campaignRoutes() []route {
	show := func(path string, run func(*visit) error) route {
		return route{method: "GET", path: path, role: access.RoleViewer, page: "campaigns", run: run}
	}
	change := func(path string, role access.Role, run func(*visit) error) route {
		return route{method: "POST", path: path, role: role, page: "campaigns", run: run}
	}
	return []route{
		show("/campaigns", (*visit).campaigns),
		{method: "GET", path: "/campaigns/new", role: access.RoleOperator, page: "campaigns", run: (*visit).newCampaign},
		{method: "GET", path: "/campaigns/new/form", role: access.RoleOperator, page: "campaigns", run: (*visit).newCampaignForm},
		{method: "GET", path: "/campaigns/new/check", role: access.RoleOperator, page: "campaigns", run: (*visit).toNewCampaign},
		{method: "GET", path: "/campaigns/new/upload", role: access.RoleOperator, page: "campaigns", run: (*visit).toNewCampaign},
		change("/campaigns/new/form", access.RoleOperator, (*visit).writeCampaign),
		{method: "POST", path: "/campaigns/new/check", role: access.RoleOperator, page: "campaigns", upload: true, run: (*visit).checkUpload},
		{method: "POST", path: "/campaigns/new/upload", role: access.RoleOperator, page: "campaigns", upload: true, run: (*visit).takeUpload},
		show("/campaigns/{id}", (*visit).campaign),
		show("/campaigns/{id}/recipients", (*visit).recipients),
		show("/campaigns/{id}/report.csv", (*visit).reportCSV),
		show("/campaigns/{id}/plan", (*visit).campaignPlan),
		change("/campaigns/{id}/approve", access.RoleApprover, (*visit).approveCampaign),
		change("/campaigns/{id}/test", access.RoleOperator, (*visit).testCampaign),
		change("/campaigns/{id}/pause", access.RoleOperator, (*visit).pauseCampaign),
		change("/campaigns/{id}/resume", access.RoleOperator, (*visit).resumeCampaign),
		change("/campaigns/{id}/cancel", access.RoleOperator, (*visit).cancelCampaign),
	}
}

// pageRows is how many lines a page of a list has.
const pageRows = 50

// campaigns lists them, the active first.
func (v *visit) campaigns() error {
	q := v.r.URL.Query()
	states := []string{"", httpapi.CampaignsUnderWay, "active", "paused", "finished", "cancelled"}
	state := q.Get("state")
	if !slices.Contains(states, state) {
		state = ""
	}
	page, err := v.api.CampaignsPage(v.ctx(), httpapi.CampaignsQuery{State: state, After: q.Get("after"), Limit: pageRows})
	if err != nil {
		return err
	}
	next := ""
	if page.Next != "" {
		next = "/campaigns?" + url.Values{"state": {state}, "after": {page.Next}}.Encode()
	}
	return v.render("campaigns", map[string]any{"Campaigns": page.Campaigns, "Next": next, "State": state, "States": states})
}

var campaignID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// campaignNamed returns the id of the campaign in the path.
func (v *visit) campaignNamed() (string, error) {
	id := v.r.PathValue("id")
	if !campaignID.MatchString(id) {
		return "", errNoPage
	}
	return id, nil
}

// campaignView is what the pages of one campaign share.
type campaignView struct {
	httpapi.CampaignDetails
	Tab  string
	Run  *httpapi.RunStatus // the one that is shown; nil: there was none
	Over bool               // nothing more will leave

	// Of the overview.
	Funnel   []bar
	Losses   httpapi.RunLosses
	Excluded int64
	Events   []event
}

// event is one line of a timeline.
type event struct {
	At         time.Time
	Key, Kind  string // of the words; of the chip
	Who, About string
}

// look gathers what the pages of one campaign share.
func (v *visit) look(tab string) (*campaignView, error) {
	id, err := v.campaignNamed()
	if err != nil {
		return nil, err
	}
	details, err := v.api.CampaignDetails(v.ctx(), id)
	if err != nil {
		return nil, err
	}
	out := &campaignView{CampaignDetails: details, Tab: tab, Over: details.State == "cancelled" || details.State == "finished"}
	run, _ := strconv.ParseInt(v.r.URL.Query().Get("run"), 10, 64) // anything else: the newest
	for i := range details.Runs {
		if r := &details.Runs[i]; r.ID == run || out.Run == nil && i == 0 {
			out.Run = r
		}
	}
	return out, nil
}

// campaign shows where one stands.
func (v *visit) campaign() error {
	out, err := v.look("overview")
	if err != nil {
		return err
	}
	if out.Run != nil {
		out.Funnel = runFunnel(out.Run)
		if out.Losses, err = v.api.Losses(v.ctx(), out.ID, out.Run.ID); err != nil {
			return err
		}
		for _, r := range out.Losses.Reasons {
			out.Excluded += r.Messages
		}
		out.Excluded += out.Losses.Rejected
	}
	out.Events = happened(&out.CampaignDetails)
	return v.render("campaign", out)
}

// runFunnel is the funnel of a run: of the rows of its audience.
func runFunnel(r *httpapi.RunStatus) []bar {
	f := httpapi.Funnel{}
	for state, n := range r.Messages {
		f.Add(outbox.State(state), n)
	}
	f.Messages = max(f.Messages, r.Rows)
	return append([]bar{{"rows", "dim", r.Rows, f.Messages}}, funnelBars(&f)...)
}

// happened is what happened to a campaign, newest first.
func happened(d *httpapi.CampaignDetails) (out []event) {
	for _, r := range d.Revisions {
		if !r.ApprovedAt.IsZero() {
			out = append(out, event{r.ApprovedAt, "approved", "good", r.ApprovedBy, r.Plan})
		}
		out = append(out, event{r.SubmittedAt, "submitted", "info", r.SubmittedBy, r.Plan})
	}
	for _, r := range d.Runs {
		if r.EndedAt != "" {
			kind := "good"
			if r.State != "finished" {
				kind = "warn"
			}
			out = append(out, event{timeOf(r.EndedAt), "run_" + r.State, kind, "", r.Note})
		}
		out = append(out, event{timeOf(r.StartedAt), "run_began", "info", "", ""})
	}
	keys := map[string][2]string{"campaigns pause": {"paused", "warn"}, "campaigns resume": {"resumed", "good"}, "campaigns cancel": {"cancelled", "bad"},
		"campaigns test": {"tested", "dim"}, "campaigns upload": {"uploaded", "dim"}, "campaigns template changed": {"template_changed", "warn"}}
	for _, c := range d.Changes {
		if k, ok := keys[c.Command]; ok {
			about := ""
			if k[0] == "paused" {
				about = c.After
			}
			out = append(out, event{c.At, k[0], k[1], c.Actor, about})
		}
	}
	slices.SortStableFunc(out, func(a, b event) int { return b.At.Compare(a.At) })
	return out
}

// recipients lists what became of each row of a run.
func (v *visit) recipients() error {
	out, err := v.look("recipients")
	if err != nil {
		return err
	}
	if out.Run == nil {
		return v.render("recipients", map[string]any{"C": out})
	}
	q := v.r.URL.Query()
	state, reason := q.Get("state"), q.Get("reason")
	page, err := v.api.ReportRows(v.ctx(), out.ID, httpapi.ReportRowsQuery{Run: out.Run.ID, States: chosen(state), Reasons: chosen(reason), After: q.Get("after"), Limit: pageRows})
	if err != nil {
		return err
	}
	filter := url.Values{"run": {strconv.FormatInt(page.Run, 10)}}
	if state != "" {
		filter.Set("state", state)
	}
	if reason != "" {
		filter.Set("reason", reason)
	}
	here := "/campaigns/" + out.ID
	csv, next := here+"/report.csv?"+filter.Encode(), ""
	if page.Next != "" {
		filter.Set("after", page.Next)
		next = here + "/recipients?" + filter.Encode()
	}
	states, reasons := []string{}, []string{}
	for s, n := range out.Run.Messages {
		if n > 0 {
			states = append(states, s)
		}
	}
	for r, n := range out.Run.Reasons {
		if n > 0 {
			reasons = append(reasons, r)
		}
	}
	if out.Run.Rejected+out.Run.Duplicates > 0 {
		states = append(states, "rejected")
	}
	slices.Sort(states)
	slices.Sort(reasons)
	return v.render("recipients", map[string]any{"C": out, "Rows": page.Rows, "Next": next, "CSV": csv, "State": state, "Reason": reason, "States": states, "Reasons": reasons,
		"Few": next != "" && len(page.Rows) < pageRows})
}

func chosen(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// reportCSV streams what became of each row. Before its first byte an error is a
// page; after it the connection ends, so that nobody takes a part for the whole.
func (v *visit) reportCSV() error {
	id, err := v.campaignNamed()
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	run, _ := strconv.ParseInt(q.Get("run"), 10, 64) // anything else: the newest
	to := &download{v: v, name: id + ".csv"}
	_ = http.NewResponseController(v.w).SetWriteDeadline(time.Time{}) // in memory there is none
	err = v.api.Report(v.ctx(), id, httpapi.ReportQuery{Run: run, States: chosen(q.Get("state")), Reasons: chosen(q.Get("reason")), Format: httpapi.ReportCSV}, to)
	if err != nil && to.begun {
		panic(http.ErrAbortHandler)
	}
	return err
}

// download writes a file for the browser to keep.
type download struct {
	v     *visit
	name  string
	begun bool
}

// Write implements io.Writer.
func (d *download) Write(b []byte) (int, error) {
	if !d.begun {
		d.begun = true
		h := d.v.w.Header()
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
	}
	return d.v.w.Write(b)
}

var _ io.Writer = (*download)(nil)

// campaignPlan shows what the definition would do, and takes the approval of
// just that.
func (v *visit) campaignPlan() error {
	out, err := v.look("plan")
	if err != nil {
		return err
	}
	data := map[string]any{"C": out, "FourEyes": v.cfg.FourEyes != nil && v.cfg.FourEyes(), "Own": out.SubmittedBy == v.session.Actor()}
	reply, err := v.api.CampaignPlan(v.ctx(), out.ID)
	var p *httpapi.Problem
	switch {
	case errors.As(err, &p) && p.Status < 500:
		data["Problem"] = v.problem(p)
	case err != nil:
		return err
	}
	data["Plan"], data["Faults"], data["Faulty"] = reply.Plan, reply.Faults, httpapi.Faulty(reply.Faults)
	if reply.Plan != nil {
		data["View"] = v.planView(reply.Plan)
	}
	return v.render("plan", data)
}

// planView is what a page shows of a plan.
type planView struct {
	*httpapi.Plan
	Bars      []bar
	Countries []counted
	Handsets  []handset // of the samples
	Template  *handset  // as Meta approved it; nil: it is not known
}

type counted struct {
	Name string
	N    int64
}

func (v *visit) planView(p *httpapi.Plan) planView {
	out := planView{Plan: p, Bars: []bar{{"go", "good", p.Go, p.Rows}}}
	for _, why := range []struct {
		kind string
		of   map[string]int64
	}{{"warn", p.Refused}, {"dim", p.Rejected}} {
		var some []bar
		for reason, n := range why.of {
			if n > 0 {
				some = append(some, bar{reason, why.kind, n, p.Rows})
			}
		}
		slices.SortFunc(some, func(a, b bar) int { return cmp.Or(cmp.Compare(b.Part, a.Part), cmp.Compare(a.Key, b.Key)) })
		out.Bars = append(out.Bars, some...)
	}
	for name, n := range p.ByCountry {
		out.Countries = append(out.Countries, counted{name, n})
	}
	slices.SortFunc(out.Countries, func(a, b counted) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
	for _, s := range p.Samples {
		out.Handsets = append(out.Handsets, handset{Body: markup(s.Text, nil)})
	}
	// A template that cannot be shown hides no plan.
	if t, err := v.api.Template(v.ctx(), p.Template); err == nil {
		for i := range t.Languages {
			if t.Languages[i].Language == p.Language && out.Template == nil {
				h := handsetOf(t.Languages[i].Components)
				out.Template = &h
			}
		}
	}
	return out
}

// commanded does something to the campaign of the path and goes back to it.
func (v *visit) commanded(verb string, in httpapi.CampaignCommand, key string) error {
	id, err := v.campaignNamed()
	if err != nil {
		return err
	}
	reply, err := v.api.Command(v.ctx(), verb, id, in)
	if verb == "cancel" {
		return v.try(err, "/campaigns/"+id, key, "N", reply.Cancelled)
	}
	return v.try(err, "/campaigns/"+id, key)
}

func (v *visit) approveCampaign() error {
	return v.commanded("approve", httpapi.CampaignCommand{Plan: v.r.PostFormValue("plan")}, "campaign.done_approved")
}

func (v *visit) testCampaign() error {
	row, _ := strconv.Atoi(v.r.PostFormValue("row")) // left out: the first
	return v.commanded("test", httpapi.CampaignCommand{To: v.r.PostFormValue("to"), Row: max(row, 0)}, "campaign.done_tested")
}

func (v *visit) pauseCampaign() error {
	return v.commanded("pause", httpapi.CampaignCommand{Reason: v.r.PostFormValue("reason")}, "campaign.done_paused")
}

func (v *visit) resumeCampaign() error {
	return v.commanded("resume", httpapi.CampaignCommand{}, "campaign.done_resumed")
}

// cancelCampaign ends one for good: the form has a box to tick, and the button asks.
func (v *visit) cancelCampaign() error {
	if v.r.PostFormValue("sure") != "yes" {
		id, err := v.campaignNamed()
		if err != nil {
			return err
		}
		return v.said("/campaigns/"+id, notice{Kind: "bad", Text: v.lang.t("campaign.not_sure")})
	}
	return v.commanded("cancel", httpapi.CampaignCommand{}, "campaign.done_cancelled")
}

// codeText says what an error of Meta's means: in the visitor's words, else in those
// of its class, else in the operation's.
func (l *lang) codeText(c httpapi.CodeCount) string {
	for _, key := range []string{"code." + strconv.Itoa(c.Code), "reason_text." + c.Reason} {
		if text, ok := l.maybe(key); ok {
			return text
		}
	}
	return c.Text
}

// deliveredOf counts the messages of a run that arrived.
func deliveredOf(r httpapi.RunStatus) int64 {
	return r.Messages[string(outbox.Delivered)] + r.Messages[string(outbox.Read)]
}

// civil writes a civil time of a campaign's zone as people read it.
func (l *lang) civil(text string) string {
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if at, err := time.Parse(form, text); err == nil {
			return l.date(at) + at.Format(" 15:04")
		}
	}
	return text
}
