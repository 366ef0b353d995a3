package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"janela/internal/store"
)

// versions are those of the schema, the oldest first.
func versions(t *testing.T) (out []int64) {
	t.Helper()
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(names) < 5 {
		t.Fatalf("%d migrations: %v", len(names), err)
	}
	for _, n := range names {
		v, err := goose.NumericComponent(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// old makes a database of an earlier schema as it came to be: by each migration
// up to it, with the rows of its time (testdata/upgrade) put in after each.
func old(t *testing.T, path string, version int64) {
	t.Helper()
	db, err := sql.Open("sqlite3", path+"?_journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions(t) {
		if v > version {
			break
		}
		if _, err := p.UpTo(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		rows, err := os.ReadFile(fmt.Sprintf("testdata/upgrade/%05d.sql", v))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = db.Exec(string(rows))
		}
		if err != nil {
			t.Fatalf("rows of schema %d: %v", v, err)
		}
	}
}

// dump returns every row of the tables, of these columns; nil: of all there are.
func dump(t *testing.T, path string, columns map[string][]string) (rows map[string][]string, has map[string][]string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ask := func(query string) (out []string) {
		got, err := db.Query(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		defer func() { _ = got.Close() }()
		for got.Next() {
			var s string
			if err := got.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		if err := got.Err(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	rows, has = map[string][]string{}, map[string][]string{}
	for _, table := range ask(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN ('goose_db_version', 'settings')`) {
		has[table] = ask(`SELECT name FROM pragma_table_info('` + table + `')`)
		of := has[table]
		if columns != nil {
			if of = columns[table]; of == nil {
				continue
			}
		}
		rows[table] = ask(`SELECT ` + strings.Join(of, ` || '|' || `) + ` FROM ` + table + ` ORDER BY 1`)
	}
	return rows, has
}

// A database of each earlier schema opens: nothing in it is lost or changed, it
// is whole, and as it was before lies beside it.
func TestUpgradeFromEachSchema(t *testing.T) {
	all := versions(t)
	for _, v := range all {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			old(t, path, v)
			want, columns := dump(t, path, nil)
			db := open(t, path)
			u, upgraded := db.Upgrade()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			got, _ := dump(t, path, columns)
			if v == all[len(all)-1] {
				if upgraded {
					t.Errorf("the newest was brought up to date: %+v", u)
				}
			} else if u.From != v || u.To != store.NewestSchema() || u.Backup != fmt.Sprintf("%s.schema-%d", path, v) || u.Why != "" {
				t.Errorf("it says of the update %+v", u)
			}
			if prices, moved := want["message_pricing"]; moved { // schema 12 keeps them by message
				delete(want, "message_pricing")
				if n := len(rowsOf(t, path, "message_prices")); n != len(prices) {
					t.Errorf("%d prices were known, and are %d", len(prices), n)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows have changed (-before +after):\n%s", diff)
			}
			c, err := store.Inspect(t.Context(), path)
			if err != nil || c.Schema != store.NewestSchema() || len(c.Rows) < 30 {
				t.Errorf("after the update: %+v %v", c, err)
			}
			if u.Backup == "" {
				return
			}
			if c, err = store.Inspect(t.Context(), u.Backup); err != nil || c.Schema != v {
				t.Errorf("the copy of before: schema %d, %v", c.Schema, err)
			}
			if before, _ := dump(t, u.Backup, columns); !maps.EqualFunc(before, withPrices(want, before), slices.Equal) {
				t.Error("the copy of before is not what was there")
			}
		})
	}
}

func rowsOf(t *testing.T, path, table string) []string {
	t.Helper()
	_, has := dump(t, path, nil)
	rows, _ := dump(t, path, map[string][]string{table: has[table]})
	return rows[table]
}

// withPrices puts back what the comparison above took out.
func withPrices(want, before map[string][]string) map[string][]string {
	out := maps.Clone(want)
	if prices, ok := before["message_pricing"]; ok {
		out["message_pricing"] = prices
	}
	return out
}

// Where a copy does not fit, it is said that there is none; a second update does
// not write over the copy of the first.
func TestUpgradeWithoutRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old(t, path, 3)
	if err := os.WriteFile(path+".schema-3", []byte("of another time"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	if u, _ := db.Upgrade(); u.Backup != path+".schema-3-2" {
		t.Errorf("the copy is %q", u.Backup)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "y.db")
	if err := os.WriteFile(again, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err = store.Open(t.Context(), store.Config{Path: again, Free: func(string) (int64, error) { return 1 << 20, nil }}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if u, ok := db.Upgrade(); !ok || u.Backup != "" || !strings.Contains(u.Why, "1 MiB are free") {
		t.Errorf("without room it says %+v", u)
	}
	alone(t, filepath.Dir(again), "y.db", "y.db-wal", "y.db-shm", "y.db.lock", "y.db.epoch")
}

// A database that is damaged is not brought up to date.
func TestUpgradeOfWhatIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old(t, path, 8)
	change(t, path, `PRAGMA journal_mode = DELETE; PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'holds_open'`)
	db, err := store.Open(t.Context(), store.Config{Path: path})
	if err == nil {
		_ = db.Close()
		t.Fatal("it was opened")
	}
	if c, err := store.Inspect(t.Context(), path); err == nil || c.Schema > 8 {
		t.Errorf("schema %d, %v", c.Schema, err)
	}
}

// What a newer janela has written is refused, and not touched.
func TestANewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	old(t, path, store.NewestSchema())
	change(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	want, _ := dump(t, path, nil)
	_, err := store.Open(t.Context(), store.Config{Path: path})
	if err == nil || !strings.Contains(err.Error(), "schema 99999") || !strings.Contains(err.Error(), "written by a newer version; use that one") {
		t.Fatalf("the error is %v", err)
	}
	if got, _ := dump(t, path, nil); !maps.EqualFunc(want, got, slices.Equal) {
		t.Error("it was touched")
	}
}
