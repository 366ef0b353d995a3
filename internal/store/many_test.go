package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
)

var (
	sqlPutRows = store.SQLMany(`INSERT INTO settings (name, value) VALUES {rows}`, `(?r1, ?1 || ?r2)`)
	sqlUpRows  = store.SQLMany(`WITH r(name, more) AS (VALUES {rows}) UPDATE settings SET value = value || r.more FROM r
		WHERE settings.name = r.name AND settings.value <> ?1 RETURNING settings.name`, `(CAST(?r1 AS TEXT), CAST(?r2 AS TEXT))`)
	sqlPairs = store.SQL(`SELECT value FROM settings WHERE name LIKE 'k%' ORDER BY name`)
)

// A statement over n rows does what n statements over one do, whatever n is.
func TestMany(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 5, 9, 10, 11, 59, 60, 61, 100, 161} {
		db := open(t, filepath.Join(t.TempDir(), "x.db"))
		name := func(i int) string { return fmt.Sprintf("k%04d", i) }
		ran := 0
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			before := tx.Statements()
			changed, err := tx.ExecMany(sqlPutRows, n, func(i int, args []any) []any { return append(args, name(i), fmt.Sprint(i%3)) }, "v")
			if ran = tx.Statements() - before; err != nil || changed != int64(n) {
				t.Errorf("%d rows: %d changed, %v", n, changed, err)
			}
			var got []string
			err = store.EachMany(tx, sqlUpRows, n, func(i int, args []any) []any { return append(args, name(i), fmt.Sprint("+", i)) },
				func(c *store.Col[string]) error { got = append(got, c.V); return nil }, "v1")
			var want []string
			for i := range n {
				if i%3 != 1 {
					want = append(want, name(i))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d rows (-want +returned):\n%s", n, diff)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if most := n/50 + n%50/10 + n%10/4 + n%10%4; ran != most {
			t.Errorf("%d rows took %d statements, want %d", n, ran, most)
		}
		err = db.Read(t.Context(), func(s *store.Snap) error {
			rows, err := store.All[store.Col[string]](s, sqlPairs)
			for i := range n {
				want := fmt.Sprint("v", i%3)
				if i%3 != 1 {
					want += fmt.Sprint("+", i)
				}
				if i >= len(rows) || rows[i].V != want {
					t.Fatalf("of %d rows the %d. is not %q", n, i, want)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyCountsItsArguments(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	for name, fn := range map[string]func(tx *store.Tx) error{
		"none of its own": func(tx *store.Tx) error {
			_, err := tx.ExecMany(sqlPutRows, 1, func(_ int, args []any) []any { return append(args, "k", "v") })
			return err
		},
		"one too few in a row": func(tx *store.Tx) error {
			_, err := tx.ExecMany(sqlPutRows, 2, func(i int, args []any) []any { return append(args, []any{"k", "v"}[i:]...) }, "v")
			return err
		},
	} {
		if err := db.Write(t.Context(), fn); err == nil || !strings.Contains(err.Error(), "arguments") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
