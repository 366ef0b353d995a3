package archtest

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// declared is one table as the schema declares it.
type declared struct {
	name, owner string
	personal    bool
	columns     []string
}

// schemaFolder has the migrations: together they are the schema.
const schemaFolder = "internal/store/migrations"

var (
	createTable = regexp.MustCompile(`^CREATE TABLE (\w+) \($`)
	addColumn   = regexp.MustCompile(`^ALTER TABLE (\w+) ADD COLUMN (\w+) `)
	dropTable   = regexp.MustCompile(`^DROP TABLE (\w+);$`)
	column      = regexp.MustCompile(`^  (\w+) +(INTEGER|TEXT|REAL|BLOB)\b`)
)

// schema reads the tables of all migrations, with their comments.
func schema(t *testing.T) []declared {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, schemaFolder, "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	var out []declared
	for _, name := range names { // in the order of their numbers
		out = migration(t, schemaFolder+"/"+filepath.Base(name), out)
	}
	if len(names) < 2 || len(out) == 0 {
		t.Fatal(fmt.Errorf("%s: %d migrations declare %d tables", schemaFolder, len(names), len(out)))
	}
	return out
}

// migration reads what one file adds to the tables before it.
func migration(t *testing.T, file string, out []declared) []declared {
	t.Helper()
	var comment []string
	inside := false
	for i, line := range strings.Split(text(t, file), "\n") {
		switch {
		case strings.HasPrefix(line, "-- "):
			comment = append(comment, strings.TrimPrefix(line, "-- "))
		case createTable.MatchString(line):
			d := declared{name: createTable.FindStringSubmatch(line)[1]}
			for _, c := range comment {
				if owner, ok := strings.CutPrefix(c, "owner: "); ok {
					d.owner = owner
				}
				if c == "personal" {
					d.personal = true
				}
			}
			if d.owner == "" {
				t.Errorf("%s:%d: table %s has no owner.\n  Write -- owner: <package> above it: the one package that writes it.", file, i+1, d.name)
			}
			out = append(out, d)
			inside, comment = true, nil
		case inside && column.MatchString(line):
			last := &out[len(out)-1]
			last.columns = append(last.columns, column.FindStringSubmatch(line)[1])
		case strings.HasPrefix(line, ");"):
			inside = false
		case addColumn.MatchString(line):
			m := addColumn.FindStringSubmatch(line)
			at := slices.IndexFunc(out, func(d declared) bool { return d.name == m[1] })
			if at < 0 {
				t.Fatalf("%s:%d: no migration makes table %s", file, i+1, m[1])
			}
			out[at].columns = append(out[at].columns, m[2])
		case dropTable.MatchString(line):
			name := dropTable.FindStringSubmatch(line)[1]
			if !slices.ContainsFunc(out, func(d declared) bool { return d.name == name }) {
				t.Fatalf("%s:%d: no migration makes table %s", file, i+1, name)
			}
			out = slices.DeleteFunc(out, func(d declared) bool { return d.name == name })
		default:
			comment = nil
		}
	}
	return out
}
