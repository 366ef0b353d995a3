package campaigns

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/csvfile"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
	"janela/scheduler"
)

func TestDefaults(t *testing.T) {
	def := testDefinition(t, `[template]
name = "t"
language = "pt-BR"
[recipients]
file = "boletos-{{date}}.csv"
[schedule]
at = 2026-11-27T09:00:00
ends_at = 2026-11-27T21:00:00
skip_dates = [2026-12-25]
`)
	if def.Version != 1 || def.Template.Language != "pt_BR" || def.Template.OnNotApproved != NotApprovedWait ||
		def.Recipients.Duplicates != DuplicatesFirst || def.Recipients.MaxRejectedPercent != DefaultMaxRejectedPercent {
		t.Errorf("%+v", def)
	}
	if got := def.Recipients.FileOn(time.Date(2026, 1, 2, 23, 0, 0, 0, time.UTC)); got != "boletos-2026-01-02.csv" || !def.Recipients.Dated() {
		t.Error(got)
	}
	want := scheduler.Spec{
		At: "2026-11-27T09:00:00", Zone: "America/Sao_Paulo", SkipDates: []string{"2026-12-25"}, EndsAt: "2026-11-27T21:00:00",
		Missed: scheduler.RunOnce, MaxLateness: scheduler.DefaultMaxLateness,
	}
	if diff := cmp.Diff(want, def.Spec("America/Sao_Paulo")); diff != "" {
		t.Error(diff)
	}
	marketing, _, _ := ParseDefinition("x.toml", []byte(`category = "marketing"`))
	if marketing.Missed.Policy != scheduler.Skip {
		t.Errorf("marketing that was missed: %s", marketing.Missed.Policy)
	}
}

func TestIDFromPath(t *testing.T) {
	for path, want := range map[string][2]string{
		"campaigns.d/bf26.toml":               {"bf26", "file"},
		"campaigns.d/bf26/campaign.toml":      {"bf26", "folder"},
		"/srv/campaigns.d/bf26/campaign.toml": {"bf26", "folder"},
		"campaign.toml":                       {"", ""},
		"./campaign.toml":                     {"", ""},
		"-":                                   {"", ""},
		".toml":                               {"", ""},
	} {
		if id, where := IDFromPath(path); id != want[0] || where != want[1] {
			t.Errorf("%s: %q %q", path, id, where)
		}
	}
}

func TestDefinitionTooLarge(t *testing.T) {
	_, doc, problems := ParseDefinition("x.toml", []byte("# "+strings.Repeat("x", MaxDefinition)))
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "at most 1048576") || doc == nil {
		t.Errorf("%v", problems)
	}
	def, doc, _ := ParseDefinition("x.toml", []byte("= nonsense"))
	if got := Check(def, doc, CheckEnv{Now: checkNow}); got != nil {
		t.Errorf("a file that is no TOML is judged: %v", got)
	}
}

// A file as large as allowed, full of faults, is judged in a moment, and the
// list of problems stays readable.
func TestDefinitionFullOfFaults(t *testing.T) {
	for _, part := range []string{"[[template.body]]\n", "[[schedule.windows]]\ndays=[\"x\"]\n", "[[template.buttons]]\nindex=1\n", "[[template.cards]]\n[[template.cards.buttons]]\nindex=9\n"} {
		start := time.Now()
		def, doc, problems := ParseDefinition("x.toml", []byte(strings.Repeat(part, (MaxDefinition-100)/len(part))+"[schedule]\ncron = \"* 22 * * *\"\n"))
		problems = append(problems, Check(def, doc, CheckEnv{Now: checkNow, DefaultZone: "America/Sao_Paulo", Template: checkTemplates})...)
		if len(problems) > 3*maxProblems || !problems.HasErrors() {
			t.Errorf("%q: %d problems", part, len(problems))
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%q: took %s", part, took)
		}
	}
}

func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("people.csv", "x")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"inside.csv": "people.csv", "outside.csv": os.Args[0], "up.csv": "../other.csv"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	makePipe(t, filepath.Join(dir, "pipe.csv"))
	for name, want := range map[string]string{
		"people.csv":   "",
		"inside.csv":   "",
		"outside.csv":  "outside.csv: it is a link out of the campaign's folder; put the file itself there",
		"up.csv":       "up.csv: it is a link out of the campaign's folder; put the file itself there",
		"../x.csv":     "../x.csv: it is a link out of the campaign's folder; put the file itself there",
		"sub":          "sub: it is a folder; name a file",
		"pipe.csv":     "pipe.csv: it is not a regular file; name a file",
		"peolpe.csv":   `peolpe.csv: the file is not there; did you mean "people.csv"?`,
		"sub/none.csv": "sub/none.csv: the file is not there",
	} {
		f, err := OpenFile(dir, name)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			f.Close()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestOpenMedia(t *testing.T) {
	dir := t.TempDir()
	big, err := os.Create(filepath.Join(dir, "big.png"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := big.WriteString("\x89PNG"); err != nil {
		t.Fatal(err)
	}
	if err := big.Truncate(5*mib + 1); err != nil {
		t.Fatal(err)
	}
	if err := big.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"a.jpg": "\xFF\xD8\xFF\xE0", "b.JPEG": "\xFF\xD8\xFF", "c.mp4": "\x00\x00\x00\x18ftypmp42", "d.pdf": "%PDF-1.7",
		"e.txt": "text", "empty.pdf": "", "wrong.jpg": "GIF89a", "wrong.mp4": "short", "f.docx": "PK\x03\x04", "g.xls": "\xD0\xCF\x11\xE0", "h.gif": "GIF89a",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		kind       whatsapp.HeaderType
		name, want string // MIME, or the error
	}{
		{whatsapp.HeaderImage, "a.jpg", "image/jpeg"},
		{whatsapp.HeaderImage, "b.JPEG", "image/jpeg"},
		{whatsapp.HeaderVideo, "c.mp4", "video/mp4"},
		{whatsapp.HeaderDocument, "d.pdf", "application/pdf"},
		{whatsapp.HeaderDocument, "e.txt", "text/plain"},
		{whatsapp.HeaderDocument, "f.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{whatsapp.HeaderDocument, "g.xls", "application/vnd.ms-excel"},
		{whatsapp.HeaderImage, "big.png", "big.png: the file has 5.0 MB; WhatsApp takes at most 5 MB; make it smaller"},
		{whatsapp.HeaderDocument, "empty.pdf", "empty.pdf: the file is empty"},
		{whatsapp.HeaderImage, "wrong.jpg", "wrong.jpg: the file is not what its ending says; export it again as jpg"},
		{whatsapp.HeaderVideo, "wrong.mp4", "wrong.mp4: the file is not what its ending says; export it again as mp4"},
		{whatsapp.HeaderImage, "h.gif", `h.gif: "h.gif" is no image that WhatsApp takes: the file must end in jpg, jpeg or png`},
		{whatsapp.HeaderVideo, "gone.mp4", "gone.mp4: the file is not there"},
	} {
		f, kind, err := OpenMedia(dir, MediaFile{Type: test.kind, Name: test.name})
		got := kind.MIME
		if err != nil {
			got = err.Error()
		} else {
			f.Close()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

const docPath = "../docs/campaign-file.md"

var (
	tomlBlock = regexp.MustCompile("(?s)```toml\n(.*?)```")
	tableRow  = regexp.MustCompile("(?m)^\\| `([a-z0-9_.\\[\\]]*[_.a-z][a-z0-9_.\\[\\]]*)` \\| ([^|]+) \\| ")
)

// Every example of the reference is a sound definition.
func TestDocExamples(t *testing.T) {
	data, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	blocks := tomlBlock.FindAllStringSubmatch(string(data), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, block := range blocks {
		def, _, problems := ParseDefinition("-", []byte(block[1]))
		if len(problems) > 0 {
			t.Errorf("%v\n%s", problems, block[1])
		}
		if _, err := def.Spec("America/Sao_Paulo").Check(checkNow); err != nil {
			t.Error(err)
		}
	}
}

// The table has a row for each key, and says which are reserved.
func TestDocTable(t *testing.T) {
	data, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(string(data), -1) {
		if got[row[1]] != "" {
			t.Errorf("%s has two rows", row[1])
		}
		if got[row[1]] = "now"; row[2] == "*reserved*" { // else its type: package schema compares
			got[row[1]] = "reserved"
		}
	}
	want := map[string]string{}
	keysOf(reflect.TypeFor[Definition](), "", want)
	for key := range reserved {
		want[key] = "reserved"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows of the table (-keys +rows):\n%s", diff)
	}
	for _, reason := range RowReasons {
		if !strings.Contains(string(data), "`"+string(reason)+"`") {
			t.Errorf("the reason %s is not explained", reason)
		}
	}
}

// keysOf collects the keys of a struct; those of a list of tables end in [].
func keysOf(t reflect.Type, prefix string, out map[string]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		typ := f.Type
		switch {
		case name == "-":
			continue
		case f.Anonymous:
			keysOf(typ, prefix, out)
			continue
		case name == "":
			continue
		}
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ == reflect.TypeFor[Media]():
			out[prefix+name] = "now"
			keysOf(typ, prefix+name+".", out)
		case typ.Kind() == reflect.Struct && strings.HasPrefix(typ.PkgPath(), "janela"):
			keysOf(typ, prefix+name+".", out)
		case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct && strings.HasPrefix(typ.Elem().PkgPath(), "janela"):
			keysOf(typ.Elem(), prefix+name+"[].", out)
		default:
			out[prefix+name] = "now"
		}
	}
}

// FuzzDefinition: no file panics the reader or the checks, every problem has a
// place in the file, and a definition without errors compiles against the
// columns it names.
func FuzzDefinition(f *testing.F) {
	files, _ := filepath.Glob("testdata/check/*.toml")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	if data, err := os.ReadFile(docPath); err == nil {
		for _, block := range tomlBlock.FindAllStringSubmatch(string(data), -1) {
			f.Add([]byte(block[1]))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		def, doc, problems := ParseDefinition("-", data)
		env := CheckEnv{Now: checkNow, DefaultZone: "America/Sao_Paulo", Numbers: []string{"loja-sp"}, Template: checkTemplates, Header: []string{"telefone", "nome"}}
		for _, list := range []tomlfile.Problems{problems, Check(def, doc, env)} {
			for _, p := range list {
				if p.Line < 1 || p.Column < 1 || p.Line > strings.Count(string(data), "\n")+1 {
					t.Fatalf("no such place: %s", p)
				}
			}
		}
		if problems.HasErrors() || def.Recipients.PhoneColumn == "" {
			return
		}
		var header, folded []string
		for _, use := range def.Columns() {
			if name := foldColumn(use.Name); !slices.Contains(folded, name) {
				header, folded = append(header, use.Name), append(folded, name)
			}
		}
		m, err := Compile(def, header, MapperOptions{Zone: def.Zone("UTC"), File: func(string) string { return "1" }})
		if err != nil {
			if slices.Contains(folded, "") { // a name of hyphens alone
				return
			}
			t.Fatal(err)
		}
		row := &csvfile.Row{Line: 2, Fields: make([]string, len(header))}
		for i := range row.Fields {
			row.Fields[i] = "+5511900000001"
		}
		m.MapRow(row)
	})
}
