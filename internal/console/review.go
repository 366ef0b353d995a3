package console

import (
	"strconv"

	"janela/internal/access"
	"janela/internal/httpapi"
)

func reviewRoutes() []route {
	return []route{
		{method: "GET", path: "/review", role: access.RoleViewer, page: "review", run: (*visit).review},
		{method: "POST", path: "/review/{id}", role: access.RoleOperator, page: "review", run: (*visit).decide},
	}
}

// reviewPage is how many phrases a page shows.
const reviewPage = 25

type reviewView struct {
	Waiting int64
	Rows    []reviewRow
	Next    int64 // id after which the next page begins; 0: these are all
}

type reviewRow struct {
	httpapi.Review
	Who string // masked
}

// review shows what may mean STOP, the oldest first.
func (v *visit) review() error {
	after, _ := strconv.ParseInt(v.r.URL.Query().Get("after"), 10, 64) // 0: from the first on
	list, err := v.api.ReviewPage(v.ctx(), after, reviewPage)
	if err != nil {
		return err
	}
	out := reviewView{Waiting: list.Waiting, Next: list.Next}
	for _, r := range list.Reviews {
		out.Rows = append(out.Rows, reviewRow{r, httpapi.Mask(r.Phone)})
	}
	return v.render("review", out)
}

// decide says what a phrase meant.
func (v *visit) decide() error {
	id, err := v.pathID()
	if err != nil {
		return err
	}
	verb := v.r.PostFormValue("meant")
	if verb != "stop" && verb != "keep" {
		return errNoPage
	}
	out, err := v.api.Decide(v.ctx(), id, verb)
	return v.try(err, v.from(), "review."+verb+"_done", "N", out.Cancelled)
}

// openReviews is how many phrases wait, for the navigation.
func (v *visit) openReviews() int64 {
	list, err := v.api.ReviewPage(v.ctx(), 0, 1)
	if err != nil { // the page itself says what is wrong
		return 0
	}
	return list.Waiting
}
