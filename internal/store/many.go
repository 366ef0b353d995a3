package store

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Many is one statement over several rows: what SQLite and the driver take for
// every execution is paid once for many rows. Make it with SQLMany.
type Many struct {
	stmts   [len(manyRows)]*Stmt
	args    int // parameters of the statement itself
	columns int // parameters of a row
}

// manyRows are how many rows an execution takes, the most first.
var manyRows = [...]int{50, 10, 4, 1}

var (
	rowParam = regexp.MustCompile(`\?r([0-9]+)`)
	param    = regexp.MustCompile(`\?([0-9]+)`)
)

// SQLMany declares a statement over several rows, as SQL does one. text holds
// {rows} once, where row stands as often as there are rows, with commas between.
// Parameters of the statement are ?1, ?2, …; those of a row ?r1, ?r2, …
func SQLMany(text, row string) *Many {
	m := &Many{args: max(highest(param, text), highest(param, row)), columns: highest(rowParam, row)}
	for i, n := range manyRows {
		rows := make([]string, n)
		for j := range rows {
			rows[j] = rowParam.ReplaceAllStringFunc(row, func(p string) string {
				k, _ := strconv.Atoi(p[2:])
				return "?" + strconv.Itoa(m.args+j*m.columns+k)
			})
		}
		m.stmts[i] = register(strings.Replace(text, "{rows}", strings.Join(rows, ", "), 1), 1)
	}
	return m
}

func highest(params *regexp.Regexp, text string) (most int) {
	for _, m := range params.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1])
		most = max(most, n)
	}
	return most
}

// each calls fn with statements and arguments that take n rows together.
func (m *Many) each(args []any, n int, row func(i int, args []any) []any, fn func(*Stmt, []any) error) error {
	if len(args) != m.args {
		return fmt.Errorf("store: %s: %d parameters and %d arguments", firstLine(m.stmts[0].text), m.args, len(args))
	}
	var all []any
	for i, size := 0, 0; i < n; {
		for n-i < manyRows[size] {
			size++
		}
		all = append(all[:0], args...)
		for range manyRows[size] {
			all = row(i, all)
			i++
		}
		if err := fn(m.stmts[size], all); err != nil {
			return err
		}
	}
	return nil
}

// ExecMany runs a statement for n rows and returns how many it changed. row
// appends the arguments of the i-th.
func (tx *Tx) ExecMany(m *Many, n int, row func(i int, args []any) []any, args ...any) (changed int64, err error) {
	err = m.each(args, n, row, func(s *Stmt, all []any) error {
		k, err := tx.Exec(s, all...)
		changed += k
		return err
	})
	return changed, err
}

// EachMany runs a statement for n rows and calls fn for what it returns, as Each
// does.
func EachMany[T any, P Row[T]](q Querier, m *Many, n int, row func(i int, args []any) []any, fn func(P) error, args ...any) error {
	return m.each(args, n, row, func(s *Stmt, all []any) error { return Each(q, s, fn, all...) })
}
