package httpapi

import (
	"strings"
	"testing"

	"janela/internal/store"
)

var sqlSpoil = store.SQL(`UPDATE conversations SET messages_in = 9`)

// A difference is shown by check and mended by write, which alone is a change
// somebody made.
func TestRebuild(t *testing.T) {
	h := newHouse(t)
	h.talk(ana)
	ask := func(write bool) (RebuildReply, []RebuildDifference) {
		t.Helper()
		var all []RebuildDifference
		out, err := h.client.Rebuild(t.Context(), RebuildRequest{Write: write}, func(d RebuildDifference) error {
			all = append(all, d)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out, all
	}
	if out, all := ask(false); out.Differences != 0 || len(all) != 0 || out.People != 1 || out.Ledgers != 1 {
		t.Fatalf("a ledger that is right: %+v %+v", out, all)
	}
	h.write(func(tx *store.Tx) error { _, err := tx.Exec(sqlSpoil); return err })
	for range 2 { // checking changes nothing
		out, all := ask(false)
		if out.Differences != 1 || len(all) != 1 || all[0].Number != "loja" || !strings.Contains(all[0].Is, "in 9") || !strings.Contains(all[0].Should, "in 0") {
			t.Fatalf("a count that is wrong: %+v %+v", out, all)
		}
	}
	if out, _ := ask(true); out.Differences != 1 || !out.Written {
		t.Errorf("%+v", out)
	}
	if out, all := ask(true); out.Differences != 0 {
		t.Errorf("it was corrected, and again: %+v", all)
	}
	log, err := h.client.Audit(t.Context(), 10)
	n := 0
	for _, e := range log {
		if e.Command == "conversations rebuild" && e.Actor == "maria" && e.After == "1 rows corrected" {
			n++
		}
	}
	if err != nil || n != 1 {
		t.Errorf("%d entries in the audit log, want 1: %+v, %v", n, log, err)
	}
}
