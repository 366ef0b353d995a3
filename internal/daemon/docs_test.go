package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// page reads a page of the repository.
func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rowsOf are the rows of every table of a page that has this header, cell by
// cell.
func rowsOf(t *testing.T, name, header string) (out [][]string) {
	t.Helper()
	inside := false
	for line := range strings.Lines(page(t, name)) {
		line = strings.TrimSpace(line)
		switch {
		case line == header:
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			var cells []string
			for cell := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			out = append(out, cells)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no table %q", name, header)
	}
	return out
}

var ticked = regexp.MustCompile("`([^`]+)`")

// described is a metric as the program declares it.
var described = regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]*)",(?: unit: "[^"]*",)? constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}`)

// Every metric of ours stands in docs/operations.md, with its labels and what
// its help says, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	type metric struct{ labels, help string }
	code := map[string]metric{}
	for _, c := range newMetrics(&Daemon{}).own() {
		descs := make(chan *prometheus.Desc, 100)
		c.Describe(descs)
		close(descs)
		for d := range descs {
			m := described.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("not understood: %s", d)
			}
			code[m[1]] = metric{strings.ReplaceAll(m[3], ",", ", "), strings.TrimSuffix(m[2], ".")}
		}
	}
	if len(code) < 20 {
		t.Fatalf("only %d metrics were found", len(code))
	}
	for _, row := range rowsOf(t, "docs/operations.md", "| metric | labels | meaning |") {
		name := strings.Trim(row[0], "`")
		m, ok := code[name]
		switch {
		case !ok:
			t.Errorf("docs/operations.md lists %s, and there is none (any more)", name)
		case row[1] != m.labels:
			t.Errorf("%s has the labels %q, docs/operations.md says %q", name, m.labels, row[1])
		case !strings.HasPrefix(row[2], m.help):
			t.Errorf("%s says of itself %q; in docs/operations.md its meaning must begin so, and begins %q", name, m.help, row[2])
		}
		delete(code, name)
	}
	for name := range code {
		t.Errorf("docs/operations.md does not list %s", name)
	}
}

// Every metric of ours that any page names exists, and so does every key that
// it names with its table, [campaigns] folder.
func TestPagesNameWhatExists(t *testing.T) {
	metrics, keys := map[string]bool{}, map[string][]string{}
	for _, row := range rowsOf(t, "docs/operations.md", "| metric | labels | meaning |") { // held to the code above
		metrics[strings.Trim(row[0], "`")] = true
	}
	keysOf("", reflect.TypeFor[Config](), keys)
	metric := regexp.MustCompile(`\bjanela_[a-z_]*[a-z]\b`)
	key := regexp.MustCompile("`\\[+([a-z_.]+)\\]+ ([a-z_0-9]+)")
	table := regexp.MustCompile("`\\[+([a-z_.]+)\\]+`")
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	readmes, _ := filepath.Glob("../../README*.md")
	found := 0
	for _, name := range append(names, readmes...) {
		text := page(t, strings.TrimPrefix(name, "../../"))
		for _, m := range metric.FindAllString(text, -1) {
			found++
			of := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(m, "")
			if !metrics[m] && !metrics[of] && !strings.HasSuffix(m, "_") && !slices.Contains(notMetrics, m) {
				t.Errorf("%s names the metric %s, and there is none", name, m)
			}
		}
		known := func(table string) ([]string, bool) {
			list, ok := keys[table]
			for name, of := range keys {
				prefix, inner, star := strings.Cut(name, ".*")
				if star && strings.HasPrefix(table, prefix+".") && (inner == "" || strings.HasSuffix(table, inner)) {
					list, ok = append(list, of...), true
				}
			}
			for name := range keys {
				ok = ok || strings.HasPrefix(name, table+".")
			}
			return list, ok
		}
		for _, m := range key.FindAllStringSubmatch(text, -1) {
			found++
			if list, ok := known(m[1]); !ok || len(list) > 0 && !slices.Contains(list, m[2]) {
				t.Errorf("%s names [%s] %s, and config.toml knows none", name, m[1], m[2])
			}
		}
		for _, m := range table.FindAllStringSubmatch(text, -1) {
			if _, ok := known(m[1]); !ok && !slices.Contains(ofDefinitions, m[1]) {
				t.Errorf("%s names [%s], and config.toml knows none", name, m[1])
			}
		}
	}
	if found < 80 {
		t.Errorf("only %d names were found", found)
	}
}

// notMetrics are names with the same beginning that are something else.
var notMetrics = []string{}

// ofDefinitions are tables of campaign files, which pages name as well.
var ofDefinitions = []string{"template", "template.header", "template.body", "template.cards", "missed", "guard"}

// The limits and their defaults in docs/otp.md are those of the program.
func TestLimitsAreDocumented(t *testing.T) {
	o := Defaults().OTP
	code := map[string]string{"[otp] max_sends_24h": fmt.Sprint(o.MaxSends), "[otp] mute_for": brief(o.MuteFor)}
	v := reflect.ValueOf(o.Limits)
	for i := range v.NumField() {
		value := fmt.Sprint(v.Field(i).Interface())
		if d, ok := v.Field(i).Interface().(time.Duration); ok {
			value = brief(d)
		}
		code[v.Type().Field(i).Tag.Get("toml")] = value
	}
	docs := map[string]string{}
	for _, row := range rowsOf(t, "docs/otp.md", "| limit | default | of what |") {
		if len(row[2]) < 10 {
			t.Errorf("%s is not explained", row[0])
		}
		docs[strings.Trim(row[0], "`")] = row[1]
	}
	if diff := cmp.Diff(code, docs); diff != "" {
		t.Errorf("docs/otp.md has other limits or defaults (-code +docs):\n%s", diff)
	}
}

// brief writes a time as config.toml does: 30s, 20m, 1h.
func brief(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if s == "" || s[len(s)-1] >= '0' && s[len(s)-1] <= '9' {
		return d.String()
	}
	return s
}

// keysOf gathers the keys of each table by its name; secrets are for the
// environment only.
func keysOf(path string, typ reflect.Type, out map[string][]string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := f.Tag.Get("toml")
		if key == "" || f.Tag.Get("secret") != "" {
			continue
		}
		at := strings.TrimPrefix(path+"."+key, ".")
		inner := f.Type
		switch {
		case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct:
			inner = inner.Elem()
		case inner.Kind() == reflect.Map:
			out[at+".*"] = nil
			continue
		}
		if inner.Kind() == reflect.Struct {
			keysOf(at, inner, out)
			continue
		}
		out[path] = append(out[path], key)
	}
}
