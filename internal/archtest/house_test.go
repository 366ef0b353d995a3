package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the top of the repository, seen from this package.
const root = "../.."

// file is one Go file of the house.
type file struct {
	path  string // from the root, with slashes
	pkg   string // the folder, "" for the root
	test  bool
	lines int
	ast   *ast.File
}

// house is every Go file, parsed once.
type house struct {
	fset  *token.FileSet
	files []file
}

var read = sync.OnceValues(func() (*house, error) {
	h := &house{fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "var") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) { // an editor's file that has gone meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(h.fset, rel, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(rel)
		if dir == "." {
			dir = ""
		}
		h.files = append(h.files, file{rel, dir, strings.HasSuffix(rel, "_test.go"), strings.Count(string(src), "\n"), parsed})
		return nil
	})
	return h, err
})

func open(t *testing.T) *house {
	t.Helper()
	h, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// code are the files that are linked into something.
func (h *house) code() []file {
	var out []file
	for _, f := range h.files {
		if !f.test {
			out = append(out, f)
		}
	}
	return out
}

// at is the place of a node, as editors understand it.
func (h *house) at(n ast.Node) string {
	p := h.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// imports are the import paths of a file, with the name each goes by.
func (f *file) imports() map[string]string {
	out := map[string]string{}
	for _, i := range f.ast.Imports {
		p := strings.Trim(i.Path.Value, `"`)
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		out[p] = name
	}
	return out
}

// selects calls fn for every use of pkg.Name in the file, where pkg is the
// import path, with the function around it ("" outside of functions).
func (f *file) selects(importPath, name string, fn func(use *ast.SelectorExpr, in string)) {
	alias, ok := f.imports()[importPath]
	if !ok {
		return
	}
	for _, d := range f.ast.Decls {
		in := ""
		if fd, ok := d.(*ast.FuncDecl); ok {
			in = funcName(fd)
		}
		ast.Inspect(d, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == alias && s.Sel.Name == name {
				fn(s, in)
			}
			return true
		})
	}
}

// funcName is "Type.Method" or "function".
func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

// short is a package as docs/architecture.md calls it: "outbox",
// "whatsapp/cloudapi", "cmd/janela".
func short(dir string) string {
	if dir == "" {
		return "janela" // the files at the top
	}
	dir = strings.TrimPrefix(dir, "janela/")
	return strings.TrimPrefix(dir, "internal/")
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table returns the rows of the first Markdown table of a text whose first
// header cell is named so, without code marks.
func table(t *testing.T, text, header string) [][]string {
	t.Helper()
	var rows [][]string
	lines := strings.Split(text, "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| "+header+" |") })
	if at < 0 {
		t.Fatalf("there is no table that begins with %q", header)
	}
	for _, l := range lines[at+2:] {
		if !strings.HasPrefix(l, "|") {
			break
		}
		var row []string
		for _, cell := range strings.Split(strings.Trim(l, "|"), "|") {
			row = append(row, strings.ReplaceAll(strings.TrimSpace(cell), "`", ""))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("the table %q is empty", header)
	}
	return rows
}

// list splits "a, b, c"; "–" is none.
func list(cell string) []string {
	if cell == "" || cell == "–" {
		return nil
	}
	out := strings.Split(cell, ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// listed is what go list says of one package.
type listed struct {
	ImportPath string
	Standard   bool
	Module     *struct{ Path string }
}

// goList runs go list over what the program links.
func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Standard,Module"}, args...)...)
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
}
