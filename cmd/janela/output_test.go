package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	testHeader = []string{"id", "state", "note"}
	testRows   = [][]string{{"1", "failed", "=HYPERLINK(\"x\")"}, {"2", "read", ""}, {"3", "queued", "a\x1b[31m\nb\u202e"}}
)

func TestPrintRows(t *testing.T) {
	for as, want := range map[string]string{
		asCSV:   "id;state;note\n1;failed;\"'=HYPERLINK(\"\"x\"\")\"\n2;read;\n3;queued;\"a\x1b[31m\nb\u202e\"\n",
		asJSON:  "[\n  1\n]\n",
		asTable: "id  state   note\n1   failed  =HYPERLINK(\"x\")\n2   read    -\n3   queued  a\uFFFD[31m b\uFFFD\n",
	} {
		var b bytes.Buffer
		if err := printRows(&b, &format{value: as}, testHeader, testRows, []int{1}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", as, diff)
		}
	}
}

// A terminal gets a table, with colours only where they are wanted, and no text
// of others may steer it.
func TestDrawTable(t *testing.T) {
	plain := drawTable(testHeader, testRows, 0, false)
	if strings.Contains(plain, "\x1b") || !strings.Contains(plain, "failed") || !strings.Contains(plain, "│") || strings.Contains(plain, "STATE") {
		t.Errorf("plain:\n%q", plain)
	}
	if colour := drawTable(testHeader, testRows, 0, true); strings.Count(colour, "\x1b[31mfailed") != 1 || strings.Contains(colour, "a\x1b") {
		t.Errorf("coloured:\n%q", colour)
	}
	for _, line := range strings.Split(drawTable(testHeader, testRows, 20, false), "\n") {
		if n := len([]rune(line)); n > 20 {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
}

func TestDefuse(t *testing.T) {
	for in, want := range map[string]string{"": "", "Ana": "Ana", "+5511900000001": "+5511900000001", "-12,50": "-12,50", "=1+1": "'=1+1",
		"@SUM(A1)": "'@SUM(A1)", "+cmd|x": "'+cmd|x", "-2+3+cmd": "'-2+3+cmd", "\tx": "'\tx", "1=2": "1=2"} {
		if got := defuse(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	if got := counts(map[string]int64{"opted_out": 2, "no_opt_in": 3, "expired": 2, "": 1}); got != "no_opt_in 3, expired 2, opted_out 2, unknown 1" {
		t.Error(got)
	}
	if got := counts(nil); got != "" {
		t.Error(got)
	}
}

func TestScopeArguments(t *testing.T) {
	for args, ok := range map[string]bool{"all": true, "marketing": true, "number loja": true, "number": false, "all loja": false, "template a/b": true, "campaign": false} {
		if _, err := scope(strings.Fields(args)); (err == nil) != ok {
			t.Errorf("%q: %v", args, err)
		}
	}
}
