package optin

import (
	"bufio"
	"embed"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// Verdict is what a phrase of the corpus should be taken for.
type Verdict string

const (
	VerdictStop  Verdict = "stop"       // an exact word: marketing
	VerdictAll   Verdict = "stop_all"   // an exact word: marketing and utility
	VerdictCodes Verdict = "stop_codes" // an exact phrase: one-time codes
	VerdictMaybe Verdict = "maybe"      // may mean an opt-out: for a person to look at
	VerdictNo    Verdict = "no"         // about something else
)

// Phrase is a line of the corpus.
type Phrase struct {
	Language string  // the file's name: "pt_BR"
	Line     int     // in the file, from 1
	Verdict  Verdict // expected
	Button   bool    // a button that was pressed; Text is its payload, "|" and its label
	HeldOut  bool    // written after the rules, which were not tuned on it
	Text     string
	Remark   string
}

// Judge returns what the detector takes the phrase for, and the rule by which.
func (p Phrase) Judge() (v Verdict, rule string) {
	var k Keyword
	var exact bool
	if p.Button {
		payload, label, _ := strings.Cut(p.Text, "|")
		k, exact = StopButton(payload, label)
	} else {
		k, exact = Stop(p.Text)
	}
	switch {
	case exact && k.Codes:
		return VerdictCodes, k.Word
	case exact && k.All:
		return VerdictAll, k.Word
	case exact:
		return VerdictStop, k.Word
	case p.Button:
		return VerdictNo, ""
	}
	if h, ok := Maybe(p.Text); ok {
		return VerdictMaybe, h.Rule
	}
	return VerdictNo, ""
}

// Wrong is a phrase that the detector took for something else than expected.
type Wrong struct {
	Phrase Phrase
	Got    Verdict
	Rule   string // the word or rule that fired, "" if none
}

// Figures count how the detector judges phrases. Every phrase belongs to one
// level: what is expected to stop, to the exact one; the rest to the review.
type Figures struct {
	Phrases     int
	Exact       int // phrases that should stop
	Missed      int // of them, those that did not stop, or stopped too little
	FalseBlocks int // phrases that stopped what they should not: wrongly, or too much
	Review      int // phrases that may mean an opt-out
	Found       int // of them, those found
	FalseAlarms int // phrases about something else that were taken for one that may
	Wrong       []Wrong
}

// Precision is the share of review hints that are right, Recall the share of
// phrases for review that are found: from 0 to 1, and 1 if there was none.
func (f Figures) Precision() float64 { return share(f.Found, f.Found+f.FalseAlarms) }

// Recall, see Precision.
func (f Figures) Recall() float64 { return share(f.Found, f.Review) }

func share(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

// Group is what is measured apart: a language, and of it what the rules were
// tuned on and what they were not.
type Group struct {
	Language string
	HeldOut  bool
	Figures
}

// MeasureGroups judges phrases in groups, in the order in which they are met;
// what was held out comes after the rest of its language.
func MeasureGroups(phrases []Phrase) []Group {
	var names []string
	parts := map[string]*[2][]Phrase{}
	for _, p := range phrases {
		if parts[p.Language] == nil {
			parts[p.Language] = &[2][]Phrase{}
			names = append(names, p.Language)
		}
		part := 0
		if p.HeldOut {
			part = 1
		}
		parts[p.Language][part] = append(parts[p.Language][part], p)
	}
	var out []Group
	for _, name := range names {
		for part, list := range parts[name] {
			if len(list) > 0 {
				out = append(out, Group{name, part == 1, Measure(list)})
			}
		}
	}
	return out
}

// Measure judges phrases.
func Measure(phrases []Phrase) Figures {
	f := Figures{Phrases: len(phrases)}
	for _, p := range phrases {
		got, rule := p.Judge()
		stops := p.Verdict != VerdictMaybe && p.Verdict != VerdictNo
		stopped := got != VerdictMaybe && got != VerdictNo
		if stops {
			f.Exact++
		}
		if p.Verdict == VerdictMaybe {
			f.Review++
		}
		if got == p.Verdict {
			if got == VerdictMaybe {
				f.Found++
			}
			continue
		}
		f.Wrong = append(f.Wrong, Wrong{p, got, rule})
		if stops {
			f.Missed++
		}
		if stopped && !(p.Verdict == VerdictAll && got == VerdictStop) {
			f.FalseBlocks++
		}
		if got == VerdictMaybe && p.Verdict == VerdictNo {
			f.FalseAlarms++
		}
	}
	return f
}

//go:embed testdata/phrases/*.tsv
var phraseFiles embed.FS

// Corpus returns the phrases that come with the program, by language.
func Corpus() ([]Phrase, error) {
	const dir = "testdata/phrases"
	var all []Phrase
	for _, l := range languages {
		f, err := phraseFiles.Open(path.Join(dir, l.name+".tsv"))
		if err != nil {
			return nil, err
		}
		phrases, err := ReadPhrases(f, l.name)
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, phrases...)
	}
	return all, nil
}

// phraseHeader is the first line of a file of phrases.
const phraseHeader = "verdict\thow\theld_out\tphrase\tremark"

// ReadPhrases reads a file of phrases: five columns separated by tabs, under a
// header. Columns are the verdict, text or button, yes or no for held_out, the
// phrase with Go's escapes (\n, \u200b), and a remark. Errors name the line.
func ReadPhrases(r io.Reader, language string) ([]Phrase, error) {
	var out []Phrase
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if n == 1 {
			if line != phraseHeader {
				return nil, fmt.Errorf("%s:1: the first line must be %q", language, phraseHeader)
			}
			continue
		}
		p, err := parsePhrase(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", language, n, err)
		}
		p.Language, p.Line = language, n
		out = append(out, p)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", language, err)
	}
	return out, nil
}

func parsePhrase(line string) (Phrase, error) {
	cells := strings.Split(line, "\t")
	if len(cells) != 5 {
		return Phrase{}, fmt.Errorf("%d columns, not 5", len(cells))
	}
	p := Phrase{Verdict: Verdict(cells[0]), Button: cells[1] == "button", HeldOut: cells[2] == "yes", Remark: cells[4]}
	switch p.Verdict {
	case VerdictStop, VerdictAll, VerdictCodes, VerdictMaybe, VerdictNo:
	default:
		return Phrase{}, fmt.Errorf("the verdict must be stop, stop_all, stop_codes, maybe or no, not %q", cells[0])
	}
	if !p.Button && cells[1] != "text" {
		return Phrase{}, fmt.Errorf("how must be text or button, not %q", cells[1])
	}
	if !p.HeldOut && cells[2] != "no" {
		return Phrase{}, fmt.Errorf("held_out must be yes or no, not %q", cells[2])
	}
	if p.Button && p.Verdict == VerdictMaybe {
		return Phrase{}, fmt.Errorf("a button stops or does not: it is never %s", VerdictMaybe)
	}
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(cells[3], `"`, `\"`) + `"`)
	if err != nil {
		return Phrase{}, fmt.Errorf("the phrase has an escape that Go does not know")
	}
	p.Text = text
	return p, nil
}
