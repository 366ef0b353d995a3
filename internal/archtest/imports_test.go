package archtest

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is one row of the table of rooms.
type room struct {
	name  string
	level int
	may   []string
}

func rooms(t *testing.T) map[string]room {
	t.Helper()
	out := map[string]room{}
	for _, row := range table(t, text(t, "docs/architecture.md"), "package") {
		if len(row) != 4 {
			t.Fatalf("docs/architecture.md: the row of %s has %d cells, not 4", row[0], len(row))
		}
		level, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatalf("docs/architecture.md: %s: level %q is no number", row[0], row[1])
		}
		if row[2] == "" {
			t.Errorf("docs/architecture.md: %s has no sentence", row[0])
		}
		out[row[0]] = room{row[0], level, list(row[3])}
	}
	for _, r := range out {
		for _, to := range r.may {
			below, ok := out[to]
			switch {
			case !ok:
				t.Errorf("docs/architecture.md: %s may import %s, which is no row of the table", r.name, to)
			case below.level >= r.level:
				t.Errorf("docs/architecture.md: %s (level %d) may not import %s (level %d): arrows point downward only", r.name, r.level, to, below.level)
			}
		}
	}
	return out
}

// Rule 1: the table of rooms is what the code does.
func TestImports(t *testing.T) {
	h, table := open(t), rooms(t)
	seen := map[string]bool{}
	for _, f := range h.files {
		name := short(f.pkg)
		if !seen[name] {
			seen[name] = true
			if _, ok := table[name]; !ok {
				t.Errorf("package %s is no room of the house.\n  Either move its code into a room that exists, or give it a row in docs/architecture.md: level, one sentence, what it may import.", name)
			}
		}
		if f.test {
			continue // tests may look wherever they need to
		}
		for imported := range f.imports() {
			if !strings.HasPrefix(imported, "janela/") {
				continue
			}
			to := short(imported)
			if r, ok := table[name]; ok && !slices.Contains(r.may, to) {
				t.Errorf("%s: %s imports %s, and the table of rooms does not allow it.\n  Either hand over what is needed from above (a parameter, a func field that daemon fills), or add %s to the row of %s in docs/architecture.md, if it points downward.",
					f.path, name, to, to, name)
			}
		}
	}
	for name := range table {
		if !seen[name] {
			t.Errorf("docs/architecture.md has a row for %s, which does not exist.\n  Either build it, or take the row out (what is planned stands in the text below the table).", name)
		}
	}
	for _, word := range []string{"util", "utils", "common", "types", "models", "helpers", "misc", "metrics"} {
		for name := range seen {
			if path.Base(name) == word {
				t.Errorf("package %s: the name says nothing.\n  Either name it after what it is about, or put its code where it is used.", name)
			}
		}
	}
}

// Rule 1, second half: the top level is the user's picture of the program.
func TestTopLevel(t *testing.T) {
	var known []string
	for _, row := range table(t, text(t, "docs/architecture.md"), "at the top") {
		known = append(known, list(row[0])...)
	}
	ignored := strings.Fields(text(t, ".gitignore"))
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		skip := name == ".git" || slices.ContainsFunc(ignored, func(pattern string) bool {
			ok, err := path.Match(strings.Trim(pattern, "/"), name)
			return err == nil && ok
		})
		if e.IsDir() {
			name += "/"
		}
		if !skip && !slices.Contains(known, name) {
			t.Errorf("%s is new at the top level.\n  Either put it under internal/, docs/ or testdata/, or name it in the table \"at the top\" of docs/architecture.md.", name)
		}
	}
	for _, k := range known {
		if _, err := os.Stat(filepath.Join(root, k)); err != nil {
			t.Errorf("docs/architecture.md lists %s at the top, and it is not there.\n  Either bring it back, or take it out of the table.", k)
		}
	}
}

// Rule 1, third part: the four required modules are each used by one room.
func TestRequiredModules(t *testing.T) {
	h := open(t)
	for _, row := range table(t, text(t, "docs/architecture.md"), "module") {
		module, by := row[0], row[1]
		used := map[string]bool{}
		for _, f := range h.code() {
			for imported := range f.imports() {
				if imported == module || strings.HasPrefix(imported, module+"/") {
					used[short(f.pkg)] = true
				}
			}
		}
		if !used[by] {
			t.Errorf("%s is required, and %s does not use it.\n  Either use it there, or correct the table of modules in docs/architecture.md.", module, by)
		}
		delete(used, by)
		for name := range used {
			t.Errorf("%s belongs to %s, and %s uses it too.\n  Either go through %s, or correct the table of modules in docs/architecture.md.", module, by, name, by)
		}
		if !strings.Contains(text(t, "go.mod"), module+" v") {
			t.Errorf("%s is not in go.mod", module)
		}
	}
}
