package campaigns

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"janela/internal/tomlfile"
)

// Columns finds the columns of an audience by name. Case, accents and the
// choice of space, "_" or "-" do not count: spreadsheets and people differ in
// all of them.
type Columns struct {
	header []string
	places map[string][]int // by folded name
}

// NewColumns indexes a header.
func NewColumns(header []string) *Columns {
	c := &Columns{header: header, places: make(map[string][]int, len(header))}
	for i, name := range header {
		if f := foldColumn(name); f != "" {
			c.places[f] = append(c.places[f], i)
		}
	}
	return c
}

// Find returns the place of a column. The error is a *ColumnError.
func (c *Columns) Find(name string) (int, error) {
	switch places := c.places[foldColumn(name)]; len(places) {
	case 1:
		return places[0], nil
	case 0:
		return 0, &ColumnError{Message: fmt.Sprintf("the audience has no column %q", name), Hint: c.hint(name)}
	default:
		return 0, &ColumnError{
			Message: fmt.Sprintf("the audience has the column %q %d times (columns %s)", name, len(places), ordinals(places)),
			Hint:    "rename one of them in the file",
		}
	}
}

// ColumnError says why a column cannot be used.
type ColumnError struct{ Message, Hint string }

// Error returns message and hint.
func (e *ColumnError) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

func (c *Columns) hint(name string) string {
	if near := tomlfile.Suggest(name, c.header); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "it has: " + nameList(c.header)
}

// PhoneCandidates returns the columns whose names sound like a telephone.
func (c *Columns) PhoneCandidates() []string {
	var out []string
	for _, name := range c.header {
		f := foldColumn(name)
		if slices.ContainsFunc(phoneWords, func(w string) bool { return strings.Contains(f, w) }) {
			out = append(out, name)
		}
	}
	return out
}

var phoneWords = []string{"phone", "fone", "cel", "whats", "wpp", "zap", "mobile", "movil", "msisdn", "tel", "numero"}

// foldColumn drops what people get wrong without meaning another column.
func foldColumn(s string) string {
	s = strings.TrimSpace(s)
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		s = norm.NFD.String(s)
	}
	var b strings.Builder
	gap := false
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
			continue
		case unicode.IsSpace(r), r == '_', r == '-':
			gap = true
			continue
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// nameList quotes at most a dozen names.
func nameList(names []string) string {
	const most = 12
	var b strings.Builder
	for i, n := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}

// ordinals writes places as people count columns, from 1.
func ordinals(places []int) string {
	out := make([]string, len(places))
	for i, p := range places {
		out[i] = fmt.Sprint(p + 1)
	}
	return strings.Join(out, ", ")
}
