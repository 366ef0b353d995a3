package conversations

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// book is a database with contacts 1 to 3 and numbers A and B, within one
// transaction.
type book struct {
	t  *testing.T
	tx *store.Tx
}

func inBook(t *testing.T, fn func(b book)) {
	t.Helper()
	write(t, open(t), func(tx *store.Tx) error {
		for id := range int64(3) {
			if err := tx.One(putContact, id+1); err != nil {
				return err
			}
		}
		fn(book{t, tx})
		return nil
	})
}

func (b book) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b book) recompute(touches ...Touch) []Change {
	b.t.Helper()
	changed, err := Recompute(b.tx, touches...)
	b.must(err)
	return changed
}

// send puts a message of contact 1 on number A, and recomputes from its time.
func (b book) send(m sending, since time.Time) []Change {
	b.t.Helper()
	if m.number == "" {
		m.number = numberA
	}
	if m.contact == 0 {
		m.contact = 1
	}
	b.must(m.put(b.tx))
	return b.recompute(Touch{Number: m.number, Contact: m.contact, Since: since})
}

func (b book) wrote(n int, hours float64, referral bool) int64 {
	b.t.Helper()
	id, fresh, err := RecordInbound(b.tx, Inbound{Number: numberA, Contact: 1, At: at(hours), Type: "text", Counts: true,
		Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.in%d", n)), Referral: referral})
	b.must(err)
	if !fresh {
		b.t.Fatal("not fresh")
	}
	return id
}

func (b book) want(rows ...string) {
	b.t.Helper()
	got, err := stored(b.tx)
	b.must(err)
	if d := cmp.Diff(rows, showRows(got)); d != "" {
		b.t.Errorf("rows (-want +got):\n%s", d)
	}
}

func sent(id int64, hours float64, c whatsapp.Category) sending {
	return sending{id: id, category: c, state: "sent", accepted: at(hours), sent: at(hours)}
}

func TestMetasTimeReplacesOurs(t *testing.T) {
	inBook(t, func(b book) {
		m := sending{id: 1, category: mkt, run: 5, state: "accepted", accepted: at(10.001)}
		opened := b.send(m, m.accepted)
		b.want("marketing [10.001,34.001) provisional business by 1; out 1 in 0")
		if len(opened) != 1 || !opened[0].Opened || opened[0].Row.Contact != 1 || !opened[0].Row.Provisional {
			t.Errorf("changes: %+v", opened)
		}
		m.state, m.sent, m.wamid = "sent", at(10), "wamid.x"
		moved := b.send(m, at(10))
		b.want("marketing [10,34) business by 1; out 1 in 0")
		if len(moved) != 1 || moved[0].Opened || moved[0].Gone || moved[0].ID != opened[0].ID {
			t.Errorf("the row lost its id: %+v, then %+v", opened, moved)
		}
		m.state, m.delivered = "delivered", at(11)
		if again := b.send(m, at(10)); len(again) != 0 {
			t.Errorf("nothing changed, and yet: %+v", again)
		}
	})
}

func TestFailedOpenerIsNoRow(t *testing.T) {
	inBook(t, func(b book) {
		b.send(sent(1, 0, mkt), at(0))
		b.send(sent(2, 1, mkt), at(1))
		b.want("marketing [0,24) business by 1; out 2 in 0")
		failed := sent(1, 0, mkt)
		failed.state, failed.failed = "failed", at(2)
		changed := b.send(failed, at(0))
		b.want("marketing [1,25) business by 2; out 1 in 0")
		if len(changed) != 2 || !changed[0].Gone || !changed[1].Opened {
			t.Errorf("changes: %+v", changed)
		}
		// It was delivered after all.
		failed.state, failed.delivered = "delivered", at(3)
		b.send(failed, at(0))
		b.want("marketing [0,24) business by 1; out 2 in 0")
	})
}

func TestTwoNumbersTwoRows(t *testing.T) {
	inBook(t, func(b book) {
		b.send(sent(1, 0, mkt), at(0))
		m := sent(2, 1, mkt)
		m.number = numberB
		b.send(m, at(1))
		b.want("marketing [0,24) business by 1; out 1 in 0", "marketing [1,25) business by 2; out 1 in 0 (2, 1)")
	})
}

func TestDryRunsAndHeldMessagesOpenNothing(t *testing.T) {
	inBook(t, func(b book) {
		dry := sent(1, 0, mkt)
		dry.dry = true
		held := sending{id: 2, category: util, state: "accepted_held", accepted: at(1)}
		b.send(dry, at(0))
		b.send(held, at(1))
		b.want()
		held.state, held.sent = "sent", at(7)
		b.send(held, at(1))
		b.want("utility [7,31) business by 2; out 1 in 0")
	})
}

func TestForeignCategoriesAreFolded(t *testing.T) {
	inBook(t, func(b book) {
		for i, c := range []whatsapp.Category{"marketing_lite", "authentication-international", "referral_conversion", "news"} {
			b.send(sending{wamid: whatsapp.Wamid(fmt.Sprintf("wamid.f%d", i)), category: c, sent: at(float64(i) * 30)}, at(float64(i)*30))
		}
		b.want("marketing [0,24) business by 0f0; out 1 in 0", "authentication [30,54) business by 0f1; out 1 in 0",
			"service [60,84) business by 0f2; out 1 in 0")
	})
}

func TestRepliesAndWindows(t *testing.T) {
	inBook(t, func(b book) {
		window := func(contact int64, hours float64, want Window) {
			t.Helper()
			got, err := ServiceWindow(b.tx, numberA, contact, at(hours))
			b.must(err)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("window at %g (-want +got):\n%s", hours, d)
			}
		}
		inside := func(hours float64, want bool) {
			t.Helper()
			got, err := InWindowAt(b.tx, numberA, 1, at(hours))
			b.must(err)
			if got != want {
				t.Errorf("in a window at %g: %v", hours, got)
			}
			ms := store.Millis(at(hours))
			near := []int64{ms, ms - 1, ms + 1, ms + 86_399_999, ms + 86_400_000, ms + 86_400_001, ms - 86_400_000, store.Millis(at(4)), store.Millis(at(4)) + 86_400_000}
			several, err := InWindows(b.tx, len(near), func(i int) (string, int64, time.Time) { return numberA, 1, store.Time(near[i]) })
			b.must(err)
			for i, ms := range near {
				if one, err := InWindowAt(b.tx, numberA, 1, store.Time(ms)); err != nil || one != several[i] {
					t.Errorf("in a window at %d: %v alone, %v among several, %v", ms, one, several[i], err)
				}
			}
		}
		window(1, 3, Window{})
		b.send(sent(1, 0, mkt), at(0))
		b.wrote(1, 4, false)
		b.send(sent(2, 5, text), at(5))
		// Both readings of the reply at 5: Meta's, in the marketing conversation;
		// and that it belongs to the window the user opened.
		b.want("marketing [0,24) business by 1; out 2 in 1")
		inside(5, true)
		window(1, 5, Window{true, at(4), at(28)})
		window(1, 28, Window{false, at(4), at(28)})
		window(1, 3.9999, Window{true, at(4), at(28)}) // our clock is behind Meta's
		// A late one that is earlier moves nothing; a later one does.
		b.wrote(2, 2, false)
		window(1, 5, Window{true, at(4), at(28)})
		inside(3, true)
		inside(1.9999, false)
		b.wrote(3, 6, false)
		window(1, 28, Window{true, at(6), at(30)})
		window(2, 28, Window{})
		inside(30, false)
		b.send(sent(3, 25, text), at(25))
		b.send(sent(4, 26, text), at(26))
		rows, err := stored(b.tx)
		b.must(err)
		if len(rows) != 2 || rows[1].Origin != FromUser || rows[1].Inbound == 0 || rows[1].MessagesOut != 2 {
			t.Errorf("%v", showRows(rows))
		}
	})
}

func TestRecordInbound(t *testing.T) {
	inBook(t, func(b book) {
		b.send(sending{id: 1, wamid: "wamid.one", category: mkt, state: "sent", sent: at(0)}, at(0))
		b.send(sent(2, 1, util), at(1))
		hi := Inbound{Number: numberA, Contact: 1, Wamid: "wamid.hi", At: at(2), Type: "button", Counts: true, AnswersWamid: "wamid.one"}
		id, fresh, err := RecordInbound(b.tx, hi)
		b.must(err)
		hi.At = at(9) // said again, with other words
		again, second, err := RecordInbound(b.tx, hi)
		b.must(err)
		if !fresh || second || again != id {
			t.Errorf("%d %v, then %d %v", id, fresh, again, second)
		}
		thumb := Inbound{Number: numberA, Contact: 1, Wamid: "wamid.thumb", At: at(5), Type: "reaction", Counts: Counts("reaction")}
		_, fresh, err = RecordInbound(b.tx, thumb)
		b.must(err)
		w, err := ServiceWindow(b.tx, numberA, 1, at(6))
		b.must(err)
		if !fresh || !w.LastAt.Equal(at(2)) {
			t.Errorf("fresh %v, last %v: a reaction opens no window", fresh, w.LastAt)
		}
		b.want("marketing [0,24) business by 1; out 1 in 1", "utility [1,25) business by 2; out 1 in 0")
		// A time that cannot be true is when it arrived.
		odd := Inbound{Number: numberB, Contact: 1, Wamid: "wamid.odd", Type: "text", Counts: true, At: time.Unix(9, 0)}
		_, _, err = RecordInbound(b.tx, odd)
		b.must(err)
		if w, err = ServiceWindow(b.tx, numberB, 1, b.tx.Now()); err != nil || !w.LastAt.Equal(b.tx.Now()) {
			t.Errorf("last %v, %v; want %v", w.LastAt, err, b.tx.Now())
		}
		for name, in := range map[string]Inbound{"stranger": {Number: numberA, Contact: 99, Wamid: "wamid.s"},
			"no wamid": {Number: numberA, Contact: 1}, "no number": {Contact: 1, Wamid: "wamid.n"}} {
			if _, _, err := RecordInbound(b.tx, in); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

func TestFreeEntryPointThroughTheDatabase(t *testing.T) {
	inBook(t, func(b book) {
		id := b.wrote(1, 10, true)
		b.send(sent(1, 22, mkt), at(22))
		b.want(fmt.Sprintf("service [22,94) free user of %d by 1; out 1 in 0", id))
		b.send(sent(2, 93, util), at(93))
		// The gap at 94: an ad of the 93rd hour does not count, one of the 94th does.
		b.wrote(2, 93, true)
		b.send(sent(3, 94, util), at(94))
		first := fmt.Sprintf("service [22,94) free user of %d by 1; out 2 in 1", id)
		b.want(first, "utility [94,118) business by 3; out 1 in 0")
		late := b.wrote(3, 94, true)
		b.want(first, fmt.Sprintf("service [94,166) free user of %d by 3; out 1 in 1", late))
	})
}

func TestJoinedContactsAreMerged(t *testing.T) {
	inBook(t, func(b book) {
		b.send(sent(1, 0, mkt), at(0))
		m := sent(2, 1, mkt)
		m.contact = 2
		b.send(m, at(1))
		_, _, err := RecordInbound(b.tx, Inbound{Number: numberB, Contact: 2, Wamid: "wamid.b", At: at(3), Counts: true})
		b.must(err)
		m = sending{id: 3, number: numberB, contact: 2, category: util, state: "sent", sent: at(4)}
		opened := b.send(m, at(4))
		b.want("marketing [0,24) business by 1; out 1 in 0", "marketing [1,25) business by 2; out 1 in 0 (1, 2)",
			"utility [4,28) business by 3; out 1 in 0 (2, 2)")
		_, err = b.tx.Exec(setRoot, 2, 1)
		b.must(err)
		// A touch of the one number, late, mends both.
		changed := b.recompute(Touch{Number: numberA, Contact: 2, Since: at(500)})
		b.want("marketing [0,24) business by 1; out 2 in 0", "utility [4,28) business by 3; out 1 in 0 (2, 1)")
		if len(changed) != 3 || !changed[0].Gone || changed[2].ID != opened[0].ID {
			t.Errorf("changes: %+v", changed)
		}
		if w, err := ServiceWindow(b.tx, numberB, 1, at(4)); err != nil || !w.LastAt.Equal(at(3)) {
			t.Errorf("window %+v, %v", w, err)
		}
		if n, _, err := store.Value[int64](b.tx, windows); err != nil || n != 1 {
			t.Errorf("%d windows, %v", n, err)
		}
		if again := b.recompute(Touch{Number: numberA, Contact: 1, Since: at(500)}); len(again) != 0 {
			t.Errorf("merged twice: %+v", again)
		}
	})
}

// A free entry point whose opener fails gives back what it ended, also when
// what changed lies exactly at its opening.
func TestFreeEntryPointTakenBack(t *testing.T) {
	inBook(t, func(b book) {
		b.send(sent(1, 0, mkt), at(0))
		id := b.wrote(1, 11, true)
		m := sent(2, 12, util)
		b.send(m, at(12))
		b.want("marketing [0,24) closed 12 business by 1; out 1 in 1", fmt.Sprintf("service [12,84) free user of %d by 2; out 1 in 0", id))
		m.state, m.failed = "failed", at(13)
		b.send(m, at(12))
		b.want("marketing [0,24) business by 1; out 1 in 1")
	})
}

// A row from before the last gap is not even looked at.
func TestRecomputeBeginsAtTheLastGap(t *testing.T) {
	inBook(t, func(b book) {
		for i, h := range []float64{0, 100, 110, 130, 131} {
			b.send(sent(int64(i+1), h, []whatsapp.Category{mkt, mkt, util, mkt, auth}[i]), at(h))
		}
		for id := range int64(5) {
			_, err := b.tx.Exec(spoil, id+1)
			b.must(err)
		}
		b.recompute(Touch{Number: numberA, Contact: 1, Since: at(133)})
		// 133 lies in [130,154), which overlaps [110,134), which overlaps [100,124).
		b.want("marketing [0,24) business by 1; out 99 in 0", "marketing [100,124) business by 2; out 1 in 0",
			"utility [110,134) business by 3; out 1 in 0", "marketing [130,154) business by 4; out 1 in 0",
			"authentication [131,155) business by 5; out 1 in 0")
		b.recompute(Touch{Number: numberA, Contact: 1, Since: time.Time{}})
		rows, err := stored(b.tx)
		b.must(err)
		if rows[0].MessagesOut != 1 {
			t.Error("the zero time did not recompute the whole history")
		}
		if got := b.recompute(Touch{Number: numberA, Contact: 99, Since: at(0)}); len(got) != 0 {
			t.Errorf("a contact that is not known: %+v", got)
		}
	})
}

type planLine struct {
	id, parent, unused int64
	detail             string
}

// Fields names the places of EXPLAIN QUERY PLAN's columns.
func (p *planLine) Fields() []any { return []any{&p.id, &p.parent, &p.unused, &p.detail} }

var parameter = regexp.MustCompile(`\?(\d+)`)

func explain(t *testing.T, tx *store.Tx, s *store.Stmt) []string {
	var args []any
	for _, m := range parameter.FindAllStringSubmatch(s.Text(), -1) {
		for n, _ := strconv.Atoi(m[1]); len(args) < n; {
			args = append(args, 1)
		}
	}
	lines, err := store.All[planLine](tx, store.SQL("EXPLAIN QUERY PLAN "+s.Text()), args...)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range lines {
		out = append(out, l.detail)
	}
	return out
}

func TestNoStatementWalksATable(t *testing.T) {
	write(t, open(t), func(tx *store.Tx) error {
		for _, s := range []*store.Stmt{sqlPerson, sqlUnmerged, sqlMembers, sqlStored, sqlUpdate, sqlDelete, sqlFacts, sqlWindow,
			sqlInWindow, sqlDropWindows, sqlInboundID, sqlAnswered, sqlList, sqlListOfOne, sqlCount, sqlCountOfOne} {
			for _, line := range explain(t, tx, s) {
				if strings.HasPrefix(line, "SCAN") || strings.Contains(line, "AUTOMATIC") {
					t.Errorf("%s\n%s", line, s.Text())
				}
			}
		}
		facts := strings.Join(explain(t, tx, sqlFacts), "\n")
		for _, index := range []string{"messages_once", "messages_contact", "foreign_messages_contact", "inbound_messages_contact"} {
			if !strings.Contains(facts, "INDEX "+index+" ") {
				t.Errorf("the facts are not read through %s:\n%s", index, facts)
			}
		}
		for _, s := range []*store.Stmt{sqlList, sqlStored} {
			if plan := strings.Join(explain(t, tx, s), "\n"); strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("sorts what the index has in order:\n%s\n%s", plan, s.Text())
			}
		}
		return nil
	})
}

// A fresh pair: accepted, then Meta's sent time; in transactions of 200 pairs.
func BenchmarkRecompute(b *testing.B) {
	b.StopTimer()
	db := open(b)
	for from := 0; from < b.N; from += 200 {
		until := min(from+200, b.N)
		for _, m := range []sending{
			{state: "queued"},
			{state: "accepted", accepted: at(0.1)},
			{state: "sent", accepted: at(0.1), sent: at(0)},
		} {
			m.number, m.category, m.run = numberA, mkt, 1
			write(b, db, func(tx *store.Tx) error {
				touches := make([]Touch, 0, 200)
				for i := from; i < until; i++ {
					m.id, m.contact = int64(i+1), int64(i+1)
					if m.state == "queued" {
						if err := tx.One(putContact, m.contact); err != nil {
							return err
						}
					}
					if err := m.put(tx); err != nil {
						return err
					}
					touches = append(touches, Touch{Number: numberA, Contact: m.contact, Since: at(0)})
				}
				if m.state == "queued" {
					return nil
				}
				b.StartTimer()
				defer b.StopTimer()
				_, err := Recompute(tx, touches...)
				return err
			})
		}
	}
}
