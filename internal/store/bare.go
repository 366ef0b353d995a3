package store

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
)

// Bare writes rows into a table without any index, in a new file of its own, so
// many a transaction, and returns how many they were. The driver and its
// settings are those of a DB, and there is nothing else to it: a measurement
// compares with it what a DB costs.
func Bare(path string, columns, batch int, rows iter.Seq2[[]any, error]) (n int, err error) {
	file, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	if err := precreate(file); err != nil {
		return 0, err
	}
	c, err := newConn(writerDSN(file), writerPragmas)
	if err != nil {
		return 0, fmt.Errorf("store: open %s: %w", file, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	names, places := make([]string, columns), make([]string, columns)
	for i := range names {
		names[i], places[i] = fmt.Sprintf("c%d", i+1), fmt.Sprintf("?%d", i+1)
	}
	if err := c.exec("CREATE TABLE bare (" + strings.Join(names, ", ") + ")"); err != nil {
		return 0, err
	}
	insert, err := c.prepare("INSERT INTO bare VALUES (" + strings.Join(places, ", ") + ")")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, insert.raw.Close()) }()
	for row, rowErr := range rows {
		if rowErr != nil {
			return n, rowErr
		}
		if n%batch == 0 {
			if err := c.turn(n > 0); err != nil {
				return n, err
			}
		}
		if _, err := insert.exec(row); err != nil {
			return n, err
		}
		n++
	}
	if n > 0 {
		err = c.exec("COMMIT")
	}
	return n, err
}

// turn begins a transaction, after the end of another one.
func (c *conn) turn(another bool) error {
	if another {
		if err := c.exec("COMMIT"); err != nil {
			return err
		}
	}
	return c.exec("BEGIN IMMEDIATE")
}
