package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"janela/internal/httpapi"
)

// newCampaign offers the two ways to a campaign: files that there are, or a form
// that writes them.
func (v *visit) newCampaign() error {
	all, err := v.api.Templates(v.ctx(), false)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(t httpapi.Template) bool { return t.Missing || t.Category == "authentication" || t.Category == "" })
	return v.render("new_campaign", map[string]any{"Templates": all})
}

// toNewCampaign leads back to where files are chosen: browsers do not keep them.
func (v *visit) toNewCampaign() error {
	http.Redirect(v.w, v.r, "/campaigns/new", http.StatusSeeOther)
	return nil
}

// draft is what the form asks for, by the template that it is about.
type draft struct {
	Account, Template, Language, Category string
	Named                                 bool
	Header                                string // image, video, document or text with a value; "": nothing is asked
	HeaderName                            string // of a named value
	Body                                  []draftValue
	Buttons                               []draftButton
	Beyond                                bool // it needs more than the form asks
	Numbers                               []string
	Zone                                  string
	Days                                  []string
}

// draftValue is a value that every message is given.
type draftValue struct{ Name, Example string }

// draftButton is a button with a value.
type draftButton struct {
	Index       int
	Type, Label string
}

// draftOf reads the template that a form is about.
func (v *visit) draftOf() (*draft, error) {
	d := &draft{Account: v.r.FormValue("account"), Template: v.r.FormValue("template"), Language: v.r.FormValue("language"), Zone: v.cfg.Zone().String(),
		Days: weekdays}
	if parts := strings.Split(d.Template, "|"); len(parts) == 3 { // as the list offers them
		d.Template, d.Language, d.Account = parts[0], parts[1], parts[2]
	}
	view, err := v.api.Template(v.ctx(), d.Template)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(view.Languages, func(l httpapi.TemplateLanguage) bool {
		return l.Language == d.Language && (d.Account == "" || l.Account == d.Account)
	})
	if at < 0 {
		return nil, errNoPage
	}
	l := &view.Languages[at]
	d.Category, d.Account, d.Named = string(l.Category), l.Account, strings.EqualFold(l.ParameterFormat, "NAMED")
	today, err := v.api.Today(v.ctx())
	if err != nil {
		return nil, err
	}
	for i := range today.Numbers {
		if today.Numbers[i].Account == l.Account {
			d.Numbers = append(d.Numbers, today.Numbers[i].Name)
		}
	}
	d.read(l.Components)
	return d, nil
}

var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)

// read finds out what the parts of a template need.
func (d *draft) read(parts []httpapi.TemplateComponent) {
	for _, c := range parts {
		vars := variablesOf(c.Text, d.Named)
		switch kind := strings.ToUpper(c.Type); {
		case kind == "HEADER" && slices.Contains([]string{"IMAGE", "VIDEO", "DOCUMENT"}, strings.ToUpper(c.Format)):
			d.Header = strings.ToLower(c.Format)
		case kind == "HEADER" && strings.EqualFold(c.Format, "TEXT") && len(vars) > 0:
			d.Header, d.HeaderName = "text", vars[0]
		case kind == "HEADER" && strings.EqualFold(c.Format, "LOCATION"), kind == "CAROUSEL", kind == "LIMITED_TIME_OFFER":
			d.Beyond = true
		case kind == "BODY":
			for i, name := range vars {
				d.Body = append(d.Body, draftValue{name, exampleOf(c.Examples, i, name)})
			}
		case kind == "BUTTONS":
			for i, b := range c.Buttons {
				switch {
				case strings.EqualFold(b.Type, "URL") && strings.Contains(b.URL, "{{"):
					d.Buttons = append(d.Buttons, draftButton{i, "url", b.Text})
				case strings.EqualFold(b.Type, "COPY_CODE"):
					d.Buttons = append(d.Buttons, draftButton{i, "copy_code", b.Text})
				}
			}
		}
	}
}

// variablesOf are the values that a text takes: names in their order, or places up
// to the highest.
func variablesOf(text string, named bool) (out []string) {
	highest := 0
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil && !named {
			highest = max(highest, min(n, 100))
		} else if !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	for i := range highest {
		out = append(out, strconv.Itoa(i+1))
	}
	return out
}

func exampleOf(all []httpapi.TemplateExample, place int, name string) string {
	for i, e := range all {
		if e.Name == name || e.Name == "" && i == place {
			return e.Value
		}
	}
	return ""
}

// newCampaignForm asks for what a campaign with a template needs.
func (v *visit) newCampaignForm() error {
	if v.r.FormValue("template") == "" {
		return v.toNewCampaign()
	}
	d, err := v.draftOf()
	if err != nil {
		return err
	}
	return v.render("campaign_form", d)
}

// writeCampaign writes the file that the form describes, and shows it before
// anything is kept.
func (v *visit) writeCampaign() error {
	d, err := v.draftOf()
	if err != nil {
		return err
	}
	text, audience := d.file(v.r.PostForm)
	return v.render("campaign_review", campaignReview{Text: text, Audience: audience, Media: d.Header != "" && d.Header != "text"})
}

// tomlText writes a text as TOML does: the escapes of JSON are its own,
// and DEL needs one.
func tomlText(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(strings.ToValidUTF8(s, "")) // a text cannot fail
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// file writes the definition, and says what its audience is called.
func (d *draft) file(form url.Values) (text, audience string) {
	get := func(key string) string { return strings.TrimSpace(form.Get(key)) }
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	key := func(name, value string) {
		if value != "" {
			line("%s = %s", name, tomlText(value))
		}
	}
	value := func(of string) {
		column, other := get(of+"-column"), get(of+"-default")
		switch {
		case column == "" && other != "":
			key("value", other) // the same for everybody
		default:
			line("column = %s", tomlText(column))
			key("default", other)
		}
	}
	id := get("id")
	if id == "" {
		id = slug(get("title"))
	}
	if id == "" {
		id = "campanha"
	}
	audience = id + ".csv"
	line("version = 1")
	line("id = %s", tomlText(id))
	key("title", get("title"))
	line("category = %s", tomlText(d.Category))
	key("from", get("from"))
	if get("dry_run") != "" {
		line("dry_run = true")
	}
	line("\n[template]")
	line("name = %s", tomlText(d.Template))
	line("language = %s", tomlText(d.Language))
	switch d.Header {
	case "":
	case "text":
		line("\n[template.header]\ntype = \"text\"")
		if d.Named {
			key("named", d.HeaderName)
		}
		value("header")
	default:
		line("\n[template.header]\ntype = %s\nmedia = %s", tomlText(d.Header), tomlText(get("media")))
	}
	for i, p := range d.Body {
		line("\n[[template.body]]")
		if d.Named {
			key("named", p.Name)
		}
		value("body-" + strconv.Itoa(i))
	}
	for i, p := range d.Buttons {
		line("\n[[template.buttons]]\nindex = %d\ntype = %s", p.Index, tomlText(p.Type))
		value("button-" + strconv.Itoa(i))
	}
	line("\n[recipients]")
	line("file = %s", tomlText(audience))
	line("phone_column = %s", tomlText(get("phone_column")))
	key("default_region", strings.ToUpper(get("default_region")))
	key("external_id_column", get("external_id_column"))
	line("\n[schedule]")
	d.schedule(form, line)
	if n := get("per_second"); n != "" {
		if _, err := strconv.ParseFloat(n, 64); err != nil {
			n = tomlText(n) // the check says what is wrong with it
		}
		line("\n[throttle]\nper_second = %s", n)
	}
	return b.String(), audience
}

var (
	moment  = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$`)
	dayTime = regexp.MustCompile(`^\d{2}:\d{2}$`)
)

// schedule writes when it leaves. What is no date stands as a text: the check says
// so.
func (d *draft) schedule(form url.Values, line func(format string, args ...any)) {
	at, cron := strings.TrimSpace(form.Get("at")), strings.TrimSpace(form.Get("cron"))
	switch {
	case cron != "":
		line("cron = %s", tomlText(cron))
	case moment.MatchString(at):
		if len(at) == len("2006-01-02T15:04") {
			at += ":00"
		}
		line("at = %s", at)
	default:
		line("at = %s", tomlText(at))
	}
	line("timezone = %s", tomlText(d.Zone))
	from, to := strings.TrimSpace(form.Get("from_time")), strings.TrimSpace(form.Get("to_time"))
	var days []string
	for _, day := range d.Days {
		if slices.Contains(form["day"], day) {
			days = append(days, tomlText(day))
		}
	}
	if from == "" && to == "" && (len(days) == 0 || len(days) == 7) {
		return
	}
	line("\n[[schedule.windows]]")
	if len(days) > 0 {
		line("days = [%s]", strings.Join(days, ", "))
	}
	for _, t := range []struct{ key, value string }{{"from", from}, {"to", to}} {
		switch {
		case dayTime.MatchString(t.value):
			line("%s = %s:00", t.key, t.value)
		case t.value != "":
			line("%s = %s", t.key, tomlText(t.value))
		}
	}
}

// slug makes an id of a title.
func slug(title string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(title)) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case !unicode.Is(unicode.Mn, r) && b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 60 {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

// campaignReview is a definition before it is kept.
type campaignReview struct {
	Text     string
	Audience string // the name that the audience gets; "": files keep their names
	Media    bool   // it shows a file, which comes along
	Checked  bool
	Faulty   bool
	Faults   []httpapi.Fault
	Lines    []sourceLine
	Plan     *planView
	Problem  *problemView
}

// sourceLine is a line of the definition with what is wrong with it.
type sourceLine struct {
	N      int
	Text   string
	Faults []httpapi.Fault
}

// checkUpload says what an upload would do.
func (v *visit) checkUpload() error { return v.uploaded(false) }

// takeUpload puts an upload into the campaigns folder, unless it has faults.
func (v *visit) takeUpload() error { return v.uploaded(true) }

func (v *visit) uploaded(put bool) error {
	c := http.NewResponseController(v.w) // a large audience takes its time; in memory there are no limits
	_, _ = c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})
	audience := v.r.URL.Query().Get("audience")
	reply, err := v.api.Upload(v.ctx(), v.r.Header.Get("Content-Type"), v.r.Body, put, audience)
	out := campaignReview{Text: reply.Text, Audience: audience, Checked: true, Faults: reply.Faults, Faulty: httpapi.Faulty(reply.Faults)}
	var p *httpapi.Problem
	switch {
	case err == nil && reply.Taken:
		return v.done("/campaigns", "campaign_review.taken", "ID", reply.ID)
	case errors.As(err, &p) && p.Status < 500:
		out.Problem = v.problem(p)
		v.show(p.Status, "campaign_review", out)
		return nil
	case err != nil:
		return err
	}
	if reply.Plan != nil {
		view := v.planView(reply.Plan)
		out.Plan = &view
	}
	if len(out.Faults) > 0 {
		out.Lines = linesOf(reply.Text, out.Faults)
	}
	return v.render("campaign_review", out)
}

// linesOf puts the faults of a definition below its lines.
func linesOf(text string, faults []httpapi.Fault) (out []sourceLine) {
	for i, line := range strings.Split(strings.TrimRight(text, "\r\n"), "\n") {
		l := sourceLine{N: i + 1, Text: strings.TrimRight(line, "\r")}
		for _, f := range faults {
			if f.Line == l.N && strings.HasSuffix(f.File, ".toml") {
				l.Faults = append(l.Faults, f)
			}
		}
		out = append(out, l)
	}
	return out
}

// windows writes the sending windows of a plan with the visitor's weekdays.
func (l *lang) windows(text string) string {
	for _, day := range weekdays {
		text = strings.ReplaceAll(text, day, l.t("weekday."+day))
	}
	return strings.ReplaceAll(text, " to ", "–")
}

// weekdays are as definitions write them.
var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
