package optin

import "strings"

// language holds the words and rules of one language. Every set is a list of
// folded words; patterns name it in angle brackets. Five sets have a meaning of
// their own: not and why are what a rule's notAfter names, aux what may stand
// between such a word and the rule, if what undoes them ("if you don't stop"), and
// det what stands between a verb and its object ("from all of your").
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
//	~<set>    the next word is not of this set
//	-<set>    the same of the next word that is not of the set det
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
	notThis
)

// wordSet says of the numbers of words which belong to it. A word that stands in
// no table has the number 0 and belongs to none.
type wordSet []bool

func (s wordSet) has(word int) bool { return word < len(s) && s[word] }

// element is one sign of a pattern.
type element struct {
	kind        int
	words       wordSet // of oneOf, notNext and notThis
	skip        wordSet // of notNext: what it passes over
	least, most int     // how often
}

// pattern is a head with a tail, ready to be matched.
type pattern struct {
	rule                      *rule
	language                  *language
	elements                  []element
	notAfter, between, unless wordSet // see reader.denied
}

// vocabulary numbers every word of the tables. starts holds the patterns by the
// numbers of the words that can begin them, so that most words of a message are
// looked up once and that is all.
var vocabulary, starts = compileAll()

// compiler gives numbers to words as it meets them.
type compiler struct{ numbers map[string]int }

func compileAll() (numbers map[string]int, starts map[int][]*pattern) {
	c := compiler{map[string]int{}}
	starts = map[int][]*pattern{}
	for _, l := range languages {
		for i := range l.rules {
			for _, p := range c.patterns(l, &l.rules[i]) {
				for w := range p.firsts() {
					starts[w] = append(starts[w], p)
				}
			}
		}
		for name := range l.sets {
			c.set(l, "<"+name+">") // those that no pattern names
		}
	}
	return c.numbers, starts
}

func (c compiler) patterns(l *language, r *rule) (out []*pattern) {
	tails := r.tails
	if len(tails) == 0 {
		tails = []string{""}
	}
	for _, head := range r.heads {
		for _, tail := range tails {
			p := &pattern{rule: r, language: l}
			for _, sign := range strings.Fields(head + " " + tail) {
				p.elements = append(p.elements, c.element(l, sign))
			}
			if r.notAfter != "" {
				p.notAfter, p.between, p.unless = c.set(l, "<"+r.notAfter+">"), c.set(l, "<aux>"), c.set(l, "<if>")
			}
			out = append(out, p)
		}
	}
	return out
}

func (c compiler) element(l *language, sign string) element {
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
		return element{kind: notNext, words: c.set(l, set), skip: c.set(l, "<det>")}
	}
	if set, ok := strings.CutPrefix(sign, "~"); ok {
		return element{kind: notThis, words: c.set(l, set)}
	}
	e := element{kind: oneOf, least: 1, most: 1}
	if s, ok := strings.CutSuffix(sign, "?"); ok {
		sign, e.least = s, 0
	} else if s, ok := strings.CutSuffix(sign, "*"); ok {
		sign, e.least, e.most = s, 0, gap
	}
	e.words = c.set(l, sign)
	return e
}

// set reads "<a>/b/c": the words of a set, and words.
func (c compiler) set(l *language, sign string) (out wordSet) {
	add := func(w string) {
		n, ok := c.numbers[w]
		if !ok {
			n = len(c.numbers) + 1
			c.numbers[w] = n
		}
		if n >= len(out) {
			out = append(out, make(wordSet, n+1-len(out))...)
		}
		out[n] = true
	}
	for part := range strings.SplitSeq(sign, "/") {
		name, named := strings.CutPrefix(part, "<")
		if !named {
			add(part)
			continue
		}
		set, ok := l.sets[strings.TrimSuffix(name, ">")]
		if !ok {
			panic("optin: the language " + l.name + " has no set " + part)
		}
		for w := range set {
			add(w)
		}
	}
	return out
}

// firsts are the words that can be the pattern's first.
func (p *pattern) firsts() map[int]bool {
	out := map[int]bool{}
	for _, e := range p.elements {
		if e.kind == atStart {
			continue
		}
		if e.kind != oneOf {
			panic("optin: a pattern of " + p.rule.name + " begins with no word")
		}
		for w, in := range e.words {
			if in {
				out[w] = true
			}
		}
		if e.least > 0 {
			break
		}
	}
	return out
}

// inflect puts every ending behind every stem.
func inflect(stems, endings string) string {
	var out []string
	for _, s := range strings.Fields(stems) {
		for _, e := range strings.Fields(endings) {
			out = append(out, s+e)
		}
	}
	return strings.Join(out, " ")
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
