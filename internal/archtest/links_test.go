package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	link    = regexp.MustCompile(`\]\(([^)#: ]*)(#[^) ]*)?\)`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	marks   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are the names by which the headings of a page are linked, as GitHub
// makes them.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		text := strings.ToLower(marks.ReplaceAllString(m[1], "$1"))
		out["#"+strings.ReplaceAll(noSlug.ReplaceAllString(text, ""), " ", "-")] = true
	}
	return out
}

// Every page of the docs is reachable, those of docs/ from their index, and no
// link leads nowhere: not its file, not its heading.
func TestLinks(t *testing.T) {
	linked, indexed := map[string]bool{"README.md": true}, map[string]bool{}
	var pages []string
	for _, name := range tracked(t) {
		if filepath.Ext(name) != ".md" {
			continue
		}
		page, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // deleted and not yet committed
		}
		pages = append(pages, name)
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(page), ""), -1) {
			to := name
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(name), m[1])
			}
			linked[to] = true
			if name == "docs/README.md" {
				indexed[to] = true
			}
			target, err := os.Stat(filepath.Join(root, to))
			switch {
			case err != nil:
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			case m[2] != "" && !target.IsDir() && !anchors(text(t, to))[m[2]]:
				t.Errorf("%s links to %s%s, and %s has no such heading", name, m[1], m[2], to)
			}
		}
	}
	for _, p := range pages {
		switch inDocs := filepath.Dir(p) == "docs" && p != "docs/README.md"; {
		case inDocs && !indexed[p]:
			t.Errorf("%s is not in docs/README.md: link it where a reader would look for it", p)
		case !linked[p] && !strings.Contains(p, "testdata/"):
			t.Errorf("%s is linked from no page: link it from README.md or a page of docs/", p)
		}
	}
}

// The README says in Portuguese what it says in English: the same sections, the
// same blocks of code, the same code and the same links in each section.
func TestReadmesAgree(t *testing.T) {
	type section struct {
		Blocks, Code, Links []string
	}
	read := func(name, other string) (out []section) {
		page := text(t, name)
		bare := fenced.ReplaceAllStringFunc(page, func(block string) string { // a # in a block is no heading
			return strings.ReplaceAll(block, "\n#", "\n #")
		})
		for _, part := range strings.Split(bare, "\n## ") {
			s := section{Blocks: fenced.FindAllString(part, -1)}
			rest := fenced.ReplaceAllString(part, "")
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(rest, -1) {
				s.Code = append(s.Code, m[1])
			}
			for _, m := range link.FindAllStringSubmatch(rest, -1) {
				if m[1] != other {
					s.Links = append(s.Links, m[1]+m[2])
				}
			}
			out = append(out, s)
		}
		return out
	}
	english, portuguese := read("README.md", "README.pt-BR.md"), read("README.pt-BR.md", "README.md")
	if len(english) < 8 {
		t.Fatalf("only %d sections", len(english))
	}
	if diff := cmp.Diff(english, portuguese); diff != "" {
		t.Errorf("README.md and README.pt-BR.md differ in more than the language (-English +Portuguese):\n%s", diff)
	}
}
