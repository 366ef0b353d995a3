package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"janela/internal/store"
)

// A full disk is noted, and stays noted until a write of some size finds room:
// small ones may still go well.
func TestAFullDiskIsAFaultUntilAProbeGoesWell(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	limit := func(pages string) {
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.Raw("PRAGMA max_page_count = " + pages) }); err != nil {
			t.Fatal(err)
		}
	}
	wakes := db.Wakes("any")
	limit("120")
	err := db.Write(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(sqlPutLong, "kbig", 4_000_000); return err })
	f := db.Fault()
	if err == nil || !store.Unwell(err) || f == nil || !strings.Contains(f.Err.Error(), "full") || f.Since().IsZero() {
		t.Fatalf("error %v, fault %+v", err, f)
	}
	if err := db.Write(t.Context(), put("ksmall")); err != nil || db.Fault() != f {
		t.Errorf("a small write: %v, fault %+v", err, db.Fault())
	}
	if err := db.Probe(t.Context()); err == nil || db.Fault() != f {
		t.Errorf("a probe of a full disk: %v, fault %+v", err, db.Fault())
	}
	select {
	case <-wakes:
		t.Error("woken while the disk is full")
	default:
	}
	limit("100000")
	if err := db.Probe(t.Context()); err != nil || db.Fault() != nil {
		t.Errorf("a probe with room: %v, fault %+v", err, db.Fault())
	}
	select {
	case <-wakes:
	default:
		t.Error("nobody was woken")
	}
	if err := db.Read(t.Context(), func(s *store.Snap) error {
		_, left, err := store.Value[string](s, sqlSetting, "probe")
		if left {
			t.Error("the probe is still there")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	db.Break(true)
	if err := db.Write(t.Context(), put("kbroken")); !store.Unwell(err) || db.Fault() == nil {
		t.Errorf("a broken disk takes a write: %v", err)
	}
	if err := db.Write(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Errorf("a transaction that writes nothing: %v", err)
	}
}
