package doctor

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is generated into docs/doctor.md")

// docs/doctor.md has every check and every fault, in the words of the program.
func TestDocs(t *testing.T) {
	page := filepath.Join("..", "..", "docs", "doctor.md")
	const begin, end = "go test ./internal/doctor -run Docs -update -->\n", "<!-- end of checks -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	have, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/doctor.md has lost its marks")
	}
	var b strings.Builder
	known := map[string]bool{}
	for i, c := range checks {
		known[c.name] = true
		fmt.Fprintf(&b, "\n## %s\n\n%d. %s.\n\n| finding | level | what is wrong | what to do |\n|---|---|---|---|\n", c.name, i+1, strings.ToUpper(c.what[:1])+c.what[1:])
		n := 0
		for _, f := range faults {
			if f.check == c.name {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.level, shown(f.text), shown(f.fix))
				n++
			}
		}
		if n == 0 {
			t.Errorf("the check %s finds nothing", c.name)
		}
	}
	for _, f := range faults {
		if !known[f.check] {
			t.Errorf("%s/%s belongs to no check", f.check, f.name)
		}
	}
	b.WriteString("\n")
	if have == b.String() {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+begin+b.String()+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/doctor.md has other checks than the program; run go test ./internal/doctor -run Docs -update\n%s", cmp.Diff(have, b.String()))
}

// shown writes {file} as people read it: FILE; what is only passed on is an
// ellipsis.
func shown(s string) string {
	s = strings.NewReplacer("{problem}", "what is wrong, with its place in the file", "{hint}", "what to write instead").Replace(s)
	for _, passed := range []string{"{error}", "{why}", "{solution}", "{detail}", "{alert}", "{what}"} {
		s = strings.ReplaceAll(s, passed, "…")
	}
	for {
		before, rest, ok := strings.Cut(s, "{")
		name, after, ok2 := strings.Cut(rest, "}")
		if !ok || !ok2 {
			return s
		}
		s = before + strings.ToUpper(name) + after
	}
}
