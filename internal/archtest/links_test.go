package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
