package campaigns

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
)

// pair is a key and what belongs to it.
type pair struct{ key, value uint64 }

const pairSize = 16

func comparePairs(a, b pair) int {
	if a.key != b.key {
		return cmp.Compare(a.key, b.key)
	}
	return cmp.Compare(a.value, b.value)
}

// pairs sorts any number of them in bounded memory: in chunks, which go to disk,
// and are merged.
type pairs struct {
	dir    string
	chunk  []pair
	chunks []*os.File
	limit  int // pairs in memory; tests lower it
}

func newPairs(dir string) pairs { return pairs{dir: dir, limit: 1 << 17} }

func (s *pairs) put(p pair) error {
	if s.chunk == nil {
		s.chunk = make([]pair, 0, min(s.limit, 1<<10))
	}
	s.chunk = append(s.chunk, p)
	if len(s.chunk) >= s.limit {
		return s.spill()
	}
	return nil
}

// spill writes the sorted chunk to a file that has no name any more.
func (s *pairs) spill() error {
	slices.SortFunc(s.chunk, comparePairs)
	f, err := os.CreateTemp(s.dir, "sort-*")
	if err != nil {
		return err
	}
	s.chunks = append(s.chunks, f)
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	var b [pairSize]byte
	for _, p := range s.chunk {
		binary.LittleEndian.PutUint64(b[:8], p.key)
		binary.LittleEndian.PutUint64(b[8:], p.value)
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
	s.chunk = s.chunk[:0]
	return w.Flush()
}

// close gives memory and temporary files free.
func (s *pairs) close() {
	for _, f := range s.chunks {
		_ = f.Close()
	}
	s.chunk, s.chunks = nil, nil
}

// merge calls fn for every pair in order. It may be called again.
func (s *pairs) merge(fn func(pair)) error {
	next, err := s.sorted()
	for err == nil {
		p, ok, nextErr := next()
		if nextErr != nil || !ok {
			return nextErr
		}
		fn(p)
	}
	return err
}

// sorted returns a function that returns one pair after the other, in order; ok is
// false after the last. Nothing is put meanwhile.
func (s *pairs) sorted() (next func() (p pair, ok bool, err error), err error) {
	slices.SortFunc(s.chunk, comparePairs)
	sources := sourceHeap{}
	if len(s.chunk) > 0 {
		sources = append(sources, &source{memory: s.chunk[1:], head: s.chunk[0]})
	}
	for _, f := range s.chunks {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		c := &source{file: bufio.NewReaderSize(f, 1<<15)}
		if ok, err := c.next(); err != nil {
			return nil, err
		} else if ok {
			sources = append(sources, c)
		}
	}
	heap.Init(&sources)
	return func() (p pair, ok bool, err error) {
		if len(sources) == 0 {
			return p, false, nil
		}
		p = sources[0].head
		switch more, err := sources[0].next(); {
		case err != nil:
			return p, false, err
		case more:
			heap.Fix(&sources, 0)
		default:
			heap.Pop(&sources)
		}
		return p, true, nil
	}, nil
}

// source is one sorted chunk: the one in memory, or one on disk.
type source struct {
	memory []pair
	file   *bufio.Reader
	head   pair
	buffer [pairSize]byte
}

func (s *source) next() (bool, error) {
	if s.file == nil {
		if len(s.memory) == 0 {
			return false, nil
		}
		s.head, s.memory = s.memory[0], s.memory[1:]
		return true, nil
	}
	if _, err := io.ReadFull(s.file, s.buffer[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, err
	}
	s.head = pair{binary.LittleEndian.Uint64(s.buffer[:8]), binary.LittleEndian.Uint64(s.buffer[8:])}
	return true, nil
}

type sourceHeap []*source

func (h sourceHeap) Len() int           { return len(h) }
func (h sourceHeap) Less(i, j int) bool { return comparePairs(h[i].head, h[j].head) < 0 }
func (h sourceHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sourceHeap) Push(x any)        { *h = append(*h, x.(*source)) }

// Pop removes the last source, as container/heap wants it.
func (h *sourceHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
