package campaigns

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	getFates = store.SQL(`SELECT m.line || ' ' || m.address || ' ' || m.state || ' ' || m.reason FROM messages m WHERE m.run_id > 0
		UNION ALL SELECT r.line || ' ' || r.reason FROM rejects r ORDER BY 1`)
	getOrder = store.SQL(`SELECT c.root FROM messages m JOIN contacts c ON c.id = m.contact_id WHERE m.run_id > 0 ORDER BY m.id`)
)

// crowd puts a campaign whose audience has everything in it, in no order: people
// with consent and without, strangers, rows that cannot be read, numbers that
// come again, and people with two numbers.
func (w *world) crowd(rows int) RunRecord {
	dice := rand.New(rand.NewPCG(3, 4))
	w.consent("utility", 1, rows/2)
	w.must(func(tx *store.Tx) error {
		for i := 1; i < rows/2; i += 5 { // the second number was learnt long after the first
			second := whatsapp.Phone(testPhone(rows - i)).Identity()
			if _, _, err := contacts.Ensure(tx, second); err != nil {
				return err
			}
			if _, err := contacts.Learn(tx, whatsapp.Phone(testPhone(i)).Identity(), second); err != nil {
				return err
			}
		}
		return nil
	})
	w.run()
	var b strings.Builder
	b.WriteString("nome;telefone\n")
	for range rows {
		switch n := 1 + dice.IntN(rows); {
		case n%37 == 0:
			b.WriteString("quebrada;12\n")
		default:
			fmt.Fprintf(&b, "P%d;%s\n", n, testPhone(n))
		}
	}
	w.put("u.csv", b.String())
	w.put("u.toml", series("u", "0 12 * * *", "max_rejected_percent = 90.0", ""))
	w.pass(5 * time.Second)
	w.halt()
	return w.fire("u", "2026-11-20T12:00")
}

// breakOff admits a portion, or none, and a part of the next one, and crashes there.
func (w *world) breakOff(run RunRecord, dice *rand.Rand) {
	w.t.Helper()
	x, path := w.surveyed(run)
	var all []entry
	_, err := x.each(w.t.Context(), path, func(row int, r Recipient, bad *Reject) error {
		if int64(row) >= run.Position {
			all = append(all, entry{r: r, bad: bad, duplicate: bad == nil && x.skip.has(row)})
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if whole := dice.IntN(200); dice.IntN(2) == 0 && whole > 0 && whole < len(all) {
		if err := x.portion(w.t.Context(), all[:whole]); err != nil {
			w.t.Fatal(err)
		}
		all = all[whole:]
	}
	if len(all) == 0 {
		w.crash()
		return
	}
	some, err := x.order(w.t.Context(), all[:1+dice.IntN(len(all))])
	if err != nil {
		w.t.Fatal(err)
	}
	for k := dice.IntN(4); k > 0 && len(some) > 0; k-- {
		part := some[:min(len(some), 1+dice.IntN(300))]
		if _, err := x.write(w.t.Context(), part, x.run.Position); err != nil {
			w.t.Fatal(err)
		}
		some = some[len(part):]
	}
	w.crash()
}

// eachOnce fails when a person has two messages.
func (w *world) eachOnce() {
	w.t.Helper()
	roots := w.list(getOrder)
	slices.Sort(roots)
	if n := len(slices.Compact(roots)); n < len(roots) {
		w.t.Errorf("%d people have a message more than once", len(roots)-n)
	}
}

// A crash in the midst of a portion, again and again, in portions of other
// lengths: every row becomes what it would have become without, and is counted
// once.
func TestABrokenPortionGoesOn(t *testing.T) {
	const rows = 1500
	var want []string
	var counted [3]int64
	for seed := range uint64(9) {
		inWorld(t, nil, func(t *testing.T, w *world) {
			run := w.crowd(rows)
			dice := rand.New(rand.NewPCG(seed, 1))
			for range seed {
				w.breakOff(run, dice)
				run = w.runs("u")[0]
			}
			w.run()
			w.pass(5 * time.Second)
			run = w.runs("u")[0]
			equal(t, "state", run.State, SendingRun)
			equal(t, "rows", run.done(), int64(rows))
			equal(t, "position", run.Position, int64(rows))
			fates, got := w.list(getFates), [3]int64{run.Admitted, run.Rejected, run.Duplicates}
			if seed == 0 {
				want, counted = fates, got
				w.eachOnce()
				if min(counted[0], counted[1], counted[2]) < 20 {
					t.Fatalf("this shows little: %v", counted)
				}
				return
			}
			equal(t, "fates", len(fates), rows)
			w.eachOnce()
			if diff := cmp.Diff(want, fates); diff != "" {
				t.Errorf("after %d crashes rows became something else (-want +got):\n%s", seed, diff)
			}
			equal(t, "counts", got, counted)
		})
	}
}

// A portion is admitted in the order of its people, and reported in that of the file.
func TestAPortionIsAdmittedInTheOrderOfItsPeople(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.crowd(800) // less than the first portion
		w.run()
		w.pass(5 * time.Second)
		if roots := w.list(getOrder); len(roots) < 200 || !slices.IsSorted(roots) {
			t.Errorf("%d messages, and not in the order of their people", len(roots))
		}
		var lines []int
		err := w.c.Report(t.Context(), ReportRequest{ID: "u"}, func(r ReportRow) error {
			if r.Message > 0 {
				lines = append(lines, r.Line)
			}
			return nil
		})
		if err != nil || len(lines) < 200 || !slices.IsSorted(lines) {
			t.Errorf("%d messages are reported, and not in the order of the file: %v", len(lines), err)
		}
	})
}

// The book of contacts changes between the look at a portion's people and the
// transaction that admits them: it is the book of the transaction that counts.
func TestPeopleWhoChangeBeforeTheirPortionIsAdmitted(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("utility", 1, 4)
		w.run()
		w.put("u.csv", people(1, 5))
		w.put("u.toml", series("u", "0 12 * * *", "", ""))
		w.pass(5 * time.Second)
		w.halt()
		x, path := w.surveyed(w.fire("u", "2026-11-20T12:00"))
		var all []entry
		_, err := x.each(t.Context(), path, func(_ int, r Recipient, bad *Reject) error {
			all = append(all, entry{r: r, bad: bad})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		some, err := x.order(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		w.must(func(tx *store.Tx) error { // a stranger is one no more, and two people are one
			if _, _, err := contacts.Ensure(tx, whatsapp.Phone(testPhone(5)).Identity()); err != nil {
				return err
			}
			_, err := contacts.Learn(tx, whatsapp.Phone(testPhone(1)).Identity(), whatsapp.Phone(testPhone(2)).Identity())
			return err
		})
		for len(some) > 0 {
			n, err := x.write(t.Context(), some, 5)
			if err != nil {
				t.Fatal(err)
			}
			some = some[n:]
		}
		w.eachOnce()
		want := []string{"2 " + testPhone(1) + " queued ", "3 duplicate", "4 " + testPhone(3) + " queued ", "5 " + testPhone(4) + " queued ", "6 " + testPhone(5) + " queued "}
		if diff := cmp.Diff(want, w.list(getFates)); diff != "" {
			t.Error(diff)
		}
	})
}
