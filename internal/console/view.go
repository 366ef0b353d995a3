package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"janela/internal/access"
)

//go:embed pages/*.html
var pageFiles embed.FS

// page is what every template gets.
type page struct {
	Lang, LangName string
	Langs          []*lang
	Theme          string
	Name           string // of the template
	Entry          string // of the navigation
	Nav            []entry
	Counts         map[string]int64 // of what waits, by page of the navigation
	Path           string           // of this page, with its query
	Who            access.Session
	Notices        []notice
	Sandbox        bool
	Version        string
	Braked         bool // the emergency brake is on
	Data           any
	v              *visit
}

// May reports whether the visitor's role permits what needs one.
func (p *page) May(role string) bool { return p.v.may(access.Role(role)) }

// show renders a template inside of the layout. Nothing is written before all of
// it is there.
func (v *visit) show(status int, name string, data any) {
	p := &page{Lang: v.lang.tag, LangName: v.lang.name, Langs: langs(), Theme: "auto", Name: name, Entry: v.route.page, Nav: v.entries(), Path: v.r.URL.RequestURI(),
		Who: v.session, Sandbox: v.cfg.Sandbox != nil, Version: v.cfg.Version, Data: data, v: v}
	if c, err := v.r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		p.Theme = c.Value
	}
	if key := v.r.URL.Query().Get("said"); key != "" {
		p.Notices = v.notices.find(v.session.Actor(), key)
		p.Path = without(v.r.URL, "said")
	}
	if v.api != nil {
		p.Braked, p.Counts = v.braked(), map[string]int64{"review": v.openReviews()}
	}
	var b bytes.Buffer
	if err := v.templates[v.lang.tag].ExecuteTemplate(&b, name+".html", p); err != nil {
		v.cfg.Log.Error("a page of the console cannot be shown", "page", name, "error", err)
		http.Error(v.w, "janela: this page cannot be shown; the log says more", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = b.WriteTo(v.w) // nobody is there any more to be told
}

// render shows a page that was asked for.
func (v *visit) render(name string, data any) error {
	v.show(http.StatusOK, name, data)
	return nil
}

// without is an address without one value of its query.
func without(u *url.URL, key string) string {
	q := u.Query()
	q.Del(key)
	to := url.URL{Path: u.Path, RawQuery: q.Encode()}
	return to.String()
}

// braked reports whether the emergency brake is on: a hold on everything, or on
// marketing.
func (v *visit) braked() bool {
	holds, err := v.api.Holds(v.ctx())
	if err != nil { // the page itself is still of use
		v.cfg.Log.Warn("the console cannot tell whether the emergency brake is on", "error", err)
		return false
	}
	for _, h := range holds {
		if brakes(h.Scope, h.Target) && h.State == "standing" {
			return true
		}
	}
	return false
}

// parse reads the templates, with the words of a language.
func (c *Console) parse(l *lang) *template.Template {
	now, zone := c.cfg.DB.Now, c.cfg.Zone
	t := template.New("").Funcs(template.FuncMap{
		"t":       l.t,
		"word":    l.word,
		"num":     func(n any) string { return l.numbers.Sprint(n) },
		"share":   l.share,
		"percent": percent,
		"asset":   assetPath,
		"map":     pairs,
		"list":    func(v ...any) []any { return v },
		"add":     func(a, b int) int { return a + b },
		"lower":   strings.ToLower,
		"when":    func(at any) template.HTML { return l.when(timeOf(at), zone(), now()) },
		"day":     func(at any) string { return l.date(timeOf(at).In(zone())) },
		"clock":   func(at any) string { return timeOf(at).In(zone()).Format("15:04:05") },
		"since":   func(at any) string { return l.span(now().Sub(timeOf(at))) },
		"span":    l.span,
		"one_in":  l.oneIn,
		"wa":      func(text string) []mark { return markup(text, nil) },

		"clock_short": func(at any) string { return timeOf(at).In(zone()).Format("15:04") },
		"progress":    progressOf,
		"kindOfUse":   kindOfUse,
		"civil":       l.civil,
		"windows":     l.windows,
		"codeText":    l.codeText,
		"deliveredOf": deliveredOf,
		"has":         slices.Contains[[]string],
	})
	return template.Must(t.ParseFS(pageFiles, "pages/*.html"))
}

// timeOf takes the times of the operations' answers.
func timeOf(v any) time.Time {
	switch t := v.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	case string:
		at, _ := time.Parse(time.RFC3339, t) // "" is no time
		return at
	}
	return time.Time{}
}

// when writes a moment as people read it, and whole for machines and pointers.
func (l *lang) when(at time.Time, zone *time.Location, now time.Time) template.HTML {
	if at.IsZero() {
		return "–"
	}
	here := at.In(zone)
	text := here.Format("15:04")
	if y, m, d := here.Date(); !sameDay(y, m, d, now.In(zone)) {
		text = l.date(here) + " " + text
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, //nolint:gosec // of a time
		here.Format(time.RFC3339), template.HTMLEscapeString(l.date(here)+here.Format(" 15:04:05 MST")), template.HTMLEscapeString(text)))
}

func sameDay(y int, m time.Month, d int, t time.Time) bool {
	ty, tm, td := t.Date()
	return y == ty && m == tm && d == td
}

// date writes a day.
func (l *lang) date(at time.Time) string {
	if l.tag == "en" {
		return at.Format("2 Jan 2006")
	}
	return at.Format("02/01/2006")
}

// span writes how long something took or takes, coarsely.
func (l *lang) span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Minute:
		return l.t("frame.seconds", "N", int(d.Seconds()))
	case d < time.Hour:
		return l.t("frame.minutes", "N", int(d.Minutes()))
	case d < 48*time.Hour:
		return l.t("frame.hours", "N", int(d.Hours()))
	default:
		return l.t("frame.days", "N", int(d.Hours()/24))
	}
}

// share writes a part of a whole, "12,5 %".
func (l *lang) share(part, whole any) string {
	p, w := float(part), float(whole)
	if w == 0 {
		return "–"
	}
	return l.numbers.Sprintf("%.1f%%", 100*p/w)
}

// percent is a part of a whole from 0 to 100, for widths.
func percent(part, whole any) float64 {
	p, w := float(part), float(whole)
	if w <= 0 {
		return 0
	}
	return min(100, max(0, 100*p/w))
}

func float(v any) float64 {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case float64:
		return n
	case time.Duration:
		return float64(n)
	}
	return 0
}

// pairs makes a map for a template within a template.
func pairs(v ...any) (map[string]any, error) {
	if len(v)%2 != 0 {
		return nil, fmt.Errorf("map takes pairs, not %d values", len(v))
	}
	out := make(map[string]any, len(v)/2)
	for i := 0; i < len(v); i += 2 {
		out[fmt.Sprint(v[i])] = v[i+1]
	}
	return out, nil
}
