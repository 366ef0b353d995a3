package campaigns

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// met walks the book for the rows from one on, and returns who each row's person
// is said to be; those that must be asked for are missing.
func (w *world) met(x *expansion, path string, from, limit int) (out map[int]contacts.Known, phones map[int]whatsapp.Identity) {
	w.t.Helper()
	x.dups.limit = limit
	a, err := x.walk(w.t.Context(), from, x.rows)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.close()
	out, phones = map[int]contacts.Known{}, map[int]whatsapp.Identity{}
	_, err = x.each(w.t.Context(), path, func(row int, r Recipient, bad *Reject) error {
		if row < from || bad != nil || x.skip.has(row) {
			return nil
		}
		phones[row] = r.Phone.Identity()
		k, ok, err := a.of(row)
		if ok {
			out[row] = k
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out, phones
}

// The walk finds whom a look at each number finds, for every row, from wherever an
// expansion goes on: people, strangers, and people with two numbers, who are asked
// for.
func TestTheWalkFindsWhomEachNumberFinds(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		run := w.crowd(900)
		w.must(func(tx *store.Tx) error { // numbers that no audience has
			for _, odd := range []string{"+0" + testPhone(7)[1:], "90", "+x"} {
				if _, _, err := contacts.Ensure(tx, whatsapp.Identity{Kind: whatsapp.KindPhone, Value: odd}); err != nil {
					return err
				}
			}
			return nil
		})
		for _, from := range []int{0, 1, 400, 899} {
			x, path := w.surveyed(run)
			got, phones := w.met(x, path, from, 50)
			x.forget()
			ids := make([]whatsapp.Identity, 0, len(phones))
			rows := make([]int, 0, len(phones))
			for row, id := range phones {
				rows, ids = append(rows, row), append(ids, id)
			}
			want, plain, nobody, several := map[int]contacts.Known{}, 0, 0, 0
			err := w.db.Read(t.Context(), func(q *store.Snap) error {
				found, err := contacts.FindMany(q, ids)
				for i, k := range found {
					switch {
					case k.ID == 0:
						nobody++
					case k.Alone:
						plain++
					default:
						several++
						continue
					}
					want[rows[i]] = k
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("from row %d (-asked for +walked):\n%s", from, diff)
			}
			if from == 0 && min(plain, nobody, several) < 20 {
				t.Errorf("this shows little: %d people, %d strangers, %d with several numbers", plain, nobody, several)
			}
		}
	})
}

// An audience that is few beside the book is not worth a walk.
func TestFewAreAskedForByThemselves(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		run := w.crowd(900)
		x, _ := w.surveyed(run)
		defer x.forget()
		for left, walked := range map[int]bool{1: false, 20: false, 899: true} {
			a, err := x.walk(t.Context(), 900-left, 900)
			if err != nil || (a != nil) != walked {
				t.Errorf("%d rows: walked %v, %v", left, a != nil, err)
			}
			a.close()
		}
	})
}

// An audience whose people were found by a walk, also after a crash in its midst,
// and with a book that has changed since: every row becomes what it becomes when
// each portion asks.
func TestWalkedPeopleAreAdmittedAsThoseAskedFor(t *testing.T) {
	const rows = 1500
	var want []string
	for _, how := range []string{"asked", "walked", "crashed", "changed"} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			run := w.crowd(rows)
			ctx := t.Context()
			change := func() { // strangers are none any more, and two people are one
				w.must(func(tx *store.Tx) error {
					for n := rows - 300; n < rows; n++ {
						if _, _, err := contacts.Ensure(tx, whatsapp.Phone(testPhone(n)).Identity()); err != nil {
							return err
						}
					}
					for n := 2; n < 200; n += 10 {
						if _, err := contacts.Learn(tx, whatsapp.Phone(testPhone(n)).Identity(), whatsapp.Phone(testPhone(n+1)).Identity()); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if how != "changed" {
				change()
			}
			x, path := w.surveyed(run)
			x.walkFrom = 1
			if how == "asked" {
				x.walkFrom = rows
			}
			if how == "crashed" || how == "changed" {
				var err error
				if x.people, err = x.walk(ctx, 0, rows); err != nil || x.people == nil {
					t.Fatal(x.people, err)
				}
			}
			if how == "changed" {
				change()
			}
			if how == "crashed" {
				var some []entry
				_, err := x.each(ctx, path, func(row int, r Recipient, bad *Reject) error {
					e := entry{r: r, bad: bad, duplicate: bad == nil && x.skip.has(row)}
					err := x.meets(row, &e)
					some = append(some, e)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				ordered, err := x.order(ctx, some[:700])
				if err == nil {
					_, err = x.write(ctx, ordered[:333], x.run.Position)
				}
				if err != nil {
					t.Fatal(err)
				}
				x.forget()
				w.crash()
				x, path = w.surveyed(w.runs("u")[0])
				x.walkFrom = 1
			}
			if err := x.admit(ctx, path); err != nil {
				t.Fatal(err)
			}
			if walked := x.people != nil; walked == (how == "asked") {
				t.Errorf("%s: the book was walked: %v", how, walked)
			}
			x.forget()
			equal(t, how+": rows", w.runs("u")[0].done(), int64(rows))
			w.eachOnce()
			fates := w.list(getFates)
			if want == nil {
				want = fates
			}
			if diff := cmp.Diff(want, fates); diff != "" {
				t.Errorf("%s (-asked +%s):\n%s", how, how, diff)
			}
		})
	}
}
