package campaigns

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"janela/internal/whatsapp"
)

// Frozen copies go when nothing needs them any more.
func TestSweepRemovesCopiesThatNobodyNeeds(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent(whatsapp.Marketing, 1, 3)
		w.run()
		w.put("stays.csv", people(1, 3))
		w.put("stays.toml", oneOff("stays", "2026-12-20T09:00:00", "", ""))
		w.put("goes.csv", people(1, 2))
		w.put("goes.toml", oneOff("goes", "2026-12-20T09:00:00", "", ""))
		w.pass(5 * time.Second)
		if _, err := w.c.Cancel(t.Context(), "goes", "test"); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(w.cfg.Spool, "sort-left-by-a-crash")
		if err := os.WriteFile(left, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if n := w.spooled(time.Now()); n != 3 {
			t.Fatalf("%d files in the spool, want two copies and a leftover", n)
		}
		w.halt()
		if err := w.c.sweepSpool(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.spooled(time.Now()); n != 3 {
			t.Errorf("%d files: copies of today must stay, somebody may look", n)
		}
		w.spooled(time.Now().Add(-25 * time.Hour))
		if err := w.c.sweepSpool(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.spooled(time.Now()); n != 1 {
			t.Errorf("%d files, want the one copy of the campaign to come", n)
		}
	})
}

// spooled counts the files of the spool and sets when they were written.
func (w *world) spooled(at time.Time) (n int) {
	entries, err := os.ReadDir(w.cfg.Spool)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chtimes(filepath.Join(w.cfg.Spool, e.Name()), at, at); err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}
