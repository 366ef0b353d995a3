package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// hintless are the functions that make problems for others to give a hint, and
// who gives it.
var hintless = map[string]string{
	"invalid":        "the command's own help",
	"notFound":       "the one who calls it",
	"refused":        "the one who calls it",
	"problemOf":      "the errors of campaigns name what to do; janela campaigns list where they do not",
	"publicProblem":  "programs read codes",
	"(*Client).doAs": "the lines below it, or the daemon's own",
}

// Whoever is refused, or asked for what is not there, is told what to do next.
func TestEveryProblemHasAHint(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	made, used := 0, map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			hinted := map[ast.Node]bool{}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "hint" {
					hinted[bare(sel.X)] = true
				}
				return true
			})
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if !makesProblem(n) {
					return true
				}
				made++
				if _, known := hintless[nameOf(fn)]; known {
					used[nameOf(fn)] = true
				} else if !hinted[n] {
					t.Errorf("%s: a problem without a hint: say what to do next", set.Position(n.Pos()))
				}
				return true
			})
		}
	}
	if made < 60 {
		t.Errorf("only %d problems were found", made)
	}
	for name := range hintless {
		if !used[name] {
			t.Errorf("%s makes no problem any more: take it out of the exceptions", name)
		}
	}
}

// bare takes parentheses and & off.
func bare(e ast.Expr) ast.Expr {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.UnaryExpr:
			e = x.X
		default:
			return e
		}
	}
}

// makesProblem says whether a problem is made here for which nobody else has a
// hint: one that is no mistake of the request, and names none itself.
func makesProblem(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.CallExpr:
		id, ok := x.Fun.(*ast.Ident)
		return ok && (id.Name == "refused" || id.Name == "notFound")
	case *ast.CompositeLit:
		if id, ok := x.Type.(*ast.Ident); !ok || id.Name != "Problem" || len(x.Elts) == 0 {
			return false
		}
		for _, e := range x.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Hint" {
				return false
			}
		}
		return true
	}
	return false
}

// nameOf is a function's name, with its receiver.
func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	switch r := fn.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		return "(*" + r.X.(*ast.Ident).Name + ")." + fn.Name.Name
	default:
		return r.(*ast.Ident).Name + "." + fn.Name.Name
	}
}
