package optin

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Hint says that a message may mean an opt-out, and by which rule one thinks so.
// It never holds what the person wrote.
type Hint struct {
	Rule     string // "remove_me": one of HintRules
	Language string // of the rule: "pt_BR", "es" or "en"
}

// ruleStopWord is the rule without patterns: a word that stops, with nothing
// beside it but courtesy ("please stop", "Sair, por favor. Obrigado").
const ruleStopWord = "stop_word"

// Maybe tells whether a message may mean an opt-out, although Stop does not know
// it. It guesses, so that a person looks at the message: it is no revocation.
//
// What decides is what stands to the right. A verb of sending, stopping or
// leaving counts if nothing follows, or our messages, or the list; with any other
// object ("não me mande mais boletos", "doy de baja la pauta") it is about that
// object. What the person denies ("não quero sair da lista") does not count.
//
// The text is brought to plain words as for Stop, cut into clauses at its
// punctuation, and stripped of courtesies; then the patterns of every language are
// tried at every word, because people mix languages. Patterns look ahead a fixed
// number of words, so the work grows with the text's length and no faster, and
// never with more than the longest text WhatsApp knows.
func Maybe(text string) (Hint, bool) {
	if _, ok := Stop(text); ok {
		return Hint{}, false // that is certain
	}
	if len(text) > longest {
		text = text[:longest]
	}
	return new(reader).read(clauses(text))
}

// HintRules returns the names of the rules, sorted.
func HintRules() []string {
	names := []string{ruleStopWord}
	for _, l := range languages {
		for _, r := range l.rules {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// clause is what stands between two marks, without courtesies.
type clause struct {
	words   []string
	numbers []int // of the words, in vocabulary
	asked   bool  // it ends with a question mark
}

// ends tells whether nothing follows from word i on.
func (c clause) ends(i int) bool {
	return i == len(c.words) || i == len(c.words)-1 && dangling[c.words[i]]
}

func numbersOf(words []string) []int {
	out := make([]int, len(words))
	for i, w := range words {
		out[i] = vocabulary[w]
	}
	return out
}

// clauses cuts a text at its punctuation. Unlike fold it keeps apart what a comma
// separates ("não, quero sair"), writes "don't" as one word, and undoes what
// people do to words: letters drawn out, two spellings of one thing.
func clauses(text string) []clause {
	var out []clause
	var said []string
	var word strings.Builder
	endWord := func() {
		if word.Len() > 0 {
			said = append(said, known(squeeze(word.String())))
			word.Reset()
		}
	}
	endClause := func(asked bool) {
		endWord()
		if kept := strip(said); len(kept) > 0 {
			out = append(out, clause{kept, numbersOf(kept), asked})
		} else if asked && len(out) > 0 {
			out[len(out)-1].asked = true // "stop??", "stop !?"
		}
		said = nil
	}
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(text, " ")) {
		switch {
		case strings.ContainsRune("'’‘ʼ`", r) || unicode.In(r, unicode.M, unicode.Cf):
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			word.WriteRune(small(r))
		case r == '🛑':
			endWord()
			said = append(said, "stop")
		case r == '?' || r == '¿':
			endClause(r == '?')
		case strings.ContainsRune(".,;!¡\n–—|", r):
			endClause(false)
		default:
			endWord()
		}
	}
	endClause(false)
	return out
}

// squeeze writes three letters in a row or more as one: "stooop", "chegaaaa".
func squeeze(w string) string {
	var b strings.Builder
	rs := []rune(w)
	for i := 0; i < len(rs); {
		j := i
		for j < len(rs) && rs[j] == rs[i] {
			j++
		}
		if n := j - i; n < 3 {
			b.WriteString(string(rs[i:j]))
		} else {
			b.WriteRune(rs[i])
		}
		i = j
	}
	return b.String()
}

// known mends what is often mistyped: short words by a list, and one mistake (a
// letter too many, too few, wrong, or two exchanged) in the long words that nothing
// else looks like.
func known(w string) string {
	if mended, ok := typos[w]; ok {
		return mended
	}
	if notLong[w] || vocabulary[w] > 0 {
		return w
	}
	for _, k := range longWords {
		if d := len(w) - len(k); d >= -1 && d <= 1 && oneMistake(w, k) {
			return k
		}
	}
	return w
}

// oneMistake compares bytes: what it looks at is ASCII, and anything else is no
// such word.
func oneMistake(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if len(a) > len(b) {
		return a[i+1:] == b[i:]
	}
	if i == len(b) || a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(b) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// strip joins what is one thing in two words, and takes courtesies out.
func strip(said []string) []string {
	var out []string
	for i := 0; i < len(said); i++ {
		w := said[i]
		if i+1 < len(said) {
			if one, ok := pairs[w+" "+said[i+1]]; ok {
				w, i = one, i+1
			}
		}
		if w != "" && !courtesies[w] {
			out = append(out, w)
		}
	}
	return out
}

// denialReach is how many words before a pattern a denial is looked for.
const denialReach = 6

// reader looks for hints; compared counts the words that it looked at.
type reader struct{ compared int }

func (r *reader) read(all []clause) (Hint, bool) {
	for _, c := range all {
		if k, ok := stopTable[strings.Join(slices.Compact(slices.Clone(c.words)), " ")]; ok && (len(all) == 1 || !typedOnly[k.Word]) {
			return Hint{ruleStopWord, k.Language}, true
		}
		for at, n := range c.numbers {
			for _, p := range starts[n] {
				if (!p.rule.whole || len(all) == 1) && r.match(c, at, at, p.elements) && !r.denied(c, at, p) {
					return Hint{p.rule.name, p.language.name}, true
				}
			}
		}
	}
	return Hint{}, false
}

// denied tells whether the words before take the meaning away: a denial with
// nothing but auxiliaries between ("não quero que me tirem"), or a why ("why
// don't you send me offers any more").
func (r *reader) denied(c clause, at int, p *pattern) bool {
	for i := at - 1; i >= 0 && i >= at-denialReach; i-- {
		r.compared++
		if p.notAfter.has(c.numbers[i]) {
			return i == 0 || !p.unless.has(c.numbers[i-1]) // "se não pararem"
		}
		if !p.between.has(c.numbers[i]) {
			return false
		}
	}
	return false
}

// match tells whether the elements stand in the clause from word i on; the
// pattern began at word start.
func (r *reader) match(c clause, start, i int, es []element) bool {
	if len(es) == 0 {
		return true
	}
	r.compared++
	e, rest := &es[0], es[1:]
	switch e.kind {
	case atStart:
		return start == 0 && r.match(c, start, i, rest)
	case atEnd:
		return c.ends(i) && r.match(c, start, i, rest)
	case atStatement:
		return c.ends(i) && !c.asked && r.match(c, start, i, rest)
	case notThis:
		return (i == len(c.words) || !e.words.has(c.numbers[i])) && r.match(c, start, i, rest)
	case notNext:
		j := i
		for j < len(c.words) && j < i+gap && e.skip.has(c.numbers[j]) {
			j++
		}
		r.compared += j - i
		return (j == len(c.words) || !e.words.has(c.numbers[j])) && r.match(c, start, i, rest)
	}
	for n := 0; n <= e.most && i+n <= len(c.words); n++ {
		if n >= e.least && r.match(c, start, i+n, rest) {
			return true
		}
		if i+n == len(c.words) || e.kind == oneOf && !e.words.has(c.numbers[i+n]) {
			return false
		}
	}
	return false
}
