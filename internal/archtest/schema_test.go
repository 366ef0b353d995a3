package archtest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// declared is one table as the schema declares it.
type declared struct {
	name, owner string
	personal    bool
	columns     []string
}

const schemaFile = "internal/store/migrations/00001_init.sql"

var (
	createTable = regexp.MustCompile(`^CREATE TABLE (\w+) \($`)
	column      = regexp.MustCompile(`^  (\w+) +(INTEGER|TEXT|REAL|BLOB)\b`)
)

// schema reads the tables with their comments.
func schema(t *testing.T) []declared {
	t.Helper()
	var out []declared
	var comment []string
	inside := false
	for i, line := range strings.Split(text(t, schemaFile), "\n") {
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
				t.Errorf("%s:%d: table %s has no owner.\n  Write -- owner: <package> above it: the one package that writes it.", schemaFile, i+1, d.name)
			}
			out = append(out, d)
			inside, comment = true, nil
		case inside && column.MatchString(line):
			last := &out[len(out)-1]
			last.columns = append(last.columns, column.FindStringSubmatch(line)[1])
		case strings.HasPrefix(line, ");"):
			inside = false
		default:
			comment = nil
		}
	}
	if len(out) == 0 {
		t.Fatal(fmt.Errorf("%s declares no table", schemaFile))
	}
	return out
}
