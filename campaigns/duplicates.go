package campaigns

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"janela/internal/whatsapp"
)

// duplicates finds the rows of an audience that name a number another row has
// named, in bounded memory: pairs of number and row are sorted in chunks on
// disk and merged. What is kept is one bit a row.
type duplicates struct {
	dir    string
	chunk  []numbered
	chunks []*os.File
	rows   int
	limit  int // pairs in memory; tests lower it
}

// numbered is a number's digits as an integer (E.164 has at most 15) and the
// row that has it.
type numbered struct{ phone, row uint64 }

const numberedSize = 16

func compareNumbered(a, b numbered) int {
	return cmp.Or(cmp.Compare(a.phone, b.phone), cmp.Compare(a.row, b.row))
}

func newDuplicates(dir string) *duplicates { return &duplicates{dir: dir, limit: 1 << 18} }

// add notes the number of a row; rows count from 0.
func (d *duplicates) add(p whatsapp.Phone, row int) error {
	n, err := strconv.ParseUint(p.Digits(), 10, 64)
	if err != nil {
		return fmt.Errorf("campaigns: a number that is not digits: %w", err)
	}
	d.chunk = append(d.chunk, numbered{n, uint64(row)})
	d.rows = max(d.rows, row+1)
	if len(d.chunk) >= d.limit {
		return d.spill()
	}
	return nil
}

// spill writes the sorted chunk to a file that has no name any more.
func (d *duplicates) spill() error {
	slices.SortFunc(d.chunk, compareNumbered)
	f, err := os.CreateTemp(d.dir, "sort-*")
	if err != nil {
		return err
	}
	d.chunks = append(d.chunks, f)
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	var b [numberedSize]byte
	for _, p := range d.chunk {
		binary.LittleEndian.PutUint64(b[:8], p.phone)
		binary.LittleEndian.PutUint64(b[8:], p.row)
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
	d.chunk = d.chunk[:0]
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// close gives the temporary files free.
func (d *duplicates) close() {
	for _, f := range d.chunks {
		_ = f.Close()
	}
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
	var before numbered
	any := false
	err := d.merge(func(p numbered) {
		if any && p.phone == before.phone {
			if last {
				out.add(before.row)
			} else {
				out.add(p.row)
			}
		}
		before, any = p, true
	})
	return out, err
}

// merge calls fn for every pair in order.
func (d *duplicates) merge(fn func(numbered)) error {
	slices.SortFunc(d.chunk, compareNumbered)
	sources := sourceHeap{}
	if len(d.chunk) > 0 {
		sources = append(sources, &source{memory: d.chunk[1:], head: d.chunk[0]})
	}
	for _, f := range d.chunks {
		s := &source{file: bufio.NewReaderSize(f, 1<<16)}
		if ok, err := s.next(); err != nil {
			return err
		} else if ok {
			sources = append(sources, s)
		}
	}
	heap.Init(&sources)
	for len(sources) > 0 {
		s := sources[0]
		fn(s.head)
		ok, err := s.next()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&sources, 0)
		} else {
			heap.Pop(&sources)
		}
	}
	return nil
}

// source is one sorted chunk: the one in memory, or one on disk.
type source struct {
	memory []numbered
	file   *bufio.Reader
	head   numbered
}

func (s *source) next() (bool, error) {
	if s.file == nil {
		if len(s.memory) == 0 {
			return false, nil
		}
		s.head, s.memory = s.memory[0], s.memory[1:]
		return true, nil
	}
	var b [numberedSize]byte
	if _, err := io.ReadFull(s.file, b[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, err
	}
	s.head = numbered{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
	return true, nil
}

type sourceHeap []*source

func (h sourceHeap) Len() int           { return len(h) }
func (h sourceHeap) Less(i, j int) bool { return compareNumbered(h[i].head, h[j].head) < 0 }
func (h sourceHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sourceHeap) Push(x any)        { *h = append(*h, x.(*source)) }

// Pop removes the last source, as container/heap wants it.
func (h *sourceHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
