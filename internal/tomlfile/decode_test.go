package tomlfile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	toml "github.com/pelletier/go-toml/v2"
)

// category refuses every word but one, as enumerations do.
type category string

func (c *category) UnmarshalText(b []byte) error {
	if string(b) != "utility" {
		return errors.New("a category is utility, not\n" + string(b))
	}
	*c = "utility"
	return nil
}

// media is written as a text or as a table.
type media struct {
	File   string
	Column string `toml:"column"`
}

func (m *media) UnmarshalText(b []byte) error {
	m.File = string(b)
	return nil
}

type parameter struct {
	Column    string   `toml:"column"`
	Default   *string  `toml:"default"`
	Transform []string `toml:"transform"`
	MaxLength int      `toml:"max_length"`
}

type window struct {
	Days []string       `toml:"days"`
	From toml.LocalTime `toml:"from"`
	To   toml.LocalTime `toml:"to"`
}

type server struct {
	Token string `toml:"token" secret:"true"`
	Port  int    `toml:"port"`
}

type base struct {
	ID string `toml:"id"`
}

type testFile struct {
	base
	Title    string   `toml:"title"`
	Category category `toml:"category"`
	DryRun   bool     `toml:"dry_run"`
	Tags     []string `toml:"tags"`
	Rates    []int    `toml:"rates"`
	Template struct {
		Name   string      `toml:"name"`
		Header *media      `toml:"header"`
		Body   []parameter `toml:"body"`
	} `toml:"template"`
	Schedule struct {
		At       toml.LocalDateTime `toml:"at"`
		Timezone string             `toml:"timezone"`
		Skip     []toml.LocalDate   `toml:"skip_dates"`
		Windows  []window           `toml:"windows"`
	} `toml:"schedule"`
	Missed struct {
		MaxLateness time.Duration `toml:"max_lateness"`
	} `toml:"missed"`
	Throttle struct {
		PerSecond float64 `toml:"per_second"`
		Burst     *int    `toml:"burst"`
	} `toml:"throttle"`
	Labels  map[string]string `toml:"labels"`
	Servers map[string]server `toml:"servers"`
	Keys    []string          `toml:"keys" secret:"true"`
	Smtp    *server           `toml:"smtp"`
	Ignored string
}

func lines(ps Problems) string {
	if len(ps) == 0 {
		return ""
	}
	return ps.Error() + "\n"
}

func decodeLines(t *testing.T, input string, opts ...Option) (testFile, string) {
	t.Helper()
	var f testFile
	doc, problems := Decode("f.toml", []byte(input), &f, opts...)
	if doc == nil {
		t.Fatal("no document")
	}
	return f, lines(problems)
}

const good = `
id = "black-friday"
title = "Black Friday: clientes fiéis"
category = "utility"
dry_run = true
tags = ["bf26", "retencao",]
rates = [1, 0x10, 1_000]
template.name = "oferta"
keys = ["k1"]
[[template.body]]
column = "nome"
default = ""
transform = ["trim"]
[[template.body]]
column = 'cupom'
max_length = 40
[template.header]
column = "img"
[schedule]
at = 2026-11-27T09:00:00
skip_dates = [2026-12-25, 2027-01-01]
  [[schedule.windows]]
  days = ["mon"]
  from = 09:00:00
  to = 20:00
[missed]
max_lateness = "2h"
[throttle]
per_second = 40
[labels]
team = "crm"
"with.dot" = "x"
[servers.a]
token = "t"
[smtp]
port = 25
`

func TestDecodeValues(t *testing.T) {
	for name, input := range map[string]string{
		"LF":   good,
		"CRLF": strings.ReplaceAll(good, "\n", "\r\n"),
		"BOM":  "\uFEFF" + good,
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := decodeLines(t, input)
			if problems != "" {
				t.Fatal(problems)
			}
			empty := ""
			var want testFile
			want.ID, want.Title, want.Category, want.DryRun = "black-friday", "Black Friday: clientes fiéis", "utility", true
			want.Tags, want.Rates, want.Keys = []string{"bf26", "retencao"}, []int{1, 16, 1000}, []string{"k1"}
			want.Template.Name, want.Template.Header = "oferta", &media{Column: "img"}
			want.Template.Body = []parameter{
				{Column: "nome", Default: &empty, Transform: []string{"trim"}},
				{Column: "cupom", MaxLength: 40},
			}
			want.Schedule.At = toml.LocalDateTime{
				LocalDate: toml.LocalDate{Year: 2026, Month: 11, Day: 27}, LocalTime: toml.LocalTime{Hour: 9},
			}
			want.Schedule.Skip = []toml.LocalDate{{Year: 2026, Month: 12, Day: 25}, {Year: 2027, Month: 1, Day: 1}}
			want.Schedule.Windows = []window{{[]string{"mon"}, toml.LocalTime{Hour: 9}, toml.LocalTime{Hour: 20}}}
			want.Missed.MaxLateness = 2 * time.Hour
			want.Throttle.PerSecond = 40
			want.Labels = map[string]string{"team": "crm", "with.dot": "x"}
			want.Servers = map[string]server{"a": {Token: "t"}}
			want.Smtp = &server{Port: 25}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(testFile{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDefaultsSurvive(t *testing.T) {
	shared := &server{Token: "default", Port: 25}
	defaults := map[string]server{"a": {Token: "kept", Port: 1}}
	f := testFile{Title: "default", Tags: []string{"default"}, Servers: defaults, Smtp: shared}
	f.Throttle.PerSecond = 80
	_, problems := Decode("f.toml", []byte(`
tags = ["mine"]
smtp.port = 587
throttle.per_second = "quick"
[servers.a]
port = 2
[servers.b]
port = 3
`), &f)
	if want := "f.toml:4:10: throttle.per_second must be a number, not the text \"quick\"\n"; lines(problems) != want {
		t.Error(lines(problems))
	}
	want := testFile{Title: "default", Tags: []string{"mine"}, Smtp: &server{Token: "default", Port: 587}, Servers: map[string]server{
		"a": {Token: "kept", Port: 2}, "b": {Port: 3},
	}}
	want.Throttle.PerSecond = 80
	if diff := cmp.Diff(want, f, cmp.AllowUnexported(testFile{})); diff != "" {
		t.Error(diff)
	}
	if shared.Port != 25 || len(defaults) != 1 || defaults["a"].Port != 1 {
		t.Errorf("the caller's own defaults were changed: %v %v", *shared, defaults)
	}
}

// TestEverythingAtOnce is the promise of the package in one file.
func TestEverythingAtOnce(t *testing.T) {
	_, got := decodeLines(t, "\uFEFF"+`id = "a"
títle = 1
id = "b"
dry_run = "sim"
"Título" = "acentos contam como um caractere"; não
`)
	if want := "f.toml:2:2: \"=\" is missing after the key; write key = value\n"; got != want {
		t.Errorf("a syntax fault ends the check:\n%s", got)
	}

	_, got = decodeLines(t, "\uFEFF"+`id = "a"
"títle" = 1
id = "b"
dry_run = "sim"
tags = ["é", 2, true]
cost = 5
timezone = "UTC"
[tempalte]
name = 1
[template]
name = 5
[[template.body]]
colum = "x"
max_length = "40"
[[template.body]]
max_length = 4.5
[schedule]
at = 2026-11-27T09:00:00-03:00
skip_dates = [2026-02-30, "25/12/2026"]
title = "late"
[schedule]
timezone = 3
[missed]
max_lateness = "1d"
`, Reserved(map[string]string{"cost": "prices come with billing"}))
	want := `f.toml:2:1: unknown key "títle"; did you mean "title"?
f.toml:3:1: "id" is already set on line 1; keep one of the two
f.toml:4:1: dry_run must be true or false, not the text "sim"; write true or false
f.toml:5:14: tags.1 must be text, not the number 2; put it in double quotes: "2"
f.toml:5:17: tags.2 must be text, not the value true; put it in double quotes: "true"
f.toml:6:1: "cost" is not in this version; prices come with billing
f.toml:7:1: unknown key "timezone"; "timezone" belongs in [schedule]
f.toml:8:2: unknown key "tempalte"; did you mean "template"?
f.toml:11:1: template.name must be text, not the number 5; put it in double quotes: "5"
f.toml:13:1: unknown key "template.body.0.colum"; did you mean "column"?
f.toml:14:1: template.body.0.max_length must be a whole number, not the text "40"; write 40 without quotes
f.toml:16:1: template.body.1.max_length must be a whole number, not the number 4.5; write it without a decimal point
f.toml:18:1: schedule.at must be a date with time, not the date with time and offset 2026-11-27T09:00:00-03:00; leave the offset out: 2026-11-27T09:00:00
f.toml:19:15: schedule.skip_dates.0 is not a date: impossible date
f.toml:19:27: schedule.skip_dates.1 must be a date, not the text "25/12/2026"; write it like this, without quotes: 2026-11-27
f.toml:20:1: unknown key "schedule.title"; "title" belongs at the top, above the first [table]
f.toml:21:2: the table [schedule] already stands on line 17; put all its keys in one place
f.toml:22:1: schedule.timezone must be text, not the number 3; put it in double quotes: "3"
f.toml:24:1: missed.max_lateness must be a duration, not the text "1d"; write 24h
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWrongTypes(t *testing.T) {
	for _, tt := range []struct{ input, want string }{
		{`title = 5`, `title must be text, not the number 5; put it in double quotes: "5"`},
		{`title = [1]`, `title must be text, not a list; take the square brackets away`},
		{`title = []`, `title must be text, not a list`},
		{`title = {a=1}`, `title must be text, not a table`},
		{`title = 2026-11-27`, `title must be text, not the date 2026-11-27; put it in double quotes: "2026-11-27"`},
		{"title = \"\"\"a\u001b\"\"\"", ""}, // a control character is a syntax fault
		{`dry_run = "true"`, `dry_run must be true or false, not the text "true"; write true without quotes`},
		{`dry_run = 1`, `dry_run must be true or false, not the number 1; write true or false`},
		{`rates = 5`, `rates must be a list of whole numbers, not the number 5; put it in square brackets`},
		{`rates = [[1]]`, `rates.0 must be a whole number, not a list; take the square brackets away`},
		{`rates = [9223372036854775808]`, `rates.0 is out of range`},
		{`rates = ["x\ty\u001b[2J"]`, `rates.0 must be a whole number, not the text "x\ty\x1b[2J"`},
		{`rates = ["` + strings.Repeat("é", 100) + `"]`, `rates.0 must be a whole number, not the text "` + strings.Repeat("é", 80) + `…"`},
		{`tags = "a"`, `tags must be a list of text, not the text "a"; put it in square brackets`},
		{`throttle.per_second = "0,5"`, `throttle.per_second must be a number, not the text "0,5"; write 0.5 without quotes`},
		{`throttle.per_second = inf`, `throttle.per_second must be a number; inf and nan are not accepted`},
		{`throttle.per_second = -nan`, `throttle.per_second must be a number; inf and nan are not accepted`},
		{`throttle.per_second = 1e999`, `throttle.per_second is out of range`},
		{`throttle.burst = "3"`, `throttle.burst must be a whole number, not the text "3"; write 3 without quotes`},
		{`throttle.burst = "007"`, `throttle.burst must be a whole number, not the text "007"`},
		{`throttle = 3`, `throttle must be a table, not the number 3; write [throttle] on a line of its own and its keys below it`},
		{`throttle = [3]`, `throttle must be a table, not a list; take the square brackets away`},
		{`[[throttle]]`, `throttle must be a table, not a list of tables; write [throttle] once, with single brackets`},
		{`[template.body]`, `template.body must be a list of tables, not a table; write [[template.body]] with two brackets`},
		{`template.body = {}`, `template.body must be a list of tables, not a table; put it in square brackets: [{ … }]`},
		{`template.body = 1`, `template.body must be a list of tables, not the number 1; write [[template.body]] on a line of its own and its keys below it`},
		{`template.body = [1]`, `template.body.0 must be a table, not the number 1; write { key = value } in its place`},
		{`template.header = 1`, `template.header must be text or a table, not the number 1; put it in double quotes: "1"`},
		{`labels = 1`, `labels must be a table, not the number 1; write [labels] on a line of its own and its keys below it`},
		{`labels.a = 1`, `labels.a must be text, not the number 1; put it in double quotes: "1"`},
		{`labels."a b" = 1`, `"labels.a b" must be text, not the number 1; put it in double quotes: "1"`},
		{`category = "x"`, `category is not valid: a category is utility, not x`},
		{`category = 1`, `category must be text, not the number 1; put it in double quotes: "1"`},
		{`servers.a = 1`, `servers.a must be a table, not a number; write [servers.a] on a line of its own and its keys below it`},
	} {
		_, got := decodeLines(t, tt.input)
		switch {
		case tt.want == "":
			if !strings.Contains(got, "control characters") {
				t.Errorf("%s\n got %s", tt.input, got)
			}
		case !strings.HasPrefix(got, "f.toml:1:") || !strings.HasSuffix(got, ": "+tt.want+"\n") || strings.Count(got, "\n") != 1:
			t.Errorf("%s\n got %swant %s", tt.input, got, tt.want)
		}
	}
}

func TestDurations(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{`"1d"`, `must be a duration, not the text "1d"; write 24h`},
		{`"7 Dias"`, `must be a duration, not the text "7 Dias"; write 168h`},
		{`"2w"`, `must be a duration, not the text "2w"; write 336h`},
		{`"24H"`, `must be a duration, not the text "24H"; write 24h`},
		{`"1h 30m"`, `must be a duration, not the text "1h 30m"; write 1h30m`},
		{`"1,5h"`, `must be a duration, not the text "1,5h"; write 1.5h`},
		{`"10 minutes"`, `must be a duration, not the text "10 minutes"; write 10m`},
		{`"30"`, `must be a duration, not the text "30"; write "30s" for seconds`},
		{`30`, `must be a duration, not the number 30; write "30s" for seconds`},
		{`-0.5`, `must be a duration, not the number -0.5; ` + likeDuration},
		{`"soon"`, `must be a duration, not the text "soon"; ` + likeDuration},
		{`02:00:00`, `must be a duration, not the time 02:00:00; ` + likeDuration},
	} {
		_, got := decodeLines(t, "missed.max_lateness = "+tt.value)
		if want := "f.toml:1:8: missed.max_lateness " + tt.want + "\n"; got != want {
			t.Errorf("got %swant %s", got, want)
		}
	}
	for value, want := range map[string]time.Duration{`"0"`: 0, `"1h30m"`: 90 * time.Minute, `"250ms"`: 250 * time.Millisecond, `"-1s"`: -time.Second} {
		f, got := decodeLines(t, "missed.max_lateness = "+value)
		if got != "" || f.Missed.MaxLateness != want {
			t.Errorf("%s: %s %s", value, f.Missed.MaxLateness, got)
		}
	}
}

func TestDatesAndTimes(t *testing.T) {
	for _, tt := range []struct{ input, want string }{
		{`schedule.at = 2026-11-27T09:00:00Z`, `not the date with time and offset 2026-11-27T09:00:00Z; leave the offset out: 2026-11-27T09:00:00`},
		{`schedule.at = 2026-11-27 09:00:00+01:00`, `leave the offset out: 2026-11-27T09:00:00`},
		{`schedule.at = "2026-11-27T09:00:00"`, `not the text "2026-11-27T09:00:00"; write it without quotes: 2026-11-27T09:00:00`},
		{`schedule.at = "2026-11-27T09:00:00-03:00"`, `write it without quotes: 2026-11-27T09:00:00`},
		{`schedule.at = "amanhã"`, `write it like this, without quotes: 2026-11-27T09:00:00`},
		{`schedule.at = 2026-11-27`, `not the date 2026-11-27; write the time too: 2026-11-27T09:00:00`},
		{`schedule.at = 09:00:00`, `not the time 09:00:00; write it like this: 2026-11-27T09:00:00`},
		{`schedule.at = 2026-02-29T09:00:00`, `schedule.at is not a date with time: impossible date`},
		{`schedule.at = 2026-11-27T24:00:00`, `schedule.at is not a date with time: hour cannot be greater 23`},
		{`schedule.at = 20261127`, `must be a date with time, not the number 20261127; write it like this: 2026-11-27T09:00:00`},
		{`schedule.skip_dates = [2026-12-25T00:00:00]`, `not the date with time 2026-12-25T00:00:00; write only the date: 2026-12-25`},
		{`schedule.skip_dates = ["2026-12-25"]`, `write it without quotes: 2026-12-25`},
		{`schedule.skip_dates = 2026-12-25`, `must be a list of dates, not the date 2026-12-25; put it in square brackets`},
		{`schedule.windows = [{from = "09:00"}]`, `schedule.windows.0.from must be a time, not the text "09:00"; write it without quotes: 09:00:00`},
		{`schedule.windows = [{from = 2026-12-25T08:30:00Z}]`, `write only the time: 08:30:00`},
		{`schedule.windows = [{from = 9}]`, `must be a time, not the number 9; write it like this: 09:00:00`},
	} {
		_, got := decodeLines(t, tt.input)
		if !strings.HasSuffix(got, tt.want+"\n") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s\n got %swant %s", tt.input, got, tt.want)
		}
	}
}

func TestWrittenTwice(t *testing.T) {
	for _, tt := range []struct{ name, input, want string }{
		{"key", "title = \"a\"\ntitle = \"b\"\ntitle = \"c\"", "2:1: \"title\" is already set on line 1; keep one of the two\n3:1: \"title\" is already set on line 1; keep one of the two\n"},
		{"second one is checked too", "rates = [1]\nrates = [\"x\"]", "2:1: \"rates\" is already set on line 1; keep one of the two\n2:10: rates.0 must be a whole number, not the text \"x\"\n"},
		{"quoted key", "title = \"a\"\n\"title\" = \"b\"", "2:1: \"title\" is already set on line 1; keep one of the two\n"},
		{"inline", "throttle = {burst = 1, burst = 2}", "1:24: \"throttle.burst\" is already set on line 1; keep one of the two\n"},
		{"table, its keys are merged", "[throttle]\nburst = 1\n[throttle]\nburst = 2", "3:2: the table [throttle] already stands on line 1; put all its keys in one place\n4:1: \"throttle.burst\" is already set on line 2; keep one of the two\n"},
		{"table after dotted key", "throttle.burst = 1\n[throttle]", "2:2: the table [throttle] already stands on line 1; put all its keys in one place\n"},
		{"dotted key into table", "[template.header]\ncolumn = \"a\"\n[template]\nheader.column = \"b\"", "4:1: the table [template.header] on line 1 cannot get keys from here; write the key below [template.header]\n4:8: \"template.header.column\" is already set on line 2; keep one of the two\n"},
		{"table after value", "title = \"a\"\n[title]\nx = 1", "2:2: \"title\" is already set on line 1; a key has either a value or a table\n2:2: title must be text, not a table\n"},
		{"table in inline table", "throttle = {}\n[throttle.burst]", "2:2: \"throttle\" is already set on line 1; a key has either a value or a table\n2:11: throttle.burst must be a whole number, not a table\n"},
		{"key in inline table", "throttle = {}\nthrottle.burst = 1", "2:1: \"throttle\" is already set on line 1; a key has either a value or a table\n"},
		{"list header after table", "[[template.body]]\n[template.body]\ncolumn = 1", "2:11: \"template.body\" is a list of tables since line 1; write [[template.body]]\n3:1: template.body.1.column must be text, not the number 1; put it in double quotes: \"1\"\n"},
		{"table header after list", "[schedule]\n[[schedule]]", "2:3: \"schedule\" is already set on line 1; write [[schedule]] each time for a list of tables, or [schedule] once\n2:3: schedule must be a table, not a list of tables; write [schedule] once, with single brackets\n"},
		{"list header after list", "template.body = []\n[[template.body]]", "2:12: \"template.body\" is already set on line 1; write [[template.body]] each time for a list of tables, or [template.body] once\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got := decodeLines(t, tt.input)
			if diff := cmp.Diff(tt.want, strings.ReplaceAll(got, "f.toml:", "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnknownKeys(t *testing.T) {
	for _, tt := range []struct{ input, want string }{
		{`Title = "x"`, `1:1: unknown key "Title"; did you mean "title"?`},
		{`dry-run = true`, `1:1: unknown key "dry-run"; did you mean "dry_run"?`},
		{`zzzzzz = true`, `1:1: unknown key "zzzzzz"; known here: id, title, category, dry_run, tags, rates, template, schedule, missed, throttle, labels, servers, keys, smtp`},
		{`throttle.zzzzzz = true`, `1:10: unknown key "throttle.zzzzzz"; known here: per_second, burst`},
		{`max_length = 1`, `1:1: unknown key "max_length"; "max_length" belongs in [[template.body]]`},
		{"[zzzzzz]\na = 1\nb = 2\n[zzzzzz.c]", `1:2: unknown key "zzzzzz"; known here: id, title, category, dry_run, tags, rates, template, schedule, missed, throttle, labels, servers, keys, smtp`},
		{"[[zzzzzz.a]]\n[[zzzzzz.a]]", `1:3: unknown key "zzzzzz"; known here: id, title, category, dry_run, tags, rates, template, schedule, missed, throttle, labels, servers, keys, smtp`},
		{`Ignored = "x"`, `1:1: unknown key "Ignored"; known here: id, title, category, dry_run, tags, rates, template, schedule, missed, throttle, labels, servers, keys, smtp`},
		{`"a\nb" = "x"`, `1:1: unknown key "a\nb"; known here: id, title, category, dry_run, tags, rates, template, schedule, missed, throttle, labels, servers, keys, smtp`},
		{`servers.x.prot = 1`, `1:11: unknown key "servers.x.prot"; did you mean "port"?`},
	} {
		_, got := decodeLines(t, tt.input)
		if want := "f.toml:" + tt.want + "\n"; got != want {
			t.Errorf("%s\n got %swant %s", tt.input, got, want)
		}
	}
}

func TestReserved(t *testing.T) {
	reserved := Reserved(map[string]string{
		"cost":                  "prices come later",
		"audience":              "",
		"throttle.ramp":         "use per_second",
		"template.body.*.style": "styles come later",
		"title":                 "even what the struct knows",
		"guard.breaker.limit":   "the engine is not there yet",
		"servers.*.region":      "one region only",
		"servers.*.zone":        "any zone",
		"servers.eu.zone":       "the zone of eu",
	})
	_, got := decodeLines(t, `cost = 5
cost = 6
title = "x"
throttle = { ramp = 1, burst = 2 }
servers.eu.region = "x"
servers.eu.zone = "x"
[[audience]]
where = 1
[[audience]]
[[template.body]]
style = 1
[[template.body]]
style = 2
[guard.breaker]
limit = 1
limti = 2
[guard.other]
`, reserved)
	want := `f.toml:1:1: "cost" is not in this version; prices come later
f.toml:2:1: "cost" is already set on line 1; keep one of the two
f.toml:3:1: "title" is not in this version; even what the struct knows
f.toml:4:14: "throttle.ramp" is not in this version; use per_second
f.toml:5:12: "servers.eu.region" is not in this version; one region only
f.toml:6:12: "servers.eu.zone" is not in this version; the zone of eu
f.toml:7:3: "audience" is not in this version
f.toml:11:1: "template.body.0.style" is not in this version; styles come later
f.toml:13:1: "template.body.1.style" is not in this version; styles come later
f.toml:15:1: "guard.breaker.limit" is not in this version; the engine is not there yet
f.toml:16:1: unknown key "guard.breaker.limti"
f.toml:17:8: unknown key "guard.other"
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLongReportsEnd(t *testing.T) {
	var b strings.Builder
	for range maxProblems + 7 {
		b.WriteString("[[template.body]]\nx = 1\n")
	}
	_, got := decodeLines(t, b.String())
	if n := strings.Count(got, "\n"); n != maxProblems+1 {
		t.Errorf("%d lines", n)
	}
	if want := "f.toml:2000:1: 7 more faults are not listed; mend these first\n"; !strings.HasSuffix(got, want) {
		t.Error(got[len(got)-200:])
	}
}

func TestProgrammerMistakesPanic(t *testing.T) {
	for name, into := range map[string]any{
		"not a pointer": testFile{},
		"nil":           (*testFile)(nil),
		"not a struct":  new(int),
		"field type": &struct {
			A struct {
				B []chan int `toml:"b"`
			} `toml:"a"`
		}{},
		"unsigned": &struct {
			A uint `toml:"a"`
		}{},
		"any": &struct {
			A any `toml:"a"`
		}{},
		"map key": &struct {
			A map[int]string `toml:"a"`
		}{},
		"two of a name": &struct {
			A, B string `toml:"a"`
		}{},
		"time with zone": &struct {
			A []struct {
				B complex64 `toml:"b"`
			} `toml:"a"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(r.(string), "tomlfile: ") {
					t.Errorf("panic with %v", r)
				}
			}()
			Decode("f.toml", nil, into)
		})
	}
}
