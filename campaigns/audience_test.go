package campaigns

import (
	"bytes"
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
)

// tell reads an audience and writes down everything it says.
func tell(a *Audience) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q\n", a.Encoding, a.Separator, a.Header())
	var row Row
	for {
		switch err := a.Next(&row); {
		case errors.Is(err, io.EOF):
			return b.String()
		case err != nil:
			fmt.Fprintf(&b, "error: %v\n", err)
			return b.String()
		case row.Fault != nil:
			fmt.Fprintf(&b, "%d: %s: %s\n", row.Line, row.Fault.Reason, row.Fault.Detail)
		default:
			fmt.Fprintf(&b, "%d: %q\n", row.Line, row.Fields)
		}
	}
}

func TestAudience(t *testing.T) {
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
		"header-only": "the file has a header and no rows",
		"old-mac":     "the lines end in carriage returns alone, as on old Macs; save it as CSV with Windows or Unix line ends",
		"scientific":  "UTF-8 ';' [\"nome\" \"telefone\"]\n2: [\"Ana\" \"5,51E+12\"]\n3: [\"Bia\" \"5.51E+12\"]\n4: [\"Eva\" \"5511900000001.0\"]\n",
		"missing":     "no such file",
		"../audience": "it is not a regular file",
		"ragged": `UTF-8 ';' ["nome" "telefone"]
2: ["Ana" "+5511900000001"]
3: ragged_row: the row has 1 cell, the header 2; put quotes around a cell that holds the separator ';'
4: ragged_row: the row has 3 cells, the header 2; put quotes around a cell that holds the separator ';'
6: ["Ida" "+5511900000004"]
`,
		"stray-quotes": `UTF-8 ';' ["nome" "telefone"]
2: malformed_row: a quote stands in the wrong place; put quotes around the whole cell, and double those inside
3: malformed_row: a quote stands in the wrong place; put quotes around the whole cell, and double those inside
4: ["Bia" "+5511900000003"]
`,
		"open-quote": `UTF-8 ';' ["nome" "telefone"]
2: ["Ana" "+5511900000001"]
error: line 3: a quote is opened in this row and never closed
`,
		"last-quote": `UTF-8 ';' ["nome" "telefone"]
2: ["Ana" "+5511900000001"]
3: malformed_row: a quote stands in the wrong place; put quotes around the whole cell, and double those inside
`,
	}
	for name, want := range tests {
		t.Run(filepath.Base(name), func(t *testing.T) {
			path := filepath.Join("testdata/audience", name+".csv")
			if name == "../audience" {
				path = "testdata/audience"
			}
			a, err := OpenAudience(path, AudienceOptions{})
			if err != nil {
				if name == "missing" && errors.Is(err, os.ErrNotExist) {
					return
				}
				if err.Error() != want {
					t.Errorf("error %q, want %q", err, want)
				}
				return
			}
			defer a.Close()
			if diff := cmp.Diff(want, tell(a)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A row that never ends must not be read into memory, and the row before it is
// named.
func TestAudienceLongRow(t *testing.T) {
	text := "a,telefone\nAna,1\n\"" + strings.Repeat("never closed\n", 1<<16)
	a, err := ReadAudience(strings.NewReader(text), int64(len(text)), AudienceOptions{MaxRowBytes: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	got := tell(a)
	const want = "error: line 2: the row after this one is longer than 10000 bytes; look for a quote that is opened and never closed\n"
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %q", got[max(0, len(got)-300):])
	}
}

// changing gives other bytes from the second pass on.
type changing struct {
	text  string
	calls int
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	c.calls++
	text := c.text
	if c.calls > 2 {
		text = strings.ReplaceAll(text, "Ana", "Eva")
	}
	return strings.NewReader(text).ReadAt(p, off)
}

func TestAudienceChangedWhileRead(t *testing.T) {
	c := &changing{text: "nome,telefone\nAna,1\n"}
	a, err := ReadAudience(c, int64(len(c.text)), AudienceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := tell(a); !strings.Contains(got, "the file changed while it was read") {
		t.Errorf("got %q", got)
	}
}

// Every character of two, three and four bytes falls on the border between two
// pieces of the first pass once.
func TestAudienceAcrossPieces(t *testing.T) {
	for shift := range 8 {
		text := "nome,telefone\n" + strings.Repeat("x", 64<<10-18-shift) + "é€😀é,1\n"
		a, err := ReadAudience(strings.NewReader(text), int64(len(text)), AudienceOptions{})
		if err != nil {
			t.Fatalf("shift %d: %v", shift, err)
		}
		var row Row
		if err := a.Next(&row); err != nil || a.Encoding != EncodingUTF8 || !strings.HasSuffix(row.Fields[0], "é€😀é") {
			t.Errorf("shift %d: %s, %v", shift, a.Encoding, err)
		}
	}
	cut := "nome,telefone\nAna,1\nJos\xC3"
	if a, err := ReadAudience(strings.NewReader(cut), int64(len(cut)), AudienceOptions{}); err != nil || a.Encoding != EncodingWindows1252 {
		t.Errorf("a last byte that begins a character: %v", err)
	}
}

func TestColumns(t *testing.T) {
	c := NewColumns([]string{"Primeiro Nome", "telefone-celular", "Observação", "UF", "uf", "", ""})
	for name, want := range map[string]string{
		"primeiro_nome":          "0",
		" PRIMEIRO  NOME ":       "0",
		"Telefone Celular":       "1",
		"observacao":             "2",
		"OBSERVAC\u0327A\u0303O": "2",
		"uf":                     `the audience has the column "uf" 2 times (columns 4, 5); rename one of them in the file`,
		"telefone_celualr":       `the audience has no column "telefone_celualr"; did you mean "telefone-celular"?`,
	} {
		i, err := c.Find(name)
		got := fmt.Sprint(i)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if got := c.PhoneCandidates(); !slices.Equal(got, []string{"telefone-celular"}) {
		t.Errorf("candidates %q", got)
	}
}

// FuzzAudience: no input panics, and every row that comes out is as wide as the
// header. Text that is a plain CSV of UTF-8 reads as encoding/csv reads it.
func FuzzAudience(f *testing.F) {
	files, _ := filepath.Glob("testdata/audience/*.csv")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ReadAudience(bytes.NewReader(data), int64(len(data)), AudienceOptions{MaxRowBytes: 1 << 16})
		if err != nil {
			return
		}
		width, last := len(a.Header()), 0
		var rows [][]string
		var row Row
		for {
			err := a.Next(&row)
			if err != nil {
				var known *AudienceError
				if !errors.Is(err, io.EOF) && !errors.As(err, &known) {
					t.Fatalf("not an AudienceError: %v", err)
				}
				break
			}
			if row.Line <= last {
				t.Fatalf("line %d after %d", row.Line, last)
			}
			last = row.Line
			if row.Fault == nil && len(row.Fields) != width {
				t.Fatalf("line %d: %d cells, header %d", row.Line, len(row.Fields), width)
			}
			if row.Fault == nil {
				rows = append(rows, slices.Clone(row.Fields))
			}
		}
		plain := csv.NewReader(bytes.NewReader(data))
		plain.FieldsPerRecord = width
		plain.Comma = a.Separator
		want, err := plain.ReadAll()
		if err != nil || a.Encoding != EncodingUTF8 || bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")) || len(want) == 0 || !slices.Equal(trimAll(want[0]), a.Header()) {
			return
		}
		want = slices.DeleteFunc(want[1:], blank)
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Fatalf("differs from encoding/csv:\n%s", diff)
		}
	})
}

func trimAll(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = strings.TrimSpace(s)
	}
	return out
}
