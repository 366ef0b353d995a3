package csvfile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// surveyed is what the first pass over a file learns.
type surveyed struct {
	encoding string
	sum      [sha256.Size]byte
}

// survey passes over the file once: it refuses what is no CSV by name, and
// tells UTF-8 from Windows-1252. A single wrong byte decides, so the whole file
// is looked at before the first row is used.
func survey(r io.Reader) (surveyed, error) {
	var s byteScan
	hash := sha256.New()
	from := io.TeeReader(r, hash)
	buffer := make([]byte, 64<<10)
	kept := 0 // bytes of a character that the last piece cut in two
	for first := true; ; first = false {
		n, err := io.ReadFull(from, buffer[kept:])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return surveyed{}, err
		}
		piece := buffer[:kept+n]
		if first {
			if err := notCSV(piece); err != nil {
				return surveyed{}, err
			}
		}
		rest := s.take(piece, ended)
		kept = copy(buffer, rest)
		if ended {
			break
		}
	}
	out := surveyed{encoding: UTF8}
	hash.Sum(out.sum[:0])
	switch {
	case s.nul > 0:
		return out, &Error{Line: s.nul, Message: "the file holds a NUL byte, so it is not text", Hint: "save it as CSV in UTF-8"}
	case !s.text:
		return out, &Error{Message: "the file is empty", Hint: "the first line names the columns"}
	case s.odd == 0:
	case s.multi > 0:
		return out, &Error{
			Line:    s.odd,
			Message: fmt.Sprintf("the file mixes UTF-8 (line %d) and Windows-1252 (line %d)", s.multi, s.odd),
			Hint:    "names would be garbled; export it again as UTF-8",
		}
	case s.undefined > 0:
		return out, &Error{Line: s.undefined, Message: "the file is neither UTF-8 nor Windows-1252", Hint: "save it as CSV in UTF-8"}
	default:
		out.encoding = Windows1252
	}
	if s.lines == 0 && s.returns > 0 {
		return out, &Error{Message: "the lines end in carriage returns alone, as on old Macs", Hint: "save it as CSV with Windows or Unix line ends"}
	}
	return out, nil
}

// byteScan counts as bytes go by. The lines are of the first such byte, 0 for none.
type byteScan struct {
	lines, returns int  // line ends so far; carriage returns without one
	text           bool // anything but white space and a mark
	nul            int
	multi          int // a character of several bytes in UTF-8
	odd            int // a byte that is not UTF-8
	undefined      int // a byte that Windows-1252 does not know
}

// take scans a piece and returns the beginning of a character that it cuts off.
func (s *byteScan) take(p []byte, last bool) (rest []byte) {
	for i := 0; i < len(p); {
		c := p[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '\n':
				s.lines++
			case c == '\r':
				if i+1 < len(p) && p[i+1] != '\n' {
					s.returns++
				}
			case c == 0:
				first(&s.nul, s.lines)
			case c != ' ' && c != '\t':
				s.text = true
			}
			i++
			continue
		}
		if !last && !utf8.FullRune(p[i:]) {
			return p[i:]
		}
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 {
			first(&s.odd, s.lines)
			switch c {
			case 0x81, 0x8D, 0x8F, 0x90, 0x9D:
				first(&s.undefined, s.lines)
			}
		} else {
			first(&s.multi, s.lines)
		}
		s.text = s.text || r != '\uFEFF'
		i += n
	}
	return nil
}

func first(line *int, lines int) {
	if *line == 0 {
		*line = lines + 1
	}
}

// notCSV knows by their first bytes the files that people take for CSV.
func notCSV(start []byte) error {
	utf16 := bytes.HasPrefix(start, []byte("\xFF\xFE")) || bytes.HasPrefix(start, []byte("\xFE\xFF")) ||
		len(start) >= 4 && (start[0] == 0) != (start[1] == 0) && (start[0] == 0) == (start[2] == 0) && (start[1] == 0) == (start[3] == 0)
	if utf16 {
		return &Error{Message: "the file is UTF-16 text", Hint: `save it as "CSV UTF-8"`}
	}
	for _, known := range []struct{ magic, message, hint string }{
		{"PK\x03\x04", "the file is a spreadsheet (xlsx) or a zip archive, not CSV", `save the sheet as "CSV UTF-8"`},
		{"\xD0\xCF\x11\xE0", "the file is an old spreadsheet (xls), not CSV", `save the sheet as "CSV UTF-8"`},
		{"\x1F\x8B", "the file is compressed (gzip)", "unpack it"},
		{"%PDF", "the file is a PDF, not CSV", "export the list as CSV"},
	} {
		if bytes.HasPrefix(start, []byte(known.magic)) {
			return &Error{Message: known.message, Hint: known.hint}
		}
	}
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(start[:min(len(start), 512)], []byte("\xEF\xBB\xBF"))))
	for _, tag := range []string{"<!doctype", "<html", "<head", "<body", "<table", "<?xml", "<meta"} {
		if bytes.HasPrefix(text, []byte(tag)) {
			return &Error{Message: "the file is a web page (HTML or XML), not CSV", Hint: "a download may have saved the login page; export the list again"}
		}
	}
	// A quote behind a bracket is no CSV either, and a header may be [Nome].
	if inside := bytes.TrimLeft(text, "[{ \t\r\n"); len(inside) < len(text) && bytes.HasPrefix(inside, []byte(`"`)) {
		return &Error{Message: "the file is JSON, not CSV", Hint: "export the list as CSV"}
	}
	return nil
}
