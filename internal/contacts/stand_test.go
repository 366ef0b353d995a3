package contacts_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// seenBook is what a snapshot showed of every phone.
type seenBook struct {
	at    store.Moment
	found []contacts.Known
}

func everyPhone() (ids []whatsapp.Identity) {
	for n := range 6 {
		ids = append(ids, phone(n))
	}
	return ids
}

// Whatever becomes of the book, in whatever order with snapshots: where it says
// that phones stand, they are found as the snapshot found them. Snapshots are
// also taken in the midst of a transaction, before what it does can be seen.
func TestPhonesThatStandAreFoundAgain(t *testing.T) {
	db := open(t, nil)
	look := func(rt *rapid.T) (s seenBook) {
		err := db.Read(t.Context(), func(q *store.Snap) (err error) {
			s.at = q.Moment()
			s.found, err = contacts.FindMany(q, everyPhone())
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
		return s
	}
	stood, fell := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		write(t, db, func(tx *store.Tx) error {
			for _, c := range []*store.Stmt{sqlNoContacts, sqlNoIdentities} {
				if _, err := tx.Exec(c); err != nil {
					return err
				}
			}
			return nil
		})
		seen := []seenBook{look(rt)}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			n, m := rapid.IntRange(0, 5).Draw(rt, "n"), rapid.IntRange(0, 5).Draw(rt, "m")
			what := rapid.IntRange(0, 5).Draw(rt, "what")
			within := rapid.Bool().Draw(rt, "within")
			err := db.Write(t.Context(), func(tx *store.Tx) (err error) {
				switch what {
				case 0:
					_, _, err = contacts.Ensure(tx, phone(n))
				case 1:
					_, err = contacts.Learn(tx, phone(n), waID(m))
				case 2:
					_, err = contacts.Learn(tx, phone(n), phone(m))
				case 3:
					_, err = contacts.Learn(tx, waID(n), bsuid(m))
				case 4:
					if c, ok, _ := contacts.Find(tx, phone(n)); ok {
						err = contacts.Forget(tx, c.ID)
					}
				}
				if within {
					seen = append(seen, look(rt))
				}
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "look") {
				seen = append(seen, look(rt))
			}
			write(t, db, func(tx *store.Tx) error {
				now, err := contacts.FindMany(tx, everyPhone())
				for i, s := range seen {
					if !contacts.PhonesStand(tx, s.at) {
						fell++
						continue
					}
					stood++
					if d := cmp.Diff(s.found, now); d != "" {
						rt.Errorf("snapshot %d stands, and is another (-seen +now):\n%s", i, d)
					}
				}
				return err
			})
		}
	})
	if stood < 100 || fell < 100 {
		t.Errorf("this shows little: %d snapshots stood and %d fell", stood, fell)
	}
}

// What a campaign's own statuses teach takes nothing away: a wa_id of somebody
// who is known by the phone.
func TestPhonesStandWhileWaIDsAreLearnt(t *testing.T) {
	db := open(t, nil)
	write(t, db, func(tx *store.Tx) error { learn(t, tx, phone(1)); return nil })
	var at store.Moment
	if err := db.Read(t.Context(), func(q *store.Snap) error { at = q.Moment(); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what  string
		do    func(tx *store.Tx)
		stand bool
	}{
		{"a wa_id", func(tx *store.Tx) { learn(t, tx, phone(1), waID(1)) }, true},
		{"a stranger's wa_id", func(tx *store.Tx) { learn(t, tx, waID(2)) }, true},
		{"the same phone", func(tx *store.Tx) { learn(t, tx, phone(1)) }, true},
		{"another phone", func(tx *store.Tx) { learn(t, tx, phone(3)) }, false},
	} {
		write(t, db, func(tx *store.Tx) error { x.do(tx); return nil })
		write(t, db, func(tx *store.Tx) error {
			if got := contacts.PhonesStand(tx, at); got != x.stand {
				t.Errorf("after %s was learnt: phones stand: %v", x.what, got)
			}
			return nil
		})
	}
}
