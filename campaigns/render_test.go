package campaigns

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/csvfile"
	"janela/internal/whatsapp"
)

// testDefinition reads a definition that a test gives without its usual parts.
func testDefinition(t testing.TB, text string) *Definition {
	t.Helper()
	def, _, problems := ParseDefinition("test.toml", []byte(`id = "test"
category = "utility"
`+text))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return def
}

const fullDefinition = `
[template]
name = "t"
language = "pt_BR"
[template.header]
type = "document"
media = "Preços 1.pdf"
[[template.body]]
column = "nome"
default = "cliente"
transform = ["trim", "title"]
max_length = 12
[[template.body]]
value = 'a "constant"'
[[template.body]]
column = "valor"
transform = ["brl"]
[[template.buttons]]
index = 0
type = "quick_reply"
value = "SAIR"
[[template.buttons]]
index = 1
type = "url"
column = "caminho"
[[template.buttons]]
index = 2
type = "copy_code"
column = "cupom"
[recipients]
file = "r.csv"
phone_column = "fone"
default_region = "BR"
external_id_column = "id"
expires_column = "ate"
once_per = ["id", "valor"]
[schedule]
cron = "0 9 * * *"
`

var fullHeader = []string{"FONE", "Nome", "valor", "caminho", "cupom", "id", "até"}

func fullMapper(t testing.TB) *Mapper {
	t.Helper()
	m, err := Compile(testDefinition(t, fullDefinition), fullHeader, MapperOptions{
		Zone: "America/Sao_Paulo", File: func(string) string { return "1037" },
		Needs: Requirement{Buttons: []ButtonRequirement{{Index: 1, Type: ButtonURL, URL: "https://example.com/"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMapRow(t *testing.T) {
	m := fullMapper(t)
	row := func(edit func(f []string)) *csvfile.Row {
		f := []string{"+5511900000001", "ana lima", "1234,5", "a b/ç?x=1", "BF10", " 42 ", "2026-11-27"}
		if edit != nil {
			edit(f)
		}
		return &csvfile.Row{Line: 7, Fields: f}
	}
	got, reject := m.MapRow(row(nil))
	if reject != nil {
		t.Fatalf("%+v", reject)
	}
	params, err := json.Marshal([]whatsapp.Component{
		whatsapp.DocumentHeader(whatsapp.MediaRef{ID: "1037", Filename: "Preços 1.pdf"}),
		whatsapp.BodyText("Ana Lima", `a "constant"`, "R$ 1.234,50"),
		whatsapp.QuickReply(0, "SAIR"),
		whatsapp.URLButton(1, "a b/ç?x=1"),
		whatsapp.CopyCode(2, "BF10"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(params), string(got.Params)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	zone, _ := time.LoadLocation("America/Sao_Paulo")
	want := Recipient{Line: 7, Phone: "+5511900000001", ExternalID: "42", OnceKey: got.OnceKey, Expires: time.Date(2026, 11, 28, 0, 0, 0, 0, zone), Params: got.Params}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recipient (-want +got):\n%s", diff)
	}

	rejects := []struct {
		name   string
		edit   func(f []string)
		reason RowReason
		detail string // a part of it
	}{
		{"no phone", func(f []string) { f[0] = " " }, RowMissingPhone, "no number"},
		{"letters", func(f []string) { f[0] = "+5511900000001 Ana" }, RowInvalidPhone, "letters"},
		{"scientific", func(f []string) { f[0] = "5,51E+12" }, RowScientificNumber, "shortened"},
		{"scientific with a point", func(f []string) { f[0] = "5.51E+12" }, RowScientificNumber, "shortened"},
		{"decimal", func(f []string) { f[0] = "5511900000001.0" }, RowScientificNumber, "decimal"},
		{"foreign without plus", func(f []string) { f[0] = "12025550100" }, RowInvalidPhone, "plus"},
		{"too long", func(f []string) { f[1] = "Ana Maria Lima" }, RowParameterTooLong, "body 1 (column \"nome\"): the value has 14 characters, max_length is 12"},
		{"newline", func(f []string) { f[1] = "Ana\nLima" }, RowInvalidParameter, "newline"},
		{"tab", func(f []string) { f[1] = "Ana\tLima" }, RowInvalidParameter, "tab"},
		{"five spaces", func(f []string) { f[1] = "A     L" }, RowInvalidParameter, "five spaces"},
		{"no amount", func(f []string) { f[2] = "1.234" }, RowInvalidParameter, "amount"},
		{"empty", func(f []string) { f[2] = " " }, RowMissingOncePer, "once_per"},
		{"empty button", func(f []string) { f[3] = "\u00a0" }, RowMissingParameter, "button 1"},
		{"long coupon", func(f []string) { f[4] = strings.Repeat("x", 21) }, RowParameterTooLong, "WhatsApp takes 20"},
		{"long link", func(f []string) { f[3] = strings.Repeat("ç", 400) }, RowParameterTooLong, "takes 1980 here"},
		{"expiry", func(f []string) { f[6] = "27/11/2026" }, RowInvalidExpiry, "2026-11-27"},
	}
	for _, test := range rejects {
		_, reject := m.MapRow(row(test.edit))
		if reject == nil || reject.Reason != test.reason || !strings.Contains(reject.Detail, test.detail) || reject.Line != 7 {
			t.Errorf("%s: %+v, want %s", test.name, reject, test.reason)
		}
		if reject != nil && strings.Contains(reject.Detail, "90000") {
			t.Errorf("%s: the detail has a number in clear", test.name)
		}
	}
	if got, reject := m.MapRow(row(func(f []string) { f[1] = "  " })); reject != nil || !strings.Contains(string(got.Params), `"cliente"`) {
		t.Errorf("default: %s %+v", got.Params, reject)
	}
	for reason, fields := range map[RowReason][]string{RowRagged: {"+5511900000001"}, RowMalformed: nil} {
		_, reject := m.MapRow(&csvfile.Row{Line: 3, Fields: fields, Fault: "why"})
		if diff := cmp.Diff(&Reject{3, reason, "why"}, reject); diff != "" {
			t.Errorf("fault of the row (-want +got):\n%s", diff)
		}
	}
}

func TestExpiry(t *testing.T) {
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	for cell, want := range map[string]string{
		"":                          "0001-01-01T00:00:00Z",
		"2026-11-27":                "2026-11-28T00:00:00-03:00",
		"2026-11-27T18:30":          "2026-11-27T18:30:00-03:00",
		" 2026-11-27 18:30:15 ":     "2026-11-27T18:30:15-03:00",
		"2026-11-27T18:30:00Z":      "2026-11-27T18:30:00Z",
		"2026-11-27T18:30:00+02:00": "2026-11-27T18:30:00+02:00",
		"2026-02-30":                "refused",
		"tomorrow":                  "refused",
	} {
		at, ok := readExpiry(cell, zone)
		got := at.Format(time.RFC3339)
		if !ok {
			got = "refused"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", cell, got, want)
		}
	}
}

// Two rows share a key exactly when their cells are the same.
func TestOnceKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &Mapper{once: []int{0, 1}}
		cell := rapid.StringMatching(`[a:1 ]{0,4}[a1:]`)
		draw := func(name string) []string { return []string{cell.Draw(t, name+"0"), cell.Draw(t, name+"1")} }
		a, b := draw("a"), draw("b")
		ka, _ := m.onceKey(&csvfile.Row{Fields: a})
		kb, _ := m.onceKey(&csvfile.Row{Fields: b})
		same := strings.TrimSpace(a[0]) == strings.TrimSpace(b[0]) && strings.TrimSpace(a[1]) == strings.TrimSpace(b[1])
		if (ka == kb) != same {
			t.Fatalf("%q and %q", a, b)
		}
	})
}

func TestCompileFaults(t *testing.T) {
	def := testDefinition(t, fullDefinition)
	opt := MapperOptions{Zone: "America/Sao_Paulo", File: func(string) string { return "1" }}
	_, err := Compile(def, []string{"fone", "nome", "id", "ate"}, opt)
	var column *ColumnError
	if !errors.As(err, &column) || strings.Count(err.Error(), "no column") != 4 { // valor twice
		t.Errorf("missing columns: %v", err)
	}
	if _, err := Compile(def, fullHeader, MapperOptions{Zone: "America/Sao_Paulo"}); err == nil {
		t.Error("no media id: no error")
	}
	if _, err := Compile(def, fullHeader, MapperOptions{Zone: "Nowhere", File: func(string) string { return "1" }}); err == nil {
		t.Error("no zone: no error")
	}
	bare := testDefinition(t, `[template]
name = "t"
language = "pt_BR"
[recipients]
file = "r.csv"
phone_column = "fone"
[schedule]
cron = "0 9 * * *"`)
	m, err := Compile(bare, []string{"fone"}, MapperOptions{Zone: "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	if r, reject := m.MapRow(&csvfile.Row{Fields: []string{"+5511900000001"}}); reject != nil || r.Params != nil {
		t.Errorf("a template without values: %s %+v", r.Params, reject)
	}
}

// Whatever stands in the cells, the components are what Meta's constructors
// would have made of it.
func TestRenderEqualsConstructors(t *testing.T) {
	def := testDefinition(t, `[template]
name = "t"
language = "pt_BR"
[template.header]
type = "text"
named = "h"
column = "a"
[[template.body]]
named = "b"
column = "b"
[[template.buttons]]
index = 3
type = "url"
column = "b"
[recipients]
file = "r.csv"
phone_column = "fone"
[schedule]
cron = "0 9 * * *"`)
	m, err := Compile(def, []string{"fone", "a", "b"}, MapperOptions{Zone: "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringN(1, 20, 60).Draw(t, "a"), rapid.String().Draw(t, "b")
		got, reject := m.MapRow(&csvfile.Row{Fields: []string{"+5511900000001", a, b}})
		bad := func(s string) bool { return whatsapp.CheckText(s) != nil || isBlank(s) }
		if reject != nil {
			if !bad(a) && !bad(b) && len(b) < 500 {
				t.Fatalf("%q %q: %+v", a, b, reject)
			}
			return
		}
		var sent []whatsapp.Component
		if err := json.Unmarshal(got.Params, &sent); err != nil {
			t.Fatalf("%s: %v", got.Params, err)
		}
		want := []whatsapp.Component{
			whatsapp.TextHeader(whatsapp.NamedText("h", a)), whatsapp.Body(whatsapp.NamedText("b", b)), whatsapp.URLButton(3, b),
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPreview(t *testing.T) {
	positional := json.RawMessage(`[{"type":"header","parameters":[{"type":"text","text":"H"}]},{"type":"body","parameters":[{"type":"text","text":"Ana {{2}}"},{"type":"text","text":"BF$1"}]}]`)
	named := json.RawMessage(`[{"type":"body","parameters":[{"type":"text","parameter_name":"valor","text":"R$ 1,00"}]}]`)
	for _, test := range []struct {
		components string
		params     json.RawMessage
		want       string
	}{
		{`[{"type":"HEADER","format":"TEXT","text":"{{1}}"},{"type":"BODY","text":"Olá {{1}}, {{2}}! {{1}}"}]`, positional, "Olá Ana {{2}}, BF$1! Ana {{2}}"},
		{`[{"type":"BODY","text":"{{ valor }} vence {{dia}}"}]`, named, "R$ 1,00 vence {{dia}}"},
		{`[{"type":"BODY","text":"Olá"}]`, nil, "Olá"},
		{`[]`, nil, ""},
	} {
		got, err := Preview(test.components, test.params, time.UTC)
		if err != nil || got != test.want {
			t.Errorf("%q, %v; want %q", got, err, test.want)
		}
	}
	for _, bad := range [][2]string{{"{", "[]"}, {"[]", "{"}} {
		if _, err := Preview(bad[0], json.RawMessage(bad[1]), time.UTC); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestTransforms(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"trim", " a  b ", "a  b"},
		{"title", "MARIA DA SILVA E SOUZA", "Maria da Silva e Souza"},
		{"title", "da silva", "Da Silva"},
		{"title", "ana-maria d'ávila joe's  x", "Ana-Maria D'Ávila Joe's  X"},
		{"title", "élio", "Élio"},
		{"upper", "ação", "AÇÃO"},
		{"lower", "AÇÃO", "ação"},
		{"spaces", " a \n\t b     c ", "a b c"},
		{"brl", "1234.56", "R$ 1.234,56"},
		{"brl", "1234", "R$ 1.234,00"},
		{"brl", "1234,5", "R$ 1.234,50"},
		{"brl", "1.234,56", "R$ 1.234,56"},
		{"brl", "1.234.567", "R$ 1.234.567,00"},
		{"brl", "R$ 0012,3", "R$ 12,30"},
		{"brl", "-5", "-R$ 5,00"},
		{"brl", "-0.00", "R$ 0,00"},
		{"brl", "R$ -1.234,00", "-R$ 1.234,00"},
		{"brl", "99999999999.99", "R$ 99.999.999.999,99"},
		{"brl", "1.234", "refused"},
		{"brl", "1,234.56", "refused"},
		{"brl", "1.23.456,00", "refused"},
		{"brl", "1234,567", "refused"},
		{"brl", "1,", "refused"},
		{"brl", ",5", "refused"},
		{"brl", "1e3", "refused"},
		{"brl", "--1", "refused"},
		{"brl", "dez", "refused"},
		{"brl", "1234567890123456", "refused"},
	} {
		got, ok := transformByName(test.name)(test.in)
		if !ok {
			got = "refused"
		}
		if got != test.want {
			t.Errorf("%s(%q) = %q, want %q", test.name, test.in, got, test.want)
		}
	}
}

// brl loses and invents no cent, and reads what it wrote.
func TestBRLExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.Int64Range(-1e14, 1e14).Draw(t, "cents")
		n, sign := cents, ""
		if n < 0 {
			n, sign = -n, "-"
		}
		text := fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
		out, ok := brl(text)
		if !ok {
			t.Fatalf("%q refused", text)
		}
		back := strings.NewReplacer("R$ ", "", ".", "", ",", "").Replace(out)
		if back != fmt.Sprintf("%s%d%02d", sign, n/100, n%100) {
			t.Fatalf("%q became %q", text, out)
		}
		if again, ok := brl(out); !ok || again != out {
			t.Fatalf("%q read again is %q", out, again)
		}
	})
}

func BenchmarkMapRow(b *testing.B) {
	m := fullMapper(b)
	row := &csvfile.Row{Line: 7, Fields: []string{"+5511900000001", "Ana Lima", "1234.50", "promo/ana", "BF10", "42", ""}}
	b.ReportAllocs()
	for b.Loop() {
		if _, reject := m.MapRow(row); reject != nil {
			b.Fatal(reject)
		}
	}
}

// BenchmarkMapRowPlain is the usual campaign: two columns, no transform.
func BenchmarkMapRowPlain(b *testing.B) {
	def := testDefinition(b, `[template]
name = "t"
language = "pt_BR"
[[template.body]]
column = "nome"
[[template.body]]
column = "cupom"
[recipients]
file = "r.csv"
phone_column = "fone"
[schedule]
cron = "0 9 * * *"`)
	m, err := Compile(def, []string{"fone", "nome", "cupom"}, MapperOptions{Zone: "UTC"})
	if err != nil {
		b.Fatal(err)
	}
	row := &csvfile.Row{Line: 7, Fields: []string{"+5511900000001", "Ana Lima", "BF10"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, reject := m.MapRow(row); reject != nil {
			b.Fatal(reject)
		}
	}
}

func BenchmarkAudience(b *testing.B) {
	var text strings.Builder
	text.WriteString("fone;nome;cupom;cidade\n")
	for range 10_000 {
		text.WriteString("+5511900000001;Ana Lima;BF10;São Paulo\n")
	}
	path := b.TempDir() + "/a.csv"
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		a, err := OpenAudience(path)
		if err != nil {
			b.Fatal(err)
		}
		var row csvfile.Row
		for a.Next(&row) == nil {
		}
		a.Close()
	}
}
