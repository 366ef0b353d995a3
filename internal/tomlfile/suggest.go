package tomlfile

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Suggest returns the known word that the writer most likely meant, or "" when
// none is near. Case, accents and the choice of space, "-" or "_" do not count;
// two letters swapped count as one slip. Of equally near words the first wins.
func Suggest(word string, known []string) string {
	folded := []rune(fold(word))
	best, bestDistance := "", slips(len(folded))+1
	for _, k := range known {
		candidate := []rune(fold(k))
		// The difference in length is the least distance: most words end here.
		if gap := len(candidate) - len(folded); gap >= bestDistance || -gap >= bestDistance {
			continue
		}
		if d := distance(folded, candidate); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// slips is how many mistakes a word of n letters may hold and still be known.
func slips(n int) int {
	switch {
	case n < 3:
		return 0
	case n < 6:
		return 1
	case n < 9:
		return 2
	}
	return 3
}

// fold drops what people get wrong without meaning another word.
func fold(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(s))
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return '_'
		}
		return unicode.ToLower(r)
	}, s)
}

// distance is the least number of letters to add, drop, change or swap with
// their neighbour to make b of a (optimal string alignment).
func distance(a, b []rune) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
