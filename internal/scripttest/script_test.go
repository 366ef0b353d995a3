package scripttest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the expected rows in the scripts")

const folder = "../../testdata/script"

// TestScripts runs every script, each in a bubble of its own.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no script in %s: %v", folder, err)
	}
	if _, err := checker(); err != nil { // made outside of fake time
		t.Fatal(err)
	}
	for i, file := range files {
		if testing.Short() && i%4 != 0 {
			continue // under the race detector a part must do: what they run is the same
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s, err := readScript(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { s.play(t, dir) })
			if s.changed && *update {
				if err := os.WriteFile(file, txtar.Format(s.archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// script is a parsed archive.
type script struct {
	name    string
	lines   []line
	archive *txtar.Archive
	changed bool // expected rows were rewritten
}

// line is one command.
type line struct {
	n     int
	verb  string
	words []string
	rest  string // what stands behind the verb, as it is
}

func (l line) String() string { return strings.TrimSpace(l.verb + " " + l.rest) }

func readScript(file string) (*script, error) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		return nil, err
	}
	s := &script{name: filepath.Base(file), archive: archive}
	for i, text := range strings.Split(string(archive.Comment), "\n") {
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		verb, rest, _ := strings.Cut(text, " ")
		words, err := split(rest)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", s.name, i+1, err)
		}
		if _, ok := verbs[verb]; !ok {
			return nil, fmt.Errorf("%s:%d: there is no verb %q; doc.go lists them", s.name, i+1, verb)
		}
		s.lines = append(s.lines, line{n: i + 1, verb: verb, words: words, rest: strings.TrimSpace(rest)})
	}
	if len(s.lines) == 0 {
		return nil, fmt.Errorf("%s: the script has no command", s.name)
	}
	return s, nil
}

// split cuts a line into words; double quotes keep spaces.
func split(text string) (words []string, err error) {
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range text {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case !quoted && (r == ' ' || r == '\t'):
			if begun {
				words = append(words, word.String())
				word.Reset()
			}
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed: %s", text)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// file returns a file of the archive.
func (s *script) file(name string) (*txtar.File, error) {
	for i := range s.archive.Files {
		if s.archive.Files[i].Name == name {
			return &s.archive.Files[i], nil
		}
	}
	return nil, fmt.Errorf("the archive has no file %s", name)
}

// play runs the script in the bubble it is called in, and then asks whether
// what must always hold does. Nothing here may end the goroutine before the
// world is closed: the bubble waits for everything that runs in it.
func (s *script) play(t *testing.T, dir string) {
	w := newWorld(s, dir)
	failed := false
	for _, l := range s.lines {
		if err := verbs[l.verb](w, l); err != nil {
			t.Errorf("%s:%d: %s\n%v", s.name, l.n, l, err)
			failed = true
			break
		}
	}
	if err := w.close(); err != nil {
		t.Errorf("%s: closing: %v", s.name, err)
		failed = true
	}
	if !failed { // a script that broke off has said what matters
		for _, err := range w.invariants() {
			t.Errorf("%s: after the script: %v", s.name, err)
			failed = true
		}
	}
	if failed {
		t.Logf("the last lines of the log:\n%s", w.logs.tail(15))
	}
}
