package archtest

import (
	"go/ast"
	"strings"
	"testing"
)

// Lines a file may have.
const (
	codeLines = 500
	testLines = 1000
)

// Rule 6: every package says what it is, and no file runs away.
func TestFiles(t *testing.T) {
	h := open(t)
	comments, packages := map[string][]string{}, map[string]bool{}
	for _, f := range h.files {
		limit := codeLines
		if f.test {
			limit = testLines
		}
		if f.lines > limit {
			t.Errorf("%s has %d lines, at most %d are allowed.\n  Either split it by verb or noun, or raise the limit in internal/archtest/files_test.go for everybody.", f.path, f.lines, limit)
		}
		if f.test {
			continue
		}
		packages[f.pkg] = true
		if f.ast.Doc != nil && strings.TrimSpace(f.ast.Doc.Text()) != "" {
			comments[f.pkg] = append(comments[f.pkg], f.path)
		}
	}
	for pkg := range packages {
		if n := len(comments[pkg]); n != 1 {
			t.Errorf("package %s has %d package comments %v, and should have one.\n  Write one in doc.go: what it is, its tables, its states, its invariants.", pkg, n, comments[pkg])
		}
	}
}

// neverLinked are modules that must not be part of the program, and why.
var neverLinked = map[string]string{
	"github.com/google/go-cmp":                 "tests only",
	"pgregory.net/rapid":                       "tests only",
	"go.uber.org/goleak":                       "tests only",
	"github.com/pb33f/libopenapi":              "tests only",
	"github.com/pb33f/libopenapi-validator":    "tests only",
	"github.com/rogpeppe/go-internal":          "tests only",
	"github.com/invopop/jsonschema":            "tests only: the program prints what they made",
	"github.com/santhosh-tekuri/jsonschema/v6": "tests only",
	"modernc.org/sqlite":                       "a second SQLite in one process drops the first one's file locks",
	"github.com/ncruces/go-sqlite3":            "a second SQLite in one process drops the first one's file locks",
}

// Rule 6, second half: what the program links.
func TestLinked(t *testing.T) {
	for _, p := range goList(t, "-deps", "./cmd/janela") {
		if p.ImportPath == "testing" {
			t.Error("the program links package testing.\n  Move what needs it into a _test.go file.")
		}
		if p.Module == nil {
			continue
		}
		if why, ok := neverLinked[p.Module.Path]; ok {
			t.Errorf("the program links %s (%s).\n  Either move its use into a _test.go file, or argue in internal/archtest/files_test.go.", p.ImportPath, why)
		}
	}
	h := open(t)
	for _, f := range h.code() {
		for imported := range f.imports() {
			if imported == "database/sql" && short(f.pkg) != "store" {
				t.Errorf("%s imports database/sql.\n  Either use store's transactions and statements, or move the code into store.", f.path)
			}
		}
		f.selects("janela/internal/store", "SQL", func(use *ast.SelectorExpr, in string) {
			if in != "" {
				t.Errorf("%s: store.SQL inside of %s: a statement is made once per process.\n  Declare it as a package-level variable.", h.at(use), in)
			}
		})
	}
}
