package store

import (
	"errors"
	"iter"
	"path/filepath"
	"testing"
)

func counted(n int, end error) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for i := range n {
			if !yield([]any{i, "x"}, nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}
}

// Every row is in the file when Bare has returned, whatever the last batch was.
func TestBare(t *testing.T) {
	for _, n := range []int{0, 1, 6, 7} {
		path := filepath.Join(t.TempDir(), "bare.db")
		if got, err := Bare(path, 2, 3, counted(n, nil)); err != nil || got != n {
			t.Fatalf("%d rows: %d, %v", n, got, err)
		}
		c, err := newConn(readerDSN(path), readerPragmas)
		if err != nil {
			t.Fatal(err)
		}
		there, err := c.value("SELECT CAST(count(*) AS TEXT) || ' ' || CAST(COALESCE(SUM(c1), 0) AS TEXT) FROM bare")
		if want := map[int]string{0: "0 0", 1: "1 0", 6: "6 15", 7: "7 21"}[n]; err != nil || there != want {
			t.Errorf("%d rows: %q, %v", n, there, err)
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
	broken := errors.New("broken")
	if _, err := Bare(filepath.Join(t.TempDir(), "bare.db"), 2, 3, counted(4, broken)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
