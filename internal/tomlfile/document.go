package tomlfile

import "strings"

// Document is a decoded file: it knows which keys were written, and where. It
// is safe for use by several goroutines.
type Document struct {
	name string
	src  *source
	root *node
}

// Position returns the line and column of a key, given as in Problem.Path. For
// a key that is not in the file it is the place of the nearest table around it,
// and at the top level 1, 1.
func (d *Document) Position(path string) (line, column int) {
	n, _ := d.find(path)
	return d.src.at(n.offset)
}

// Has reports whether a key was written, be its value right or wrong. A table
// is also there when only a key or table inside it was written.
func (d *Document) Has(path string) bool {
	_, found := d.find(path)
	return found
}

// Problem returns an error at a path; see Position.
func (d *Document) Problem(path, message, hint string) Problem {
	line, column := d.Position(path)
	return Problem{File: d.name, Line: line, Column: column, Path: path, Message: message, Hint: hint}
}

// Warning returns a warning at a path; see Position.
func (d *Document) Warning(path, message, hint string) Problem {
	p := d.Problem(path, message, hint)
	p.Severity = Warning
	return p
}

// find returns the node at a path, or the deepest one on the way to it.
func (d *Document) find(path string) (*node, bool) {
	n := d.root
	for path != "" {
		c, rest := n.step(path)
		if c == nil {
			return n, false
		}
		n, path = c, rest
	}
	return n, true
}

// step takes the first part off a path. The names of a map's keys may hold dots
// themselves, so longer and longer beginnings are tried.
func (n *node) step(path string) (*node, string) {
	for end := 0; end < len(path); {
		if dot := strings.IndexByte(path[end:], '.'); dot >= 0 {
			end += dot
		} else {
			end = len(path)
		}
		if c := n.child(path[:end]); c != nil {
			return c, strings.TrimPrefix(path[end:], ".")
		}
		if c := n.item(path[:end]); c != nil {
			return c, strings.TrimPrefix(path[end:], ".")
		}
		end++
	}
	return nil, path
}
