package access_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/access"
	"janela/internal/store"
)

func open(t testing.TB, wall *time.Time) *store.DB { return openIn(t, t.TempDir(), wall) }

func openIn(t testing.TB, dir string, wall *time.Time) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "x.db"), Wall: func() time.Time { return *wall }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func list(t *testing.T, db *store.DB, before int64, limit int) (out []access.Entry) {
	t.Helper()
	err := db.Read(t.Context(), func(s *store.Snap) (err error) { out, err = access.Audit(s, before, limit); return err })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAuditIsAppendedAndListedNewestFirst(t *testing.T) {
	wall := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	db := open(t, &wall)
	if got := list(t, db, 0, 10); len(got) != 0 {
		t.Fatalf("a new database has %v", got)
	}
	var want []access.Entry
	for i := range 7 {
		e := access.Entry{Actor: "operator", Command: "hold", Object: fmt.Sprint("campaign ", i), Before: "active", After: `{"reason":"why not"}`,
			ID: 99, At: 99} // neither is the caller's to give
		err := db.Write(t.Context(), func(tx *store.Tx) error { return access.Note(tx, e) })
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.At = 0, store.Millis(wall)
		want = append(want, e)
		// The clock may step back: the order is that of writing, and no entry is
		// older than the one before.
		wall = wall.Add([]time.Duration{time.Second, -time.Hour, 0, 2 * time.Hour}[i%4])
		if i > 0 && want[i].At < want[i-1].At {
			want[i].At = want[i-1].At
		}
	}
	slices.Reverse(want)
	got := list(t, db, 0, 100)
	ids := make([]int64, len(got))
	for i := range got {
		ids[i], got[i].ID = got[i].ID, 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("ids %v do not fall", ids)
	}

	// Page by page, nothing twice and nothing left out.
	var paged []int64
	for before := int64(0); ; {
		page := list(t, db, before, 3)
		for _, e := range page {
			paged = append(paged, e.ID)
			before = e.ID
		}
		if len(page) < 3 {
			break
		}
	}
	if diff := cmp.Diff(ids, paged); diff != "" {
		t.Errorf("pages: %s", diff)
	}
	if got := list(t, db, -5, 1); len(got) != 1 || got[0].ID != ids[0] {
		t.Errorf("before a negative id: %v, want the newest", got)
	}
}

// An entry shares the fate of the change that it tells of.
func TestAuditOfAnUndoneChangeIsUndone(t *testing.T) {
	wall := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	db := open(t, &wall)
	boom := errors.New("boom")
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if err := access.Note(tx, access.Entry{Actor: "api", Command: "consents revoke"}); err != nil {
			return err
		}
		if got, err := access.Audit(tx, 0, 10); err != nil || len(got) != 1 {
			t.Errorf("within its transaction: %v %v", got, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if got := list(t, db, 0, 10); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// No statement of the package changes or removes an entry.
func TestAuditIsAppendOnly(t *testing.T) {
	seen := 0
	for _, s := range store.Statements() {
		if s.Owner() != "janela/internal/access" || !strings.Contains(s.Text(), " audit ") {
			continue
		}
		if got := s.Text()[:6]; got != "INSERT" && got != "SELECT" {
			t.Errorf("%s: the audit log is appended to and read, nothing else", s.Text())
		}
		seen++
	}
	if seen < 2 {
		t.Errorf("%d statements name the audit log", seen)
	}
}
