package tomlfile

import (
	"bytes"
	"sort"
)

// runeBlock is the distance in bytes between two remembered character counts.
const runeBlock = 1024

// source is the text of a file and turns byte offsets into lines and columns.
// The counts are remembered block by block, or a megabyte on a single line
// would be counted again for each of its values.
type source struct {
	data  []byte
	lines []int // offset at which each line starts
	chars []int // characters before each block of runeBlock bytes
}

func newSource(data []byte) *source {
	s := &source{data: data, lines: []int{0}}
	for i := 0; ; {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			break
		}
		i += n + 1
		s.lines = append(s.lines, i)
	}
	total := 0
	for i := 0; i <= len(data); i += runeBlock {
		s.chars = append(s.chars, total)
		total += characters(data[i:min(i+runeBlock, len(data))])
	}
	return s
}

// at returns the line and column of a byte offset, both starting at 1.
func (s *source) at(offset int) (line, column int) {
	offset = min(max(offset, 0), len(s.data))
	line = sort.SearchInts(s.lines, offset+1)
	return line, s.before(offset) - s.before(s.lines[line-1]) + 1
}

// line returns the text of the line that holds the offset, without its end.
func (s *source) line(offset int) []byte {
	n, _ := s.at(offset)
	end := len(s.data)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	return bytes.TrimSuffix(s.data[s.lines[n-1]:end], []byte("\r"))
}

// before counts the characters in front of an offset.
func (s *source) before(offset int) int {
	block := offset / runeBlock
	return s.chars[block] + characters(s.data[block*runeBlock:offset])
}

// characters counts the bytes that start a UTF-8 character. Unlike
// utf8.RuneCount it may be added up over blocks that cut a character in two.
func characters(b []byte) int {
	n := 0
	for _, c := range b {
		if c&0xC0 != 0x80 {
			n++
		}
	}
	return n
}
