package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"janela/optin"
)

// detectorGroup is what is printed of the figures of one language, and of it of
// what the rules were tuned on or what was held out.
type detectorGroup struct {
	Language    string          `json:"language"`
	HeldOut     bool            `json:"held_out"`
	Phrases     int             `json:"phrases"`
	Exact       int             `json:"exact"`
	Missed      int             `json:"missed"`
	FalseBlocks int             `json:"false_blocks"`
	Review      int             `json:"review"`
	Found       int             `json:"found"`
	FalseAlarms int             `json:"false_alarms"`
	Precision   float64         `json:"precision"`
	Recall      float64         `json:"recall"`
	Wrong       []detectorWrong `json:"wrong"`
}

type detectorWrong struct {
	Line     int           `json:"line"`
	Phrase   string        `json:"phrase"`
	Expected optin.Verdict `json:"expected"`
	Got      optin.Verdict `json:"got"`
	Rule     string        `json:"rule"`
}

func newDetector() *cobra.Command {
	var file string
	var wrong bool
	cmd := &cobra.Command{
		Use:   "detector",
		Short: "Show how well words and phrases that stop messages are recognised",
		Long: "Judges the phrases that come with the program, or those of a file, and compares with the verdicts that stand beside them.\n" +
			"Exact words stop at once: none may be missed, and nothing else may stop (exit code 1). Phrases that may mean it are for\n" +
			"review: precision is the share of hints that are right, recall the share of such phrases that are found. Figures of\n" +
			"phrases that the rules were tuned on flatter; those held out were written after the rules.\n\n" +
			"A file has five columns separated by tabs: verdict, how, held_out, phrase, remark; see docs/consent.md.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().StringVar(&file, "file", "", "a file of phrases, instead of those that come with the program")
	cmd.Flags().BoolVar(&wrong, "wrong", false, "list the phrases that were judged wrongly, instead of the figures")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		phrases, err := phrasesOf(file)
		if err != nil {
			return err
		}
		groups := optin.MeasureGroups(phrases)
		if err := printDetector(cmd.OutOrStdout(), as, groups, wrong); err != nil {
			return err
		}
		for _, g := range groups {
			if g.Missed+g.FalseBlocks > 0 {
				return &exitError{code: 1}
			}
		}
		return nil
	}
	return cmd
}

func phrasesOf(file string) ([]optin.Phrase, error) {
	if file == "" {
		return optin.Corpus()
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	base := filepath.Base(file)
	return optin.ReadPhrases(f, strings.TrimSuffix(base, filepath.Ext(base)))
}

func printDetector(w io.Writer, as *format, groups []optin.Group, wrong bool) error {
	out, rows, wrongRows := []detectorGroup{}, [][]string{}, [][]string{}
	for _, g := range groups {
		d := detectorGroup{g.Language, g.HeldOut, g.Phrases, g.Exact, g.Missed, g.FalseBlocks, g.Review, g.Found, g.FalseAlarms,
			g.Precision(), g.Recall(), []detectorWrong{}}
		from := "tuned on"
		if g.HeldOut {
			from = "held out"
		}
		rows = append(rows, []string{d.Language, from, number(int64(d.Phrases)), number(int64(d.Exact)), number(int64(d.Missed)), number(int64(d.FalseBlocks)), number(int64(d.Review)),
			number(int64(d.Found)), number(int64(d.FalseAlarms)), fmt.Sprintf("%.1f %%", 100*d.Precision), fmt.Sprintf("%.1f %%", 100*d.Recall)})
		for _, x := range g.Wrong {
			d.Wrong = append(d.Wrong, detectorWrong{x.Phrase.Line, x.Phrase.Text, x.Phrase.Verdict, x.Got, x.Rule})
			wrongRows = append(wrongRows, []string{d.Language, from, number(int64(x.Phrase.Line)), string(x.Phrase.Verdict), string(x.Got), x.Rule, x.Phrase.Text})
		}
		out = append(out, d)
	}
	if wrong && as.value != asJSON {
		return printRows(w, as, []string{"language", "phrases", "line", "expected", "got", "rule", "phrase"}, wrongRows, nil)
	}
	return printRows(w, as, []string{"language", "phrases", "n", "exact", "missed", "false blocks", "review", "found", "false alarms", "precision", "recall"}, rows, out)
}
