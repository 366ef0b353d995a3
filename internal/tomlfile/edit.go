package tomlfile

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrHand says that a file is written in a way that only its writer should
// change.
var ErrHand = errors.New("it is written in a way that is not changed by a program")

// Editor changes single keys of a file where they stand, and leaves everything
// else as it is: order, comments, spaces, line ends.
type Editor struct {
	text string
	end  string // of a line
}

// NewEditor returns an Editor of a file, or its problems where it cannot be
// read.
func NewEditor(name string, data []byte) (*Editor, error) {
	e := &Editor{text: string(data), end: "\n"}
	if strings.Contains(e.text, "\r\n") {
		e.end = "\r\n"
	}
	if _, err := e.parse(name); err != nil {
		return nil, err
	}
	return e, nil
}

// Text returns the file as it is now.
func (e *Editor) Text() string { return e.text }

// parse reads the text as it is now. A byte order mark stays outside: offsets
// begin behind it.
func (e *Editor) parse(name string) (*node, error) {
	src := newSource(bytes.Clone(bytes.TrimPrefix([]byte(e.text), byteOrderMark)))
	r := &report{name: name, src: src}
	if !checkEncoding(r) {
		return nil, r.problems
	}
	root, fault, offset := parse(r)
	if fault != nil {
		r.problems = nil
		syntaxFault(r, fault, offset)
	}
	if r.problems.HasErrors() {
		return nil, r.problems
	}
	return root, nil
}

// mark is the length of the byte order mark.
func (e *Editor) mark() int {
	if strings.HasPrefix(e.text, string(byteOrderMark)) {
		return len(byteOrderMark)
	}
	return 0
}

// Quote writes a text as TOML does.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Set gives a key, by its path as in Problem.Path, a value as TOML writes it. A
// key that is there keeps its line and its comment; another is written below the
// header of its table, which is made where there is none. It returns ErrHand for
// values over several lines, inline tables and dotted keys.
func (e *Editor) Set(path, literal string) error {
	root, err := e.parse("")
	if err != nil {
		return err
	}
	doc := &Document{root: root}
	n, found := doc.find(path)
	if found {
		if n.isTable() || n.isList() || n.parent.origin == inline || n.parent.origin == dotted {
			return fmt.Errorf("%s: %w", path, ErrHand)
		}
		from, to, ok := e.value(n.offset + e.mark())
		if !ok {
			return fmt.Errorf("%s: %w", path, ErrHand)
		}
		e.text = e.text[:from] + literal + e.text[to:]
		return nil
	}
	table, name := "", path
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		table, name = path[:dot], path[dot+1:]
	}
	t, found := doc.find(table)
	line := name + " = " + literal + e.end
	switch {
	case found && table != "" && t.origin == header:
		at := e.after(t.offset + e.mark())
		if at == len(e.text) && !strings.HasSuffix(e.text, "\n") {
			line = e.end + line
		}
		e.insert(at, indentOf(e.text, t.offset+e.mark(), t.isItem())+line)
	case found && table != "" && (t.origin == inline || t.origin == dotted):
		return fmt.Errorf("%s: %w", path, ErrHand)
	case strings.Contains(table, ".") || table == "":
		return fmt.Errorf("%s: %w", path, ErrHand)
	default: // [table] has no header of its own yet
		block := "[" + table + "]" + e.end + line + e.end
		if found {
			e.insert(e.lineOf(first(t)+e.mark()), block)
			return nil
		}
		e.finish()
		e.text += e.end + strings.TrimSuffix(block, e.end)
	}
	return nil
}

// Pair is a key of a table with its value as TOML writes it.
type Pair struct{ Key, Literal string }

// Append adds a table to a list of tables, by the list's path, behind the last
// one, or behind the table around it. It returns ErrHand for lists that are
// written as one value.
func (e *Editor) Append(list string, pairs ...Pair) error {
	root, err := e.parse("")
	if err != nil {
		return err
	}
	doc := &Document{root: root}
	n, found := doc.find(list)
	if found && (!n.isList() || n.origin != headers) {
		return fmt.Errorf("%s: %w", list, ErrHand)
	}
	parent := n
	if found {
		parent = n.items[len(n.items)-1]
	}
	name, depth := headerOf(list)
	indent := strings.Repeat("  ", depth)
	var b strings.Builder
	b.WriteString(e.end + indent + "[[" + name + "]]" + e.end)
	for _, p := range pairs {
		b.WriteString(indent + p.Key + " = " + p.Literal + e.end)
	}
	if parent == root || parent.parent == nil {
		e.finish()
		e.text += b.String()
		return nil
	}
	if parent.origin == inline || parent.origin == dotted {
		return fmt.Errorf("%s: %w", list, ErrHand)
	}
	at := e.endOf(root, parent)
	if at == len(e.text) {
		e.finish()
		at = len(e.text)
	}
	e.insert(at, b.String())
	return nil
}

// headerOf returns the name by which a list's header is written, and how many
// lists are around it.
func headerOf(path string) (name string, depth int) {
	var parts []string
	for part := range strings.SplitSeq(path, ".") {
		if _, err := strconv.Atoi(part); err == nil {
			depth++
			continue
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "."), depth
}

// value finds a value of one line behind the key at an offset.
func (e *Editor) value(key int) (from, to int, ok bool) {
	eq := strings.IndexByte(e.text[key:], '=')
	if eq < 0 {
		return 0, 0, false
	}
	from = key + eq + 1
	for from < len(e.text) && (e.text[from] == ' ' || e.text[from] == '\t') {
		from++
	}
	rest := e.text[from:]
	switch {
	case strings.HasPrefix(rest, `"""`), strings.HasPrefix(rest, `'''`), strings.HasPrefix(rest, "["), strings.HasPrefix(rest, "{"), rest == "":
		return 0, 0, false
	case rest[0] == '\'':
		n := strings.IndexByte(rest[1:], '\'')
		return from, from + n + 2, n >= 0
	case rest[0] == '"':
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return from, from + i + 1, true
			}
		}
		return 0, 0, false
	default:
		n := strings.IndexAny(rest, "#\r\n")
		if n < 0 {
			n = len(rest)
		}
		return from, from + len(strings.TrimRight(rest[:n], " \t")), true
	}
}

// lineOf returns where the line of an offset begins.
func (e *Editor) lineOf(at int) int { return strings.LastIndexByte(e.text[:at], '\n') + 1 }

// after returns where the line behind the one of an offset begins.
func (e *Editor) after(at int) int {
	n := strings.IndexByte(e.text[at:], '\n')
	if n < 0 {
		return len(e.text)
	}
	return at + n + 1
}

func (e *Editor) insert(at int, s string) { e.text = e.text[:at] + s + e.text[at:] }

// finish ends the last line.
func (e *Editor) finish() {
	if e.text != "" && !strings.HasSuffix(e.text, "\n") {
		e.text += e.end
	}
}

// indentOf is the space before a header, for keys of a list's table.
func indentOf(text string, at int, item bool) string {
	if !item {
		return ""
	}
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	line := text[begin:at]
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// first is the smallest offset of a table and what is in it.
func first(n *node) int {
	least := -1
	walk(n, func(c *node) {
		if c.origin == header && c.isTable() && (least < 0 || c.offset < least) {
			least = c.offset
		}
	})
	return max(least, 0)
}

func walk(n *node, fn func(*node)) {
	fn(n)
	for _, c := range n.keys {
		walk(c, fn)
	}
	for _, c := range n.items {
		walk(c, fn)
	}
}

// endOf returns where a table and all that is in it ends: behind its last line,
// before the comment above the next header and the empty lines above that.
func (e *Editor) endOf(root, n *node) int {
	inside := map[*node]bool{}
	last := n.offset
	walk(n, func(c *node) {
		inside[c] = true
		last = max(last, c.offset)
	})
	next := -1
	walk(root, func(c *node) {
		if c.isTable() && c.origin == header && !inside[c] && c.offset > last && (next < 0 || c.offset < next) {
			next = c.offset
		}
	})
	end := len(e.text)
	if next >= 0 {
		end = e.lineOf(next + e.mark())
	}
	stop := e.after(last + e.mark()) // never above its own last key
	up := func(of func(line string) bool) {
		for end > stop {
			begin := e.lineOf(end - 1)
			if !of(strings.TrimSpace(e.text[begin:end])) {
				return
			}
			end = begin
		}
	}
	if next >= 0 {
		up(func(line string) bool { return strings.HasPrefix(line, "#") })
	}
	up(func(line string) bool { return line == "" })
	return end
}
