package campaigns

import (
	"fmt"
	"strconv"

	"janela/internal/whatsapp"
)

// duplicates finds the rows of an audience that name a number another row has
// named, in bounded memory. What is kept is one bit a row.
type duplicates struct {
	pairs // of the number's digits as an integer (E.164 has at most 15) and the row that has it
	rows  int
}

func newDuplicates(dir string) *duplicates { return &duplicates{pairs: newPairs(dir)} }

// add notes the number of a row; rows count from 0.
func (d *duplicates) add(p whatsapp.Phone, row int) error {
	n, err := strconv.ParseUint(p.Digits(), 10, 64)
	if err != nil {
		return fmt.Errorf("campaigns: a number that is not digits: %w", err)
	}
	d.rows = max(d.rows, row+1)
	return d.put(pair{n, uint64(row)})
}

// rowSet is a set of rows, one bit each.
type rowSet struct {
	bits []uint64
	n    int
}

func (s *rowSet) add(row uint64) {
	s.bits[row/64] |= 1 << (row % 64)
	s.n++
}

func (s *rowSet) has(row int) bool {
	return row/64 < len(s.bits) && s.bits[row/64]&(1<<(row%64)) != 0
}

// skip returns the rows that must not be used: of several for one number all
// but the first, or all but the last.
func (d *duplicates) skip(last bool) (*rowSet, error) {
	out := &rowSet{bits: make([]uint64, d.rows/64+1)}
	var before pair
	any := false
	err := d.merge(func(p pair) {
		if any && p.key == before.key {
			if last {
				out.add(before.value)
			} else {
				out.add(p.value)
			}
		}
		before, any = p, true
	})
	return out, err
}
