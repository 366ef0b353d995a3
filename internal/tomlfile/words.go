package tomlfile

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// short cuts a text to n characters.
func short(s string, n int) string {
	for i := range s { // not all of it: it may be a megabyte
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}

// quoted shows a text of the file: cut short, and with nothing in it that could
// steer a terminal.
func quoted(s string) string { return strconv.Quote(short(s, 80)) }

// oneLine keeps an error of another package to its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

var plainKey = regexp.MustCompile(`^[\p{L}\p{N}._-]{1,120}$`)

// plain shows a key: as it is when that is harmless, else quoted.
func plain(path string) string {
	if plainKey.MatchString(path) {
		return path
	}
	return quoted(path)
}

// label is a node's path as a sentence begins with it.
func label(n *node) string { return plain(n.path()) }

// phrase names a wanted type: one of it, and several in a list.
type phrase struct{ one, many string }

var phrases = map[shape]phrase{
	text:          {"text", "text"},
	custom:        {"text", "text"},
	boolean:       {"true or false", "true and false"},
	whole:         {"a whole number", "whole numbers"},
	number:        {"a number", "numbers"},
	duration:      {"a duration", "durations"},
	localDate:     {"a date", "dates"},
	localTime:     {"a time", "times"},
	localDateTime: {"a date with time", "dates with times"},
	mapping:       {"a table", "tables"},
	record:        {"a table", "tables"},
	customRecord:  {"text or a table", "texts or tables"},
}

func words(t reflect.Type) phrase {
	switch s := shapeOf(t); s {
	case pointer:
		return words(t.Elem())
	case list:
		return phrase{"a list of " + words(t.Elem()).many, "lists of " + words(t.Elem()).many}
	default:
		return phrases[s]
	}
}

// given describes what stands in the file; of a secret only its kind.
func given(n *node, secret bool) string {
	what, value := "", n.text
	switch n.kind {
	case unstable.Table:
		return "a table"
	case unstable.Array:
		if n.origin == headers {
			return "a list of tables"
		}
		return "a list"
	case unstable.String:
		what, value = "text", quoted(n.text)
	case unstable.Bool:
		what = "value"
	case unstable.Integer, unstable.Float:
		what = "number"
	case unstable.LocalDate:
		what = "date"
	case unstable.LocalTime:
		what = "time"
	case unstable.LocalDateTime:
		what = "date with time"
	case unstable.DateTime:
		what = "date with time and offset"
	}
	switch {
	case !secret:
		return "the " + what + " " + short(value, 100)
	case n.kind == unstable.Bool:
		return "true or false"
	case n.kind == unstable.String:
		return "text"
	}
	return "a " + what
}

// mismatch faults a value of the wrong kind.
func (d *decoder) mismatch(n *node, t reflect.Type, secret bool) {
	if d.full() {
		d.unlisted++
		return
	}
	secret = secret || holdsSecret(t, make(map[reflect.Type]bool))
	d.fault(n, label(n)+" must be "+words(t).one+", not "+given(n, secret), typeHint(n, t, secret))
}

// typeHint says what to write in place of a value of the wrong kind. It repeats
// the value, put right, where that helps and is allowed.
func typeHint(n *node, t reflect.Type, secret bool) string {
	s := shapeOf(t)
	switch {
	case s == list:
		return listHint(n, t.Elem())
	case (s == record || s == mapping) && n.isList():
		if n.origin == headers {
			return "write [" + plain(strings.Join(n.parts(false), ".")) + "] once, with single brackets"
		}
		return "take the square brackets away"
	case s == record || s == mapping:
		if n.isItem() {
			return "write { key = value } in its place"
		}
		return "write " + n.brackets() + " on a line of its own and its keys below it"
	case n.isTable():
		return ""
	case n.isList():
		if len(n.items) == 1 {
			return "take the square brackets away"
		}
		return ""
	case secret:
		return secretHint(s)
	}
	return scalarHint(n, s)
}

func listHint(n *node, elem reflect.Type) string {
	switch s := shapeOf(elem); {
	case (s == record || s == customRecord) && n.isTable():
		if n.origin == inline {
			return "put it in square brackets: [{ … }]"
		}
		return "write [" + n.brackets() + "] with two brackets"
	case s == record:
		return "write [" + n.brackets() + "] on a line of its own and its keys below it"
	case n.isTable():
		return ""
	}
	return "put it in square brackets"
}

func secretHint(s shape) string {
	switch s {
	case text, custom, customRecord:
		return "put it in double quotes"
	case duration:
		return likeDuration
	}
	return ""
}

var tomlNumber = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func scalarHint(n *node, s shape) string {
	isText := n.kind == unstable.String
	switch s {
	case text, custom, customRecord:
		return "put it in double quotes: " + strconv.Quote(short(n.text, 100))
	case boolean:
		if isText && (n.text == "true" || n.text == "false") {
			return "write " + n.text + " without quotes"
		}
		return "write true or false"
	case whole, number:
		point := strings.Replace(strings.TrimSpace(n.text), ",", ".", 1)
		switch {
		case !isText && n.kind == unstable.Float:
			return "write it without a decimal point"
		case isText && tomlNumber.MatchString(point) && (s == number || !strings.Contains(point, ".")):
			return "write " + short(point, 40) + " without quotes"
		}
		return ""
	case duration:
		if n.kind == unstable.Integer && digits.MatchString(n.text) {
			return "write \"" + n.text + "s\" for seconds"
		}
		return likeDuration
	}
	return timeHint(n, s)
}
