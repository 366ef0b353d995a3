// Command janela schedules messages on the WhatsApp Business Platform: it is
// the daemon (janela serve) and everything one does with it. One file per
// subcommand.
//
// Exit codes: 0 fine, 1 the answer is no (faults, refused, failed), 2 it could
// not be run (usage, configuration, no database).
package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	_ "time/tzdata" // works in containers without a zone database
)

func main() {
	syscall.Umask(0o077) // what we write is nobody else's business
	os.Exit(run(os.Args[1:]))
}

// exitError carries an exit code; a nil err was told already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	code := 2
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	if err.Error() != "" {
		fmt.Fprintln(os.Stderr, withHint(cmd, err))
	}
	return code
}
