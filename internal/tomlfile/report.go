package tomlfile

import "fmt"

// maxProblems is how many faults of one file are listed. Nobody reads more, and
// a megabyte of nonsense should not become a gigabyte of complaints.
const maxProblems = 1000

// report gathers the faults of one file.
type report struct {
	name     string
	src      *source
	problems Problems
	unlisted int
}

// full reports that no more faults are listed, only counted.
func (r *report) full() bool { return len(r.problems) >= maxProblems }

// fault reports an error at a node.
func (r *report) fault(n *node, message, hint string) {
	r.faultAt(n.offset, n.path(), message, hint)
}

func (r *report) faultAt(offset int, path, message, hint string) {
	if r.full() {
		r.unlisted++
		return
	}
	line, column := r.src.at(offset)
	r.problems = append(r.problems, Problem{
		File: r.name, Line: line, Column: column, Path: path, Message: message, Hint: hint,
	})
}

// done returns the faults in the order of the file.
func (r *report) done() Problems {
	r.problems.Sort()
	if r.unlisted > 0 {
		last := r.problems[len(r.problems)-1]
		r.problems = append(r.problems, Problem{
			File: r.name, Line: last.Line, Column: last.Column,
			Message: fmt.Sprintf("%d more faults are not listed", r.unlisted),
			Hint:    "mend these first",
		})
	}
	return r.problems
}
