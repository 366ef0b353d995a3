package tomlfile

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	toml "github.com/pelletier/go-toml/v2"
)

// shape is what a field wants to be given.
type shape int

const (
	unsupported shape = iota
	text
	boolean
	whole
	number
	duration
	localDate
	localTime
	localDateTime
	custom // text handed to UnmarshalText
	list
	mapping
	record
	customRecord // a record, or a text handed to UnmarshalText
	pointer
)

var (
	durationType      = reflect.TypeFor[time.Duration]()
	localDateType     = reflect.TypeFor[toml.LocalDate]()
	localTimeType     = reflect.TypeFor[toml.LocalTime]()
	localDateTimeType = reflect.TypeFor[toml.LocalDateTime]()
	unmarshalerType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func shapeOf(t reflect.Type) shape {
	switch t {
	case durationType:
		return duration
	case localDateType:
		return localDate
	case localTimeType:
		return localTime
	case localDateTimeType:
		return localDateTime
	}
	if t.Kind() == reflect.Pointer {
		return pointer
	}
	if reflect.PointerTo(t).Implements(unmarshalerType) {
		if t.Kind() == reflect.Struct && len(recordOf(t).fields) > 0 {
			return customRecord
		}
		return custom
	}
	switch t.Kind() {
	case reflect.String:
		return text
	case reflect.Bool:
		return boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return whole
	case reflect.Float64:
		return number
	case reflect.Slice:
		return list
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return mapping
		}
	case reflect.Struct:
		return record
	}
	return unsupported
}

// field is one key that a struct knows.
type field struct {
	name   string
	index  []int
	typ    reflect.Type
	secret bool
}

// fields are the keys that a struct knows, in its order.
type fields struct {
	fields []field
	byName map[string]field
	names  []string
}

var recordCache sync.Map // reflect.Type to *fields

// recordOf returns the keys of a struct type. It panics on two fields of one
// name, which is a mistake of the programmer.
func recordOf(t reflect.Type) *fields {
	if known, ok := recordCache.Load(t); ok {
		return known.(*fields)
	}
	r := &fields{byName: make(map[string]field)}
	r.collect(t, nil)
	for _, f := range r.fields {
		if _, twice := r.byName[f.name]; twice {
			panic(fmt.Sprintf("tomlfile: %s has two fields for the key %q", t, f.name))
		}
		r.byName[f.name] = f
		r.names = append(r.names, f.name)
	}
	recordCache.Store(t, r)
	return r
}

func (r *fields) collect(t reflect.Type, prefix []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), prefix...), i)
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			r.collect(f.Type, index)
		case name != "" && f.IsExported():
			r.fields = append(r.fields, field{name, index, f.Type, f.Tag.Get("secret") == "true"})
		}
	}
}

var checkedTypes sync.Map // reflect.Type to struct{}

// mustDecode panics unless every field below t is of a supported type, so that a
// programmer learns it on the first call and not from a user's file.
func mustDecode(t reflect.Type) {
	if _, ok := checkedTypes.Load(t); ok {
		return
	}
	checkType(t, t.String(), make(map[reflect.Type]bool))
	checkedTypes.Store(t, struct{}{})
}

func checkType(t reflect.Type, where string, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch shapeOf(t) {
	case unsupported:
		panic(fmt.Sprintf("tomlfile: %s has the type %s, which is not supported", where, t))
	case pointer, list, mapping:
		checkType(t.Elem(), where, seen)
	case record, customRecord:
		for _, f := range recordOf(t).fields {
			checkType(f.typ, where+"."+f.name, seen)
		}
	}
}

// holdsSecret reports whether a field anywhere below t is secret. Of such a
// type not even a value of the wrong kind is quoted: somebody may have written
// the secret itself where its table belongs.
func holdsSecret(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch shapeOf(t) {
	case pointer, list, mapping:
		return holdsSecret(t.Elem(), seen)
	case record, customRecord:
		for _, f := range recordOf(t).fields {
			if f.secret || holdsSecret(f.typ, seen) {
				return true
			}
		}
	}
	return false
}

// tableWith finds the table in which a key would be known: "" when there is
// none, "." for the top level, else its header. Tables inside lists count.
func tableWith(name string, t reflect.Type, path []string, lists bool, seen map[reflect.Type]bool) string {
	switch shapeOf(t) {
	case pointer:
		return tableWith(name, t.Elem(), path, lists, seen)
	case list:
		return tableWith(name, t.Elem(), path, true, seen)
	case record, customRecord:
	default:
		return ""
	}
	if seen[t] {
		return ""
	}
	seen[t] = true
	r := recordOf(t)
	if _, ok := r.byName[name]; ok {
		switch dotted := strings.Join(path, "."); {
		case dotted == "":
			return "."
		case lists:
			return "[[" + dotted + "]]"
		default:
			return "[" + dotted + "]"
		}
	}
	for _, f := range r.fields {
		if found := tableWith(name, f.typ, append(path[:len(path):len(path)], f.name), false, seen); found != "" {
			return found
		}
	}
	return ""
}
