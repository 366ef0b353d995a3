package optin

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func corpus(t *testing.T) []Phrase {
	t.Helper()
	all, err := Corpus()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The corpus is large enough, nothing stands in it twice, and a third of it was
// written after the rules.
func TestCorpus(t *testing.T) {
	const least = 150
	total, held, seen := map[string]int{}, map[string]int{}, map[string]int{}
	for _, p := range corpus(t) {
		total[p.Language]++
		if p.HeldOut {
			held[p.Language]++
		}
		key := fmt.Sprint(p.Language, p.Button, p.Text)
		if seen[key] > 0 {
			t.Errorf("%s:%d: %q stands in line %d as well", p.Language, p.Line, p.Text, seen[key])
		}
		seen[key] = p.Line
	}
	for _, l := range languages {
		if total[l.name] < least || 3*held[l.name] < total[l.name] {
			t.Errorf("%s: %d phrases, of them %d held out; want %d or more, and a third", l.name, total[l.name], held[l.name], least)
		}
	}
}

// Nobody is stopped who did not ask, and no exact word is missed.
func TestExactLevel(t *testing.T) {
	for _, g := range MeasureGroups(corpus(t)) {
		if g.Missed+g.FalseBlocks == 0 && g.Exact > 0 {
			continue
		}
		t.Errorf("%s, held out %t: of %d exact words %d were missed, and %d phrases stopped that should not", g.Language, g.HeldOut, g.Exact, g.Missed, g.FalseBlocks)
		for _, w := range g.Wrong {
			t.Logf("%s:%d: %q is %s, taken for %s (%s)", w.Phrase.Language, w.Phrase.Line, w.Phrase.Text, w.Phrase.Verdict, w.Got, w.Rule)
		}
	}
}

// The page for users states the figures, and they are those of today.
func TestFiguresAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../docs/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range MeasureGroups(corpus(t)) {
		from := "tuned on"
		if g.HeldOut {
			from = "held out"
		}
		row := fmt.Sprintf("| `%s` | %s | %d | %d | %d | %d | %d | %d | %d | %.1f %% | %.1f %% |", g.Language, from, g.Phrases, g.Exact, g.Missed,
			g.FalseBlocks, g.Review, g.Found, g.FalseAlarms, 100*g.Precision(), 100*g.Recall())
		if !strings.Contains(string(b), row+"\n") {
			t.Errorf("docs/consent.md lacks the row\n%s", row)
		}
	}
	for _, rule := range HintRules() {
		if !strings.Contains(string(b), "`"+rule+"`") {
			t.Errorf("docs/consent.md does not explain the rule `%s`", rule)
		}
	}
}

func TestMeasure(t *testing.T) {
	var phrases []Phrase
	for _, c := range []struct {
		want Verdict
		text string
	}{
		{VerdictStop, "stop"},
		{VerdictStop, "hello"},              // missed
		{VerdictStop, "stop all"},           // too much: missed, and a false block
		{VerdictAll, "stop"},                // too little: missed
		{VerdictCodes, "stop"},              // another thing: missed, and a false block
		{VerdictNo, "stop codes"},           // a false block
		{VerdictMaybe, "stop"},              // a false block, and not found
		{VerdictMaybe, "please stop"},       // found
		{VerdictMaybe, "hello"},             // not found
		{VerdictNo, "leave me alone"},       // a false alarm
		{VerdictNo, "hello"},                // right
		{VerdictStop, "leave me alone now"}, // missed: no false alarm, it is one
	} {
		phrases = append(phrases, Phrase{Language: "x", Verdict: c.want, Text: c.text})
	}
	f := Measure(phrases)
	wrong := len(f.Wrong)
	f.Wrong = nil
	if got, want := fmt.Sprintf("%+v", f), "{Phrases:12 Exact:6 Missed:5 FalseBlocks:4 Review:3 Found:1 FalseAlarms:1 Wrong:[]}"; got != want || wrong != 9 {
		t.Errorf("got  %s, %d wrong\nwant %s, 9", got, wrong, want)
	}
	if p, r := f.Precision(), f.Recall(); p != 0.5 || r != 1.0/3 {
		t.Errorf("precision %v, recall %v", p, r)
	}
	if f := Measure(nil); f.Precision() != 1 || f.Recall() != 1 {
		t.Error("of nothing, everything is right")
	}
}

func TestMaybe(t *testing.T) {
	for text, want := range map[string]string{
		"não quero mais receber isso":               "no_more_messages pt_BR",
		"parem de me mandar mensagem":               "stop_sending pt_BR",
		"quiero darme de baja":                      "unsubscribe es",
		"take me off your list":                     "remove_me en",
		"me tira dessa lista por favor":             "remove_me pt_BR",
		"Sair, por favor!":                          "stop_word pt_BR",
		"STOP. Who are you?":                        "stop_word en",
		"cancelar, por favor":                       "stop_word pt_BR",
		"Cancelar. O pedido 12":                     "", // the word is for something else
		"não quero mais":                            "no_more_at_all pt_BR",
		"não quero mais, troca pelo azul":           "", // the rule is for a whole message
		"unsubscrbe":                                "stop_word en",
		"I unsubscribed":                            "",
		"isso é spam":                               "spam pt_BR",
		"isso é spam?":                              "",
		"se não pararem de mandar mensagem":         "stop_sending pt_BR",
		"não parem de mandar mensagem":              "",
		"não quero que parem de mandar mensagem":    "",
		"não gosto disso, parem de mandar":          "stop_sending pt_BR",
		"por que não me mandem mais promoções":      "",
		"não me mande mais boletos":                 "",
		"¿dónde doy de baja la pauta?":              "",
		"pare o carro":                              "",
		"não quero sair de casa, tem entrega?":      "",
		"cancelar meu pedido":                       "",
		"stop by the shop tomorrow?":                "",
		"quero parar de fumar":                      "",
		"parem de mandar mensagem de cobrança":      "",
		"parem de mandar mensagem de madrugada":     "stop_sending pt_BR",
		"STOP":                                      "", // certain, not maybe
		"sair de tudo":                              "",
		"":                                          "",
		"?!":                                        "",
		strings.Repeat("a", longest) + "! chega":    "",
		"chega! " + strings.Repeat("a ", longest):   "leave_me_alone pt_BR",
		strings.Repeat("ok ", 4000) + "take me off": "remove_me en",
	} {
		h, ok := Maybe(text)
		got := strings.TrimSpace(h.Rule + " " + h.Language)
		if got != want || ok != (want != "") {
			t.Errorf("Maybe(%.60q) = %q, want %q", text, got, want)
		}
	}
}

// Every rule of every language is met by a phrase of the corpus, whatever rule
// would have come first.
func TestEveryRuleFires(t *testing.T) {
	met := map[*rule]bool{}
	for _, p := range corpus(t) {
		if p.Verdict != VerdictMaybe {
			continue
		}
		all := clauses(p.Text)
		for _, c := range all {
			for at, w := range c.numbers {
				for _, pat := range starts[w] {
					if r := new(reader); (!pat.rule.whole || len(all) == 1) && r.match(c, at, at, pat.elements) && !r.denied(c, at, pat) {
						met[pat.rule] = true
					}
				}
			}
		}
	}
	for _, l := range languages {
		for i := range l.rules {
			if r := &l.rules[i]; !met[r] {
				t.Errorf("%s: nothing in the corpus meets the rule %s of %q: add a phrase, or take the rule out", l.name, r.name, r.heads)
			}
		}
	}
}

// A word in the tables that no message can contain, because it is a courtesy,
// not folded, or always mended, would be a rule that never holds.
func TestWordsCanBeMet(t *testing.T) {
	joined := map[string]bool{}
	for _, one := range pairs {
		joined[one] = true
	}
	check := func(where, w string) {
		if got := clauses(w); !joined[w] && (len(got) != 1 || !slices.Equal(got[0].words, []string{w})) {
			t.Errorf("%s: %q becomes %v before any rule looks", where, w, got)
		}
	}
	for _, l := range languages {
		for name, set := range l.sets {
			for w := range set {
				check(l.name+" <"+name+">", w)
			}
		}
		for _, r := range l.rules {
			for _, p := range append(slices.Clone(r.heads), r.tails...) {
				for _, sign := range strings.Fields(p) {
					for part := range strings.SplitSeq(strings.TrimRight(strings.TrimLeft(sign, "-~"), "?*"), "/") {
						if part != "" && !strings.ContainsAny(part, "<^.!") {
							check(l.name+" "+r.name, part)
						}
					}
				}
			}
		}
	}
	for pair, one := range pairs {
		if !slices.Equal(strings.Fields(fold(pair)), strings.Fields(pair)) || one != "" && courtesies[one] {
			t.Errorf("the pair %q: %q", pair, one)
		}
	}
}

// What the signs of a pattern mean.
func TestPatterns(t *testing.T) {
	l := &language{name: "test", sets: map[string]map[string]bool{
		"no": words("no"), "aux": words("want"), "if": words("if"), "det": words("the my"), "bill": words("bill"), "box": words("box crate"),
	}}
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"open <box>", "open crate", true},
		{"open <box>/bag", "open bag", true},
		{"open box", "open crate", false},
		{"open the? box", "open box", true},
		{"open the? box", "open the box", true},
		{"open the? box", "open the the box", false},
		{"open the* box", "open the the the the box", true},
		{"open the* box", "open the the the the the box", false},
		{"open .. box", "open box", true},
		{"open .. box", "open a b c d box", true},
		{"open .. box", "open a b c d e box", false},
		{"open .. box", "open a, box", false}, // another clause
		{"^ open", "open it", true},
		{"^ open", "I open", false},
		{"^ open", "hm, open", true},
		{"open .", "open", true},
		{"open .", "open?", true},
		{"open .", "open please", true}, // a courtesy
		{"open .", "open it", false},
		{"open !", "open!", true},
		{"open !", "open?", false},
		{"open ~<bill>", "open", true},
		{"open ~<bill>", "open bill", false},
		{"open ~<bill>", "open the bill", true},
		{"open -<bill>", "open the box", true},
		{"open -<bill>", "open the bill", false},
		{"open -<bill>", "open the my the bill", false},
	} {
		numbers := compiler{maps.Clone(vocabulary)}
		p := numbers.patterns(l, &rule{name: "x", notAfter: "no", heads: []string{c.pattern}})[0]
		got := false
		for _, cl := range clauses(c.text) {
			for i, w := range cl.words {
				cl.numbers[i] = numbers.numbers[w]
			}
			for at := range cl.words {
				got = got || p.firsts()[cl.numbers[at]] && new(reader).match(cl, at, at, p.elements)
			}
		}
		if got != c.want {
			t.Errorf("%q in %q: %t", c.pattern, c.text, got)
		}
	}
}

// workPerWord bounds the comparisons for one word of a text, whatever stands
// around it: what the longest patterns and their alternatives cost.
const workPerWord = 800

// The work grows with the text and no faster, also for a text made of the words
// on which the patterns feed.
func TestMaybeIsLinear(t *testing.T) {
	var feed []string
	for _, l := range languages {
		for _, set := range l.sets {
			for w := range set {
				feed = append(feed, w)
			}
		}
	}
	slices.Sort(feed)
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.SampledFrom(feed), 1, 6).Draw(t, "words")
		text := strings.Repeat(strings.Join(some, " ")+" ", 400)
		// Count as if no rule ever held, so that nothing ends the search early.
		n, r := 0, new(reader)
		for _, c := range clauses(text) {
			n += len(c.words)
			for at, w := range c.numbers {
				for _, p := range starts[w] {
					r.match(c, at, at, p.elements)
					r.denied(c, at, p)
				}
			}
		}
		if r.compared > workPerWord*n {
			t.Errorf("%d comparisons for %d words", r.compared, n)
		}
	})
}

func TestReadPhrases(t *testing.T) {
	for file, want := range map[string]string{
		"verdict":                                                             "x:1:",
		phraseHeader + "\nstop\ttext\tno\ta":                                  "x:2: 4 columns",
		phraseHeader + "\nwhy\ttext\tno\ta\t":                                 `x:2: the verdict`,
		phraseHeader + "\nno\tvoice\tno\ta\t":                                 "x:2: how",
		phraseHeader + "\nno\ttext\t1\ta\t":                                   "x:2: held_out",
		phraseHeader + "\nno\ttext\tno\t\\q\t":                                "x:2: the phrase",
		phraseHeader + "\nmaybe\tbutton\tno\tSTOP|x\t":                        "x:2: a button",
		phraseHeader + "\nno\ttext\tno\t" + strings.Repeat("a", 1<<20) + "\t": "x: ",
	} {
		if _, err := ReadPhrases(strings.NewReader(file), "x"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s…", file, err, want)
		}
	}
	got, err := ReadPhrases(strings.NewReader(phraseHeader+"\nstop\tbutton\tyes\tST\\u200bOP|\"x\"\t=\n"), "x")
	want := Phrase{Language: "x", Line: 2, Verdict: VerdictStop, Button: true, HeldOut: true, Text: "ST\u200bOP|\"x\"", Remark: "="}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzReadPhrases(f *testing.F) {
	f.Add(phraseHeader + "\nstop\ttext\tno\tSAIR\t\n")
	f.Add(phraseHeader + "\r\nno\tbutton\tyes\t\\\"|\\\\\tx")
	f.Fuzz(func(t *testing.T, s string) {
		phrases, err := ReadPhrases(strings.NewReader(s), "x")
		if err == nil {
			Measure(phrases)
		}
	})
}

func FuzzMaybe(f *testing.F) {
	all, err := Corpus()
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range all {
		if !p.Button {
			f.Add(p.Text)
		}
	}
	f.Add(strings.Repeat("nao ", 1<<18))
	f.Add(strings.Repeat("o", 1<<20))
	rules := HintRules()
	f.Fuzz(func(t *testing.T, s string) {
		h, ok := Maybe(s)
		if ok != (h != Hint{}) || ok && !slices.Contains(rules, h.Rule) {
			t.Errorf("Maybe(%q) = %+v, %t", s, h, ok)
		}
		if _, exact := Stop(s); exact && ok {
			t.Errorf("%q both stops and may stop", s)
		}
		for _, same := range []string{" " + s + " ", "…" + s + "!", "*_" + s + "_*\n🙏🏽", shout(s)} {
			if again, _ := Maybe(same); len(same) <= longest && again != h {
				t.Errorf("Maybe(%q) = %+v, but %+v of %q", s, h, again, same)
			}
		}
		if len(s) > longest {
			if cut, _ := Maybe(s[:longest]); cut != h {
				t.Errorf("what stands behind the limit of a message counts")
			}
			return
		}
		n, r := 0, new(reader)
		for _, c := range clauses(s) {
			n += len(c.words)
		}
		if r.read(clauses(s)); r.compared > workPerWord*n {
			t.Errorf("%d comparisons for %d words", r.compared, n)
		}
	})
}

func BenchmarkMaybe(b *testing.B) {
	for name, text := range map[string]string{
		"short":   "Bom dia, qual o prazo de entrega do meu pedido?",
		"longest": strings.Repeat("não quero que me mandem de novo a mesma coisa ", longest/50),
		"1MB":     strings.Repeat("nao ", 1<<18),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Maybe(text)
			}
		})
	}
}
