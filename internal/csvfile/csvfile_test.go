package csvfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tell reads a file and writes down everything it says.
func tell(f *File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q\n", f.Encoding, f.Separator, f.Header)
	var row Row
	for {
		switch err := f.Next(&row); {
		case errors.Is(err, io.EOF):
			return b.String()
		case err != nil:
			fmt.Fprintf(&b, "error: %v\n", err)
			return b.String()
		case row.Fields == nil:
			fmt.Fprintf(&b, "%d: malformed: %s\n", row.Line, row.Fault)
		case row.Fault != "":
			fmt.Fprintf(&b, "%d: ragged: %s\n", row.Line, row.Fault)
		default:
			fmt.Fprintf(&b, "%d: %q\n", row.Line, row.Fields)
		}
	}
}

func TestFixtures(t *testing.T) {
	tests := map[string]string{
		"windows-1252": `Windows-1252 ';' ["Nome" "Telefone" "Observação"]
2: ["João" "+5511900000001" "ação"]
3: ["Maria" "+5511900000002" "não"]
`,
		"semicolon": `UTF-8 ';' ["nome" "telefone"]
2: ["Ana, Maria" "+5511900000001"]
`,
		"tab": `UTF-8 '\t' ["nome" "telefone"]
2: ["Ana;x" "+5511900000001"]
`,
		"bom": `UTF-8 ',' ["telefone" "nome"]
2: ["+5511900000001" "João"]
`,
		"quoted-newline": `UTF-8 ',' ["nome" "telefone"]
2: ["Ana\nMaria" "+5511900000001"]
5: ["Bia \"B\"" "+5511900000002"]
`,
		"sep-line": `UTF-8 ';' ["nome" "telefone"]
3: ["Ana" "+5511900000001"]
`,
		"sep-unknown": "line 1: the separator of the sep= line is not known; use a comma, a semicolon or a tab",
		"utf-16":      `the file is UTF-16 text; save it as "CSV UTF-8"`,
		"utf-16-bare": `the file is UTF-16 text; save it as "CSV UTF-8"`,
		"page":        "the file is a web page (HTML or XML), not CSV; a download may have saved the login page; export the list again",
		"mixed":       "line 3: the file mixes UTF-8 (line 2) and Windows-1252 (line 3); names would be garbled; export it again as UTF-8",
		"neither":     "line 2: the file is neither UTF-8 nor Windows-1252; save it as CSV in UTF-8",
		"nul":         "line 3: the file holds a NUL byte, so it is not text; save it as CSV in UTF-8",
		"sheet":       `the file is a spreadsheet (xlsx) or a zip archive, not CSV; save the sheet as "CSV UTF-8"`,
		"old-sheet":   `the file is an old spreadsheet (xls), not CSV; save the sheet as "CSV UTF-8"`,
		"empty":       "the file is empty; the first line names the columns",
		"blank":       "the file is empty; the first line names the columns",
		"header-only": "UTF-8 ';' [\"nome\" \"telefone\"]\n",
		"old-mac":     "the lines end in carriage returns alone, as on old Macs; save it as CSV with Windows or Unix line ends",
		"scientific":  "UTF-8 ';' [\"nome\" \"telefone\"]\n2: [\"Ana\" \"5,51E+12\"]\n3: [\"Bia\" \"5.51E+12\"]\n4: [\"Eva\" \"5511900000001.0\"]\n",
		"json":        "the file is JSON, not CSV; export the list as CSV",
		"sep-alone":   "the file has a sep= line and no header; the line after it names the columns",
		"sep-late": `UTF-8 ';' ["[nome]" "telefone"]
5: ["Ana" "+5511900000001"]
`,
		"ragged": `UTF-8 ';' ["nome" "telefone"]
2: ["Ana" "+5511900000001"]
3: ragged: the row has 1 cell, the header 2; put quotes around a cell that holds the separator ';'
4: ragged: the row has 3 cells, the header 2; put quotes around a cell that holds the separator ';'
6: ["Ida" "+5511900000004"]
`,
		"stray-quotes": `UTF-8 ';' ["nome" "telefone"]
2: malformed: a quote stands in the wrong place; put quotes around the whole cell, and double those inside
3: malformed: a quote stands in the wrong place; put quotes around the whole cell, and double those inside
4: ["Bia" "+5511900000003"]
`,
		"open-quote": `UTF-8 ';' ["nome" "telefone"]
2: ["Ana" "+5511900000001"]
error: line 3: a quote is opened in this row and never closed
`,
		"last-quote": `UTF-8 ';' ["nome" "telefone"]
2: ["Ana" "+5511900000001"]
3: malformed: a quote stands in the wrong place; put quotes around the whole cell, and double those inside
`,
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", name+".csv"))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if f, err := Open(bytes.NewReader(data), Options{}); err != nil {
				got = err.Error()
			} else {
				got = tell(f)
				again, err := Again(bytes.NewReader(data), f)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, tell(again)); diff != "" {
					t.Errorf("read again (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBar(t *testing.T) {
	for text, want := range map[string]string{
		"nome|fone\nAna;x|1\n":      "UTF-8 '|' [\"nome\" \"fone\"]\n2: [\"Ana;x\" \"1\"]\n",
		"\"sep=|\"\nfone,\n1,\n":    "UTF-8 '|' [\"fone,\"]\n3: [\"1,\"]\n",
		"nome;a|b\nAna;1\n":         "UTF-8 ';' [\"nome\" \"a|b\"]\n2: [\"Ana\" \"1\"]\n",
		"\nsep=:\nnome:fone\n1:2\n": "line 2: the separator of the sep= line is not known; use a comma, a semicolon, a tab or a bar",
	} {
		f, err := Open(strings.NewReader(text), Options{Bar: true})
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = tell(f)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// A file is read from where it stands, and one without rows is known.
func TestOpenFromTheMiddle(t *testing.T) {
	r := strings.NewReader("before;it\nnome;fone\n")
	if _, err := r.Seek(10, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	f, err := Open(r, Options{})
	if err != nil || !f.Empty() || !slices.Equal(f.Header, []string{"nome", "fone"}) || f.SHA256() != fmt.Sprintf("%x", sha256.Sum256([]byte("nome;fone\n"))) {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := Open(strings.NewReader("nome\nAna\n"), Options{}); err != nil || f.Empty() {
		t.Errorf("a file with a row: %v", err)
	}
}

// A row that never ends must not be read into memory, and the row before it is
// named.
func TestLongRow(t *testing.T) {
	unclosed := "\"" + strings.Repeat("never closed\n", 1<<18)
	f, err := Open(strings.NewReader("a,telefone\nAna,1\n"+unclosed), Options{})
	if err != nil {
		t.Fatal(err)
	}
	const hint = " is longer than 1048576 bytes; look for a quote that is opened and never closed"
	if got := tell(f); !strings.HasSuffix(got, "error: line 2: the row after this one"+hint+"\n") {
		t.Errorf("got %q", got[max(0, len(got)-300):])
	}
	if _, err := Open(strings.NewReader(unclosed), Options{}); err == nil || err.Error() != "the header"+hint {
		t.Errorf("header: %v", err)
	}
}

// changing gives other bytes from the second pass on.
type changing struct {
	*strings.Reader
	text string
}

func (c *changing) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		c.Reader = strings.NewReader(strings.ReplaceAll(c.text, "Ana", "Eva"))
	}
	return c.Reader.Seek(offset, whence)
}

func TestChangedWhileRead(t *testing.T) {
	const text = "nome,telefone\nAna,1\n"
	f, err := Open(&changing{strings.NewReader(text), text}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := tell(f); !strings.Contains(got, "the file changed while it was read") {
		t.Errorf("got %q", got)
	}
}

// A file that is another when it is read again is refused: at its beginning, or
// after its last row.
func TestAnotherFileAgain(t *testing.T) {
	const text = "nome,telefone\nAna,1\n"
	first, err := Open(strings.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"nome,telefone\nAna,2\n", text + "Bia,2\n", "nome,telefone\nJos\xE9,1\n", "nome,telefone\n", "", "\"nome"} {
		var got string
		if f, err := Again(strings.NewReader(other), first); err != nil {
			got = err.Error()
		} else {
			got = tell(f)
		}
		if !strings.Contains(got, "the file changed while it was read") && !strings.Contains(got, "header") {
			t.Errorf("%q: got %q", other, got)
		}
	}
}

// Every character of two, three and four bytes falls on the border between two
// pieces of the first pass once.
func TestAcrossPieces(t *testing.T) {
	for shift := range 8 {
		text := "nome,telefone\n" + strings.Repeat("x", 64<<10-18-shift) + "é€😀é,1\n"
		a, err := Open(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatalf("shift %d: %v", shift, err)
		}
		var row Row
		if err := a.Next(&row); err != nil || a.Encoding != UTF8 || !strings.HasSuffix(row.Fields[0], "é€😀é") {
			t.Errorf("shift %d: %s, %v", shift, a.Encoding, err)
		}
	}
	cut := "nome,telefone\nAna,1\nJos\xC3"
	if a, err := Open(strings.NewReader(cut), Options{}); err != nil || a.Encoding != Windows1252 {
		t.Errorf("a last byte that begins a character: %v", err)
	}
}

// FuzzFile: no input panics, and every row that comes out is as wide as the
// header. Text that is a plain CSV of UTF-8 reads as encoding/csv reads it.
func FuzzFile(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.csv")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	f.Add([]byte("\n\nsep=;\n\"a\";b\n"))
	f.Add([]byte("a|b\n\"never closed"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, bar := range []bool{false, true} {
			readAll(t, data, Options{Bar: bar})
		}
	})
}

func readAll(t *testing.T, data []byte, opt Options) {
	a, err := Open(bytes.NewReader(data), opt)
	if err != nil {
		isError(t, err)
		return
	}
	if again, err := Again(bytes.NewReader(data), a); err != nil {
		t.Fatalf("it opens, and not again: %v", err)
	} else if anew, _ := Open(bytes.NewReader(data), opt); tell(again) != tell(anew) {
		t.Fatal("read again it says something else")
	}
	width, last := len(a.Header), 0
	var rows [][]string
	var row Row
	for {
		if err := a.Next(&row); err != nil {
			isError(t, err)
			break
		}
		if row.Line <= last {
			t.Fatalf("line %d after %d", row.Line, last)
		}
		last = row.Line
		if row.Fault == "" && len(row.Fields) != width {
			t.Fatalf("line %d: %d cells, header %d, fault %q", row.Line, len(row.Fields), width, row.Fault)
		}
		if row.Fault == "" {
			rows = append(rows, slices.Clone(row.Fields))
		}
	}
	plain := csv.NewReader(bytes.NewReader(data))
	plain.FieldsPerRecord = width
	plain.Comma = a.Separator
	want, err := plain.ReadAll()
	if err != nil || a.Encoding != UTF8 || bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")) || len(want) == 0 || !slices.Equal(trimAll(want[0]), a.Header) {
		return
	}
	want = slices.DeleteFunc(want[1:], blank)
	if diff := cmp.Diff(want, rows, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("differs from encoding/csv:\n%s", diff)
	}
}

// isError: an end that is no fault of the machine is explained.
func isError(t *testing.T, err error) {
	var known *Error
	if !errors.Is(err, io.EOF) && !errors.As(err, &known) {
		t.Fatalf("not an Error: %v", err)
	}
}

func trimAll(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = strings.TrimSpace(s)
	}
	return out
}
