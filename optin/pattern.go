package optin

import "strings"

// language holds the words and rules of one language. Every set is a list of
// folded words; patterns name it in angle brackets. Three sets have a meaning of
// their own: not and why are what a rule's notAfter names, aux what may stand
// between such a word and the rule, and if what undoes them ("if you don't stop").
type language struct {
	name  string
	sets  map[string]map[string]bool
	rules []rule
}

// rule is a row of the table. A pattern is a head, and behind it a tail if there
// are any. Patterns are words and signs with spaces between:
//
//	word      that word          a/b       either
//	<set>     any word of a set  x? x*     x or nothing; up to four of x
//	..        up to four words of any kind
//	^         the clause begins here (a clause is what stands between two marks)
//	.         it ends here       !         it ends here and is no question
//	-<set>    what follows, but for words of the set det, is not of this set
type rule struct {
	name     string
	notAfter string // "not" or "why": the set that takes the meaning away, if it stands before
	whole    bool   // counts only in a message of one clause
	heads    []string
	tails    []string
}

// gap is the number of words that a star, two dots, or a look-ahead passes over.
const gap = 4

const (
	oneOf = iota
	anyWord
	atStart
	atEnd
	atStatement
	notNext
)

// element is one sign of a pattern.
type element struct {
	kind        int
	words       map[string]bool // of oneOf and notNext
	skip        map[string]bool // of notNext: what it passes over
	least, most int             // how often
}

// pattern is a head with a tail, ready to be matched.
type pattern struct {
	rule     *rule
	language *language
	elements []element
}

// starts holds the patterns by the words that can begin them, so that most words
// of a message are looked up once and that is all.
var starts = func() map[string][]*pattern {
	out := map[string][]*pattern{}
	for _, l := range languages {
		for i := range l.rules {
			r := &l.rules[i]
			for _, p := range l.compile(r) {
				for w := range p.firsts() {
					out[w] = append(out[w], p)
				}
			}
		}
	}
	return out
}()

func (l *language) compile(r *rule) (out []*pattern) {
	tails := r.tails
	if len(tails) == 0 {
		tails = []string{""}
	}
	for _, head := range r.heads {
		for _, tail := range tails {
			p := &pattern{rule: r, language: l}
			for _, sign := range strings.Fields(head + " " + tail) {
				p.elements = append(p.elements, l.element(sign))
			}
			out = append(out, p)
		}
	}
	return out
}

func (l *language) element(sign string) element {
	switch sign {
	case "^":
		return element{kind: atStart}
	case ".":
		return element{kind: atEnd}
	case "!":
		return element{kind: atStatement}
	case "..":
		return element{kind: anyWord, most: gap}
	}
	if set, ok := strings.CutPrefix(sign, "-"); ok {
		return element{kind: notNext, words: l.set(set), skip: l.sets["det"]}
	}
	e := element{kind: oneOf, least: 1, most: 1}
	if s, ok := strings.CutSuffix(sign, "?"); ok {
		sign, e.least = s, 0
	} else if s, ok := strings.CutSuffix(sign, "*"); ok {
		sign, e.least, e.most = s, 0, gap
	}
	e.words = l.set(sign)
	return e
}

// set finds "<a>/b/c": the words of a set, and words.
func (l *language) set(sign string) map[string]bool {
	out := map[string]bool{}
	for part := range strings.SplitSeq(sign, "/") {
		name, named := strings.CutPrefix(part, "<")
		if !named {
			out[part] = true
			continue
		}
		set, ok := l.sets[strings.TrimSuffix(name, ">")]
		if !ok {
			panic("optin: the language " + l.name + " has no set " + part)
		}
		for w := range set {
			out[w] = true
		}
	}
	return out
}

// firsts are the words that can be the pattern's first.
func (p *pattern) firsts() map[string]bool {
	out := map[string]bool{}
	for _, e := range p.elements {
		if e.kind == atStart {
			continue
		}
		if e.kind != oneOf {
			panic("optin: a pattern of " + p.rule.name + " begins with no word")
		}
		for w := range e.words {
			out[w] = true
		}
		if e.least > 0 {
			break
		}
	}
	return out
}

// words makes a set of lists of words.
func words(lists ...string) map[string]bool {
	out := map[string]bool{}
	for _, list := range lists {
		for _, w := range strings.Fields(list) {
			out[w] = true
		}
	}
	return out
}
