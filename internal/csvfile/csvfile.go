package csvfile

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// longestRow bounds one row in bytes, with its quoted line ends: a quote that is
// never closed must not take a large file into memory.
const longestRow = 1 << 20

// Encodings of a file.
const (
	UTF8        = "UTF-8"
	Windows1252 = "Windows-1252"
)

// Error says why a file cannot be used at all.
type Error struct {
	Line    int // 0 when the fault has no line
	Message string
	Hint    string // what to do; may be empty
}

// Error returns line, message and hint.
func (e *Error) Error() string {
	s := e.Message
	if e.Line > 0 {
		s = fmt.Sprintf("line %d: %s", e.Line, s)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Options say what else is taken for CSV.
type Options struct {
	Bar bool // "|" separates cells, too
}

// File is a CSV file that is being read. It is not safe for use by several
// goroutines.
type File struct {
	Encoding  string   // UTF8 or Windows1252
	Separator rune     // ',', ';', '\t' or, if Options.Bar, '|'
	Header    []string // the names of the columns, trimmed

	csv     *csv.Reader
	feed    *feed
	opt     Options
	sum     [sha256.Size]byte
	again   hash.Hash // of the second pass
	lead    lead
	last    int  // the line on which the latest record started
	pending *Row // the first row, read ahead; nil when it was given out
}

// Row is one row below the header. The cells stay valid after the next row was
// read; the slice that holds them is used again.
type Row struct {
	Line   int      // where the row starts; the file's first line is 1
	Fields []string // as many as the header has, if there is no fault; nil if the quotes are wrong
	Fault  string   // why the row cannot be read, or is not as wide as the header; "" otherwise
}

// Open reads the header of a file from where r stands. The caller closes r, after
// the last row. Errors are *Error where the content is at fault.
func Open(r io.ReadSeeker, opt Options) (*File, error) {
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	look, err := survey(r)
	if err != nil {
		return nil, err
	}
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return nil, err
	}
	return read(r, &File{Encoding: look.encoding, sum: look.sum, opt: opt})
}

// Again reads a file anew, from where r stands, that was opened before: what the
// first pass over all of it learnt is not asked again. Where it is another file by
// now, the last Next says so at the latest.
func Again(r io.Reader, before *File) (*File, error) {
	return read(r, &File{Encoding: before.Encoding, sum: before.sum, opt: before.opt})
}

// read reads the header of a file that was passed over.
func read(r io.Reader, f *File) (_ *File, err error) {
	f.again = sha256.New()
	text := io.TeeReader(r, f.again)
	if f.Encoding == Windows1252 {
		text = charmap.Windows1252.NewDecoder().Reader(text)
	}
	f.feed = &feed{from: text}
	in := bufio.NewReaderSize(f.feed, 64<<10)
	head, _ := in.Peek(in.Size()) // an error comes again with the row that it spoils
	if f.lead, err = readLead(head, f.opt); err != nil {
		return nil, err
	}
	if _, err := in.Discard(f.lead.bytes); err != nil {
		return nil, err
	}
	f.Separator = f.lead.separator
	f.csv = csv.NewReader(in)
	f.csv.Comma = f.Separator
	f.csv.FieldsPerRecord = -1 // a ragged row is that row's fault
	f.csv.ReuseRecord = true
	return f, f.begin()
}

// begin reads the header and the first row.
func (f *File) begin() error {
	fields, line, err := f.read()
	switch {
	case errors.Is(err, io.EOF):
		return &Error{Message: "the file has a sep= line and no header", Hint: "the line after it names the columns"}
	case err != nil:
		return err
	case fields == nil:
		return &Error{Line: line, Message: "the header cannot be read: " + wrongQuote, Hint: wrongQuoteHint}
	}
	f.Header = make([]string, len(fields))
	for i, name := range fields {
		f.Header[i] = strings.TrimSpace(strings.Clone(name))
	}
	var row Row
	if err := f.Next(&row); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	f.pending = &row
	return nil
}

// Empty reports, before the first Next, whether the file has no rows.
func (f *File) Empty() bool { return f.pending == nil }

// SHA256 returns the hash of all bytes in hexadecimal, as they were when the
// file was opened.
func (f *File) SHA256() string { return hex.EncodeToString(f.sum[:]) }

const (
	wrongQuote     = "a quote stands in the wrong place"
	wrongQuoteHint = "put quotes around the whole cell, and double those inside"
)

// Next reads the next row; io.EOF says that the last one was read and that the
// file is still what it was when it was opened. Rows without any text are
// skipped. A row that cannot be read has its Fault set and is no error.
func (f *File) Next(row *Row) error {
	if f.pending != nil {
		*row, f.pending = *f.pending, nil
		return nil
	}
	for {
		fields, line, err := f.read()
		switch {
		case errors.Is(err, io.EOF):
			if [sha256.Size]byte(f.again.Sum(nil)) != f.sum {
				return &Error{Message: "the file changed while it was read", Hint: "write a new file beside it and rename it into place"}
			}
			return io.EOF
		case err != nil:
			return err
		}
		*row = Row{Line: line, Fields: fields}
		switch width := len(f.Header); {
		case fields == nil:
			row.Fault = wrongQuote + "; " + wrongQuoteHint
		case blank(fields):
			continue
		case len(fields) < width || !blank(fields[width:]):
			cells := "cells"
			if len(fields) == 1 {
				cells = "cell"
			}
			row.Fault = fmt.Sprintf("the row has %d %s, the header %d; put quotes around a cell that holds the separator %q", len(fields), cells, width, f.Separator)
		default: // spreadsheets leave empty cells at the end of a row
			row.Fields = fields[:width]
		}
		return nil
	}
}

// read returns the cells of one record and the line it starts on; nil cells
// when quotes are wrong in it.
func (f *File) read() ([]string, int, error) {
	f.feed.row = 0
	fields, err := f.csv.Read()
	var wrong *csv.ParseError
	switch {
	case err == nil:
		line, _ := f.csv.FieldPos(0)
		f.last = line + f.lead.lines
		return fields, f.last, nil
	case errors.Is(err, errLongRow):
		what := "the row after this one"
		if f.last == 0 {
			what = "the header"
		}
		return nil, 0, &Error{
			Line:    f.last,
			Message: fmt.Sprintf("%s is longer than %d bytes", what, longestRow),
			Hint:    "look for a quote that is opened and never closed",
		}
	case errors.As(err, &wrong) && errors.Is(err, csv.ErrQuote) && wrong.Line > wrong.StartLine && f.feed.ended && f.feed.total == int64(f.lead.bytes)+f.csv.InputOffset():
		// Everything after the quote was taken for one cell: those people
		// would be left out without a word.
		return nil, 0, &Error{Line: wrong.StartLine + f.lead.lines, Message: "a quote is opened in this row and never closed"}
	case errors.As(err, &wrong):
		f.last = wrong.StartLine + f.lead.lines
		return nil, f.last, nil
	}
	return nil, 0, err
}

func blank(fields []string) bool {
	for _, cell := range fields {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

var errLongRow = errors.New("csvfile: row too long")

// feed stops a row that never ends, which is what an open quote looks like.
type feed struct {
	from  io.Reader
	row   int   // bytes read since the row began
	total int64 // bytes read
	ended bool
}

// Read reads from the file.
func (f *feed) Read(p []byte) (int, error) {
	if f.row > longestRow {
		return 0, errLongRow
	}
	n, err := f.from.Read(p)
	f.row += n
	f.total += int64(n)
	f.ended = f.ended || err == io.EOF
	return n, err
}
