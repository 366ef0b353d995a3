package tomlfile

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Option changes how Decode judges a file.
type Option func(*decoder)

// Reserved refuses keys by name that this version does not know yet, whatever
// the struct says. The notes go by dotted path, where * stands for any one part:
// an index of a list or a key of a map. The note becomes the hint. A reserved
// table is refused once, not once for each of its keys.
func Reserved(notes map[string]string) Option {
	return func(d *decoder) {
		for path, note := range notes {
			d.reserved = append(d.reserved, reservedKey{strings.Split(path, "."), note})
		}
		// "*" sorts before letters: backwards, a name goes before any one part.
		slices.SortFunc(d.reserved, func(a, b reservedKey) int { return slices.Compare(b.parts, a.parts) })
	}
}

type reservedKey struct {
	parts []string
	note  string
}

// Decode reads a file into a pointer to a struct; see the package comment for
// the field types. name is the file's name in problems. The Document is never
// nil; after an encoding or syntax fault, which is then the only problem, it is
// empty and into is untouched. After any other fault into holds everything that
// could be read. Decode panics when into is not such a pointer.
func Decode(name string, data []byte, into any, opts ...Option) (*Document, Problems) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("tomlfile: Decode wants a pointer to a struct, not %T", into))
	}
	mustDecode(v.Type().Elem())

	// The positions stay right when the caller uses its buffer again.
	src := newSource(bytes.Clone(bytes.TrimPrefix(data, byteOrderMark)))
	d := &decoder{report: &report{name: name, src: src}, schema: v.Type().Elem()}
	for _, o := range opts {
		o(d)
	}
	empty := &Document{name: name, src: src, root: &node{kind: unstable.Table}}
	if !checkEncoding(d.report) {
		return empty, d.done()
	}
	root, fault, offset := parse(d.report)
	if fault != nil {
		d.problems, d.unlisted = nil, 0 // what was doubled before the fault may be part of it
		syntaxFault(d.report, fault, offset)
		return empty, d.done()
	}
	d.record(root, v.Elem(), false)
	return &Document{name: name, src: src, root: root}, d.done()
}

// decoder walks the tree along a Go value.
type decoder struct {
	*report
	schema   reflect.Type
	reserved []reservedKey
}

// value decodes a node and reports whether v was set. secret says that what
// stands in the file must not be quoted.
func (d *decoder) value(n *node, v reflect.Value, secret bool) bool {
	switch s := shapeOf(v.Type()); {
	case s == pointer:
		// A fresh copy: the default that is pointed to may be shared.
		p := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		if !d.value(n, p.Elem(), secret) {
			return false
		}
		v.Set(p)
		return true
	case (s == record || s == customRecord) && n.isTable():
		d.record(n, v, secret)
		return true
	case s == mapping && n.isTable():
		d.mapping(n, v, secret)
		return true
	case s == list && n.isList():
		items := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			d.value(item, items.Index(i), secret)
		}
		v.Set(items)
		return true
	case s == duration && n.kind == unstable.String:
		return d.duration(n, v, secret)
	case (s == custom || s == customRecord) && n.kind == unstable.String:
		return d.custom(n, v, secret)
	case fits(n.kind, s):
		return d.scalar(n, v, s)
	}
	d.mismatch(n, v.Type(), secret)
	return false
}

// record decodes the keys of a table into the fields of a struct.
func (d *decoder) record(n *node, v reflect.Value, secret bool) {
	known := recordOf(v.Type())
	for _, c := range n.keys {
		if d.isReserved(c) {
			continue
		}
		f, ok := known.byName[c.name]
		if !ok {
			d.unknown(c, known.names)
			continue
		}
		d.value(c, v.FieldByIndex(f.index), secret || f.secret)
		d.again(c, f.typ, secret || f.secret)
	}
}

// mapping decodes the keys of a table into the entries of a map.
func (d *decoder) mapping(n *node, v reflect.Value, secret bool) {
	t := v.Type()
	m := reflect.MakeMapWithSize(t, v.Len()+len(n.keys))
	for it := v.MapRange(); it.Next(); {
		m.SetMapIndex(it.Key(), it.Value())
	}
	for _, c := range n.keys {
		if d.isReserved(c) {
			continue
		}
		k := reflect.ValueOf(c.name).Convert(t.Key())
		entry := reflect.New(t.Elem()).Elem()
		if old := m.MapIndex(k); old.IsValid() {
			entry.Set(old)
		}
		if d.value(c, entry, secret) {
			m.SetMapIndex(k, entry)
		}
		d.again(c, t.Elem(), secret)
	}
	v.Set(m)
}

// again checks what the file says a second time of a key, and keeps nothing.
func (d *decoder) again(n *node, t reflect.Type, secret bool) {
	for _, second := range n.again {
		d.value(second, reflect.New(t).Elem(), secret)
	}
}

// isReserved reports whether a key is reserved, and refuses it if so.
func (d *decoder) isReserved(n *node) bool {
	if len(d.reserved) == 0 {
		return false
	}
	parts := n.parts(true)
	for _, r := range d.reserved {
		if len(r.parts) == len(parts) && matches(r.parts, parts) {
			d.fault(n, quoted(n.path())+" is not in this version", r.note)
			return true
		}
	}
	return false
}

// matches reports whether a pattern, of at least as many parts, begins with
// these parts.
func matches(pattern, parts []string) bool {
	for i, p := range parts {
		if pattern[i] != p && pattern[i] != "*" {
			return false
		}
	}
	return true
}

// unknown faults a key that its table does not know. When reserved keys live
// below it, they and not it are what the writer is told about.
func (d *decoder) unknown(n *node, known []string) {
	if d.full() {
		d.unlisted++
		return
	}
	if n.isTable() && d.leadsToReserved(n) {
		for _, c := range n.keys {
			if !d.isReserved(c) {
				d.unknown(c, nil)
			}
		}
		return
	}
	hint := ""
	if near := Suggest(n.name, known); near != "" {
		hint = "did you mean " + quoted(near) + "?"
	} else if table := tableWith(n.name, d.schema, nil, false, make(map[reflect.Type]bool)); table == "." {
		hint = quoted(n.name) + " belongs at the top, above the first [table]"
	} else if table != "" {
		hint = quoted(n.name) + " belongs in " + table
	} else if len(known) > 0 {
		hint = "known here: " + strings.Join(known, ", ")
	}
	d.fault(n, "unknown key "+quoted(n.path()), hint)
}

func (d *decoder) leadsToReserved(n *node) bool {
	parts := n.parts(true)
	for _, r := range d.reserved {
		if len(r.parts) > len(parts) && matches(r.parts, parts) {
			return true
		}
	}
	return false
}
