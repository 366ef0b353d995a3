package outbox

import (
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var allHours = store.SQL(`SELECT COUNT(*) FROM message_hours`)

// Hours are forgotten after their time, and what still becomes of their messages
// counts nowhere; dry runs never do.
func TestHoursAreForgotten(t *testing.T) {
	w := newWorld(t)
	var s, dry Stream
	var old int64
	write := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := w.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	rows := func() (n int64) {
		t.Helper()
		if err := w.Read(t.Context(), func(q *store.Snap) (err error) { n, _, err = store.Value[int64](q, allHours); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	add := func(tx *store.Tx, s Stream) (int64, error) {
		ids, _, err := Enqueue(tx, s, []New{{Contact: 1, To: whatsapp.Identity{Kind: whatsapp.KindPhone, Value: "+12025550101"}}})
		return ids[0], err
	}
	write(func(tx *store.Tx) (err error) {
		if _, err = tx.Exec(putContact, 1); err != nil {
			return err
		}
		if s, err = OpenStream(tx, Stream{Number: number1, WABA: "1", Category: whatsapp.Utility, Template: "t", Language: "pt_BR"}); err != nil {
			return err
		}
		if dry, err = OpenStream(tx, Stream{Number: number1, WABA: "1", Category: whatsapp.Utility, Template: "t", Language: "en", DryRun: true}); err != nil {
			return err
		}
		if _, err = add(tx, dry); err != nil {
			return err
		}
		return nil
	})
	if n := rows(); n != 0 {
		t.Errorf("a dry run counts: %d rows", n)
	}
	write(func(tx *store.Tx) (err error) { old, err = add(tx, s); return err })
	if n := rows(); n != 1 {
		t.Errorf("%d rows, want one", n)
	}
	w.wall = w.wall.Add(KeepHours + time.Hour)
	write(func(tx *store.Tx) error { _, err := Look(tx); return err })
	write(func(tx *store.Tx) error { _, err := CancelMessages(tx, []int64{old}, "code_over"); return err })
	if n := rows(); n != 0 {
		t.Errorf("%d rows are left of an hour of long ago", n)
	}
}
