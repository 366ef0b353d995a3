package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// campaignView is where a campaign stands, for the business's own systems.
type campaignView struct {
	ID          string           `json:"id"`
	State       string           `json:"state" enum:"active,paused,cancelled,finished"`
	Reason      string           `json:"reason,omitempty" doc:"why it is paused"`
	Plan        string           `json:"plan,omitempty" doc:"of the definition in force, or of the first one"`
	NextPlan    string           `json:"next_plan,omitempty" doc:"of the definition that is to come into force"`
	WaitsFor    string           `json:"waits_for,omitempty" enum:"approval,run" doc:"what next_plan waits for: a person who approves it, or the end of the run under way"`
	SubmittedBy string           `json:"submitted_by,omitempty" doc:"who submitted next_plan, or else plan"`
	NextRun     string           `json:"next_run,omitempty" doc:"when it fires next"`
	Alert       string           `json:"alert,omitempty"`
	ByState     map[string]int64 `json:"by_state" doc:"messages by state, of all runs"`
	ByReason    map[string]int64 `json:"by_reason" doc:"those that ended with a reason"`
	Runs        []runView        `json:"runs" doc:"newest first, at most 20; left empty in lists"`
	CreatedAt   time.Time        `json:"created_at"`
	ChangedAt   time.Time        `json:"changed_at"`
}

// runView is one firing.
type runView struct {
	ID         string           `json:"id"`
	Due        string           `json:"due" doc:"civil time of the campaign's zone"`
	State      string           `json:"state" enum:"expanding,sending,finished,missed,failed,cancelled"`
	Note       string           `json:"note,omitempty"`
	Rows       int64            `json:"rows"`
	Admitted   int64            `json:"admitted" doc:"rows that became messages"`
	Rejected   int64            `json:"rejected"`
	Duplicates int64            `json:"duplicates"`
	ByState    map[string]int64 `json:"by_state"`
	ByReason   map[string]int64 `json:"by_reason"`
	Waits      []campaigns.Wait `json:"waits" doc:"why it stands still"`
	Finishes   string           `json:"finishes,omitempty" doc:"when it is likely to be through"`
	StartedAt  string           `json:"started_at"`
	EndedAt    string           `json:"ended_at,omitempty"`
}

type campaignPage struct {
	Campaigns []campaignView `json:"campaigns"`
	Next      string         `json:"next,omitempty"`
}

// campaignReply says what a command on a campaign did.
type campaignReply struct {
	ID        string `json:"id"`
	State     string `json:"state"`
	Cancelled int64  `json:"cancelled,omitempty" doc:"queued messages that were cancelled by this call"`
}

type approveBody struct {
	Plan string `json:"plan" pattern:"^[0-9a-f]{12}$" doc:"the hash of the plan that was looked at"`
}

type pauseBody struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"why, in words"`
}

type testBody struct {
	To  string `json:"to,omitempty" doc:"one of test_numbers; may be left out where there is one"`
	Row int    `json:"row,omitempty" minimum:"1" doc:"whose values, counted from 1"`
}

type testReply struct {
	ID string `json:"id" doc:"of the message"`
}

// campaignEndpoints are those of campaigns.
func campaignEndpoints() []*endpoint {
	refusable := []string{otp.CodeMalformed, otp.CodeNotFound, codeRule}
	ok := []reply{{status: http.StatusOK, body: campaignReply{}}}
	return []*endpoint{
		{method: http.MethodGet, path: "/v1/campaigns", scope: access.ScopeCampaignRead, id: "list-campaigns", part: partCampaigns, title: "List campaigns, with counts",
			about: "By id. Runs are shown of one campaign only.", query: PageQuery{}, replies: taggedReplies(campaignPage{}), codes: []string{otp.CodeMalformed}, run: (*call).listCampaigns},
		{method: http.MethodGet, path: "/v1/campaigns/{campaign}", scope: access.ScopeCampaignRead, id: "show-campaign", part: partCampaigns, title: "Where a campaign stands, run by run",
			replies: taggedReplies(campaignView{}), codes: []string{otp.CodeNotFound}, run: (*call).showCampaign},
		{method: http.MethodPost, path: "/v1/plans", scope: access.ScopeCampaignRead, id: "plan", part: partCampaigns, title: "What a definition would do",
			about:  "Who would get it, when it would be done, who would not and why. Nothing is kept. Faults come all at once, with line and column; they speak of the definition that was sent, and quote it.",
			upload: true, replies: []reply{{status: http.StatusOK, body: planView{}}}, codes: []string{otp.CodeMalformed, codeUpload}, run: (*call).planUpload},
		{method: http.MethodPut, path: "/v1/campaigns/{campaign}", scope: access.ScopeCampaignWrite, id: "put-campaign", part: partCampaigns, title: "Upload a definition with its audience",
			about: "It is written into the campaigns folder in one step, and taken from there within seconds; 202 when it is on disk. With faults nothing is written. The same again changes nothing. " +
				"A definition that somebody dropped into the folder by other means is not replaced.",
			upload: true, replies: []reply{{status: http.StatusAccepted, body: planView{}, location: true}}, codes: append([]string{codeUpload, codeDefinition}, refusable...),
			run: (*call).putCampaign},
		{method: http.MethodPost, path: "/v1/campaigns/{campaign}/approve", scope: access.ScopeCampaignApprove, id: "approve-campaign", part: partCampaigns, title: "Let a plan be sent",
			about: "With `four_eyes` not by the client that uploaded it. `reason` tells why not: cancelled, four_eyes, nothing_waits, plan_changed.",
			body:  approveBody{}, replies: ok, codes: refusable, run: (*call).approveCampaign},
		{method: http.MethodPost, path: "/v1/campaigns/{campaign}/pause", scope: access.ScopeCampaignWrite, id: "pause-campaign", part: partCampaigns, title: "Pause a campaign and its schedule",
			body: pauseBody{}, maybe: true, replies: ok, codes: refusable, run: (*call).pauseCampaign},
		{method: http.MethodPost, path: "/v1/campaigns/{campaign}/resume", scope: access.ScopeCampaignWrite, id: "resume-campaign", part: partCampaigns, title: "Let a paused campaign go on",
			body: nothingBody{}, maybe: true, replies: ok, codes: refusable, run: (*call).resumeCampaign},
		{method: http.MethodPost, path: "/v1/campaigns/{campaign}/cancel", scope: access.ScopeCampaignWrite, id: "cancel-campaign", part: partCampaigns, title: "End a campaign for good",
			about: "Nothing fires any more, nothing that is queued leaves. To cancel again finishes what a crash left.",
			body:  nothingBody{}, maybe: true, replies: ok, codes: refusable, run: (*call).cancelCampaign},
		{method: http.MethodPost, path: "/v1/campaigns/{campaign}/test", scope: access.ScopeCampaignWrite, id: "test-campaign", part: partCampaigns, title: "Send one row to your own number",
			about: "To one of `test_numbers` only. `reason` tells why not: no_test_number, no_opt_in, cancelled.", body: testBody{}, maybe: true, repeat: repeatRequired, needs: hasMAC,
			replies: []reply{{status: http.StatusAccepted, body: testReply{}, location: true}}, codes: append([]string{codeKeyMissing, codeKeyInFlight, codeKeyReused}, refusable...),
			run: (*call).testCampaign},
		{method: http.MethodGet, path: "/v1/campaigns/{campaign}/report", scope: access.ScopeCampaignRead, id: "report-campaign", part: partCampaigns, title: "What became of every row, in pages",
			about: "Messages in the order of their ids, then rows that became none. A page is full, unless 50,000 rows were looked at for it: with a filter that takes few of very many it may then have fewer, or none, and `next` goes on behind them.",
			query: reportQuery{}, replies: []reply{{status: http.StatusOK, body: reportPage{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound}, run: (*call).reportCampaign},
		{method: http.MethodGet, path: "/v1/campaigns/{campaign}/report.csv", scope: access.ScopeCampaignRead, id: "report-campaign-csv", part: partCampaigns, title: "What became of every row, as CSV",
			about: "All rows at once, separated by semicolons, streamed. An answer that breaks off has no end of its last chunk.",
			query: RowsQuery{}, replies: []reply{{status: http.StatusOK, kind: "text/csv"}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound}, run: (*call).reportCSV},
	}
}

func unknownCampaign() error {
	return publicProblem(otp.CodeNotFound, "there is no such campaign, or no such run of it")
}

// refusals says in fixed words why a command on a campaign was refused.
var refusals = map[string]string{
	campaigns.RefusedCancelled:   "the campaign was cancelled, which is final; give the definition another id",
	campaigns.RefusedFinished:    "the campaign has finished",
	campaigns.RefusedFourEyes:    "who submitted a plan may not approve it: four_eyes is on",
	campaigns.RefusedNothing:     "nothing of this campaign waits for approval",
	campaigns.RefusedPlanChanged: "the definition, its audience or its template is another by now: look at the plan that waits (next_plan), and approve that one",
	campaigns.RefusedNoTest:      "a test goes to test_numbers of the configuration, or of the definition, only",
	campaigns.RefusedConsent:     "nobody has recorded that this person agreed to messages of this category",
	campaigns.RefusedNoAudience:  "the rows of this run are not kept",
	campaigns.RefusedNotUploaded: "a definition of this id lies in the campaigns folder that was not uploaded: change it there, or take another id",
}

// campaignProblem turns an error of the campaigns room into a Problem that
// repeats nothing.
func campaignProblem(err error) error {
	switch {
	case errors.Is(err, campaigns.ErrNotFound):
		return unknownCampaign()
	case errors.Is(err, campaigns.ErrRefused):
		return refusal(campaigns.RefusedReason(err))
	case errors.Is(err, campaigns.ErrOver):
		return refusal(campaigns.RefusedCancelled)
	case errors.Is(err, campaigns.ErrTaken):
		return refusal(campaigns.RefusedNotUploaded)
	default:
		return err
	}
}

func refusal(reason string) error {
	p := publicProblem(codeRule, cmp.Or(refusals[reason], "a rule of the campaign, or of the gate, says no: janela campaigns does the same, and says which"))
	p.Reason = reason
	return p
}

func (c *call) campaignView(q store.Querier, camp campaigns.Campaign, runs bool) (v campaignView, err error) {
	v = campaignView{ID: camp.ID, State: camp.State, Reason: camp.Reason, ByState: map[string]int64{}, ByReason: map[string]int64{}, Runs: []runView{},
		CreatedAt: store.Time(camp.CreatedAt), ChangedAt: store.Time(camp.ChangedAt)}
	for _, id := range []int64{camp.Current, camp.Next} {
		if id == 0 {
			continue
		}
		rev, _, err := campaigns.RevisionByID(q, id)
		if err != nil {
			return v, err
		}
		v.SubmittedBy = rev.SubmittedBy
		if v.Plan == "" {
			v.Plan = rev.PlanHash
		}
		if id == camp.Next {
			v.NextPlan, v.WaitsFor = rev.PlanHash, "run"
			if rev.State == campaigns.WaitingApproval {
				v.WaitsFor = "approval"
			}
		}
	}
	tallies, err := outbox.TalliesOfCampaign(q, camp.ID)
	for _, t := range tallies {
		v.ByState[string(t.State)] += t.N
		if t.Reason != "" {
			v.ByReason[t.Reason] += t.N
		}
	}
	if err != nil || !runs {
		return v, err
	}
	st, err := c.server.cfg.Campaigns.StatusOf(q, camp)
	v.NextRun, v.Alert = st.Next, st.Alert
	for i := range st.Runs {
		v.Runs = append(v.Runs, runViewOf(&st.Runs[i]))
	}
	return v, err
}

func runViewOf(r *campaigns.RunStatus) runView {
	return runView{ID: strconv.FormatInt(r.ID, 10), Due: r.Due, State: r.State, Note: r.Note, Rows: r.Rows, Admitted: r.Admitted, Rejected: r.Rejected, Duplicates: r.Duplicates,
		ByState: r.Messages, ByReason: r.Reasons, Waits: append([]campaigns.Wait{}, r.Waits...), Finishes: r.Finishes, StartedAt: r.StartedAt, EndedAt: r.EndedAt}
}

func (c *call) listCampaigns() (answer, error) {
	out := campaignPage{Campaigns: []campaignView{}}
	err := c.reading(func(q *store.Snap) error {
		in, err := queryOf[PageQuery](c)
		if err != nil {
			return err
		}
		all, err := campaigns.List(q)
		if err != nil {
			return err
		}
		some, next, err := pageOf(all, in, func(camp *campaigns.Campaign) string { return camp.ID })
		if err != nil {
			return err
		}
		out.Next = next
		for _, camp := range some {
			v, err := c.campaignView(q, camp, false)
			if err != nil {
				return err
			}
			out.Campaigns = append(out.Campaigns, v)
		}
		return nil
	})
	return c.tagged(out), err
}

func (c *call) showCampaign() (answer, error) {
	var out campaignView
	err := c.reading(func(q *store.Snap) error {
		camp, ok, err := campaigns.ByID(q, c.words[0])
		if err == nil && !ok {
			err = unknownCampaign()
		}
		if err == nil {
			out, err = c.campaignView(q, camp, true)
		}
		return err
	})
	return c.tagged(out), err
}

// commanded runs a command on the campaign of the path, and tells where it
// stands afterwards.
func (c *call) commanded(do func(ctx context.Context, id, actor string, out *campaignReply) error) (answer, error) {
	out := campaignReply{ID: c.words[0]}
	if err := do(c.r.Context(), out.ID, c.actor(), &out); err != nil {
		return answer{}, campaignProblem(err)
	}
	err := c.db.Read(c.r.Context(), func(q *store.Snap) error {
		camp, _, err := campaigns.ByID(q, out.ID)
		out.State = camp.State
		return err
	})
	return fine(out), err
}

func (c *call) approveCampaign() (answer, error) {
	return withJSON(c, func(in approveBody, _ []byte) (answer, error) {
		return c.commanded(func(ctx context.Context, id, actor string, _ *campaignReply) error {
			return c.server.cfg.Campaigns.Approve(ctx, id, in.Plan, actor)
		})
	})
}

func (c *call) pauseCampaign() (answer, error) {
	return withJSON(c, func(in pauseBody, _ []byte) (answer, error) {
		return c.commanded(func(ctx context.Context, id, actor string, _ *campaignReply) error {
			return c.server.cfg.Campaigns.Pause(ctx, id, actor, in.Reason)
		})
	})
}

func (c *call) resumeCampaign() (answer, error) {
	return withJSON(c, func(nothingBody, []byte) (answer, error) {
		return c.commanded(func(ctx context.Context, id, actor string, _ *campaignReply) error {
			return c.server.cfg.Campaigns.Resume(ctx, id, actor)
		})
	})
}

func (c *call) cancelCampaign() (answer, error) {
	return withJSON(c, func(nothingBody, []byte) (answer, error) {
		return c.commanded(func(ctx context.Context, id, actor string, out *campaignReply) (err error) {
			// What was begun is carried through, whoever hangs up meanwhile.
			out.Cancelled, err = c.server.cfg.Campaigns.Cancel(context.WithoutCancel(ctx), id, actor)
			return err
		})
	})
}

// testCampaign sends one row to a number of one's own. The answer for repeats is
// kept in the transaction that queues the message.
func (c *call) testCampaign() (answer, error) {
	return withJSON(c, func(in testBody, body []byte) (a answer, err error) {
		rep, err := c.repeat("test "+c.words[0], body, true)
		if err != nil {
			return a, err
		}
		if in.To == "" && len(c.server.live.Load().TestNumbers) == 1 {
			in.To = c.server.live.Load().TestNumbers[0].E164()
		}
		to, err := phoneOf(in.To)
		if err != nil {
			return a, err
		}
		e := effect{keep: keepChange, at: messagePath}
		return c.onceWith(rep, e, func(keep func(tx *store.Tx, a answer, told []byte) error) error {
			_, err := c.server.cfg.Campaigns.Test(c.r.Context(), campaigns.TestRequest{ID: c.words[0], To: to.E164(), Row: in.Row, Actor: c.actor(),
				Done: func(tx *store.Tx, message int64) error {
					out := testReply{strconv.FormatInt(message, 10)}
					text := line(out)
					return keep(tx, answer{status: http.StatusAccepted, body: text, location: messagePath(out.ID)}, text)
				}})
			return campaignProblem(err)
		})
	})
}

// reportQuery chooses rows of a report.
type reportQuery struct {
	PageQuery
	RowsQuery
}

type RowsQuery struct {
	Run    string   `json:"run,omitempty" pattern:"^[0-9]{1,18}$" doc:"left out: the newest"`
	State  []string `json:"state,omitempty" doc:"of messages, and rejected; several with commas"`
	Reason []string `json:"reason,omitempty" doc:"several with commas"`
}

func (in RowsQuery) request(id string) campaigns.ReportRequest {
	run, _ := strconv.ParseInt(in.Run, 10, 64) // its form was checked
	return campaigns.ReportRequest{ID: id, Run: run, States: in.State, Reasons: in.Reason, Masked: true}
}

// reportRow is one row of a run's audience and what became of it.
type reportRow struct {
	Message     string    `json:"message,omitempty" doc:"its id; left out for a row that became no message"`
	Line        int       `json:"line" doc:"of the audience file"`
	ExternalID  string    `json:"external_id,omitempty"`
	ToMasked    string    `json:"to_masked,omitempty"`
	State       string    `json:"state" doc:"of the message, or rejected"`
	Reason      string    `json:"reason,omitempty"`
	Code        int       `json:"code,omitempty" doc:"Meta's"`
	Explanation string    `json:"explanation"`
	Do          string    `json:"do,omitempty" doc:"what to do about it"`
	CreatedAt   time.Time `json:"created_at,omitzero"`
	AcceptedAt  time.Time `json:"accepted_at,omitzero"`
	SentAt      time.Time `json:"sent_at,omitzero"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	ReadAt      time.Time `json:"read_at,omitzero"`
	FailedAt    time.Time `json:"failed_at,omitzero"`
	Replied     bool      `json:"replied" doc:"they answered it, or wrote within a day"`
	Answers     int64     `json:"answers,omitempty" doc:"what quotes it, or was tapped on its buttons"`
}

type reportPage struct {
	Run  string      `json:"run"`
	Rows []reportRow `json:"rows"`
	Next string      `json:"next,omitempty"`
}

func reportRowOf(r *campaigns.ReportRow) reportRow {
	out := reportRow{Line: r.Line, ExternalID: r.ExternalID, ToMasked: whatsapp.Mask(r.Phone.E164()), State: r.State, Reason: r.Reason, Code: r.Code,
		Explanation: r.Explanation, Do: r.Do, CreatedAt: store.Time(r.CreatedAt), AcceptedAt: store.Time(r.AcceptedAt), SentAt: store.Time(r.SentAt),
		DeliveredAt: store.Time(r.DeliveredAt), ReadAt: store.Time(r.ReadAt), FailedAt: store.Time(r.FailedAt), Replied: r.Replied, Answers: r.Answers}
	if r.Message > 0 {
		out.Message = strconv.FormatInt(r.Message, 10)
	}
	return out
}

// reportCampaign is one page of a report. A page's token names its run, so that a
// run that begins meanwhile does not come into the middle.
func (c *call) reportCampaign() (answer, error) {
	var in reportQuery
	if err := c.reading(func(*store.Snap) (err error) { in, err = queryOf[reportQuery](c); return err }); err != nil {
		return answer{}, err
	}
	at, err := in.ints(3) // run, rejects, last
	if err != nil {
		return answer{}, err
	}
	req := in.request(c.words[0])
	if in.After != "" {
		req.Run = at[0]
	}
	rows, run, next, more, err := c.server.cfg.Campaigns.ReportPage(c.r.Context(), req, campaigns.ReportPlace{Rejects: at[1] == 1, Last: at[2]}, in.most())
	if err != nil {
		return answer{}, campaignProblem(err)
	}
	out := reportPage{Run: strconv.FormatInt(run, 10), Rows: []reportRow{}}
	for i := range rows {
		out.Rows = append(out.Rows, reportRowOf(&rows[i]))
	}
	if more {
		rejects := "0"
		if next.Rejects {
			rejects = "1"
		}
		out.Next = pageToken(out.Run, rejects, strconv.FormatInt(next.Last, 10))
	}
	return fine(out), nil
}

func (c *call) reportCSV() (answer, error) {
	var in RowsQuery
	if err := c.reading(func(*store.Snap) (err error) { in, err = queryOf[RowsQuery](c); return err }); err != nil {
		return answer{}, err
	}
	req := in.request(c.words[0])
	// A report that there is not is a Problem, not a connection that breaks off.
	if _, _, _, _, err := c.server.cfg.Campaigns.ReportPage(c.r.Context(), req, campaigns.ReportPlace{}, 1); err != nil {
		return answer{}, campaignProblem(err)
	}
	return answer{status: http.StatusOK, kind: "text/csv; charset=utf-8", stream: func(w io.Writer) error {
		return c.server.cfg.Campaigns.ReportCSV(c.r.Context(), req, w)
	}}, nil
}
