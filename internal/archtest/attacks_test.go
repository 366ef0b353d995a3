package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var shownBy = regexp.MustCompile("`([A-Za-z0-9_-]+)`")

// The tests and scripts that docs/otp.md names against each attack are there.
func TestAttacksAreTested(t *testing.T) {
	there := map[string]bool{}
	for _, f := range open(t).files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && f.test {
				there[fn.Name.Name] = true
			}
		}
	}
	scripts, err := os.ReadDir(filepath.Join(root, "testdata", "script"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		there[strings.TrimSuffix(s.Name(), ".txtar")] = true
	}
	_, rest, _ := strings.Cut(text(t, "docs/otp.md"), "## Attacks\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	rows := 0
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		n, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err != nil {
			continue
		}
		if rows++; n != rows {
			t.Errorf("row %d is numbered %d", rows, n)
		}
		names := shownBy.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(names) == 0 && n != 33 { // of what does not exist
			t.Errorf("nothing shows that attack %d fails", n)
		}
		for _, name := range names {
			if !there[name[1]] {
				t.Errorf("attack %d: there is no test or script %s.\n  Name the one that shows it now.", n, name[1])
			}
		}
	}
	if rows != 34 {
		t.Errorf("%d attacks, want 34", rows)
	}
}
