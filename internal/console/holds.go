package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"janela/internal/access"
	"janela/internal/httpapi"
	"janela/internal/outbox"
)

func holdRoutes() []route {
	return []route{
		{method: "GET", path: "/holds", role: access.RoleViewer, page: "holds", run: (*visit).holds},
		{method: "POST", path: "/holds", role: access.RoleOperator, page: "holds", run: (*visit).hold},
		{method: "GET", path: "/unknown", role: access.RoleViewer, page: "unknown", run: (*visit).unknown},
		{method: "POST", path: "/unknown/resolve", role: access.RoleOperator, page: "unknown", run: (*visit).resolve},
		{method: "GET", path: "/access", role: access.RoleViewer, page: "access", run: (*visit).access},
	}
}

// holdsView is the page of holds.
type holdsView struct {
	Standing []httpapi.HoldLine
	Past     []httpapi.PastHold
	Next     string
	Choices  []choice // what can be held
}

// choice is an option of a form: scope and target in one value.
type choice struct{ Scope, Target, Value string }

const pastPage = 50

// holds shows what stands, and what stood.
func (v *visit) holds() error {
	var out holdsView
	var err error
	if out.Standing, err = v.api.Holds(v.ctx()); err != nil {
		return err
	}
	slices.SortStableFunc(out.Standing, func(a, b httpapi.HoldLine) int { return b.Since.Compare(a.Since) })
	before, _ := strconv.ParseInt(v.r.URL.Query().Get("before"), 10, 64) // of anything else: the latest
	if out.Past, err = v.api.HoldHistory(v.ctx(), max(before, 0), pastPage+1); err != nil {
		return err
	}
	if len(out.Past) > pastPage {
		out.Past = out.Past[:pastPage]
		out.Next = "/holds?before=" + strconv.FormatInt(out.Past[pastPage-1].ID, 10)
	}
	if v.may(access.RoleOperator) {
		if out.Choices, err = v.holdChoices(); err != nil {
			return err
		}
	}
	return v.render("holds", out)
}

// holdChoices is what a person may stop.
func (v *visit) holdChoices() (out []choice, err error) {
	add := func(scope outbox.Scope, target string) {
		c := choice{Scope: string(scope), Target: target, Value: string(scope) + " " + target}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	for _, c := range []string{"marketing", "utility", "authentication"} {
		add(outbox.ScopeCategory, c)
	}
	today, err := v.api.Today(v.ctx())
	if err != nil {
		return nil, err
	}
	for _, n := range today.Numbers {
		add(outbox.ScopeNumber, n.Name)
	}
	all, err := v.api.Campaigns(v.ctx())
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.State == "active" || c.State == "paused" {
			add(outbox.ScopeCampaign, c.ID)
		}
	}
	list, err := v.api.Templates(v.ctx(), false)
	for _, t := range list {
		if !t.Missing {
			add(outbox.ScopeTemplate, t.Name+"/"+t.Language)
		}
	}
	add(outbox.ScopeAll, "")
	return out, err
}

// hold stops something.
func (v *visit) hold() error {
	scope, target, _ := strings.Cut(v.r.PostFormValue("what"), " ")
	hours, _ := strconv.ParseFloat(v.r.PostFormValue("hours"), 64) // of anything else: until it is released
	reason := strings.TrimSpace(v.r.PostFormValue("reason"))
	if reason == "" {
		return v.try(&httpapi.Problem{Title: "say why", Status: http.StatusBadRequest, Code: "no_reason"}, "/holds", "")
	}
	in := httpapi.HoldRequest{Scope: scope, Target: target, Detail: reason}
	if hours > 0 && hours <= 24*365 {
		in.Seconds = int64(hours * 3600)
	}
	_, err := v.api.Hold(v.ctx(), in)
	return v.try(err, "/holds", "holds.placed")
}

// unknownView is the page of messages of which nobody knows.
type unknownView struct {
	httpapi.UnknownPage
	Resolved bool
	Next     string
	Total    int64
}

const unknownShown = 50

// unknown lists messages of which nobody knows whether Meta took them.
func (v *visit) unknown() error {
	q := v.r.URL.Query()
	out := unknownView{Resolved: q.Get("resolved") == "true"}
	var err error
	if out.UnknownPage, err = v.api.Unknown(v.ctx(), httpapi.UnknownQuery{Resolved: out.Resolved, After: q.Get("after"), Limit: unknownShown}); err != nil {
		return err
	}
	for _, c := range out.Counts {
		out.Total += c.N
	}
	if next := out.UnknownPage.Next; next != "" {
		values := url.Values{"after": {next}}
		if out.Resolved {
			values.Set("resolved", "true")
		}
		out.Next = "/unknown?" + values.Encode()
	}
	return v.render("unknown", out)
}

// resolve does what a person decided about some of them.
func (v *visit) resolve() error {
	in := httpapi.ResolveRequest{As: outbox.Resolution(v.r.PostFormValue("as")), Note: v.r.PostFormValue("note"), AcceptDuplicates: v.r.PostFormValue("duplicates") != ""}
	for _, text := range v.r.PostForm["message"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return v.try(&httpapi.Problem{Title: "there is no such message", Status: http.StatusBadRequest, Code: httpapi.CodeInvalid}, "/unknown", "")
		}
		in.IDs = append(in.IDs, id)
	}
	out, err := v.api.ResolveUnknown(v.ctx(), in)
	return v.try(err, "/unknown", "unknown.resolved", "N", len(out.Messages))
}

// accessView is who and what may come in.
type accessView struct {
	Operators []httpapi.OperatorLine
	Keys      []httpapi.KeyLine
}

// access shows operators and keys. They are made and ended at the machine itself.
func (v *visit) access() error {
	operators, err := v.api.Operators(v.ctx())
	keys, errKeys := v.api.Keys(v.ctx())
	if err := errors.Join(err, errKeys); err != nil {
		return err
	}
	return v.render("access", accessView{operators, keys})
}
