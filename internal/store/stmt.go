package store

import (
	"path"
	"runtime"
	"strings"
	"sync"
)

// Stmt is one SQL statement, made once per process by SQL.
type Stmt struct {
	text  string
	owner string // the package that made it
}

var registry struct {
	sync.Mutex
	all []*Stmt
}

// SQL declares a statement. Call it for package-level variables only: the tests
// of the house prepare every statement and check what it writes, and that no
// large table is walked. Parameters are ?1, ?2, …
func SQL(text string) *Stmt { return register(text, 1) }

// register makes a statement of the package that is so many calls above.
func register(text string, above int) *Stmt {
	pc, _, _, _ := runtime.Caller(above + 1)
	name := runtime.FuncForPC(pc).Name() // janela/internal/outbox.init
	dir, base := path.Split(name)
	pkg, _, _ := strings.Cut(base, ".")
	s := &Stmt{text: strings.TrimSpace(text), owner: dir + pkg}
	registry.Lock()
	registry.all = append(registry.all, s)
	registry.Unlock()
	return s
}

// Text returns the statement's SQL.
func (s *Stmt) Text() string { return s.text }

// Owner returns the import path of the package that declared the statement.
func (s *Stmt) Owner() string { return s.owner }

// Statements returns every statement declared in this process.
func Statements() []*Stmt {
	registry.Lock()
	defer registry.Unlock()
	return append([]*Stmt(nil), registry.all...)
}
