package contacts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlLastSeen = store.SQL(`SELECT last_seen FROM identities WHERE value = ?1`)
	sqlRoots    = store.SQL(`SELECT id, root FROM contacts ORDER BY id`)
)

// pair scans two integers.
type pair struct{ a, b int64 }

// Fields names the places.
func (p *pair) Fields() []any { return []any{&p.a, &p.b} }

func open(t testing.TB, wall func() time.Time) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db"), Wall: wall})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func write(t testing.TB, db *store.DB, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func phone(n int) whatsapp.Identity {
	return whatsapp.Phone(fmt.Sprintf("+120255501%02d", n)).Identity()
}
func waID(n int) whatsapp.Identity  { return whatsapp.WaID(fmt.Sprintf("120255501%02d", n)).Identity() }
func bsuid(n int) whatsapp.Identity { return whatsapp.BSUID(fmt.Sprintf("US.%d", n)).Identity() }

func learn(t testing.TB, tx *store.Tx, ids ...whatsapp.Identity) contacts.Contact {
	t.Helper()
	c, err := contacts.Learn(tx, ids...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFindAndEnsure(t *testing.T) {
	db := open(t, nil)
	write(t, db, func(tx *store.Tx) error {
		if _, ok, err := contacts.Find(tx, phone(0)); ok || err != nil {
			t.Errorf("an empty book found somebody: %v, %v", ok, err)
		}
		a, created, err := contacts.Ensure(tx, phone(0))
		if err != nil || !created || a.ID == 0 || a.Root != a.ID {
			t.Fatalf("%+v, created %v, %v", a, created, err)
		}
		again, created, err := contacts.Ensure(tx, phone(0))
		if err != nil || created || again != a {
			t.Errorf("%+v, created %v, %v; want %+v again", again, created, err, a)
		}
		// The same digits in the other name space are not the same identity.
		if _, ok, err := contacts.Find(tx, waID(0)); ok || err != nil {
			t.Errorf("exact lookup found another kind: %v, %v", ok, err)
		}
		return nil
	})
	for name, id := range map[string]whatsapp.Identity{"empty": {}, "empty of a kind": {Kind: whatsapp.KindPhone}, "unknown kind": {Kind: "email", Value: "secret"}} {
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			_, _, err := contacts.Ensure(tx, id)
			return err
		})
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the value: %v", name, err)
		}
	}
}

func TestLastSeenMovesOncePerDay(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	start := now
	db := open(t, func() time.Time { return now })
	for _, c := range []struct{ after, want time.Duration }{
		{0, 0}, {time.Hour, 0}, {24*time.Hour - 1, 0}, {24 * time.Hour, 24 * time.Hour}, {30 * time.Hour, 24 * time.Hour},
	} {
		now = start.Add(c.after)
		write(t, db, func(tx *store.Tx) error {
			if _, _, err := contacts.Ensure(tx, phone(0)); err != nil {
				return err
			}
			ms, _, err := store.Value[int64](tx, sqlLastSeen, phone(0).Value)
			if got := store.Time(ms).Sub(start); got != c.want {
				t.Errorf("after %v: last_seen is %v after the start, want %v", c.after, got, c.want)
			}
			return err
		})
	}
}

func TestLearn(t *testing.T) {
	db := open(t, nil)
	write(t, db, func(tx *store.Tx) error {
		// None known: one contact for all; what callbacks leave empty is left out.
		a := learn(t, tx, phone(1), whatsapp.Identity{Kind: whatsapp.KindWaID}, bsuid(1), bsuid(1))
		if got := learn(t, tx, bsuid(1)); got != a {
			t.Errorf("the pair has contacts %+v and %+v", a, got)
		}
		// One known, wherever it stands: the new one goes to it.
		if got := learn(t, tx, waID(1), phone(1)); got != a {
			t.Errorf("a new first identity made %+v, want %+v", got, a)
		}
		// Two known: joined under the lower, whichever comes first, and the
		// contact of the first is returned.
		b, c := learn(t, tx, phone(2)), learn(t, tx, phone(3))
		if got, want := learn(t, tx, phone(3), phone(2)), (contacts.Contact{ID: c.ID, Root: b.ID}); got != want {
			t.Errorf("join returned %+v, want %+v", got, want)
		}
		// A join of joined ones rewrites every row of the higher root.
		if got, want := learn(t, tx, bsuid(1), phone(3)), a; got != want {
			t.Errorf("join returned %+v, want %+v", got, want)
		}
		rows, err := store.All[pair](tx, sqlRoots)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.b != a.ID {
				t.Errorf("contact %d has root %d, want %d", r.a, r.b, a.ID)
			}
		}
		want := []int64{a.ID, b.ID, c.ID}
		for _, id := range want {
			members, err := contacts.Members(tx, id)
			if err != nil {
				return err
			}
			if d := cmp.Diff(want, members); d != "" {
				t.Errorf("members of %d (-want +got):\n%s", id, d)
			}
		}
		if _, err := contacts.Learn(tx, whatsapp.Identity{}); err == nil {
			t.Error("learnt from nothing")
		}
		return nil
	})
}

func TestIdentitiesAndPhone(t *testing.T) {
	db := open(t, nil)
	write(t, db, func(tx *store.Tx) error {
		nameless := learn(t, tx, bsuid(9))
		if _, ok, err := contacts.Phone(tx, nameless.ID); ok || err != nil {
			t.Errorf("a phone out of nothing: %v, %v", ok, err)
		}
		low := learn(t, tx, phone(5), waID(5))
		high := learn(t, tx, bsuid(4), phone(4))
		learn(t, tx, phone(4), phone(5))
		got, err := contacts.Identities(tx, high.ID)
		if err != nil {
			return err
		}
		// Phones first, the contact's own before the other's.
		var values []string
		for _, id := range got {
			values = append(values, string(id.Kind)+" "+id.Value)
		}
		want := []string{"phone +12025550104", "phone +12025550105", "wa_id 12025550105", "bsuid US.4"}
		if d := cmp.Diff(want, values); d != "" {
			t.Errorf("identities (-want +got):\n%s", d)
		}
		for id, want := range map[int64]string{low.ID: "+12025550105", high.ID: "+12025550104"} {
			if p, ok, err := contacts.Phone(tx, id); err != nil || !ok || p.E164() != want {
				t.Errorf("phone of %d: %q, %v, %v; want %s", id, p.E164(), ok, err, want)
			}
		}
		return nil
	})
}

// A STOP reaches every spelling of a number, in both directions; a lookup for
// a grant reaches only the spelling it was given.
func TestReachIsWideAndFindIsExact(t *testing.T) {
	db := open(t, nil)
	for _, c := range []struct {
		name         string
		spell        func(digits string) string // how Meta writes the same number
		asPhone, off bool
	}{
		{"br mobile", func(d string) string { return d[:4] + d[5:] }, false, false},
		{"mx", func(d string) string { return d[:2] + "1" + d[2:] }, false, false},
		{"ar mobile", func(d string) string { return d[:2] + d[3:] }, false, false},
		// A landline has no ninth digit to drop: a 9 more makes another number.
		{"br landline", func(d string) string { return d[:4] + "9" + d[4:] }, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			number := liveLooking(t, c.name)
			p := number.Identity()
			w := whatsapp.WaID(c.spell(number.Digits())).Identity()
			write(t, db, func(tx *store.Tx) error {
				a, _, err := contacts.Ensure(tx, p)
				if err != nil {
					return err
				}
				for _, from := range []whatsapp.Identity{p, w} {
					got, err := contacts.Reach(tx, from)
					if err != nil {
						return err
					}
					want := []int64{a.ID}
					if c.off && from == w {
						want = nil
					}
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("a STOP from %v reaches (-want +got):\n%s", from.Kind, d)
					}
				}
				if _, ok, err := contacts.Find(tx, w); ok || err != nil {
					t.Errorf("a grant would reach by the wide key: %v, %v", ok, err)
				}
				// Both stand in the book as two people: still one STOP for both.
				b, _, err := contacts.Ensure(tx, w)
				if err != nil || c.off {
					return err
				}
				got, err := contacts.Reach(tx, p)
				if d := cmp.Diff([]int64{a.ID, b.ID}, got); d != "" {
					t.Errorf("with both known (-want +got):\n%s", d)
				}
				return err
			})
		})
	}
}

// A person who hides the phone is reached through a pair learnt before.
func TestReachFollowsLearntPairs(t *testing.T) {
	db := open(t, nil)
	write(t, db, func(tx *store.Tx) error {
		a := learn(t, tx, phone(1))          // imported by the business
		b := learn(t, tx, waID(1), bsuid(1)) // wrote to us; never paired with the phone
		other := learn(t, tx, phone(2), bsuid(2))
		got, err := contacts.Reach(tx, bsuid(1), whatsapp.Identity{}, bsuid(7))
		if d := cmp.Diff([]int64{a.ID, b.ID}, got); d != "" {
			t.Errorf("(-want +got):\n%s (%d is somebody else)", d, other.ID)
		}
		return err
	})
}

// liveLooking returns a number from the one file that may hold such numbers.
func liveLooking(t *testing.T, name string) whatsapp.Phone {
	t.Helper()
	data, err := os.ReadFile("../whatsapp/testdata/live-looking-numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(line, "|")
		if len(f) > 3 && strings.TrimSpace(f[0]) == name {
			return whatsapp.Phone(strings.TrimSpace(f[3]))
		}
	}
	t.Fatalf("no number called %q in the file", name)
	return ""
}

func TestOfWamid(t *testing.T) {
	const w = whatsapp.Wamid("wamid.HBgNNTUxMTkwMDAwMDAwMRUCABEYEkQ5REY3OUE4OTI4NjE5MjUyMAA=")
	write(t, open(t, nil), func(tx *store.Tx) error {
		for _, id := range []whatsapp.Identity{{}, whatsapp.WaID("5511900000001").Identity(), whatsapp.Phone("+5511900000001").Identity()} {
			var want contacts.Contact
			if !id.Zero() {
				var err error
				if want, _, err = contacts.Ensure(tx, id); err != nil {
					return err
				}
			}
			if got, ok, err := contacts.OfWamid(tx, w); got != want || ok != !id.Zero() || err != nil {
				t.Errorf("it names %+v, %t, %v; want %+v", got, ok, err, want)
			}
		}
		if _, ok, err := contacts.OfWamid(tx, "wamid.1"); ok || err != nil {
			t.Errorf("an id that names nobody: %t, %v", ok, err)
		}
		return nil
	})
}
