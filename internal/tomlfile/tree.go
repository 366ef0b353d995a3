package tomlfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// origin says how a table or list came into the file; TOML's rules about who
// may extend it hang on that.
type origin uint8

const (
	inline  origin = iota // a value behind "=": closed
	dotted                // a table made by the key a.b = …: extended by such keys alone
	implied               // a table made on the way by [a.b]: may still get its own [a]
	header                // a table with its own [a] or [[a]]
	headers               // the list that [[a]] makes
)

// node is one value of the file with its place.
type node struct {
	parent *node
	name   string // key in its table
	index  int    // index in its list
	offset int    // of the key, the list item or the header's last part
	kind   unstable.Kind
	origin origin
	text   string // a text without quotes; any other scalar as it was written

	keys   []*node // of a table, in the order of the file
	byName map[string]*node
	items  []*node // of a list
	// again holds what the file says of the same key a second time. It is not
	// part of the document, but its faults are still worth reporting.
	again []*node
}

func (n *node) isTable() bool { return n.kind == unstable.Table }
func (n *node) isList() bool  { return n.kind == unstable.Array }
func (n *node) isItem() bool  { return n.parent != nil && n.parent.isList() }

// child returns the key of a table, or nil.
func (n *node) child(name string) *node { return n.byName[name] }

// item returns the item of a list whose index is written so, or nil.
func (n *node) item(index string) *node {
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(n.items) {
		return nil
	}
	return n.items[i]
}

// put adds a key that is not there yet.
func (n *node) put(c *node) *node {
	if n.byName == nil {
		n.byName = make(map[string]*node)
	}
	n.byName[c.name] = c
	n.keys = append(n.keys, c)
	return c
}

// addItem appends a table to the list that [[a]] made.
func (n *node) addItem(offset int) *node {
	item := &node{parent: n, index: len(n.items), offset: offset, kind: unstable.Table, origin: header}
	n.items = append(n.items, item)
	return item
}

// maxParts bounds how far a name is followed upwards, so that a hostile file
// cannot make each of its thousand faults as long as itself.
const maxParts = 100

// parts returns the way from the root to the node; list indexes, if asked for,
// as numbers.
func (n *node) parts(indexes bool) []string {
	var parts []string
	for ; n.parent != nil; n = n.parent {
		if len(parts) == maxParts {
			parts = append(parts, "…")
			break
		}
		switch {
		case !n.isItem():
			parts = append(parts, short(n.name, 200))
		case indexes:
			parts = append(parts, strconv.Itoa(n.index))
		}
	}
	slices.Reverse(parts)
	return parts
}

// path is the parts with dots between.
func (n *node) path() string { return strings.Join(n.parts(true), ".") }

// brackets returns the table header that a file would use for the node.
func (n *node) brackets() string {
	name := plain(strings.Join(n.parts(false), "."))
	if n.isItem() || n.isList() {
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

// builder makes the tree of the expressions go-toml's parser hands out, under
// the rules of TOML 1.1 about defining a thing once. Unlike go-toml it goes on
// after a breach: tables are merged, so that what follows is checked in the
// right place; everything else is kept as a second saying.
type builder struct {
	report  *report
	root    *node
	current *node // the table that plain keys go to
}

// parse builds the tree of a whole file. When it returns a syntax fault and the
// offset of it, the tree is not to be used.
func parse(r *report) (root *node, fault *unstable.ParserError, offset int) {
	root = &node{kind: unstable.Table, origin: header}
	b := &builder{report: r, root: root, current: root}
	p := &unstable.Parser{}
	p.Reset(r.src.data)
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.KeyValue:
			b.keyValue(b.current, e)
		case unstable.Table:
			b.table(e)
		case unstable.ArrayTable:
			b.listTable(e)
		}
	}
	if errors.As(p.Error(), &fault) {
		return root, fault, int(p.Range(fault.Highlight).Offset)
	}
	return root, nil, 0
}

// part is one name of a dotted key.
type part struct {
	name   string
	offset int
}

// key returns the way to the last part of a key, and that part.
func key(e *unstable.Node) (way []part, last part) {
	for it := e.Key(); it.Next(); {
		k := it.Node()
		way = append(way, part{string(k.Data), int(k.Raw.Offset)})
	}
	return way[:len(way)-1], way[len(way)-1]
}

func newTable(parent *node, p part, from origin) *node {
	return &node{parent: parent, name: p.name, offset: p.offset, kind: unstable.Table, origin: from}
}

// aside keeps a second saying of a key and faults it.
func (b *builder) aside(first, second *node, hint string) *node {
	first.again = append(first.again, second)
	if b.report.full() {
		b.report.unlisted++
		return second
	}
	b.report.fault(second, fmt.Sprintf("%s is already set on line %d", quoted(second.path()), b.lineOf(first)), hint)
	return second
}

func (b *builder) lineOf(n *node) int {
	line, _ := b.report.src.at(n.offset)
	return line
}

const (
	keepOne   = "keep one of the two"
	notATable = "a key has either a value or a table"
)

func (b *builder) keyValue(t *node, e *unstable.Node) {
	way, last := key(e)
	for _, p := range way {
		c := t.child(p.name)
		switch {
		case c == nil:
			c = t.put(newTable(t, p, dotted))
		case c.isTable() && c.origin == dotted:
		case c.isTable() && c.origin != inline:
			at := newTable(t, p, dotted)
			b.report.fault(at, fmt.Sprintf("the table %s on line %d cannot get keys from here", c.brackets(), b.lineOf(c)),
				"write the key below "+c.brackets())
		default:
			c = b.aside(c, newTable(t, p, dotted), notATable)
		}
		t = c
	}
	v := b.value(e.Value(), &node{parent: t, name: last.name, offset: last.offset})
	if first := t.child(last.name); first != nil {
		b.aside(first, v, keepOne)
	} else {
		t.put(v)
	}
}

// value fills n, whose place is known, with what stands behind "=" or in a list.
func (b *builder) value(v *unstable.Node, n *node) *node {
	n.kind = v.Kind
	switch v.Kind {
	case unstable.InlineTable:
		n.kind = unstable.Table
		for it := v.Children(); it.Next(); {
			b.keyValue(n, it.Node())
		}
	case unstable.Array:
		for it := v.Children(); it.Next(); {
			item := &node{parent: n, index: len(n.items), offset: n.offset}
			if raw := it.Node().Raw; raw.Length > 0 { // a list in a list does not know its place
				item.offset = int(raw.Offset)
			}
			n.items = append(n.items, b.value(it.Node(), item))
		}
	default:
		n.text = string(v.Data)
	}
	return n
}

// enter follows the way of a header to the table its last part belongs to.
func (b *builder) enter(way []part) *node {
	t := b.root
	for _, p := range way {
		c := t.child(p.name)
		switch {
		case c == nil:
			c = t.put(newTable(t, p, implied))
		case c.isTable() && c.origin != inline:
		case c.isList() && c.origin == headers:
			c = c.items[len(c.items)-1]
		default:
			c = b.aside(c, newTable(t, p, implied), notATable)
		}
		t = c
	}
	return t
}

// table takes a [header].
func (b *builder) table(e *unstable.Node) {
	way, last := key(e)
	t := b.enter(way)
	n := newTable(t, last, header)
	c := t.child(last.name)
	switch {
	case c == nil:
		b.current = t.put(n)
	case c.isTable() && c.origin == implied:
		c.origin, c.offset = header, n.offset
		b.current = c
	case c.isTable() && c.origin != inline:
		b.report.fault(n, fmt.Sprintf("the table %s already stands on line %d", n.brackets(), b.lineOf(c)),
			"put all its keys in one place")
		b.current = c
	case c.isList() && c.origin == headers:
		b.current = c.addItem(n.offset)
		b.report.fault(b.current, fmt.Sprintf("%s is a list of tables since line %d", quoted(n.path()), b.lineOf(c)),
			"write "+c.brackets())
	default:
		b.current = b.aside(c, n, notATable)
	}
}

// listTable takes a [[header]].
func (b *builder) listTable(e *unstable.Node) {
	way, last := key(e)
	t := b.enter(way)
	list := t.child(last.name)
	if list == nil || !list.isList() || list.origin != headers {
		n := &node{parent: t, name: last.name, offset: last.offset, kind: unstable.Array, origin: headers}
		if list == nil {
			t.put(n)
		} else {
			b.aside(list, n, "write "+n.brackets()+" each time for a list of tables, or "+newTable(t, last, header).brackets()+" once")
		}
		list = n
	}
	b.current = list.addItem(last.offset)
}
