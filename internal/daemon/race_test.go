//go:build race

package daemon

import "runtime"

// The race detector of Go 1.26 keeps one shadow stack for all timers of a
// bubble, and crashes (SIGSEGV under time.goFunc) when two threads run timers of
// it at the same instant. With one thread it still sees every race, because it
// goes by what happens before what.
func init() { runtime.GOMAXPROCS(1) }
