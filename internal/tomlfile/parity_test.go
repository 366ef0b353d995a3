package tomlfile

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	toml "github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"
)

// emptyTables: go-toml makes an empty map of {} and no map of an empty [table].
// We make an empty map of both, for TOML calls them the same.
var emptyTables = cmp.FilterValues(func(a, b any) bool {
	return reflect.TypeOf(a).Kind() == reflect.Map && reflect.TypeOf(b).Kind() == reflect.Map
}, cmpopts.EquateEmpty())

// same is a file whose every field go-toml can read too.
type same struct {
	Text     string                `toml:"text"`
	Bool     bool                  `toml:"bool"`
	Int      int                   `toml:"int"`
	Int64    int64                 `toml:"int64"`
	Float    float64               `toml:"float"`
	Date     toml.LocalDate        `toml:"date"`
	Time     toml.LocalTime        `toml:"time"`
	DateTime toml.LocalDateTime    `toml:"date_time"`
	Custom   category              `toml:"custom"`
	Texts    []string              `toml:"texts"`
	Ints     []int                 `toml:"ints"`
	Dates    []toml.LocalDate      `toml:"dates"`
	Maybe    *string               `toml:"maybe"`
	Whole    *int                  `toml:"whole"`
	Table    sameTable             `toml:"table"`
	Pointer  *sameTable            `toml:"pointer"`
	Tables   []sameTable           `toml:"tables"`
	Map      map[string]string     `toml:"map"`
	Records  map[string]sameRecord `toml:"records"`
}

type sameTable struct {
	Text   string       `toml:"text"`
	Float  float64      `toml:"float"`
	Tables []sameRecord `toml:"tables"`
	Record sameRecord   `toml:"record"`
}

type sameRecord struct {
	Int   int      `toml:"int"`
	Texts []string `toml:"texts"`
}

func drawSame(t *rapid.T) same {
	name := rapid.StringMatching(`[a-z]{1,3}|[a-zé. "\\]{1,6}`)
	text := rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\x00") })
	date := rapid.Custom(func(t *rapid.T) toml.LocalDate {
		return toml.LocalDate{Year: rapid.IntRange(1, 9999).Draw(t, "year"), Month: rapid.IntRange(1, 12).Draw(t, "month"), Day: rapid.IntRange(1, 28).Draw(t, "day")}
	})
	clock := rapid.Custom(func(t *rapid.T) toml.LocalTime {
		return toml.LocalTime{Hour: rapid.IntRange(0, 23).Draw(t, "hour"), Minute: rapid.IntRange(0, 59).Draw(t, "minute"), Second: rapid.IntRange(0, 59).Draw(t, "second"), Nanosecond: rapid.IntRange(0, 999_999_999).Draw(t, "ns"), Precision: 9}
	})
	number := rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) })
	record := rapid.Custom(func(t *rapid.T) sameRecord {
		return sameRecord{rapid.Int().Draw(t, "int"), rapid.SliceOfN(text, 0, 3).Draw(t, "texts")}
	})
	table := rapid.Custom(func(t *rapid.T) sameTable {
		return sameTable{text.Draw(t, "text"), number.Draw(t, "float"), rapid.SliceOfN(record, 0, 3).Draw(t, "tables"), record.Draw(t, "record")}
	})
	return same{
		Text: text.Draw(t, "text"), Bool: rapid.Bool().Draw(t, "bool"), Int: rapid.Int().Draw(t, "int"), Int64: rapid.Int64().Draw(t, "int64"),
		Float: number.Draw(t, "float"), Date: date.Draw(t, "date"), Time: clock.Draw(t, "time"),
		DateTime: toml.LocalDateTime{LocalDate: date.Draw(t, "d"), LocalTime: clock.Draw(t, "t")}, Custom: "utility",
		Texts: rapid.SliceOfN(text, 0, 4).Draw(t, "texts"), Ints: rapid.SliceOfN(rapid.Int(), 0, 4).Draw(t, "ints"),
		Dates: rapid.SliceOfN(date, 0, 3).Draw(t, "dates"), Maybe: rapid.Ptr(text, true).Draw(t, "maybe"),
		Whole: rapid.Ptr(rapid.Int(), true).Draw(t, "whole"), Table: table.Draw(t, "table"), Pointer: rapid.Ptr(table, true).Draw(t, "pointer"),
		Tables: rapid.SliceOfN(table, 0, 3).Draw(t, "tables"), Map: rapid.MapOfN(name, text, 0, 4).Draw(t, "map"),
		Records: rapid.MapOfN(name, record, 0, 3).Draw(t, "records"),
	}
}

// TestReadsAsGoTomlDoes: what go-toml writes from a struct and reads back, we
// read without a fault to the same values, however the file is laid out.
func TestReadsAsGoTomlDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		e := toml.NewEncoder(&b)
		e.SetTablesInline(rapid.Bool().Draw(t, "inline tables"))
		e.SetArraysMultiline(rapid.Bool().Draw(t, "long lists"))
		e.SetIndentTables(rapid.Bool().Draw(t, "indent"))
		if err := e.Encode(drawSame(t)); err != nil {
			t.Fatal(err)
		}
		text := b.Bytes()
		if rapid.Bool().Draw(t, "mark") {
			text = append([]byte("\uFEFF"), text...)
		}
		var want, got same
		if err := toml.Unmarshal(bytes.TrimPrefix(text, byteOrderMark), &want); err != nil {
			t.Fatal(err)
		}
		if _, problems := Decode("f.toml", text, &got); len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, text)
		}
		if diff := cmp.Diff(want, got, emptyTables); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestForms holds the corners of the language that an encoder does not write.
func TestForms(t *testing.T) {
	for _, input := range []string{
		"int = +0\nint64 = -9223372036854775808\nfloat = -0.0\nints = [0xDEAD_beef, 0o17, 0b101, 1_000]",
		"float = 6.626e-34\n[table]\nfloat = 1_000.000_1\n[pointer]\nfloat = 9007199254740993",
		"text = '''\n\nit''s'''\ntexts = [\"\"\"\\\n   a \\\n\n b\"\"\", 'C:\\x', \"\\u00e9\\x41\\e\", \"\"\"\"\"\"]",
		"date = 2024-02-29\ntime = 23:59\ndate_time = 2024-02-29 23:59:59.123456789123",
		"date_time = 0001-01-01t00:00:00",
		"texts = []\nints = [ # c\n 1, # d\n]\nmap = {}\ntables = []",
		"table . text = \"a\"\ntable.record.int = 1\n'table'.\"record\".texts = ['x']",
		"table = { text = 'a', record.int = 3, record.texts = [\n'b', ] , }",
		"[table.record]\nint = 1\n[table]\ntext = 'a'\n[[table.tables]]\nint = 1\n[[table.tables]]\nint = 2",
		"[[tables]]\n[[tables.tables]]\nint = 1\n[tables.record]\nint = 5\n[[tables]]\n[tables.record]\nint = 6\n[[tables.tables]]",
		"[records.a]\nint = 1\n[records.'b.c']\nint = 2\n[records]\nd = { int = 3 }",
		"[pointer]\n", "[records]", "[map]", "[[tables]]", "maybe = ''\nwhole = 0",
		"custom = 'utility'",
	} {
		var want, got same
		if err := toml.Unmarshal([]byte(input), &want); err != nil {
			t.Fatalf("%s\n%v", input, err)
		}
		if _, problems := Decode("f.toml", []byte(input), &got); len(problems) > 0 {
			t.Errorf("%s\n%v", input, problems)
		}
		if diff := cmp.Diff(want, got, emptyTables); diff != "" {
			t.Errorf("%s\n%s", input, diff)
		}
	}
}

// FuzzDecode feeds anything. Decode must not panic; every place must be in the
// file; what it accepts go-toml must accept, with the same values; and it must
// not see a table or key twice in a file in which go-toml does not.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		good, placed, "", "\uFEFFa = 1", "{}", "---", "a: 1", "\xff\xfe", "a\x00", "text = \"é\xe9\"",
		"text = 5\r\nint = 'x'\r\n[table]\r\n[table]\r\n", "[[tables]]\n[tables]\n[[table]]\ntables = 1\n[tables.x.y]\n",
		"table.record.int = 1\n[table.record]\n[table]\nrecord = {}\n", "map.a = 1\nmap.'a.b'.c = 2\nmap = 3",
		"date = 2026-13-01\ndate_time = 2026-01-01T00:00:00Z\ntime = 25:00\nfloat = nan\nints = [[], {a.b = 1}, [[1]]]",
		"\"\" = 1\ntable.\"\" = 2", "[a.b]\n[a]\n[[a.c]]\n[a.c.d]\n[[a.c]]\nd = 1", "text = \"\"\"\n\\\n\"\"\"\"\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got same
		doc, problems := Decode("f.toml", data, &got, Reserved(map[string]string{"a.b": "note", "tables.*.x": ""}))
		text := bytes.TrimPrefix(data, byteOrderMark)
		fileLines := strings.Split(string(text), "\n")
		for i, p := range problems {
			inFile := p.Line >= 1 && p.Line <= len(fileLines) && p.Column >= 1 && p.Column <= utf8.RuneCountInString(fileLines[p.Line-1])+1
			if !inFile || p.File != "f.toml" || p.Message == "" || p.Severity != Error {
				t.Fatalf("%+v in %q", p, data)
			}
			if strings.ContainsFunc(p.String(), func(r rune) bool { return r < ' ' || r == 0x7F }) || !utf8.ValidString(p.String()) {
				t.Fatalf("%q would break its line", p)
			}
			if i > 0 && (p.Line < problems[i-1].Line || p.Line == problems[i-1].Line && p.Column < problems[i-1].Column) {
				t.Fatalf("not in the order of the file: %v", problems)
			}
			doc.Position(p.Path)
			doc.Has(p.Path)
		}
		if !problems.HasErrors() {
			var want same
			if err := toml.Unmarshal(text, &want); err != nil {
				t.Fatalf("go-toml refuses what we accept: %v\n%q", err, data)
			}
			if diff := cmp.Diff(want, got, emptyTables); diff != "" {
				t.Fatalf("%s\n%q", diff, data)
			}
		}
		if !bytes.ContainsRune(text, 0) && toml.Unmarshal(text, new(map[string]any)) == nil {
			for _, p := range problems {
				noPlace := p.Path == "" && !strings.HasPrefix(p.Message, "unknown key")
				if noPlace || p.Hint == keepOne || p.Hint == notATable || strings.HasPrefix(p.Message, "the table [") {
					t.Fatalf("go-toml has nothing against: %s\n%q", p, data)
				}
			}
		}
	})
}
