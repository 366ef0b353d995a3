package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/mattn/go-sqlite3"
)

// prepared is a statement on one connection. It speaks to the driver itself:
// database/sql would take as long again as SQLite does for a short statement,
// for pooling and cancelling that a pinned connection has no use for. It is
// walked by one caller at a time.
type prepared struct {
	raw    *sqlite3.SQLiteStmt
	args   []driver.NamedValue // used again by every execution: the driver copies them
	row    []driver.Value      // used again by every row
	inputs int
}

func (c *conn) prepare(text string) (*prepared, error) {
	s, err := c.raw.Prepare(text)
	if err != nil {
		return nil, err
	}
	p := &prepared{raw: s.(*sqlite3.SQLiteStmt), inputs: s.NumInput()}
	p.args = make([]driver.NamedValue, p.inputs)
	for i := range p.args {
		p.args[i].Ordinal = i + 1
	}
	return p, nil
}

// bind sets the arguments. The driver would bind NULL for a missing one.
func (p *prepared) bind(args []any) error {
	if len(args) != p.inputs {
		return fmt.Errorf("%d parameters and %d arguments", p.inputs, len(args))
	}
	for i, a := range args {
		switch v := a.(type) {
		case int64, string, bool, float64, []byte, nil:
			p.args[i].Value = v
		case int:
			p.args[i].Value = int64(v)
		default:
			x, err := driver.DefaultParameterConverter.ConvertValue(v)
			if err != nil {
				return fmt.Errorf("argument %d: %w", i+1, err)
			}
			p.args[i].Value = x
		}
	}
	return nil
}

// exec returns how many rows it changed.
func (p *prepared) exec(args []any) (int64, error) {
	if err := p.bind(args); err != nil {
		return 0, err
	}
	res, err := p.raw.ExecContext(context.Background(), p.args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// each calls fn with every row; false ends the walk.
func (p *prepared) each(args []any, fn func([]driver.Value) (bool, error)) (err error) {
	if err := p.bind(args); err != nil {
		return err
	}
	rows, err := p.raw.QueryContext(context.Background(), p.args)
	if err != nil {
		return err
	}
	defer func() { // which says again what failed
		if again := rows.Close(); err == nil {
			err = again
		}
	}()
	if p.row == nil {
		p.row = make([]driver.Value, len(rows.Columns()))
	}
	for {
		switch err := rows.Next(p.row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if on, err := fn(p.row); err != nil || !on {
			return err
		}
	}
}

// scan puts a row where fields point to.
func scan(row []driver.Value, fields []any) error {
	if len(row) != len(fields) {
		return fmt.Errorf("%d columns and %d places for them", len(row), len(fields))
	}
	for i, v := range row {
		if err := assign(fields[i], v); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

// assign puts a value where place points to. It converts nothing but what has
// one meaning: an integer may be a bool, a float or text, and text or bytes
// each other.
func assign(place any, v driver.Value) error {
	switch p := place.(type) {
	case *int64:
		if n, ok := v.(int64); ok {
			*p = n
			return nil
		}
	case *string:
		if s, ok := v.(string); ok {
			*p = s
			return nil
		}
	case *int:
		if n, ok := v.(int64); ok {
			*p = int(n)
			return nil
		}
	case *bool:
		if n, ok := v.(int64); ok && (n == 0 || n == 1) {
			*p = n == 1
			return nil
		}
	case *[]byte:
		if b, ok := v.([]byte); ok {
			*p = b
			return nil
		}
	case sql.Scanner:
		return p.Scan(v)
	}
	return assignKind(place, v)
}

// assignKind is assign for types that a room has named.
func assignKind(place any, v driver.Value) error {
	ptr := reflect.ValueOf(place)
	if ptr.Kind() != reflect.Pointer || ptr.IsNil() {
		return fmt.Errorf("%T is no place for a value", place)
	}
	to := ptr.Elem()
	switch v := v.(type) {
	case int64:
		switch {
		case to.CanInt() && !to.OverflowInt(v):
			to.SetInt(v)
			return nil
		case to.CanUint() && v >= 0 && !to.OverflowUint(uint64(v)):
			to.SetUint(uint64(v))
			return nil
		case to.CanFloat():
			to.SetFloat(float64(v))
			return nil
		case to.Kind() == reflect.Bool && (v == 0 || v == 1):
			to.SetBool(v == 1)
			return nil
		case to.Kind() == reflect.String:
			to.SetString(strconv.FormatInt(v, 10))
			return nil
		}
	case float64:
		if to.CanFloat() {
			to.SetFloat(v)
			return nil
		}
	case string:
		switch {
		case to.Kind() == reflect.String:
			to.SetString(v)
			return nil
		case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8:
			to.SetBytes([]byte(v))
			return nil
		}
	case []byte:
		switch {
		case to.Kind() == reflect.String:
			to.SetString(string(v))
			return nil
		case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8:
			to.SetBytes(v)
			return nil
		}
	}
	return fmt.Errorf("%T does not fit into %T", v, place) // without the value: it may be personal
}
