package optin

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// longestRow bounds one row in bytes: a quotation mark that is never closed must
// not take the rest of a large file into memory.
const longestRow = 1 << 20

// Encodings of a file.
const (
	encodingUTF8 = "UTF-8"
	encoding1252 = "Windows-1252"
)

const bom = "\ufeff"

// survey reads a file once, to the end: what its bytes are, and their hash.
func survey(r io.Reader) (encoding, sum string, err error) {
	h := sha256.New()
	buf := make([]byte, 64<<10)
	var invalid, multi, marked bool
	for kept, start := 0, true; ; start = false {
		n, readErr := io.ReadFull(r, buf[kept:])
		h.Write(buf[kept : kept+n])
		data := buf[:kept+n]
		end := readErr == io.EOF || readErr == io.ErrUnexpectedEOF
		if readErr != nil && !end {
			return "", "", readErr
		}
		if start {
			if err := checkKind(data); err != nil {
				return "", "", err
			}
			data, marked = bytes.CutPrefix(data, []byte(bom))
		}
		for len(data) > 0 && (end || utf8.FullRune(data)) {
			r, size := utf8.DecodeRune(data)
			switch {
			case r == 0:
				return "", "", errors.New("the file has NUL bytes; it is no text, save it as CSV in UTF-8")
			case r == utf8.RuneError && size == 1:
				invalid = true
			case size > 1:
				multi = true
			}
			data = data[size:]
		}
		if end {
			break
		}
		kept = copy(buf, data)
	}
	sum = hex.EncodeToString(h.Sum(nil))
	switch {
	case invalid && (multi || marked):
		return "", "", errors.New("the file mixes UTF-8 and Windows-1252; save it again in one of them")
	case invalid:
		return encoding1252, sum, nil
	default:
		return encodingUTF8, sum, nil
	}
}

// checkKind refuses by name what is often sent in place of a CSV file.
func checkKind(head []byte) error {
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(head, []byte(bom))))
	switch {
	case len(text) == 0:
		return errors.New("the file is empty")
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return errors.New("the file is UTF-16; save it as CSV in UTF-8")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0")):
		return errors.New("the file is a workbook of Excel; save it as CSV in UTF-8")
	case bytes.HasPrefix(text, []byte("<!doctype")), bytes.HasPrefix(text, []byte("<html")), bytes.HasPrefix(text, []byte("<table")):
		return errors.New("the file is HTML, often what a shared link gives without a login; download the CSV itself")
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		return errors.New("the file is JSON; save it as CSV in UTF-8")
	}
	return nil
}

// table reads the rows of a CSV file, one at a time.
type table struct {
	header []string
	comma  rune
	csv    *csv.Reader
	guard  *guard
	hash   hash.Hash
	offset int // lines before the header that the CSV reader has not seen
}

// openTable reads the header. r stands at the beginning of the file.
func openTable(r io.Reader, encoding string) (*table, error) {
	t := &table{hash: sha256.New()}
	t.guard = &guard{r: io.TeeReader(r, t.hash)}
	var text io.Reader = t.guard
	if encoding == encoding1252 {
		text = charmap.Windows1252.NewDecoder().Reader(text)
	}
	in := bufio.NewReaderSize(text, 64<<10)
	if head, _ := in.Peek(len(bom)); string(head) == bom {
		_, _ = in.Discard(len(bom))
	}
	for {
		blank, _ := in.Peek(1)
		if len(blank) == 0 || (blank[0] != '\n' && blank[0] != '\r') {
			break
		}
		if blank[0] == '\n' {
			t.offset++
		}
		_, _ = in.Discard(1)
	}
	line := firstLine(in)
	if sep, ok := separator(line); ok {
		t.comma = sep
		t.offset++
		if _, err := in.ReadString('\n'); err != nil {
			return nil, errors.New("the file has no header")
		}
	} else {
		t.comma = guessComma(line)
	}
	t.csv = csv.NewReader(in)
	t.csv.Comma = t.comma
	t.csv.FieldsPerRecord = -1
	header, err := t.csv.Read()
	if err != nil {
		if err == io.EOF {
			return nil, errors.New("the file has no header")
		}
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	for _, h := range header {
		t.header = append(t.header, strings.TrimSpace(h))
	}
	t.guard.n = 0
	return t, nil
}

// firstLine looks at the first line, without taking it.
func firstLine(in *bufio.Reader) string {
	head, _ := in.Peek(in.Size())
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return strings.TrimSpace(string(line))
}

// separator reads the "sep=;" line that Excel writes.
func separator(line string) (rune, bool) {
	line = strings.Trim(line, `"`)
	if len(line) == 4 && strings.EqualFold(line[:4], "sep=") { // a tab was trimmed away
		return '\t', true
	}
	if len(line) != 5 || !strings.EqualFold(line[:4], "sep=") || !strings.ContainsRune(",;\t|", rune(line[4])) {
		return 0, false
	}
	return rune(line[4]), true
}

// guessComma takes the character that separates most cells of the header.
func guessComma(header string) rune {
	best, most := ',', 0
	for _, c := range ",;\t|" {
		n, quoted := 0, false
		for _, r := range header {
			if r == '"' {
				quoted = !quoted
			} else if r == c && !quoted {
				n++
			}
		}
		if n > most {
			best, most = c, n
		}
	}
	return best
}

// errRow is a row that cannot be taken apart; those after it can.
type errRow struct{ line int }

func (e *errRow) Error() string {
	return fmt.Sprintf("line %d: a quotation mark is out of place", e.line)
}

// next returns a row and its line; io.EOF after the last. Rows without any text
// are left out. *errRow spoils one row, any other error the rest of the file.
func (t *table) next() (cells []string, line int, err error) {
	for {
		cells, err = t.csv.Read()
		if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
			t.guard.n = 0
			return nil, parse.StartLine + t.offset, &errRow{parse.StartLine + t.offset}
		}
		if err != nil {
			return nil, 0, err
		}
		line, _ = t.csv.FieldPos(0)
		t.guard.n = 0
		for _, c := range cells {
			if strings.TrimSpace(c) != "" {
				return cells, line + t.offset, nil
			}
		}
	}
}

// sum is the hash of what was read.
func (t *table) sum() string { return hex.EncodeToString(t.hash.Sum(nil)) }

var errLongRow = fmt.Errorf("a row is longer than %d bytes; perhaps a quotation mark is never closed", longestRow)

// guard counts the bytes since the last row.
type guard struct {
	r io.Reader
	n int
}

func (g *guard) Read(p []byte) (int, error) {
	if g.n > longestRow {
		return 0, errLongRow
	}
	n, err := g.r.Read(p)
	g.n += n
	return n, err
}

// defuse keeps a spreadsheet from running a cell as a formula. Numbers and
// phones keep their sign.
func defuse(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return cell
	}
	if strings.ContainsRune("+-", rune(cell[0])) && strings.Trim(cell[1:], "0123456789 .,()-") == "" {
		return cell
	}
	return "'" + cell
}

func defused(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = defuse(c)
	}
	return out
}
