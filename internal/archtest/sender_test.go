package archtest

import (
	"go/ast"
	"testing"
)

// Rule 2: only the door out, and the one who builds it, know what can send.
func TestOneDoorOut(t *testing.T) {
	h := open(t)
	allowed := map[string]bool{"dispatch": true, "daemon": true, "whatsapp/cloudapi": true}
	found := false
	for _, f := range h.code() {
		f.selects("janela/internal/whatsapp/cloudapi", "Sender", func(use *ast.SelectorExpr, _ string) {
			if name := short(f.pkg); !allowed[name] {
				t.Errorf("%s: %s names cloudapi.Sender.\n  Either enqueue into the outbox, so that gate and dispatch see the message, or argue in docs/architecture.md for a second door (and here).", h.at(use), name)
			} else if name == "dispatch" {
				found = true
			}
		})
	}
	if !found {
		t.Error("dispatch no longer names cloudapi.Sender: the rule watches nothing.\n  Either give the interface its name back, or point the rule at its new name.")
	}
}
