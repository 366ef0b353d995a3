package campaigns

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// AudienceOptions bounds what is read.
type AudienceOptions struct {
	MaxRowBytes int // of one row, with its quoted line ends; 0: 1 MiB
}

// AudienceError says why a file cannot be used as an audience at all. It never
// repeats a cell.
type AudienceError struct {
	Line    int // 0 when the fault has no line
	Message string
	Hint    string
}

// Error returns line, message and hint.
func (e *AudienceError) Error() string {
	s := e.Message
	if e.Line > 0 {
		s = fmt.Sprintf("line %d: %s", e.Line, s)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Encodings of an audience.
const (
	EncodingUTF8        = "UTF-8"
	EncodingWindows1252 = "Windows-1252"
)

// Audience reads a CSV file row by row. It passes over the file twice, once for
// its encoding and hash and once for its rows, and never holds more of it than
// a row. It is not safe for use by several goroutines.
type Audience struct {
	Encoding  string // EncodingUTF8 or EncodingWindows1252
	Separator rune   // ',', ';' or '\t'

	header    []string
	csv       *csv.Reader
	feed      *feed
	sum       [sha256.Size]byte
	again     hash.Hash // of the second pass
	skipped   int       // lines before the header
	last      int       // the line on which the latest record started
	pending   *Row      // the first row, read ahead
	firstRow  Row
	closeFile func() error
}

// Row is one row of an audience. The cells stay valid after the next row was
// read; the slice that holds them is used again.
type Row struct {
	Line   int // where the row starts; the file's first line is 1
	Fields []string
	Fault  *Reject // the row cannot be read; nil otherwise
}

// OpenAudience opens a CSV file. Errors are *AudienceError where the file's
// content is at fault.
func OpenAudience(path string, opt AudienceOptions) (*Audience, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for ever
		return nil, &AudienceError{Message: "it is not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return OpenAudienceFile(f, opt)
}

// OpenAudienceFile reads an open file, and owns it: it is closed with the
// Audience, or before an error is returned.
func OpenAudienceFile(f *os.File, opt AudienceOptions) (*Audience, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	a, err := ReadAudience(f, info.Size(), opt)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	a.closeFile = f.Close
	return a, nil
}

// ReadAudience reads the first size bytes of r.
func ReadAudience(r io.ReaderAt, size int64, opt AudienceOptions) (*Audience, error) {
	if opt.MaxRowBytes <= 0 {
		opt.MaxRowBytes = 1 << 20
	}
	a := &Audience{again: sha256.New()}
	look, err := survey(r, size)
	if err != nil {
		return nil, err
	}
	a.Encoding, a.sum = look.encoding, look.sum

	lead, err := readLead(r, size)
	if err != nil {
		return nil, err
	}
	a.Separator, a.skipped = lead.separator, lead.lines
	whole := io.TeeReader(io.NewSectionReader(r, 0, size), a.again)
	if _, err := io.CopyN(io.Discard, whole, lead.skip); err != nil {
		return nil, err
	}
	if a.Encoding == EncodingWindows1252 {
		whole = charmap.Windows1252.NewDecoder().Reader(whole)
	}
	a.feed = &feed{from: whole, most: opt.MaxRowBytes}
	a.csv = csv.NewReader(a.feed)
	a.csv.Comma = a.Separator
	a.csv.FieldsPerRecord = -1 // a ragged row is that row's fault
	a.csv.ReuseRecord = true
	return a, a.begin()
}

// begin reads the header and the first row.
func (a *Audience) begin() error {
	fields, _, err := a.read()
	switch {
	case errors.Is(err, io.EOF):
		return &AudienceError{Message: "the file is empty", Hint: "the first line names the columns"}
	case err != nil:
		return err
	case fields == nil:
		return &AudienceError{Line: 1 + a.skipped, Message: "the header cannot be read: a quote stands in the wrong place", Hint: "put quotes around the whole cell, and double those inside"}
	}
	a.header = make([]string, len(fields))
	for i, f := range fields {
		a.header[i] = strings.TrimSpace(strings.Clone(f))
	}
	switch err := a.Next(&a.firstRow); {
	case errors.Is(err, io.EOF):
		return &AudienceError{Message: "the file has a header and no rows"}
	case err != nil:
		return err
	}
	a.pending = &a.firstRow
	return nil
}

// Header returns the names of the columns, trimmed.
func (a *Audience) Header() []string { return a.header }

// SHA256 returns the hash of the whole file in hexadecimal, as it was when it
// was opened.
func (a *Audience) SHA256() string { return hex.EncodeToString(a.sum[:]) }

// Close closes the file that OpenAudience opened.
func (a *Audience) Close() error {
	if a.closeFile == nil {
		return nil
	}
	return a.closeFile()
}

// Next reads the next row; io.EOF says that the last one was read and that the
// file is still what it was when it was opened. Rows without any text are
// skipped. A row that cannot be read has its Fault set and is no error.
func (a *Audience) Next(row *Row) error {
	if a.pending != nil {
		*row, a.pending = *a.pending, nil
		return nil
	}
	for {
		fields, line, err := a.read()
		switch {
		case errors.Is(err, io.EOF):
			if [sha256.Size]byte(a.again.Sum(nil)) != a.sum {
				return &AudienceError{Message: "the file changed while it was read", Hint: "write a new file beside it and rename it into place"}
			}
			return io.EOF
		case err != nil:
			return err
		}
		row.Line, row.Fields, row.Fault = line, fields, nil
		switch {
		case fields == nil:
			row.Fault = &Reject{Line: line, Reason: RowMalformed, Detail: "a quote stands in the wrong place; put quotes around the whole cell, and double those inside"}
		case blank(fields):
			continue
		case len(fields) < len(a.header) || !blank(fields[len(a.header):]):
			row.Fault = &Reject{Line: line, Reason: RowRagged, Detail: fmt.Sprintf("the row has %s, the header %d; put quotes around a cell that holds the separator %q", count(len(fields), "cell"), len(a.header), a.Separator)}
		default: // spreadsheets leave empty cells at the end of a row
			row.Fields = fields[:len(a.header)]
		}
		return nil
	}
}

// read returns the cells of one record and the line it starts on; nil cells
// when quotes are wrong in it.
func (a *Audience) read() ([]string, int, error) {
	a.feed.row = 0
	fields, err := a.csv.Read()
	var wrong *csv.ParseError
	switch {
	case err == nil:
		line, _ := a.csv.FieldPos(0)
		a.last = line + a.skipped
		return fields, a.last, nil
	case errors.Is(err, errLongRow):
		return nil, 0, &AudienceError{
			Line:    a.last,
			Message: fmt.Sprintf("the row after this one is longer than %d bytes", a.feed.most),
			Hint:    "look for a quote that is opened and never closed",
		}
	case errors.As(err, &wrong) && errors.Is(err, csv.ErrQuote) && wrong.Line > wrong.StartLine && a.feed.ended && a.feed.total == a.csv.InputOffset():
		// Everything after the quote was taken for one cell: those people
		// would be left out without a word.
		return nil, 0, &AudienceError{Line: wrong.StartLine + a.skipped, Message: "a quote is opened in this row and never closed"}
	case errors.As(err, &wrong):
		return nil, wrong.StartLine + a.skipped, nil
	}
	return nil, 0, err
}

func blank(fields []string) bool {
	for _, f := range fields {
		if strings.TrimSpace(f) != "" {
			return false
		}
	}
	return true
}

var errLongRow = errors.New("campaigns: row too long")

// feed stops a row that never ends, which is what an open quote looks like.
type feed struct {
	from  io.Reader
	most  int
	row   int   // bytes read since the row began
	total int64 // bytes read
	ended bool
}

// Read reads from the file.
func (f *feed) Read(p []byte) (int, error) {
	if f.row > f.most {
		return 0, errLongRow
	}
	n, err := f.from.Read(p)
	f.row += n
	f.total += int64(n)
	f.ended = f.ended || err == io.EOF
	return n, err
}

// lead is what stands before the header, and the separator.
type lead struct {
	skip      int64 // bytes
	lines     int
	separator rune
}

// readLead looks at the beginning of the file for a mark, a "sep=" line and
// the header's separators.
func readLead(r io.ReaderAt, size int64) (lead, error) {
	l := lead{separator: ','}
	text := make([]byte, min(size, 64<<10))
	if n, err := r.ReadAt(text, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(text)) {
		return l, err
	}
	if rest, ok := bytes.CutPrefix(text, []byte("\xEF\xBB\xBF")); ok {
		l.skip, text = 3, rest
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if mark := bytes.TrimRight(first, "\r"); len(mark) >= 5 && strings.EqualFold(string(mark[:4]), "sep=") {
		l.separator = rune(mark[4])
		if len(mark) != 5 || !strings.ContainsRune(",;\t", l.separator) {
			return l, &AudienceError{Line: 1, Message: "the separator of the sep= line is not known", Hint: "use a comma, a semicolon or a tab"}
		}
		l.skip += int64(len(first)) + 1
		l.lines = 1
		l.skip = min(l.skip, size)
		return l, nil
	}
	l.separator = separatorOf(text)
	return l, nil
}

// separatorOf counts the separators of the header outside its quotes.
func separatorOf(text []byte) rune {
	counts := map[byte]int{}
	quoted, begun := false, false
	for _, c := range text {
		if c == '"' {
			quoted = !quoted
		}
		if !quoted && c == '\n' && begun {
			break
		}
		if c != '\n' && c != '\r' {
			begun = true
		}
		if !quoted {
			counts[c]++
		}
	}
	best := byte(',')
	for _, c := range []byte(";\t") {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return rune(best)
}
