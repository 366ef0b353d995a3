package httpapi

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const apiPage = "../../docs/api.md"

var update = flag.Bool("update", false, "write the tables of docs/api.md anew")

// The tables of docs/api.md are those of the code; go test -run TestTablesOfTheAPI
// -update writes them.
func TestTablesOfTheAPI(t *testing.T) {
	text, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for name, table := range map[string]string{"calls": callsTable(), "codes": codesTable(), "reasons": reasonsTable()} {
		from, to := "<!-- "+name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(page, from)
		have, after, ok2 := strings.Cut(rest, to)
		if !ok || !ok2 {
			t.Fatalf("%s has lost its marks of %s", apiPage, name)
		}
		if have != table && !*update {
			t.Errorf("%s: the table of %s is not the code's; run go test ./internal/httpapi -run TestTablesOfTheAPI -update", apiPage, name)
		}
		page = before + from + table + to + after
	}
	if *update {
		if err := os.WriteFile(apiPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func callsTable() string {
	var b strings.Builder
	b.WriteString("| call | scope | | `Idempotency-Key` |\n|---|---|---|---|\n")
	for _, tag := range partsAbout {
		for _, e := range endpoints() {
			if e.part == tag.Name {
				fmt.Fprintf(&b, "| `%s %s` | `%s` | %s | %s |\n", e.method, e.path, e.scope, e.title, map[repeatUse]string{repeatMay: "may", repeatRequired: "needed"}[e.repeat])
			}
		}
	}
	return b.String()
}

func reasonsTable() string {
	var b strings.Builder
	b.WriteString("| reason | means |\n|---|---|\n")
	for _, reason := range slices.Sorted(maps.Keys(refusals)) {
		fmt.Fprintf(&b, "| %s | %s |\n", reason, refusals[reason])
	}
	return b.String()
}

func codesTable() string {
	var b strings.Builder
	b.WriteString("| status | code | means |\n|---|---|---|\n")
	for _, code := range slices.SortedFunc(maps.Keys(publicCodes), func(a, b string) int {
		return cmp.Or(publicCodes[a].status-publicCodes[b].status, strings.Compare(a, b))
	}) {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", publicCodes[code].status, code, publicCodes[code].title)
	}
	return b.String()
}
