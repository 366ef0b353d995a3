package campaigns

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/whatsapp"
)

var updateCheck = flag.Bool("update-check", false, "write testdata/check/*.want anew")

// checkNow is a Friday, a week before Black Friday.
var checkNow = time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)

const ofertaComponents = `[
	{"type":"HEADER","format":"IMAGE","example":{"header_handle":["x"]}},
	{"type":"BODY","text":"Olá {{1}}, use {{2}} hoje. {{1}}!"},
	{"type":"FOOTER","text":"Responda SAIR"},
	{"type":"BUTTONS","buttons":[
		{"type":"QUICK_REPLY","text":"Parar"},
		{"type":"URL","text":"Ver","url":"https://example.com/{{1}}","example":["x"]},
		{"type":"PHONE_NUMBER","text":"Ligar","phone_number":"+12025550100"}]}]`

const vitrineComponents = `[
	{"type":"BODY","text":"Olá {{1}}, escolha:"},
	{"type":"CAROUSEL","cards":[
		{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Tênis com {{1}}"},
			{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Quero"},{"type":"URL","text":"Ver","url":"https://example.com/{{1}}"}]}]},
		{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Botas com {{1}}"},
			{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Quero"},{"type":"URL","text":"Ver","url":"https://example.com/{{1}}"}]}]}]}]`

const relampagoComponents = `[
	{"type":"BODY","text":"Olá {{1}}, é só hoje."},
	{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Acaba logo!","has_expiration":true}},
	{"type":"BUTTONS","buttons":[{"type":"COPY_CODE","text":"Copiar"},{"type":"URL","text":"Ver","url":"https://example.com/{{1}}"}]}]`

// checkTemplates is the account of the golden files.
func checkTemplates(name, language string) (TemplateFacts, bool) {
	found := func(category whatsapp.Category, status whatsapp.TemplateStatus, format, components string) (TemplateFacts, bool) {
		if language != "pt_BR" {
			return TemplateFacts{OtherLanguages: []string{"es", "pt_BR"}}, true
		}
		return TemplateFacts{Found: true, Status: status, Category: category, ParameterFormat: format, Components: components}, true
	}
	switch name {
	case "bf_oferta_v3":
		status := whatsapp.TemplateApproved
		return found("MARKETING", status, "POSITIONAL", ofertaComponents)
	case "boleto_lembrete":
		return found("UTILITY", whatsapp.TemplateApproved, "NAMED", `[{"type":"BODY","text":"Valor {{valor}} vence {{vencimento}}."}]`)
	case "carrossel":
		return found("MARKETING", whatsapp.TemplateApproved, "POSITIONAL", `[{"type":"BODY","text":"Olá"},{"type":"CAROUSEL","cards":[]}]`)
	case "vitrine":
		return found("MARKETING", whatsapp.TemplateApproved, "POSITIONAL", vitrineComponents)
	case "relampago":
		return found("MARKETING", whatsapp.TemplateApproved, "POSITIONAL", relampagoComponents)
	case "retirada":
		return found("UTILITY", whatsapp.TemplateApproved, "POSITIONAL", `[{"type":"HEADER","format":"LOCATION"},{"type":"BODY","text":"Retire aqui."}]`)
	case "pausado":
		return found("MARKETING", whatsapp.TemplatePaused, "POSITIONAL", `[{"type":"BODY","text":"Olá"}]`)
	case "sem_nada":
		return found("UTILITY", whatsapp.TemplateApproved, "", `[{"type":"HEADER","format":"TEXT","text":"Aviso"},{"type":"BODY","text":"Olá"}]`)
	}
	return TemplateFacts{}, true
}

// TestCheck compares everything that is said about a file with the file's .want.
func TestCheck(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			env := CheckEnv{
				Now: checkNow, DefaultZone: "America/Sao_Paulo", Numbers: []string{"loja-sp", "cobranca"},
				Template: checkTemplates, Dir: "testdata/check",
				Siblings: map[string][]string{"daily": {"z.toml", "daily/campaign.toml"}},
			}
			if name == "unknown-world" {
				env = CheckEnv{Now: checkNow}
			}
			def, doc, problems := ParseDefinition(name+".toml", data)
			problems = append(problems, Check(def, doc, env)...)
			problems.Sort()
			got := problems.Error() + "\n"
			if len(problems) == 0 {
				got = ""
			}
			want := strings.TrimSuffix(file, ".toml") + ".want"
			if *updateCheck {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(golden), got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 {
					t.Errorf("a problem without a place: %s", p)
				}
				if strings.Contains(p.Message+p.Hint, "90000") {
					t.Errorf("a number is in clear: %s", p)
				}
			}
		})
	}
}
