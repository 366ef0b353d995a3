package doctor

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"janela/campaigns"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

var (
	templatesUnread  = declare("templates", "unreadable", FAIL, "the templates of account {account} cannot be read: {why}", "the token needs the permission "+cloudapi.ScopeManagement)
	templatesUnfit   = declare("templates", "unfit", FAIL, "{problem}", "{hint}")
	templatesWaits   = declare("templates", "waits", WARN, "{problem}", "{hint}")
	templatesNoCode  = declare("templates", "no_code_template", FAIL, "codes for {purpose}: account {account} has no template {template} in {language}", "create it in WhatsApp Manager, of category authentication, or correct [otp.purposes.{purpose}]")
	templatesBadCode = declare("templates", "bad_code_template", FAIL, "codes for {purpose}: template {template}/{language} is {status}, of category {category}", "it must be APPROVED and AUTHENTICATION; janela otp doctor says more")
)

// listing is what an account has, as Meta lists it now.
type listing map[string]map[string]cloudapi.Template // name → language

func (l *look) templates(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	var o outcome
	accounts := map[string]listing{}
	for a, t := range l.reached() {
		all := listing{}
		err := t.client.Templates(ctx, a.ID, func(x cloudapi.Template) error {
			if all[x.Name] == nil {
				all[x.Name] = map[string]cloudapi.Template{}
			}
			all[x.Name][x.Language] = x
			return nil
		})
		if err != nil {
			words, _ := metaWords(err)
			o.found = append(o.found, templatesUnread.of("account", a.ID, "why", words))
			continue
		}
		accounts[a.ID] = all
	}
	if len(accounts) == 0 {
		o.skip = "no token is good"
		return o
	}
	files := l.definitions()
	for _, path := range files {
		o.found = append(o.found, l.fits(path, accounts)...)
	}
	o.found = append(o.found, l.codeTemplates(accounts)...)
	o.ok = plural(len(files), "definition") + " and " + plural(len(l.Config.OTP.Purposes), "purpose") + " of codes fit"
	return o
}

// account is the one of a number's name, "" for the only one.
func (l *look) account(number string) string {
	var found []string
	for _, a := range l.Config.WhatsApp.Accounts {
		for _, n := range a.Numbers {
			if n.Name == number || n.ID == number {
				return a.ID
			}
			found = append(found, a.ID)
		}
	}
	if number == "" && len(found) == 1 {
		return found[0]
	}
	return ""
}

// fits judges the template of one definition; what else is wrong with it, janela
// check says.
func (l *look) fits(path string, accounts map[string]listing) (out []Finding) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil // the folder's check says it
	}
	def, doc, _ := campaigns.ParseDefinition(path, data)
	all, known := accounts[l.account(def.From)]
	env := campaigns.CheckEnv{Now: l.Now(), DefaultZone: cmp.Or(l.Config.Campaigns.Timezone, "UTC"), Planned: true, Template: func(name, language string) (campaigns.TemplateFacts, bool) {
		x, found := all[name][language]
		f := campaigns.TemplateFacts{Found: found, Status: x.Status, Category: whatsapp.Category(x.Category), ParameterFormat: x.ParameterFormat, Components: string(x.Components)}
		if !found {
			f.OtherLanguages = slices.Sorted(maps.Keys(all[name]))
		}
		return f, known
	}}
	for _, p := range campaigns.Check(def, doc, env) {
		if p.Path != "category" && p.Path != "template" && !strings.HasPrefix(p.Path, "template.") || strings.HasPrefix(p.Message, "not checked:") {
			continue
		}
		f, hint := templatesUnfit, cmp.Or(p.Hint, "janela check "+path)
		if p.Severity == tomlfile.Warning {
			f = templatesWaits
		}
		p.File, p.Hint = filepath.Base(path), ""
		out = append(out, f.of("problem", p.String(), "hint", hint))
	}
	return out
}

// codeTemplates looks at the templates of one-time codes.
func (l *look) codeTemplates(accounts map[string]listing) (out []Finding) {
	for _, name := range slices.Sorted(maps.Keys(l.Config.OTP.Purposes)) {
		p := l.Config.OTP.Purposes[name]
		account := l.account(cmp.Or(p.Number, l.Config.OTP.Number))
		all, ok := accounts[account]
		if !ok {
			continue
		}
		for _, template := range slices.Compact([]string{p.Template, cmp.Or(p.AndroidTemplate, p.Template)}) {
			for _, language := range p.Languages {
				at := []string{"purpose", name, "account", account, "template", template, "language", language}
				switch x, found := all[template][whatsapp.Language(language)]; {
				case !found:
					out = append(out, templatesNoCode.of(at...))
				case x.Status != whatsapp.TemplateApproved || x.Category != "AUTHENTICATION":
					out = append(out, templatesBadCode.of(append(at, "status", string(x.Status), "category", x.Category)...))
				}
			}
		}
	}
	return out
}
