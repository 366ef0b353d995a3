package conversations

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
)

// Ways in which a ledger may be wrong, each by one statement.
var spoils = map[string]*store.Stmt{
	"counts":         store.SQL(`UPDATE conversations SET messages_in = messages_in + 7`),
	"origin":         store.SQL(`UPDATE conversations SET origin = 'user' WHERE origin = 'business'`),
	"times":          store.SQL(`UPDATE conversations SET opened_at = opened_at - 1, expires_at = expires_at - 1`),
	"gone":           store.SQL(`DELETE FROM conversations`),
	"nobody's":       store.SQL(`UPDATE conversations SET opened_by = 77, opened_by_wamid = '', opened_at = opened_at + 3600000, category = 'utility' WHERE category = 'marketing'`),
	"another's":      store.SQL(`UPDATE conversations SET contact_id = 2 WHERE contact_id = 1`),
	"window late":    store.SQL(`UPDATE service_windows SET last_at = last_at + 1000, closes_at = closes_at + 1000`),
	"window gone":    store.SQL(`DELETE FROM service_windows`),
	"window another": store.SQL(`UPDATE service_windows SET contact_id = 3 WHERE contact_id = 1`),
	"window short":   store.SQL(`UPDATE service_windows SET closes_at = closes_at - 60000`),
}

var anyWindow = store.SQL(`SELECT number_id || ' ' || contact_id || ' ' || last_at || ' ' || closes_at FROM service_windows ORDER BY 1`)

// everything is the two tables as text, without ids.
func everything(q store.Querier) (string, error) {
	rows, err := stored(q)
	if err != nil {
		return "", err
	}
	windows, err := store.All[store.Col[string]](q, anyWindow)
	return strings.Join(showRows(rows), "\n") + fmt.Sprint(windows), err
}

// Whatever was spoilt is found, and mended to exactly what was there; what is
// right is left alone.
func TestRebuildMendsWhateverIsWrong(t *testing.T) {
	db := open(t)
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range spoils {
			if !yield(name) {
				return
			}
		}
	})
	found := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt, false)
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			w, err := reveal(tx, h)
			if err != nil {
				return err
			}
			for _, s := range h.steps {
				if _, _, err := w.apply(tx, s); err != nil {
					return err
				}
			}
			good, err := everything(tx)
			if err != nil {
				return err
			}
			name := rapid.SampledFrom(names).Draw(rt, "spoil")
			if _, err := tx.Exec(spoils[name]); err != nil {
				return nil //nolint:nilerr // two rows would have had the same key: nothing was spoilt
			}
			bad, err := everything(tx)
			if err != nil {
				return err
			}
			a, err := Rebuild(tx, 0, 100)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if spoilt := bad != good; spoilt != (len(a.Differences) > 0) && name != "nobody's" {
				return fmt.Errorf("%s: spoilt %v, found %+v", name, spoilt, a.Differences)
			}
			if len(a.Differences) > 0 {
				found[name]++
			}
			now, err := everything(tx)
			if d := cmp.Diff(good, now); err != nil || d != "" {
				return fmt.Errorf("%s: rebuilt is another (-before +rebuilt, %v):\n%s", name, err, d)
			}
			again, err := Check(tx, 0, 100)
			if err == nil && len(again.Differences) > 0 {
				err = fmt.Errorf("%s: still %+v", name, again.Differences)
			}
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
	for _, name := range names {
		if found[name] == 0 && !testing.Short() {
			t.Errorf("nothing was ever found spoilt by %q", name)
		}
	}
}

// What stands under a contact that was joined is found, and Merge brings it over.
func TestMergeAnnouncesAJoin(t *testing.T) {
	inBook(t, func(b book) {
		b.send(sending{id: 1, category: mkt, state: "sent", sent: at(0), contact: 2}, at(0))
		b.send(sending{id: 2, category: mkt, state: "sent", sent: at(30), contact: 1}, at(30))
		if _, err := b.tx.Exec(setRoot, 2, 1); err != nil {
			t.Fatal(err)
		}
		a, err := Check(b.tx, 0, 100)
		b.must(err)
		if len(a.Differences) != 1 || !strings.Contains(a.Differences[0].Is, "contact 2") || !strings.Contains(a.Differences[0].Should, "contact 1") {
			t.Errorf("a joined contact's row: %+v", a)
		}
		changed, err := Merge(b.tx, 2)
		b.must(err)
		if len(changed) != 1 {
			t.Errorf("changes: %+v", changed)
		}
		b.want("marketing [0,24) business by 1; out 1 in 0", "marketing [30,54) business by 2; out 1 in 0")
		if a, err = Check(b.tx, 0, 100); err != nil || len(a.Differences) > 0 {
			t.Errorf("after the merge: %+v, %v", a, err)
		}
	})
}

// Pages of any size see everybody once.
func TestAuditByPages(t *testing.T) {
	inBook(t, func(b book) {
		for id := int64(1); id <= 3; id++ {
			b.send(sending{id: id, category: mkt, state: "sent", sent: at(0), contact: id}, at(0))
		}
		if _, err := b.tx.Exec(spoils["counts"]); err != nil {
			t.Fatal(err)
		}
		for size := 1; size <= 4; size++ {
			var people []int64
			for after, more := int64(0), true; more; {
				a, err := Check(b.tx, after, size)
				b.must(err)
				for _, d := range a.Differences {
					people = append(people, d.Contact)
				}
				after, more = a.Last, a.More
			}
			if !slices.Equal(people, []int64{1, 2, 3}) {
				t.Errorf("by %d: %v", size, people)
			}
		}
	})
}
