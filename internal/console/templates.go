package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"janela/internal/access"
	"janela/internal/httpapi"
)

// templateRoutes are the pages of templates.
func templateRoutes() []route {
	return []route{
		{method: "GET", path: "/templates", role: access.RoleViewer, page: "templates", run: (*visit).templateList},
		{method: "POST", path: "/templates/sync", role: access.RoleOperator, page: "templates", run: (*visit).syncTemplates},
		{method: "GET", path: "/templates/{name}", role: access.RoleViewer, page: "templates", run: (*visit).template},
	}
}

// templateRow is a template in all its languages.
type templateRow struct {
	Name       string
	Category   string
	Categories bool // its languages are of several
	Languages  []httpapi.Template
	Wrong      int // languages that cannot be sent
}

// templateList lists what Meta last said of the templates.
func (v *visit) templateList() error {
	all, err := v.api.Templates(v.ctx(), false)
	if err != nil {
		return err
	}
	var rows []templateRow
	at := map[string]int{}
	q := v.r.URL.Query()
	category, status, text := q.Get("category"), q.Get("status"), strings.ToLower(strings.TrimSpace(q.Get("text")))
	for _, t := range all {
		if category != "" && string(t.Category) != category || status == "sendable" && !t.Sendable || status == "not" && t.Sendable ||
			!strings.Contains(strings.ToLower(t.Name), text) {
			continue
		}
		i, ok := at[t.Name]
		if !ok {
			i = len(rows)
			at[t.Name] = i
			rows = append(rows, templateRow{Name: t.Name, Category: string(t.Category)})
		}
		r := &rows[i]
		r.Categories = r.Categories || r.Category != string(t.Category)
		r.Languages = append(r.Languages, t)
		if !t.Sendable {
			r.Wrong++
		}
	}
	return v.render("templates", map[string]any{"Rows": rows, "All": len(all), "Category": category, "Status": status, "Text": q.Get("text")})
}

// syncTemplates asks Meta now.
func (v *visit) syncTemplates() error {
	all, err := v.api.Templates(v.ctx(), true)
	return v.try(err, v.from(), "templates.synced", "N", len(all))
}

// template shows one, in one of its languages.
func (v *visit) template() error {
	view, err := v.api.Template(v.ctx(), v.r.PathValue("name"))
	if err != nil {
		return err
	}
	accounts := map[string]bool{}
	for _, l := range view.Languages {
		accounts[l.Account] = true
	}
	q := v.r.URL.Query()
	shown := slices.IndexFunc(view.Languages, func(l httpapi.TemplateLanguage) bool {
		return l.Language == q.Get("language") && (q.Get("account") == "" || l.Account == q.Get("account"))
	})
	one := &view.Languages[max(shown, 0)]
	return v.render("template", map[string]any{"View": view, "One": one, "Accounts": len(accounts) > 1, "Handset": handsetOf(one.Components)})
}

// handset is a message as the phone shows it.
type handset struct {
	Header  string // TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION; "": none
	Title   []mark
	Body    []mark
	Footer  string
	Offer   string // of a limited-time offer
	Ends    bool   // and its end is shown
	Buttons []httpapi.TemplateButton
	Cards   []handset
}

// handsetOf puts a template's parts where the phone shows them, with the values
// that Meta was shown.
func handsetOf(parts []httpapi.TemplateComponent) (out handset) {
	for _, c := range parts {
		switch strings.ToUpper(c.Type) {
		case "HEADER":
			out.Header = cmp.Or(strings.ToUpper(c.Format), "TEXT")
			if out.Header == "TEXT" {
				out.Title = filled(c)
			}
		case "BODY":
			out.Body = filled(c)
		case "FOOTER":
			out.Footer = c.Text
		case "BUTTONS":
			out.Buttons = append(out.Buttons, c.Buttons...)
		case "LIMITED_TIME_OFFER":
			out.Offer, out.Ends = c.Text, c.HasExpiration
		case "CAROUSEL":
			for _, card := range c.Cards {
				out.Cards = append(out.Cards, handsetOf(card.Components))
			}
		}
	}
	return out
}

func filled(c httpapi.TemplateComponent) []mark {
	values := map[string]string{}
	place := 0
	for _, e := range c.Examples {
		if e.Name != "" {
			values[e.Name] = e.Value
			continue
		}
		place++
		values[strconv.Itoa(place)] = e.Value
	}
	return markup(c.Text, values)
}
