package otp

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// The library that makes codes is used in one place, which checks what it does
// not: everywhere else a code is a Code, and its key a Secret.
func TestOneWrapper(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			if strings.HasPrefix(spec.Path.Value, `"github.com/pquerna/otp`) && (len(users) == 0 || users[len(users)-1] != name) {
				users = append(users, name)
			}
		}
	}
	if len(users) != 1 || users[0] != "code.go" {
		t.Errorf("github.com/pquerna/otp is imported by %v; only code.go may", users)
	}
}
