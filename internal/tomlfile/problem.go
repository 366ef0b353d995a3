package tomlfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says whether a problem forbids the use of the file.
type Severity int

// An Error forbids the use of the file; a Warning wants a human's eye.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Problem is one fault of one file.
type Problem struct {
	File string
	// Line and Column start at 1; Column counts characters. Line 0 means that
	// the problem has no place in the file.
	Line, Column int
	// Path is the key with dots, list indexes as numbers:
	// template.body.0.column. It is empty for faults of the file as a whole.
	Path     string
	Severity Severity
	Message  string
	// Hint says what to write instead; it may be empty.
	Hint string
}

// String returns "file:line:column: message; hint", the form editors and
// terminals make clickable.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; ")
		b.WriteString(p.Hint)
	}
	return b.String()
}

// Problems is what was found in one or more files. As an error it reads one
// problem a line; return it as one only when HasErrors.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// HasErrors reports whether anything graver than a warning was found.
func (ps Problems) HasErrors() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == Error })
}

// Errors returns the problems that forbid the use of the file.
func (ps Problems) Errors() Problems { return ps.only(Error) }

// Warnings returns the problems that do not.
func (ps Problems) Warnings() Problems { return ps.only(Warning) }

func (ps Problems) only(s Severity) Problems {
	var out Problems
	for _, p := range ps {
		if p.Severity == s {
			out = append(out, p)
		}
	}
	return out
}

// Sort orders by file, line and column; problems of one place keep their order.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
