package tomlfile

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSuggest(t *testing.T) {
	known := []string{"id", "at", "to", "from", "cron", "title", "timezone", "per_second", "template", "max_length", "skip_dates"}
	for word, want := range map[string]string{
		"titel": "title", "Title": "title", "título": "title", "titles": "title", "tile": "title",
		"per-second": "per_second", "Per Second": "per_second", "per_secnod": "per_second", "persecond": "per_second",
		"timezon": "timezone", "tempalte": "template", "corn": "cron", "form": "from", "ID": "id", "skipdate": "skip_dates",
		"ta": "", "x": "", "": "", "i": "", "audience": "", "zone": "", "max": "", "te": "", "tuele": "", "teemzone": "timezone",
		strings.Repeat("title", 100_000): "",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("%.20q: %q, want %q", word, got, want)
		}
	}
	if got := Suggest("ab", nil); got != "" {
		t.Error(got)
	}
	if got := Suggest("aaab", []string{"aaac", "aaad"}); got != "aaac" {
		t.Errorf("the first of the near ones, not %q", got)
	}
}

// naiveDistance is the definition, without a table.
func naiveDistance(a, b []rune) int {
	switch {
	case len(a) == 0:
		return len(b)
	case len(b) == 0:
		return len(a)
	}
	x, y := len(a)-1, len(b)-1
	change := 1
	if a[x] == b[y] {
		change = 0
	}
	d := min(naiveDistance(a[:x], b)+1, naiveDistance(a, b[:y])+1, naiveDistance(a[:x], b[:y])+change)
	if x > 0 && y > 0 && a[x] == b[y-1] && a[x-1] == b[y] {
		d = min(d, naiveDistance(a[:x-1], b[:y-1])+1)
	}
	return d
}

func TestDistanceIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.RuneFrom([]rune("abé")), 0, 6).Draw(t, "a")
		b := rapid.SliceOfN(rapid.RuneFrom([]rune("abé")), 0, 6).Draw(t, "b")
		if got, want := distance(a, b), naiveDistance(a, b); got != want || got != distance(b, a) {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

// TestPlacesAreCounted checks lines and columns against counting by hand.
func TestPlacesAreCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"a", "é", "窓", "🪟", "\n", "\r\n", strings.Repeat("窓", 400), strings.Repeat("x", 1023)})
		text := strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "pieces"), "")
		src := newSource([]byte(text))
		for range 10 {
			offset := rapid.IntRange(0, len(text)).Draw(t, "offset")
			for offset < len(text) && !utf8.RuneStart(text[offset]) {
				offset++
			}
			before := text[:offset]
			wantLine := strings.Count(before, "\n") + 1
			wantColumn := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
			if line, column := src.at(offset); line != wantLine || column != wantColumn {
				t.Fatalf("offset %d: %d:%d, want %d:%d", offset, line, column, wantLine, wantColumn)
			}
			if got, want := string(src.line(offset)), strings.TrimSuffix(strings.Split(text, "\n")[wantLine-1], "\r"); got != want {
				t.Fatalf("line of %d: %q, want %q", offset, got, want)
			}
		}
	})
}
