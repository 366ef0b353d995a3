package otp

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/account"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// copyCode is an authentication template as Meta lists it.
const copyCode = `[{"type":"BODY","text":"*{{1}}* é seu código de verificação.","add_security_recommendation":true},
	{"type":"FOOTER","text":"Este código expira em 5 minutos.","code_expiration_minutes":5},
	{"type":"BUTTONS","buttons":[{"type":"URL","text":"Copiar código","url":"https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}"}]}]`

// tap is one with a one-tap or zero-tap button, as it reads back.
func tap(kind, packages, hashes string) string {
	return strings.Replace(copyCode, "otp_type=COPY_CODE", "otp_type="+kind+"&cta_display_name=Autofill&package_name="+packages+"&signature_hash="+hashes+"&code_expiration_minutes=5", 1)
}

// created is one with a button in the form in which it is created.
func created(button string) string {
	i := strings.Index(copyCode, `{"type":"URL"`)
	return copyCode[:i] + button + `]}]`
}

func TestLintTemplate(t *testing.T) {
	const hash = "K8a%2FAINcGX7" // K8a/AINcGX7
	for _, c := range []struct {
		name    string
		change  func(*account.Template)
		ttl     time.Duration
		android bool
		want    string
	}{
		{"as it should be", func(*account.Template) {}, 10 * time.Minute, false, ""},
		{"paused", func(t *account.Template) { t.Status = whatsapp.TemplatePaused }, 10 * time.Minute, false, "error template_status"},
		{"utility", func(t *account.Template) { t.Category = whatsapp.Utility }, 10 * time.Minute, false, "error template_category"},
		{"of an old category", func(t *account.Template) { t.Category = "" }, 10 * time.Minute, false, "error template_category"},

		{"as long as the code", func(t *account.Template) { t.TTLSeconds = 600 }, 10 * time.Minute, false, ""},
		{"longer than the code", func(t *account.Template) { t.TTLSeconds = 601 }, 10 * time.Minute, false, "error template_ttl"},
		{"longer than a short code", func(*account.Template) {}, 2 * time.Minute, false, "error template_ttl, error template_footer"},
		{"no time to live", func(t *account.Template) { t.TTLSeconds = 0 }, 10 * time.Minute, false, "warning template_ttl_unset"},
		{"thirty days, said", func(t *account.Template) { t.TTLSeconds = -1 }, 10 * time.Minute, false, "error template_ttl"},
		{"thirty days, of old", func(t *account.Template) { t.TTLSeconds = 2_592_000 }, 10 * time.Minute, false, "error template_ttl"},

		{"a footer as long as the code", func(*account.Template) {}, 5 * time.Minute, false, ""},
		{"a footer of twenty minutes", func(t *account.Template) { t.Components = strings.Replace(copyCode, "minutes\":5", "minutes\":20", 1) }, 10 * time.Minute, false, "error template_footer"},
		{"no footer", func(t *account.Template) { t.Components = strings.Replace(copyCode, "code_expiration_minutes", "x", 1) }, 10 * time.Minute, false, ""},
		{"no footer and a short code", func(t *account.Template) { t.Components = strings.Replace(copyCode, "code_expiration_minutes", "x", 1) }, 5 * time.Minute, false, "warning template_footer"},
		{"no button", func(t *account.Template) { t.Components = `[{"type":"BODY","text":"{{1}}"}]` }, 10 * time.Minute, false, "error template_button"},
		{"a quick reply", func(t *account.Template) { t.Components = created(`{"type":"QUICK_REPLY","text":"Ok"}`) }, 10 * time.Minute, false, "error template_button"},
		{"not readable", func(t *account.Template) { t.Components = "?" }, 10 * time.Minute, false, "warning template_components"},

		{"copy code for android", func(*account.Template) {}, 10 * time.Minute, true, "warning template_kind"},
		{"one-tap", func(t *account.Template) { t.Components = tap("ONE_TAP", "com.example.app", hash) }, 10 * time.Minute, true, ""},
		{"zero-tap of two apps", func(t *account.Template) {
			t.Components = tap("ZERO_TAP", "com.example.app%2Ccom.example.lite", hash+"%2CU4hoZi%2BkgMN")
		}, 10 * time.Minute, true, ""},
		{"a hash with a bare plus", func(t *account.Template) { t.Components = tap("ONE_TAP", "com.example.app", "U4hoZi+kgMN") }, 10 * time.Minute, true, ""},
		{"a short hash", func(t *account.Template) { t.Components = tap("ONE_TAP", "com.example.app", "K8a") }, 10 * time.Minute, true, "error template_signature"},
		{"a hash of its SHA-256", func(t *account.Template) {
			t.Components = tap("ONE_TAP", "com.example.app", strings.Repeat("ab", 32))
		}, 10 * time.Minute, false, "error template_signature"},
		{"a package of one word", func(t *account.Template) { t.Components = tap("ONE_TAP", "app", hash) }, 10 * time.Minute, true, "error template_package"},
		{"two apps and one hash", func(t *account.Template) {
			t.Components = tap("ONE_TAP", "com.example.app,com.example.lite", hash)
		}, 10 * time.Minute, true, "error template_signature"},
		{"no app", func(t *account.Template) { t.Components = tap("ONE_TAP", "", "") }, 10 * time.Minute, true, "error template_app"},
		{"zero-tap as created", func(t *account.Template) {
			t.Components = created(`{"type":"OTP","otp_type":"ZERO_TAP","supported_apps":[{"package_name":"com.example.app","signature_hash":"K8a/AINcGX7"}],"zero_tap_terms_accepted":true}`)
		}, 10 * time.Minute, true, ""},
		{"zero-tap, terms not accepted", func(t *account.Template) {
			t.Components = created(`{"type":"OTP","otp_type":"zero_tap","supported_apps":[{"package_name":"com.example.app","signature_hash":"K8a/AINcGX7"}]}`)
		}, 10 * time.Minute, true, "error template_terms"},
		{"one-tap of old", func(t *account.Template) {
			t.Components = created(`{"type":"OTP","otp_type":"ONE_TAP","package_name":"com.example.app","signature_hash":"K8a/AINcGX7"}`)
		}, 10 * time.Minute, true, ""},
		{"six apps", func(t *account.Template) {
			app := `{"package_name":"com.example.app","signature_hash":"K8a/AINcGX7"}`
			t.Components = created(`{"type":"OTP","otp_type":"ONE_TAP","supported_apps":[` + strings.Join(slices.Repeat([]string{app}, 6), ",") + `]}`)
		}, 10 * time.Minute, true, "error template_app"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tpl := account.Template{Ref: whatsapp.TemplateRef{Name: "codigo", Language: "pt_BR"}, Category: whatsapp.Authentication,
				Status: whatsapp.TemplateApproved, Components: copyCode, TTLSeconds: 300}
			c.change(&tpl)
			var got []string
			for _, f := range lintTemplate("otp.purposes.login.template", tpl, c.ttl, c.android) {
				got = append(got, f.Level+" "+f.Code)
				if f.Where != "otp.purposes.login.template" || !strings.Contains(f.Text, "codigo/pt_BR") || f.Fix == "" {
					t.Errorf("%+v", f)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever Meta lists, the linter does not fall over it.
func FuzzLintTemplate(f *testing.F) {
	for _, seed := range []string{copyCode, tap("ZERO_TAP", "a,b", "%zz,"), created(`{"type":"OTP"}`), `null`, `[null]`, `[{"buttons":[{"type":"url","url":"?&=&&otp_type"}]}]`} {
		f.Add(seed, int64(300))
	}
	f.Fuzz(func(t *testing.T, components string, ttl int64) {
		for _, finding := range lintTemplate("x", account.Template{Components: components, TTLSeconds: ttl}, 5*time.Minute, true) {
			if finding.Text == "" || finding.Fix == "" {
				t.Errorf("%+v", finding)
			}
		}
	})
}

var (
	putNumber  = store.SQL(`INSERT INTO numbers (id, name, waba_id, unit) VALUES (?1, ?2, ?3, '')`)
	listedAuth = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, components, ttl_seconds, hash, missing, seen_at, changed_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'h', ?8, 1, 1)`)
)

func (m *meter) doctor() (r Report) {
	m.Helper()
	err := m.Read(m.Context(), func(s *store.Snap) (err error) { r, err = m.Doctor(s); return err })
	if err != nil {
		m.Fatal(err)
	}
	return r
}

func TestDoctor(t *testing.T) {
	m := newMeter(t, 1000)
	m.use(safe())
	m.cfg().Number, m.cfg().Countries = "loja", []string{"BR", "PT"}
	m.cfg().Fallback = withHook()
	login := m.cfg().Purposes["login"]
	login.Languages, login.AndroidTemplate = []string{"pt_BR", "es", "en"}, "um_toque"
	m.cfg().Purposes["login"] = login
	m.cfg().Purposes["recovery"] = Purpose{Template: "nada", Languages: []string{"pt_BR"}, Digits: 8, TTL: 5 * time.Minute, Limits: Limits{Failures: 50, PhoneDay: 6}}
	m.cfg().Purposes["step_up"] = Purpose{Template: "codigo", Languages: []string{"pt_BR"}, Digits: 6, TTL: 10 * time.Minute, Number: "nobody"}
	m.write(func(tx *store.Tx) error {
		for _, row := range [][]any{{"101", "loja", "w"}, {"102", "outra", "x"}} {
			if _, err := tx.Exec(putNumber, row...); err != nil {
				return err
			}
		}
		for _, row := range [][]any{
			{"w", "codigo_acesso", "pt_BR", "authentication", "APPROVED", copyCode, 300, false},
			{"w", "codigo_acesso", "en", "authentication", "APPROVED", copyCode, 300, true},  // not listed any more
			{"x", "codigo_acesso", "es", "authentication", "APPROVED", copyCode, 300, false}, // another account's
			{"w", "um_toque", "pt_BR", "authentication", "PENDING", copyCode, 300, false},
		} {
			if _, err := tx.Exec(listedAuth, row...); err != nil {
				return err
			}
		}
		return nil
	})
	m.best(30)
	for i := range 7 {
		_, _ = m.ask(askFor(string(rune('a'+i)), quietLimits()))
	}
	r := m.doctor()
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.Level+" "+f.Code+" "+f.Where)
	}
	want := []string{
		"error template_language otp.purposes.login.languages", "error template_language otp.purposes.login.languages",
		"error template_status otp.purposes.login.android_template",
		"error template_language otp.purposes.login.languages", "error template_language otp.purposes.login.languages",
		"error template_unknown otp.purposes.recovery.template", "error number otp.purposes.step_up.number",
		"warning template_kind otp.purposes.login.android_template",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(CostReport{SendsPerDay: 1000, Sent: 7, Left: 993, FallbackPerDay: 286}, r.Cost); diff != "" {
		t.Error(diff)
	}
	if len(r.Purposes) != 3 || r.Purposes[0].Name != "login" || r.Purposes[0].Untrusted.Guesses != 15 || r.Purposes[1].Untrusted.Guesses != 50 ||
		r.Purposes[1].PhoneSends != 6 || r.Purposes[0].Trusted.Lock != -1 || r.Purposes[0].Untrusted.Lock != 100 || r.Purposes[0].TTL != "10m0s" {
		t.Errorf("%+v", r.Purposes)
	}
	if len(r.Sends) != 5 || r.Sends[0].Sends != 10 || r.Sends[3].Sends != 30 || r.Sends[4].Sends != 50 { // the attacker does not take recovery
		t.Errorf("%+v", r.Sends)
	}
	if !strings.Contains(r.Weakest, "country_unverified, after 50") || !strings.Contains(r.Weakest, "failures_day ends it after 15") {
		t.Error(r.Weakest)
	}
	text, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(text), `"probability_per_day":0.000015,`) || !strings.Contains(string(text), `"where":"otp.purposes.`) {
		t.Errorf("%v %s", err, text)
	}
	t.Log(r.Weakest)
}

// The sandbox's own authentication templates are as they should be, but the one
// that shows what an old one looks like.
func TestDoctorOfTheSandbox(t *testing.T) {
	seen := 0
	for _, tpl := range sandbox.DefaultTemplates("w") {
		if tpl.Category != "AUTHENTICATION" || tpl.Status != "APPROVED" {
			continue
		}
		seen++
		listed := account.Template{Ref: whatsapp.TemplateRef{WABA: "w", Name: tpl.Name, Language: tpl.Language}, Category: whatsapp.Authentication,
			Status: whatsapp.TemplateApproved, Components: string(tpl.Components), TTLSeconds: int64(tpl.TTLSeconds)}
		if l, err := readAuth(listed.Components); err != nil || !l.button || l.kind == "" {
			t.Errorf("%s: %+v, %v", listed.Ref, l, err)
		}
		f := lintTemplate("otp.purposes.login.template", listed, 10*time.Minute, strings.Contains(listed.Components, "_TAP"))
		if old := strings.Contains(tpl.Name, "antigo"); old != (len(f) > 0) {
			t.Errorf("%s: %v", listed.Ref, f)
		}
	}
	if seen == 0 {
		t.Error("it has none")
	}
}
