package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exitCode is what the program's end says. docs/commands.md has the same table.
type exitCode struct {
	code    int
	meaning string
}

var exitCodes = []exitCode{
	{0, "fine: it was done, or the answer is yes"},
	{1, "the answer is no: faults, refused, not found, failed, not ready, nothing listens"},
	{2, "it could not be run: usage, configuration, no database, no answer"},
}

// exitWords is the table in one sentence.
func exitWords() string {
	var out []string
	for _, e := range exitCodes {
		short, _, _ := strings.Cut(e.meaning, ":")
		out = append(out, fmt.Sprintf("%d %s", e.code, short))
	}
	return "Exit codes: " + strings.Join(out, ", ") + "."
}

// newExitCodes is a page of the help.
func newExitCodes() *cobra.Command {
	var b strings.Builder
	b.WriteString("Every command ends with one of these exit codes:\n\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %d  %s\n", e.code, e.meaning)
	}
	b.WriteString("\nErrors go to standard error, with what to do next below them; what was asked for goes to standard output.")
	return &cobra.Command{Use: "exit-codes", Short: "What exit codes mean", Long: b.String()}
}
