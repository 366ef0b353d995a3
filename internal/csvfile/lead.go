package csvfile

import (
	"bytes"
	"strings"
)

// lead is what stands before the header, and the separator.
type lead struct {
	bytes     int
	lines     int
	separator rune
}

// readLead looks at the beginning of the file for a mark, blank lines, a "sep="
// line and the header's separators.
func readLead(head []byte, opt Options) (lead, error) {
	known, hint := ",;\t", "use a comma, a semicolon or a tab"
	if opt.Bar {
		known, hint = ",;\t|", "use a comma, a semicolon, a tab or a bar"
	}
	var l lead
	text := bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF"))
	first, rest, ended := bytes.Cut(text, []byte("\n"))
	for ended && (len(first) == 0 || string(first) == "\r") {
		l.lines++
		text = rest
		first, rest, ended = bytes.Cut(text, []byte("\n"))
	}
	l.bytes = len(head) - len(text)
	mark := strings.Trim(string(bytes.TrimRight(first, "\r")), `"`)
	if len(mark) < 4 || !strings.EqualFold(mark[:4], "sep=") {
		l.separator = separatorOf(text, known)
		return l, nil
	}
	if len(mark) != 5 || !strings.Contains(known, mark[4:]) {
		return l, &Error{Line: l.lines + 1, Message: "the separator of the sep= line is not known", Hint: hint}
	}
	l.separator = rune(mark[4])
	l.lines++
	l.bytes = len(head) - len(rest)
	return l, nil
}

// separatorOf counts the separators of the header outside its quotes. Where two
// are as many, the one that is known first wins.
func separatorOf(text []byte, known string) rune {
	counts := map[byte]int{}
	quoted := false
	for _, c := range text {
		if c == '"' {
			quoted = !quoted
		}
		if quoted {
			continue
		}
		if c == '\n' {
			break
		}
		counts[c]++
	}
	best := known[0]
	for _, c := range []byte(known) {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return rune(best)
}
