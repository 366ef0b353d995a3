package console

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mark is a piece of a message as the phone shows it: plain text, text between
// signs, or a value in the place of a variable. Templates make elements of it, so
// that what people wrote is escaped like any other text.
type mark struct {
	Kind string // "", b, i, s, mono, var
	Text string // of "", mono and var
	Name string // of var
	Kids []mark // of b, i and s
}

// maxMarks bounds how deep signs are read in one another; WhatsApp has four.
const maxMarks = 4

var (
	kindOf   = map[byte]string{'*': "b", '_': "i", '~': "s"}
	variable = regexp.MustCompile(`\{\{\s*([0-9a-z_]+)\s*\}\}`)
)

// markup reads WhatsApp's *bold*, _italic_, ~strike~ and ```mono``` as the phone
// does: a sign opens before a character and at the beginning of a word, and closes
// behind one and at the end of a word, in the same line. values stand in for
// variables; of nil they stay as they are.
func markup(text string, values map[string]string) []mark {
	var out []mark
	for {
		before, rest, ok := strings.Cut(text, "```")
		inside, after, closed := strings.Cut(rest, "```")
		if !ok || !closed || inside == "" {
			return append(out, signs(text, values, maxMarks)...)
		}
		out = append(out, signs(before, values, maxMarks)...)
		out = append(out, mark{Kind: "mono", Text: variable.ReplaceAllStringFunc(inside, func(s string) string {
			if value, ok := values[variable.FindStringSubmatch(s)[1]]; ok {
				return value
			}
			return s
		})})
		text = after
	}
}

// signs reads one level of signs.
func signs(text string, values map[string]string, deep int) (out []mark) {
	plain := 0
	for i := 0; i < len(text) && deep > 0; i++ {
		kind, ok := kindOf[text[i]]
		if !ok || !opensAt(text, i) {
			continue
		}
		end := closing(text, i)
		if end < 0 {
			continue
		}
		out = append(out, plainMarks(text[plain:i], values)...)
		out = append(out, mark{Kind: kind, Kids: signs(text[i+1:end], values, deep-1)})
		i, plain = end, end+1
	}
	return append(out, plainMarks(text[plain:], values)...)
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func opensAt(text string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, n := utf8.DecodeRuneInString(text[i+1:])
	return (i == 0 || !inWord(before)) && n > 0 && !unicode.IsSpace(after) && text[i+1] != text[i]
}

// closing finds the sign that ends the one at i, or -1.
func closing(text string, i int) int {
	for j := i + 2; j < len(text) && text[j] != '\n'; j++ {
		if text[j] != text[i] {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(text[:j])
		after, n := utf8.DecodeRuneInString(text[j+1:])
		if !unicode.IsSpace(before) && (n == 0 || !inWord(after)) {
			return j
		}
	}
	return -1
}

// plainMarks puts values in the places of variables.
func plainMarks(text string, values map[string]string) (out []mark) {
	at := 0
	for _, m := range variable.FindAllStringSubmatchIndex(text, -1) {
		if values == nil {
			break
		}
		if m[0] > at {
			out = append(out, mark{Text: text[at:m[0]]})
		}
		name := text[m[2]:m[3]]
		value, ok := values[name]
		if !ok || value == "" {
			value = text[m[0]:m[1]]
		}
		out = append(out, mark{Kind: "var", Text: value, Name: name})
		at = m[1]
	}
	if at < len(text) {
		out = append(out, mark{Text: text[at:]})
	}
	return out
}
