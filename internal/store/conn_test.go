package store_test

import (
	"context"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"janela/internal/store"
)

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	asked := func(where string, value func(string) (string, error), want map[string]string) {
		for name, w := range want {
			if got, err := value("PRAGMA " + name); err != nil || got != w {
				t.Errorf("%s: %s is %q (%v), want %q", where, name, got, err, w)
			}
		}
	}
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		asked("writer", tx.RawValue, map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1",
			"busy_timeout": "5000", "secure_delete": "1", "query_only": "0", "temp_store": "2"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// All readers at once, so that each is seen.
	const readers = 4
	var inside, wg sync.WaitGroup
	inside.Add(readers)
	for i := range readers {
		wg.Go(func() {
			err := db.Read(context.Background(), func(s *store.Snap) error {
				inside.Done()
				inside.Wait()
				asked(fmt.Sprintf("reader %d", i), s.RawValue, map[string]string{"synchronous": "2", "journal_mode": "wal",
					"busy_timeout": "5000", "query_only": "1"})
				if _, err := s.RawValue("INSERT INTO settings (name, value) VALUES ('k', 'v') RETURNING name"); err == nil {
					t.Errorf("reader %d can write", i)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The driver ignores options that it does not know: a misspelt one must be
// found by reading back, or synchronous would silently be NORMAL.
func TestMisspeltOptionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		option, misspelt, names string
		dsn                     func(string) string
		check                   func(string) error
		made                    bool // the file is a database in WAL mode already
	}{
		{"_journal_mode", "_journalmode", "journal_mode", store.WriterDSN, store.CheckWriter, false},
		{"_synchronous", "_synchronus", "synchronous", store.WriterDSN, store.CheckWriter, false},
		{"_foreign_keys", "_foreign_key", "foreign_keys", store.WriterDSN, store.CheckWriter, false},
		{"_secure_delete", "_securedelete", "secure_delete", store.WriterDSN, store.CheckWriter, false},
		{"_synchronous", "_sync", "", store.WriterDSN, store.CheckWriter, false}, // the driver knows this name
		{"_synchronous=FULL", "_synchronous=NORMAL", "synchronous", store.WriterDSN, store.CheckWriter, false},
		{"_busy_timeout=5000", "_busy_timeout=0", "busy_timeout", store.WriterDSN, store.CheckWriter, false},
		{"_query_only", "_queryonly", "query_only", store.ReaderDSN, store.CheckReader, true},
		{"_synchronous", "_synchronus", "synchronous", store.ReaderDSN, store.CheckReader, true},
	} {
		t.Run(c.misspelt, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			if c.made {
				if err := open(t, path).Close(); err != nil {
					t.Fatal(err)
				}
			}
			right := c.dsn(path)
			wrong := strings.Replace(right, c.option, c.misspelt, 1)
			if wrong == right {
				t.Fatalf("the DSN has no %s: %s", c.option, right)
			}
			err := c.check(wrong)
			if c.names == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want one that names %s", err, c.names)
			}
			if err := c.check(right); err != nil {
				t.Errorf("as Open writes it: %v", err)
			}
		})
	}
}

// A statement that is not closed keeps its connection, and its files, open.
func TestCloseLeavesNoFileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	for i, end := range []func(*store.DB){func(db *store.DB) { _ = db.Close() }, (*store.DB).Crash} {
		db := open(t, path)
		if err := db.Write(t.Context(), put(fmt.Sprint("k", i))); err != nil {
			t.Fatal(err)
		}
		var reading, wg sync.WaitGroup
		reading.Add(4)
		for range 4 { // every reader has a statement
			wg.Go(func() {
				reading.Done()
				reading.Wait()
				if n := count(t, db); n != i+1 {
					t.Errorf("%d rows", n)
				}
			})
		}
		wg.Wait()
		end(db)
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("this system does not list open files:", err)
		}
		for _, fd := range fds {
			name, err := os.Readlink("/proc/self/fd/" + fd.Name())
			if err == nil && strings.HasPrefix(name, path) {
				t.Errorf("%s is still open", filepath.Base(name))
			}
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path)
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.Raw("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second shows that the first gave the lock free
		_, err := store.Open(t.Context(), store.Config{Path: path})
		if err == nil || !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), "9000") {
			t.Errorf("error %v, want one that says that a newer version wrote it", err)
		}
	}
}

// Statements are prepared with a unary plus before each parameter: it must
// change no value and no type.
var sqlEcho = store.SQL(`SELECT COALESCE(?1, 'none'), typeof(?1), typeof(?2), ?2 IS NULL, typeof(?3), ?10 FROM settings WHERE name = ?4 AND value IN (?5,?6) LIMIT ?7`)

type echo struct {
	text, textType, otherType string
	null                      bool
	lastType                  string
	ten                       int
}

func (e *echo) Fields() []any {
	return []any{&e.text, &e.textType, &e.otherType, &e.null, &e.lastType, &e.ten}
}

func TestRewrittenParametersKeepValueAndType(t *testing.T) {
	if got, want := store.Rewritten("a=?1 AND b IN (?2,?12) LIMIT ?3"), "a=+?1 AND b IN (+?2,+?12) LIMIT +?3"; got != want {
		t.Errorf("rewritten to %q, want %q", got, want)
	}
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlPut, "k1", "0123"); err != nil {
			return err
		}
		for _, c := range []struct {
			value any
			typ   string
			null  bool
		}{
			{int64(1) << 60, "integer", false}, {"0123", "text", false}, {"", "text", false}, {1.5, "real", false},
			{[]byte{0, 1}, "blob", false}, {true, "integer", false}, {nil, "null", true},
		} {
			got, ok, err := store.Get[echo](tx, sqlEcho, "+5 'x' ?1", c.value, "007", "k1", "0123", "z", 1, 0, 0, 10)
			if err != nil {
				return err
			}
			want := echo{"+5 'x' ?1", "text", c.typ, c.null, "text", 10}
			if !ok || got != want {
				t.Errorf("%v: got %+v, want %+v", c.value, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// quotedParameter reports whether a parameter stands inside a string of SQL,
// where the rewriting would change what it says.
func quotedParameter(text string) bool {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '\'':
			quoted = !quoted
		case quoted && text[i] == '?' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			return true
		}
	}
	return false
}

func TestNoStatementQuotesAParameter(t *testing.T) {
	for text, want := range map[string]bool{"x = ?1": false, "x = '?'": false, "x = '?1'": true, "'a' = ?1 OR x = 'it''s ?2'": true, "IN ('*', ?3, '@')": false} {
		if quotedParameter(text) != want {
			t.Fatalf("the check itself says %v of %q", !want, text)
		}
	}
	files, literals := 0, 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(src), "store.SQL(") {
			return err
		}
		files++
		set := token.NewFileSet()
		file := set.AddFile(path, set.Base(), len(src))
		var s scanner.Scanner
		s.Init(file, src, nil, 0)
		for {
			pos, tok, lit := s.Scan()
			if tok == token.EOF {
				return nil
			}
			if tok != token.STRING || !strings.Contains(lit, "?") {
				continue
			}
			text, err := strconv.Unquote(lit)
			if err != nil {
				return err
			}
			literals++
			if quotedParameter(text) {
				t.Errorf("%s: a parameter inside of a string of SQL, where it is no parameter and would be rewritten:\n%s", set.Position(pos), text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 || literals < 100 {
		t.Errorf("only %d statements in %d files were looked at: the walk misses them", literals, files)
	}
}
