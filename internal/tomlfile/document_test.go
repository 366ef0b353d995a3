package tomlfile

import (
	"fmt"
	"testing"
)

const placed = `title = "a"
template.name = "b"

[template.header]
column = "c"
[[template.body]]
column = "d"
[[template.body]]
  "max_length" = 4
[schedule]
windows = [
  { from = 09:00:00 },
  { days = ["mon",
            "tue"] },
]
[labels]
"a.b" = "x"
labels2."çé" . k = "y"
`

func TestPosition(t *testing.T) {
	doc, problems := Decode("f.toml", []byte(placed), &testFile{})
	if want := "f.toml:18:1: labels.labels2 must be text, not a table\n"; lines(problems) != want {
		t.Fatal(problems)
	}
	for _, tt := range []struct {
		path string
		want string
		has  bool
	}{
		{"title", "1:1", true},
		{"template", "2:1", true},
		{"template.name", "2:10", true},
		{"template.header", "4:11", true},
		{"template.header.column", "5:1", true},
		{"template.body", "6:12", true},
		{"template.body.0", "6:12", true},
		{"template.body.0.column", "7:1", true},
		{"template.body.1", "8:12", true},
		{"template.body.1.max_length", "9:3", true},
		{"schedule.windows.0.from", "12:5", true},
		{"schedule.windows.1", "13:3", true},
		{"schedule.windows.1.days.0", "13:13", true},
		{"schedule.windows.1.days.1", "14:13", true},
		{"labels.a.b", "17:1", true},
		{"labels.labels2.çé", "18:9", true},
		{"labels.labels2.çé.k", "18:16", true},
		// What is not there has the place of the table it belongs in.
		{"", "1:1", true},
		{"id", "1:1", false},
		{"throttle.per_second", "1:1", false},
		{"template.language", "2:1", false},
		{"template.body.1.column", "8:12", false},
		{"template.body.2", "6:12", false},
		{"template.body.-1", "6:12", false},
		{"template.body.x.y.z", "6:12", false},
		{"schedule.at", "10:2", false},
		{"schedule.windows.0.to", "12:3", false},
		{"title.x", "1:1", false},
		{".", "1:1", false},
		{"template.", "2:1", true},
	} {
		line, column := doc.Position(tt.path)
		if got := fmt.Sprintf("%d:%d", line, column); got != tt.want || doc.Has(tt.path) != tt.has {
			t.Errorf("%q at %s, %v; want %s, %v", tt.path, got, doc.Has(tt.path), tt.want, tt.has)
		}
	}
}

// TestHeaderPlace: a table first met in a longer header moves to its own header.
func TestHeaderPlace(t *testing.T) {
	doc, problems := Decode("f.toml", []byte("[template.header]\n[template]\n"), &testFile{})
	line, column := doc.Position("template.language")
	if len(problems) > 0 || line != 2 || column != 2 {
		t.Errorf("%d:%d %v", line, column, problems)
	}
}

func TestOwnProblems(t *testing.T) {
	doc, _ := Decode("f.toml", []byte("\n[schedule]\ntimezone = \"Mars\"\n"), &testFile{})
	for _, tt := range []struct {
		p    Problem
		want string
	}{
		{doc.Problem("schedule.timezone", "no such zone", "write America/Sao_Paulo"), "f.toml:3:1: no such zone; write America/Sao_Paulo"},
		{doc.Problem("schedule.at", "at or cron is missing", ""), "f.toml:2:2: at or cron is missing"},
		{doc.Warning("title", "no title", "give it one"), "f.toml:1:1: warning: no title; give it one"},
	} {
		if got := tt.p.String(); got != tt.want {
			t.Errorf("got %s\nwant %s", got, tt.want)
		}
	}
	if p := doc.Warning("schedule.at", "m", "h"); p.Path != "schedule.at" || p.Severity != Warning {
		t.Errorf("%+v", p)
	}
}

func TestProblems(t *testing.T) {
	ps := Problems{
		{File: "b", Line: 1, Column: 1, Message: "4"},
		{File: "a", Line: 10, Column: 1, Message: "3"},
		{File: "a", Line: 2, Column: 9, Message: "2", Severity: Warning},
		{File: "a", Line: 2, Column: 1, Message: "1a"},
		{File: "a", Line: 2, Column: 1, Message: "1b"},
		{File: "a", Message: "0"},
	}
	ps.Sort()
	if got, want := ps.Error(), "a: 0\na:2:1: 1a\na:2:1: 1b\na:2:9: warning: 2\na:10:1: 3\nb:1:1: 4"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !ps.HasErrors() || len(ps.Errors()) != 5 || len(ps.Warnings()) != 1 {
		t.Error(ps.HasErrors(), ps.Errors(), ps.Warnings())
	}
	if ps.Warnings().HasErrors() || Problems(nil).HasErrors() || Problems(nil).Error() != "" {
		t.Error("warnings forbid nothing")
	}
	if Error.String() != "error" || Warning.String() != "warning" {
		t.Error("names of severities")
	}
}
