package tomlfile

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// syntaxFault reports the fault that stopped the parser.
func syntaxFault(r *report, fault *unstable.ParserError, offset int) {
	if format, start := foreign(r.src.data); format != "" {
		r.faultAt(start, "", "the file looks like "+format+", which is not accepted", `write TOML: title = "…"`)
		return
	}
	for offset > 0 && offset < len(r.src.data) && !utf8.RuneStart(r.src.data[offset]) {
		offset-- // the end of the file is named by its last byte
	}
	message, hint := plainSyntax(fault.Message, r.src.data[:offset], r.src.data[offset:])
	if yamlLine.Match(r.src.line(offset)) {
		hint = `write key = value, with "=" in place of ":"`
	}
	r.faultAt(offset, "", message, hint)
}

const quoteText = `put text in double quotes: title = "…"`

// syntaxWords turns the beginnings of go-toml's messages into plain words.
var syntaxWords = []struct{ prefix, message, hint string }{
	{"unexpected character", "this is not a value", quoteText},
	{"expected keyword", "this is not a value", quoteText},
	{"strings must be quoted", "a value that begins with a digit goes on with a letter", `put text and durations in double quotes: max_lateness = "2h"`},
	{"expected newline", "something follows that does not belong on this line", "write one key = value a line; " + quoteText},
	{"expected value, not end", "the value is missing", quoteText},
	{"expected value but got", "a value is missing before the comma", "take one of the commas out"},
	{"expected '=' after key", `"=" is missing after the key`, "write key = value"},
	{"expected key but", "the key is missing", "write key = value"},
	{"invalid character at start of key", "a key cannot begin like this", "keys are letters, digits, _ and -; any other key goes in double quotes"},
	{"expected ']]'", "the table header is not closed", `end it with "]]"`},
	{"expected ']' to", "the table header is not closed", `end it with "]"`},
	{"array is incomplete", "the list is not closed", `end it with "]"`},
	{"expected ',' or ']'", "the list goes on without a comma", `put "," between the values and "]" at the end`},
	{"inline table is incomplete", "the table is not closed", `end it with "}"`},
	{"expected ',' or '}'", "the table goes on without a comma", `put "," between the keys and "}" at the end`},
	{"unexpected comma in inline", "a key is missing before the comma", "take the comma out"},
	{"unterminated basic", "the text is not closed", `end it with "`},
	{"unterminated literal", "the text is not closed", "end it with '"},
	{"basic strings cannot have new lines", "the text is not closed on its line", `end it with ", or put """ around a text of several lines`},
	{"literal strings cannot have new lines", "the text is not closed on its line", "end it with ', or put ''' around a text of several lines"},
	{"multiline basic string not", "the text of several lines is not closed", `end it with """`},
	{"multiline literal string not", "the text of several lines is not closed", "end it with '''"},
	{"invalid escape character", `"\" begins a code that does not exist`, `double the "\", or put single quotes around the text`},
	{"integers cannot have leading zeroes", "a number cannot begin with 0", "leave the 0 out, or put it in double quotes if it is a text"},
	{"decimal point must be", "a digit is missing after the decimal point", ""},
}

// echoed is where go-toml quotes a character of the file, which may be a
// secret's.
var echoed = regexp.MustCompile(`(:| but got)? U\+[0-9A-F]+( '.*')?`)

// plainSyntax words a message of go-toml. before and after are the text around
// the fault; they are looked at and never quoted.
func plainSyntax(said string, before, after []byte) (message, hint string) {
	digitBefore := len(before) > 0 && before[len(before)-1] >= '0' && before[len(before)-1] <= '9'
	if digitBefore && bytes.HasPrefix(after, []byte(":")) {
		return "this is not a time", "the hour has two digits: 09:00:00"
	}
	if digitBefore && bytes.HasPrefix(after, []byte(",")) {
		return "this is not a number", "the decimal sign is a point: 1.5"
	}
	for _, w := range syntaxWords {
		if strings.HasPrefix(said, w.prefix) {
			return w.message, w.hint
		}
	}
	return "not valid TOML: " + echoed.ReplaceAllString(said, ""), ""
}
