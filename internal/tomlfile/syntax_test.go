package tomlfile

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

func TestSyntaxFaults(t *testing.T) {
	for _, tt := range []struct{ input, want string }{
		{"title = Black Friday", `1:9: this is not a value; put text in double quotes: title = "…"`},
		{"title = true\ntags = tired", `2:8: this is not a value; put text in double quotes: title = "…"`},
		{"title = ", `1:8: the value is missing; put text in double quotes: title = "…"`},
		{"title = \nid = \"a\"", `1:9: this is not a value; put text in double quotes: title = "…"`},
		{"title", `1:5: "=" is missing after the key; write key = value`},
		{"x = 1\ntitle: 5", `2:6: "=" is missing after the key; write key = value, with "=" in place of ":"`},
		{"x = 1\r\ntitle: 5\r\n", `2:6: "=" is missing after the key; write key = value, with "=" in place of ":"`},
		{"max = 2h", `1:8: a value that begins with a digit goes on with a letter; put text and durations in double quotes: max_lateness = "2h"`},
		{"from = 9:00", `1:9: this is not a time; the hour has two digits: 09:00:00`},
		{"rate = 1,5", `1:9: this is not a number; the decimal sign is a point: 1.5`},
		{"é = 1", `1:1: a key cannot begin like this; keys are letters, digits, _ and -; any other key goes in double quotes`},
		{"a = \"é\" b", `1:9: something follows that does not belong on this line; write one key = value a line; put text in double quotes: title = "…"`},
		{"a = \"é\nb = 1", `1:7: the text is not closed on its line; end it with ", or put """ around a text of several lines`},
		{"a = \"é", `1:6: the text is not closed; end it with "`},
		{"a = '''\n\n\n", `3:1: the text of several lines is not closed; end it with '''`},
		{`a = "C:\data"`, `1:8: "\" begins a code that does not exist; double the "\", or put single quotes around the text`},
		{"a = 011", `1:5: a number cannot begin with 0; leave the 0 out, or put it in double quotes if it is a text`},
		{"a = [1, 2", `1:9: the list is not closed; end it with "]"`},
		{"a = [1 2]", `1:8: the list goes on without a comma; put "," between the values and "]" at the end`},
		{"a = {b = 1", `1:10: the table is not closed; end it with "}"`},
		{"[a\nb = 1", `1:3: the table header is not closed; end it with "]"`},
		{"[[a]\nb = 1", `1:4: the table header is not closed; end it with "]]"`},
		{"a = 1.", `1:6: a digit is missing after the decimal point`},
		{"a = +x", `1:6: not valid TOML: expected digit`},
		{"a = 1__0", `1:6: not valid TOML: number must have at least one digit between underscores`},
		{"a = \"\\uD800\"", `1:6: not valid TOML: escape sequence is not a valid unicode code point`},
		{"id = 1\rx = 2", `1:7: something follows that does not belong on this line; write one key = value a line; put text in double quotes: title = "…"`},
		// A fault found before does not stand beside a syntax fault.
		{"title = 1\ntitle = 2\n!", `3:1: a key cannot begin like this; keys are letters, digits, _ and -; any other key goes in double quotes`},
	} {
		for _, mark := range []string{"", "\uFEFF"} {
			f := testFile{Title: "default"}
			doc, problems := Decode("f.toml", []byte(mark+tt.input), &f)
			if got, want := lines(problems), "f.toml:"+tt.want+"\n"; got != want {
				t.Errorf("%q\n got %swant %s", mark+tt.input, got, want)
			}
			if line, column := doc.Position("title"); f.Title != "default" || doc.Has("title") || line != 1 || column != 1 {
				t.Errorf("%q left traces", tt.input)
			}
		}
	}
}

func TestOtherFormats(t *testing.T) {
	for _, tt := range []struct{ name, input, want string }{
		{"JSON", "\n  {\"id\": 1}\n", "2:3: the file looks like JSON"},
		{"broken JSON", "{\"id\": 1", "1:1: the file looks like JSON"},
		{"JSON list", "[{\"id\": 1}]", "1:1: the file looks like JSON"},
		{"YAML with a mark", "# c\n---\nid: 1\n", "2:1: the file looks like YAML"},
		{"YAML", "# c\n\nid: a\ntitle: b\n", "3:1: the file looks like YAML"},
		{"YAML table", "template:\n  name: a\n", "1:1: the file looks like YAML"},
		{"YAML list", "- id: a\n", "1:1: the file looks like YAML"},
	} {
		_, got := decodeLines(t, tt.input)
		if want := "f.toml:" + tt.want + ", which is not accepted; write TOML: title = \"…\"\n"; got != want {
			t.Errorf("%s\n got %swant %s", tt.name, got, want)
		}
	}
	// Looks do not count: this is TOML.
	_, problems := Decode("f.toml", []byte("--- = 1\n"), &struct {
		A int `toml:"---"`
	}{})
	if len(problems) > 0 {
		t.Error(problems)
	}
}

func TestEncodings(t *testing.T) {
	wide := func(mark bool, swap bool) string {
		var b bytes.Buffer
		text := "id = \"a\"\n"
		if mark {
			text = "\uFEFF" + text
		}
		for _, u := range utf16.Encode([]rune(text)) {
			lo, hi := byte(u), byte(u>>8)
			if swap {
				lo, hi = hi, lo
			}
			b.Write([]byte{lo, hi})
		}
		return b.String()
	}
	for _, tt := range []struct{ name, input, want string }{
		{"UTF-16LE", wide(true, false), "1:1: the file is UTF-16 text, not UTF-8; save it as UTF-8"},
		{"UTF-16BE", wide(true, true), "1:1: the file is UTF-16 text, not UTF-8; save it as UTF-8"},
		{"UTF-16LE without mark", wide(false, false), "1:1: the file is UTF-16 text, not UTF-8; save it as UTF-8"},
		{"UTF-16BE without mark", wide(false, true), "1:1: the file is UTF-16 text, not UTF-8; save it as UTF-8"},
		{"NUL", "id = 1\nå = \"x\x00\"", "2:7: the file holds a NUL byte, so it is not text; save it as UTF-8 text"},
		{"Windows-1252", "id = \"a\"\n# é clientes fi\xe9is", "2:16: the file is not UTF-8 text: this character is in another encoding; save it as UTF-8"},
		{"cut", "# é\xc3", "1:4: the file is not UTF-8 text: this character is in another encoding; save it as UTF-8"},
	} {
		f := testFile{base: base{ID: "default"}}
		doc, problems := Decode("f.toml", []byte(tt.input), &f)
		if got, want := lines(problems), "f.toml:"+tt.want+"\n"; got != want || f.ID != "default" || doc.Has("id") {
			t.Errorf("%s\n got %swant %s", tt.name, got, want)
		}
	}
	for _, empty := range []string{"", "\uFEFF", "\n", "# only a comment", "\r\n\r\n"} {
		if _, got := decodeLines(t, empty); got != "" {
			t.Errorf("%q: %s", empty, got)
		}
	}
}

// TestHostileFilesEndSoon: a megabyte takes well under a second each, and its
// report stays readable. The bound is for slow machines; what it guards against
// took minutes.
func TestHostileFilesEndSoon(t *testing.T) {
	const mega = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, mega/len(s)) }
	for name, input := range map[string]string{
		"lists in lists":      "a = " + fill("["),
		"tables in tables":    "a = " + fill("{a="),
		"closed lists":        strings.Repeat("a.", 9_000) + "a = " + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"deep header":         "[" + strings.Repeat("a.", mega/4) + "a]\n" + strings.Repeat("a=1\n", mega/8),
		"long name":           "[" + strings.Repeat("a", mega/2) + "]\n" + strings.Repeat("a=1\n", mega/8),
		"long key":            fill("a") + " = 1",
		"one long line":       "rates = [" + fill("'',") + "]",
		"one key":             fill("title=''\n"),
		"one header":          fill("[template]\n"),
		"keys into a table":   "[template.header]\n[template]\n" + fill("header.column=''\n"),
		"reserved over again": fill("[[template.body]]\nstyle=1\n"),
	} {
		start := time.Now()
		_, got := decodeLines(t, input, Reserved(map[string]string{"template.body.*.style": ""}))
		if got == "" || len(got) > mega || time.Since(start) > 20*time.Second {
			t.Errorf("%s: %d bytes of report after %s", name, len(got), time.Since(start))
		}
	}
}
