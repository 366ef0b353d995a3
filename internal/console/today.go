package console

import (
	"cmp"
	"slices"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
	"janela/internal/outbox"
)

func todayRoutes() []route {
	return []route{
		{method: "GET", path: "/{$}", role: access.RoleViewer, page: "today", run: (*visit).today},
		{method: "POST", path: "/brake", role: access.RoleOperator, run: (*visit).brake},
		{method: "POST", path: "/holds/release", role: access.RoleOperator, run: (*visit).releaseHold},
	}
}

// todayView is what the first page shows.
type todayView struct {
	httpapi.Today
	Chart     *sendsChart // nil: no daemon runs
	Funnel    []bar
	Open      int64
	Campaigns []httpapi.Campaign // with a run under way
	MoreRuns  bool               // than those
	Brakes    []httpapi.HoldLine // that stop all marketing, by whatever reason; Holds has the others
}

// bar is one line of a funnel: Part of Whole.
type bar struct {
	Key, Kind   string
	Part, Whole int64
}

// maxUnderWay bounds the campaigns that the first page shows.
const maxUnderWay = 10

// today is the first page.
func (v *visit) today() error {
	t, err := v.api.Today(v.ctx())
	if err != nil {
		return err
	}
	under, err := v.api.CampaignsPage(v.ctx(), httpapi.CampaignsQuery{State: httpapi.CampaignsUnderWay, Limit: maxUnderWay, Runs: 1})
	if err != nil {
		return err
	}
	out := todayView{Today: t, Chart: chartOf(t.Sends, v.lang, v.cfg.Zone()), Funnel: funnelBars(&t.Day.All), Campaigns: under.Campaigns, MoreRuns: under.Next != ""}
	for _, c := range t.Conversations {
		out.Open += c.Open
	}
	for _, h := range t.Holds {
		if brakes(h.Scope, h.Target) {
			out.Brakes = append(out.Brakes, h)
		}
	}
	out.Holds = slices.DeleteFunc(out.Holds, func(h httpapi.HoldLine) bool { return brakes(h.Scope, h.Target) }) // they stand at the top
	slices.SortStableFunc(out.Holds, func(a, b httpapi.HoldLine) int { return b.Since.Compare(a.Since) })
	return v.render("today", out)
}

func funnelBars(f *httpapi.Funnel) []bar {
	all := []bar{
		{"sent", "brand", f.Sent, f.Messages}, {"delivered", "brand", f.Delivered, f.Messages}, {"read", "brand", f.Read, f.Messages},
		{"queued", "dim", f.Queued, f.Messages}, {"failed", "bad", f.Failed, f.Messages}, {"refused", "warn", f.Refused, f.Messages},
		{"expired", "warn", f.Expired, f.Messages}, {"cancelled", "dim", f.Cancelled, f.Messages}, {"unknown", "warn", f.Unknown, f.Messages},
	}
	return slices.DeleteFunc(all, func(b bar) bool {
		return b.Part == 0 && b.Key != "sent" && b.Key != "delivered" && b.Key != "read"
	})
}

// brake stops all marketing.
func (v *visit) brake() error {
	_, err := v.api.Hold(v.ctx(), httpapi.HoldRequest{Scope: string(outbox.ScopeCategory), Target: "marketing", Detail: v.r.PostFormValue("reason")})
	return v.try(err, "/", "today.brake_done")
}

// releaseHold lifts the holds of a scope and target.
func (v *visit) releaseHold() error {
	in := httpapi.HoldRequest{Scope: v.r.PostFormValue("scope"), Target: v.r.PostFormValue("target")}
	_, err := v.api.Release(v.ctx(), in)
	if err == nil && brakes(in.Scope, in.Target) {
		return v.done(v.from(), "today.brake_released")
	}
	return v.try(err, v.from(), "today.released")
}

// brakes reports whether a hold is what the emergency brake sets: on everything,
// or on all marketing.
func brakes(scope, target string) bool {
	return scope == string(outbox.ScopeAll) || scope == string(outbox.ScopeCategory) && target == "marketing"
}

// sendsChart is what left in the last hour: for the drawing of the server, for the
// script's, and as a table.
type sendsChart struct {
	Data  chartData
	Bars  []stack
	Table []minutesRow
	Total int64
	Top   int64 // of the scale
	Empty bool
}

// chartData is what static/app.js reads.
type chartData struct {
	X      []int64       `json:"x"`
	Series []chartSeries `json:"series"`
	Time   string        `json:"time"` // what x is called
	Zone   string        `json:"zone"` // in which it is shown
}

type chartSeries struct {
	Label  string   `json:"label"`
	Class  string   `json:"class"`
	Values []*int64 `json:"values"` // null: it was not counted
	Bars   bool     `json:"bars"`
}

// stack is one part of one minute's bar, in the units of the drawing: 600 wide,
// 180 high.
type stack struct {
	Class               string
	X, Y, Width, Height float64
}

// minutesRow is a line of the table: so many minutes from At on.
type minutesRow struct {
	At                                 time.Time
	Authentication, Utility, Marketing int64
}

const (
	chartMinutes = 60
	tableMinutes = 10
	chartWidth   = 600.0
	chartHeight  = 180.0
)

func chartOf(s *httpapi.Sends, l *lang, zone *time.Location) *sendsChart {
	if s == nil {
		return nil
	}
	out := &sendsChart{Data: chartData{X: []int64{}, Time: l.t("today.minute"), Zone: zone.String()}, Top: 5}
	lanes := []string{"authentication", "utility", "marketing"}
	for _, lane := range lanes {
		out.Data.Series = append(out.Data.Series, chartSeries{Label: l.word("lane", lane), Class: lane, Values: []*int64{}, Bars: true})
	}
	for i := range s.Minutes {
		m := &s.Minutes[i]
		out.Total += m.Authentication + m.Utility + m.Marketing
		out.Top = max(out.Top, m.Authentication+m.Utility+m.Marketing)
	}
	out.Empty = out.Total == 0
	if len(s.Minutes) > 0 { // those before the start of the daemon
		for at := len(s.Minutes) - chartMinutes; at < 0; at++ {
			out.Data.X = append(out.Data.X, s.Minutes[0].At.Add(time.Duration(at)*time.Minute).Unix())
			for k := range out.Data.Series {
				out.Data.Series[k].Values = append(out.Data.Series[k].Values, nil)
			}
		}
	}
	step := chartWidth / chartMinutes
	for i := range s.Minutes {
		m := &s.Minutes[i]
		x := chartWidth - float64(len(s.Minutes)-i)*step
		y := chartHeight
		for k, n := range []int64{m.Authentication, m.Utility, m.Marketing} {
			out.Data.Series[k].Values = append(out.Data.Series[k].Values, &n)
			if n > 0 {
				h := chartHeight * float64(n) / float64(out.Top)
				y -= h
				out.Bars = append(out.Bars, stack{lanes[k], x + 1, y, step - 2, h})
			}
		}
		out.Data.X = append(out.Data.X, m.At.Unix())
		if i%tableMinutes == 0 {
			out.Table = append(out.Table, minutesRow{At: m.At})
		}
		row := &out.Table[len(out.Table)-1]
		row.Authentication, row.Utility, row.Marketing = row.Authentication+m.Authentication, row.Utility+m.Utility, row.Marketing+m.Marketing
	}
	return out
}

// progress is how far the newest run of a campaign is.
type progress struct {
	Part, Whole int64
}

// progressOf says how far a run is: messages that wait no more, of all that it
// will have. While the audience is still read, that is not known to the end.
func progressOf(r httpapi.RunStatus) progress {
	waits := r.Messages[string(outbox.Queued)] + r.Messages[string(outbox.Sending)]
	return progress{max(0, r.Admitted-waits), cmp.Or(r.Admitted, 1)}
}

// kindOfUse is the colour of a limit by how far it is used.
func kindOfUse(part, whole int) string {
	switch p := percent(part, whole); {
	case p >= 95:
		return "bad"
	case p >= 75:
		return "warn"
	default:
		return "brand"
	}
}
