package tomlfile

import (
	"encoding"
	"math"
	"reflect"
	"time"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// fits reports whether a kind of TOML value is right for a scalar shape.
func fits(k unstable.Kind, s shape) bool {
	switch s {
	case text:
		return k == unstable.String
	case boolean:
		return k == unstable.Bool
	case whole:
		return k == unstable.Integer
	case number:
		return k == unstable.Integer || k == unstable.Float
	case localDate:
		return k == unstable.LocalDate
	case localTime:
		return k == unstable.LocalTime
	case localDateTime:
		return k == unstable.LocalDateTime
	}
	return false
}

// scalar reads a value of the right kind. It can still be out of range or no
// date of the calendar; go-toml says so, and its words quote nothing.
func (d *decoder) scalar(n *node, v reflect.Value, s shape) bool {
	switch s {
	case text:
		v.SetString(n.text)
	case boolean:
		v.SetBool(n.text == "true")
	case whole:
		i, err := read[int64](n)
		if err != nil || v.OverflowInt(i) {
			d.fault(n, label(n)+" is out of range", "")
			return false
		}
		v.SetInt(i)
	case number:
		f, err := readNumber(n)
		if err != nil {
			d.fault(n, label(n)+" is out of range", "")
			return false
		}
		if math.IsInf(f, 0) || math.IsNaN(f) {
			// Neither can be compared in a useful way: limits would not hold.
			d.fault(n, label(n)+" must be a number", "inf and nan are not accepted")
			return false
		}
		v.SetFloat(f)
	case localDate, localTime, localDateTime:
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
			d.fault(n, label(n)+" is not "+words(v.Type()).one+": "+err.Error(), "")
			return false
		}
	}
	return true
}

// read lets go-toml read a single value.
func read[T any](n *node) (T, error) {
	var doc struct{ V T }
	err := toml.Unmarshal([]byte("V = "+n.text), &doc)
	return doc.V, err
}

func readNumber(n *node) (float64, error) {
	if n.kind == unstable.Integer {
		i, err := read[int64](n)
		return float64(i), err
	}
	return read[float64](n)
}

func (d *decoder) duration(n *node, v reflect.Value, secret bool) bool {
	value, err := time.ParseDuration(n.text)
	if err == nil {
		v.SetInt(int64(value))
		return true
	}
	if secret {
		d.fault(n, label(n)+" must be a duration", likeDuration)
	} else {
		d.fault(n, label(n)+" must be a duration, not the text "+quoted(n.text), durationHint(n.text))
	}
	return false
}

func (d *decoder) custom(n *node, v reflect.Value, secret bool) bool {
	p := reflect.New(v.Type())
	p.Elem().Set(v) // a type may keep a default in itself
	err := p.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text))
	if err == nil {
		v.Set(p.Elem())
		return true
	}
	if secret {
		d.fault(n, label(n)+" is not valid", "its value is secret and not shown")
	} else {
		d.fault(n, label(n)+" is not valid: "+oneLine(err.Error()), "")
	}
	return false
}
