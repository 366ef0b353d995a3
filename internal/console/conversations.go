package console

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
)

func conversationRoutes() []route {
	const page = "conversations"
	return []route{
		{method: "GET", path: "/conversations", role: access.RoleViewer, page: page, run: (*visit).conversations},
		{method: "GET", path: "/conversations/{id}", role: access.RoleViewer, page: page, run: (*visit).conversation},
		{method: "GET", path: "/conversations/month", role: access.RoleViewer, page: page, run: (*visit).month},
		{method: "GET", path: "/conversations/month.csv", role: access.RoleViewer, page: page, run: (*visit).monthCSV},
	}
}

// talkPage is how many conversations a page shows.
const talkPage = 50

// maxPeriod is how long a period may be: the list walks through it for what the
// filters take.
const maxPeriod = 31 * 24 * time.Hour

// talkFilter is what the list shows, as the form has it.
type talkFilter struct {
	Period                   bool // of From to To, days with both ends; else those open now
	From, To                 string
	Number, Category, Origin string
}

func (v *visit) talkFilter() talkFilter {
	q := v.r.URL.Query()
	f := talkFilter{Period: q.Get("show") == "period", From: q.Get("from"), To: q.Get("to"), Number: q.Get("number"), Category: q.Get("category"), Origin: q.Get("origin")}
	today := v.cfg.DB.Now().In(v.cfg.Zone())
	if f.To == "" {
		f.To = today.Format(time.DateOnly)
	}
	if f.From == "" {
		f.From = today.AddDate(0, 0, -6).Format(time.DateOnly)
	}
	return f
}

// query is the filter as the operation takes it.
func (f talkFilter) query() (httpapi.ConversationsQuery, error) {
	q := httpapi.ConversationsQuery{Open: !f.Period, Number: f.Number, Category: f.Category, Origin: f.Origin}
	if !f.Period {
		return q, nil
	}
	from, bad1 := time.Parse(time.DateOnly, f.From)
	to, bad2 := time.Parse(time.DateOnly, f.To)
	switch {
	case bad1 != nil || bad2 != nil:
		return q, &httpapi.Problem{Title: "that is no date", Status: http.StatusBadRequest, Code: "period"}
	case to.Before(from) || to.Sub(from) >= maxPeriod:
		return q, &httpapi.Problem{Title: "a period has 1 to 31 days", Status: http.StatusBadRequest, Code: "period"}
	}
	q.OpenedFrom, q.OpenedTo = f.From, to.AddDate(0, 0, 1).Format(time.DateOnly)
	return q, nil
}

// path is the list with this filter, from a place on.
func (f talkFilter) path(after string) string {
	q := url.Values{}
	if f.Period {
		q.Set("show", "period")
		q.Set("from", f.From)
		q.Set("to", f.To)
	}
	for name, value := range map[string]string{"number": f.Number, "category": f.Category, "origin": f.Origin, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/conversations"
	}
	return "/conversations?" + q.Encode()
}

// talksView is the list.
type talksView struct {
	Filter     talkFilter
	Numbers    []string
	Categories []string
	Origins    []string
	Rows       []talkRow
	Next       string // address
	First      bool   // this is the first page
	Start      string // its address
}

type talkRow struct {
	httpapi.Conversation
	Bar, Window *span
}

// conversations lists those open now, or of a period.
func (v *visit) conversations() error {
	f := v.talkFilter()
	q, err := f.query()
	if err != nil {
		return err
	}
	after := v.r.URL.Query().Get("after")
	list, err := v.api.ConversationPage(v.ctx(), q, after, talkPage)
	if err != nil {
		return err
	}
	now := v.cfg.DB.Now()
	out := talksView{Filter: f, Numbers: list.Numbers, Categories: []string{"marketing", "utility", "authentication", "service"}, Origins: []string{"business", "user"},
		First: after == "", Start: f.path("")}
	for _, c := range list.Conversations {
		out.Rows = append(out.Rows, talkRow{c.Conversation, talkSpan(c.Conversation, now), windowSpan(c.Window, now)})
	}
	if list.Next != "" {
		out.Next = f.path(list.Next)
	}
	return v.render("conversations", out)
}

// talkView is one conversation.
type talkView struct {
	httpapi.ConversationContents
	Who      string // masked
	Window   httpapi.WhyWindow
	Bar      *span
	Open     *span // the window
	Line     *timeline
	Messages []talkMessage
}

type talkMessage struct {
	httpapi.ConversationMessage
	Price string // billed, free or unknown; "" of what the person wrote
}

// pathID is the id in the address.
func (v *visit) pathID() (int64, error) {
	id, err := strconv.ParseInt(v.r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, errNoPage
	}
	return id, nil
}

// conversation shows one, with what was said in it.
func (v *visit) conversation() error {
	id, err := v.pathID()
	if err != nil {
		return err
	}
	c, err := v.api.Contents(v.ctx(), id)
	if err != nil {
		return err
	}
	who, err := v.api.Contact(v.ctx(), c.Conversation.Contact)
	if err != nil {
		return err
	}
	now := v.cfg.DB.Now()
	out := talkView{ConversationContents: c, Who: who.ToMasked, Bar: talkSpan(c.Conversation, now)}
	for _, w := range who.Windows {
		if w.Number == c.Conversation.Number {
			out.Window, out.Open = w, windowSpan(w, now)
		}
	}
	out.Line = timelineOf(c.Conversation, out.Window, c.Messages, v.cfg.Zone(), v.lang, now)
	for _, m := range c.Messages {
		shown := talkMessage{ConversationMessage: m}
		if m.Direction == "out" {
			shown.Price = "unknown"
			if billed, known := m.Meta.Billed(); known {
				shown.Price = map[bool]string{true: "billed", false: "free"}[billed]
			}
		}
		out.Messages = append(out.Messages, shown)
	}
	return v.render("conversation", out)
}

// monthView is the report of a month, both readings beside each other.
type monthView struct {
	Month  string
	Report *httpapi.MonthReport // nil: nothing was asked for yet
	Over   bool                 // the month is
	Rows   []monthRow
	Sums   []monthSum // by origin
	All    monthPair
	CSV    string
}

// monthPair is a line in both readings.
type monthPair struct{ Meta, Window httpapi.MonthShare }

type monthRow struct {
	Category, Country, Origin string
	monthPair
}

type monthSum struct {
	Origin string
	monthPair
}

func (p *monthPair) add(x httpapi.MonthShare) {
	to := &p.Meta
	if x.Reading == "window" {
		to = &p.Window
	}
	to.Conversations += x.Conversations
	to.Messages += x.Messages
	to.Billed += x.Billed
	to.Free += x.Free
	to.Unknown += x.Unknown
}

// month counts a month, when one is named: a large one takes its time.
func (v *visit) month() error {
	out := monthView{Month: v.r.URL.Query().Get("month")}
	if out.Month == "" {
		out.Month = v.cfg.DB.Now().In(v.cfg.Zone()).Format("2006-01")
		return v.render("month", out)
	}
	report, err := v.api.Month(v.ctx(), out.Month)
	if err != nil {
		return err
	}
	out.Report, out.Over = &report, !report.AsOf.Before(report.To)
	out.CSV = "/conversations/month.csv?month=" + url.QueryEscape(out.Month)
	for _, x := range report.Rows {
		at := slices.IndexFunc(out.Rows, func(r monthRow) bool {
			return r.Category == string(x.Category) && r.Country == x.Country && r.Origin == x.Origin
		})
		if at < 0 {
			at, out.Rows = len(out.Rows), append(out.Rows, monthRow{Category: string(x.Category), Country: x.Country, Origin: x.Origin})
		}
		out.Rows[at].add(x)
		of := slices.IndexFunc(out.Sums, func(s monthSum) bool { return s.Origin == x.Origin })
		if of < 0 {
			of, out.Sums = len(out.Sums), append(out.Sums, monthSum{Origin: x.Origin})
		}
		out.Sums[of].add(x)
		out.All.add(x)
	}
	slices.SortStableFunc(out.Rows, func(a, b monthRow) int {
		return strings.Compare(a.Category+"\x00"+a.Country+"\x00"+a.Origin, b.Category+"\x00"+b.Country+"\x00"+b.Origin)
	})
	slices.SortFunc(out.Sums, func(a, b monthSum) int { return strings.Compare(a.Origin, b.Origin) })
	return v.render("month", out)
}

// monthCSV is the report as the command line writes it.
func (v *visit) monthCSV() error {
	report, err := v.api.Month(v.ctx(), v.r.URL.Query().Get("month"))
	if err != nil {
		return err
	}
	v.file("text/csv; charset=utf-8", "janela-"+report.Month+".csv")
	w := csv.NewWriter(v.w)
	_ = w.Write([]string{"reading", "category", "country", "origin", "conversations", "messages", "billed", "free", "unknown"})
	for _, r := range report.Rows {
		row := []string{r.Reading, string(r.Category), r.Country, r.Origin}
		for _, n := range []int64{r.Conversations, r.Messages, r.Billed, r.Free, r.Unknown} {
			row = append(row, fmt.Sprint(n))
		}
		_ = w.Write(row)
	}
	w.Flush() // nobody is there any more to be told
	return nil
}

// file says that the answer is to be kept as a file.
func (v *visit) file(kind, name string) {
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
}
