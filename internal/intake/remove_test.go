package intake

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"janela/internal/store"
)

var (
	putAged  = store.SQL(`INSERT INTO callbacks (id, received_at, hash, body, state) VALUES (?1, ?2, ?3, CAST('{}' AS BLOB), ?4)`)
	agedLeft = store.SQL(`SELECT id FROM callbacks ORDER BY id`)
)

// What was applied long ago goes, a few at a time; what waits, what failed and
// what is young stays.
func TestRemove(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db"), Wall: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	before := now.Add(-90 * 24 * time.Hour)
	want := "["
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 40 {
			at, state := before.Add(time.Duration(i-30)*time.Hour), "applied"
			switch i % 10 {
			case 3:
				state = "failed"
			case 4:
				state = "stored"
			}
			if state != "applied" || i > 30 {
				want += fmt.Sprint(" ", i+1)
			}
			if err := tx.One(putAged, i+1, store.Millis(at), fmt.Sprint(i), state); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var removed, turns int64
	for after, more := int64(0), true; more; turns++ {
		err := db.Bulk(t.Context(), func(tx *store.Tx) (err error) {
			var n int64
			n, after, more, err = Remove(tx, after, before, 7)
			removed += n
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := "["
	err = db.Read(t.Context(), func(q *store.Snap) error {
		return store.Each(q, agedLeft, func(c *store.Col[int64]) error { got += fmt.Sprint(" ", c.V); return nil })
	})
	if err != nil || got != want || removed != 25 || turns != 5 {
		t.Errorf("%d removed in %d turns, %v\ngot  %s\nwant %s", removed, turns, err, got, want)
	}
}
