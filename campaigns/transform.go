package campaigns

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// transforms are what can be done to a cell, in the order they are documented.
// ok is false when the cell cannot be read as what the transform expects.
var transforms = []struct {
	name string
	do   func(string) (out string, ok bool)
}{
	{"trim", always(strings.TrimSpace)},
	{"title", always(titleCase)},
	{"upper", always(strings.ToUpper)},
	{"lower", always(strings.ToLower)},
	{"spaces", always(oneSpace)},
	{"brl", brl},
}

func always(f func(string) string) func(string) (string, bool) {
	return func(s string) (string, bool) { return f(s), true }
}

func transformNames() []string {
	names := make([]string, len(transforms))
	for i, t := range transforms {
		names[i] = t.name
	}
	return names
}

func transformByName(name string) func(string) (string, bool) {
	for _, t := range transforms {
		if t.name == name {
			return t.do
		}
	}
	return nil
}

// oneSpace turns every run of spaces, tabs and line ends into one space.
func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// particles stay small inside a Portuguese or Spanish name.
var particles = map[string]bool{"da": true, "das": true, "de": true, "del": true, "do": true, "dos": true, "e": true, "la": true, "y": true}

// titleCase writes names as people write them: MARIA DA SILVA becomes
// Maria da Silva, d'ávila becomes D'Ávila. Spacing stays.
func titleCase(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for first := true; s != ""; {
		start := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsSpace(r) })
		if start < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:start])
		s = s[start:]
		end := strings.IndexFunc(s, unicode.IsSpace)
		if end < 0 {
			end = len(s)
		}
		word := strings.ToLower(s[:end])
		s = s[end:]
		if first || !particles[word] {
			word = capitalise(word)
		}
		b.WriteString(word)
		first = false
	}
	return b.String()
}

// capitalise raises the first letter of a word and of its parts after a hyphen
// or apostrophe; a single letter after an apostrophe ("joe's") stays small.
func capitalise(word string) string {
	var b strings.Builder
	b.Grow(len(word))
	raise := true
	for i, r := range word {
		if raise && unicode.IsLetter(r) {
			b.WriteRune(unicode.ToTitle(r))
			raise = false
			continue
		}
		b.WriteRune(r)
		switch r {
		case '-':
			raise = true
		case '\'', '’':
			raise = utf8.RuneCountInString(word[i+utf8.RuneLen(r):]) > 1
		default:
			raise = false
		}
	}
	return b.String()
}

// brl writes an amount as Brazilians read it: 1234.5 becomes R$ 1.234,50. It
// works on the digits, never on a float: no cent is lost or invented. It reads
// 1234, 1234.5, 1234.56, 1234,56 and 1.234,56, with or without R$ and a minus
// before. 1.234 is refused: it is a thousand to one reader and one to another.
func brl(s string) (string, bool) {
	s = strings.TrimSpace(s)
	sign := ""
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		sign, s = "-", rest
	}
	if len(s) >= 2 && strings.EqualFold(s[:2], "R$") {
		s = strings.TrimLeftFunc(s[2:], unicode.IsSpace)
	}
	if rest, ok := strings.CutPrefix(s, "-"); ok && sign == "" {
		sign, s = "-", rest
	}
	whole, cents, ok := amount(s)
	if !ok {
		return "", false
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if whole == "0" && cents == "00" {
		sign = ""
	}
	var b strings.Builder
	b.WriteString(sign)
	b.WriteString("R$ ")
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte('.')
		}
		b.WriteByte(whole[i])
	}
	b.WriteByte(',')
	b.WriteString(cents)
	return b.String(), true
}

// amount splits a decimal text into its whole part and two digits of cents.
func amount(s string) (whole, cents string, ok bool) {
	const maxDigits = 15 // far above any price, and no cell of digits becomes one
	dots := strings.Count(s, ".")
	whole, cents, comma := strings.Cut(s, ",")
	switch {
	case comma && dots > 0: // 1.234,56
		if whole, ok = ungroup(whole); !ok {
			return "", "", false
		}
	case comma, dots == 0:
	case dots == 1: // 1234.56
		whole, cents, _ = strings.Cut(s, ".")
		comma = true
	default: // 1.234.567
		if whole, ok = ungroup(s); !ok {
			return "", "", false
		}
	}
	if !allDigits(whole) || len(whole) > maxDigits || comma && !allDigits(cents) || len(cents) > 2 {
		return "", "", false
	}
	return whole, (cents + "00")[:2], true
}

// ungroup takes the dots out of 1.234.567; every group but the first has three
// digits.
func ungroup(s string) (string, bool) {
	groups := strings.Split(s, ".")
	for i, g := range groups {
		if i == 0 && (len(g) < 1 || len(g) > 3) || i > 0 && len(g) != 3 {
			return "", false
		}
	}
	return strings.Join(groups, ""), true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
