package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"janela/optin"
)

// detector runs the command and returns what it printed and its exit code.
func detector(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := newDetector()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	err := cmd.Execute()
	var exit *exitError
	switch {
	case err == nil:
		return out.String(), 0
	case errors.As(err, &exit):
		return out.String(), exit.code
	default:
		return err.Error(), 2
	}
}

// The figures that are printed are those that the rules give, in every format.
func TestDetectorPrintsTheFigures(t *testing.T) {
	phrases, err := optin.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	groups := optin.MeasureGroups(phrases)
	asked, code := detector(t, "-o", "json")
	var got []detectorGroup
	if err := json.Unmarshal([]byte(asked), &got); err != nil || code != 0 || len(got) != len(groups) {
		t.Fatalf("exit code %d, %d groups of %d, %v", code, len(got), len(groups), err)
	}
	tabled, _ := detector(t)
	listed, _ := detector(t, "-o", "csv")
	rows, err := csv.NewReader(strings.NewReader(strings.ReplaceAll(listed, ";", ","))).ReadAll()
	if err != nil || len(rows) != len(groups)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, g := range groups {
		d := got[i]
		a := fmt.Sprint(d.Language, d.HeldOut, d.Phrases, d.Exact, d.Missed, d.FalseBlocks, d.Review, d.Found, d.FalseAlarms, d.Precision, d.Recall, len(d.Wrong))
		b := fmt.Sprint(g.Language, g.HeldOut, g.Phrases, g.Exact, g.Missed, g.FalseBlocks, g.Review, g.Found, g.FalseAlarms, g.Precision(), g.Recall(), len(g.Wrong))
		if a != b {
			t.Errorf("printed %s, measured %s", a, b)
		}
		from := map[bool]string{false: "tuned on", true: "held out"}[g.HeldOut]
		want := fmt.Sprintf("%s %s %d %d %d %d %d %d %d %.1f %% %.1f %%", g.Language, from, g.Phrases, g.Exact, g.Missed, g.FalseBlocks,
			g.Review, g.Found, g.FalseAlarms, 100*g.Precision(), 100*g.Recall())
		if row := strings.Join(rows[i+1], " "); row != want {
			t.Errorf("as CSV %s, want %s", row, want)
		}
		if row := strings.Join(strings.Fields(strings.Split(tabled, "\n")[i+1]), " "); row != want {
			t.Errorf("as table %s, want %s", row, want)
		}
	}
}

// Exit code 1 is for a false block and for a missed exact word, and for nothing
// else.
func TestDetectorExitCode(t *testing.T) {
	const header = "verdict\thow\theld_out\tphrase\tremark\n"
	for phrase, want := range map[string]struct {
		code  int
		wrong string
	}{
		"stop\ttext\tno\tSAIR\t":              {0, ""},
		"stop\ttext\tno\tembora\t":            {1, "stop  no  -  embora"},
		"no\ttext\tno\tcancelar\t":            {1, "no  stop  cancelar  cancelar"},
		"stop\ttext\tno\tsair de tudo\t":      {1, "stop  stop_all  sair de tudo  sair de tudo"},
		"maybe\ttext\tno\tqual o prazo?\t":    {0, "maybe  no  -  qual o prazo?"},
		"no\ttext\tno\tme deixa em paz\t":     {0, "no  maybe  leave_me_alone  me deixa em paz"},
		"no\tbutton\tno\tCANCELAR|Cancelar\t": {0, ""},
		"no\ttext\tperhaps\tx\t":              {2, ""},
	} {
		file := filepath.Join(t.TempDir(), "mine.tsv")
		if err := os.WriteFile(file, []byte(header+phrase+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, code := detector(t, "--file", file, "--wrong")
		if code != want.code {
			t.Errorf("%q: exit code %d, want %d: %s", phrase, code, want.code, out)
		}
		squeezed := strings.Join(strings.Fields(out), "  ")
		if code != 2 && (want.wrong != "") != strings.Contains(squeezed, "mine  tuned  on  2") ||
			!strings.Contains(squeezed, strings.Join(strings.Fields(want.wrong), "  ")) {
			t.Errorf("%q: %s", phrase, out)
		}
	}
	if out, code := detector(t, "--file", "no-such-file.tsv"); code != 2 {
		t.Errorf("exit code %d: %s", code, out)
	}
}
