package archtest

import (
	"go/ast"
	"testing"
)

// Rule 5: whoever starts a goroutine waits for it.
func TestNoBareGo(t *testing.T) {
	h := open(t)
	for _, f := range h.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: a bare go statement: nobody waits for it.\n  Either use sync.WaitGroup.Go or errgroup and wait where it was started (or in Run or Close), or, if it truly must be bare, change this rule and docs/architecture.md.", h.at(g))
			}
			return true
		})
	}
}
