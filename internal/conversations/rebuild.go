package conversations

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"janela/internal/store"
)

// Difference is one row that is not what the facts say. Is and Should describe
// the row as it stands and as it follows; "" where there is none, or shall be.
type Difference struct {
	Table   string // conversations or service_windows
	ID      int64  // of the row that stands; 0 for none
	Number  string
	Contact int64 // the root of the person
	Is      string
	Should  string
}

// Audit is what a look at some people found.
type Audit struct {
	People, Ledgers int // how many were looked at; a ledger is a person on a number
	Differences     []Difference
	Last            int64 // the last person; the next look begins after them
	More            bool  // there may be others
}

var (
	sqlRoots = store.SQL(`SELECT id FROM contacts WHERE id > ?1 AND root = id ORDER BY id LIMIT ?2`)
	// Every number on which anything of a person stands, or could follow.
	sqlNumbers = store.SQL(`
		SELECT s.number_id FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
			WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id > 0 AND s.id = m.stream_id
		UNION SELECT s.number_id FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
			WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id = 0 AND s.id = m.stream_id
		UNION SELECT s.number_id FROM contacts c CROSS JOIN past_messages m CROSS JOIN streams s
			WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND s.id = m.stream_id
		UNION SELECT f.number_id FROM contacts c CROSS JOIN foreign_messages f WHERE c.root = CAST(?1 AS BIGINT) AND f.contact_id = c.id
		UNION SELECT i.number_id FROM contacts c CROSS JOIN inbound_messages i WHERE c.root = CAST(?1 AS BIGINT) AND i.contact_id = c.id
		UNION SELECT v.number_id FROM contacts c CROSS JOIN conversations v WHERE c.root = CAST(?1 AS BIGINT) AND v.contact_id = c.id
		UNION SELECT w.number_id FROM contacts c CROSS JOIN service_windows w WHERE c.root = CAST(?1 AS BIGINT) AND w.contact_id = c.id`)
	sqlWindowsOf = store.SQL(`SELECT w.contact_id, w.last_at, w.closes_at FROM contacts c CROSS JOIN service_windows w
		WHERE c.root = CAST(?1 AS BIGINT) AND w.contact_id = c.id AND w.number_id = CAST(?2 AS TEXT) ORDER BY w.contact_id`)
	sqlClearWindows = store.SQL(`DELETE FROM service_windows WHERE number_id = ?1
		AND contact_id IN (SELECT id FROM contacts WHERE root = ?2)`)
)

// Check compares the rows of at most limit people, those after the given one,
// with what follows from their messages. Nothing is changed.
func Check(q store.Querier, after int64, limit int) (Audit, error) {
	return audit(q, after, limit, func(verdict) error { return nil })
}

// Rebuild is Check, and makes every row what the facts say. Rows that are right
// are not touched, and those that are corrected keep their id where they can.
func Rebuild(tx *store.Tx, after int64, limit int) (Audit, error) {
	return audit(tx, after, limit, func(v verdict) error {
		if _, err := v.task.write(tx, v.stored, v.want, nil); err != nil {
			return err
		}
		if slices.Equal(v.windows, v.wantWindows) {
			return nil
		}
		if _, err := tx.Exec(sqlClearWindows, v.task.number, v.task.root); err != nil {
			return fmt.Errorf("conversations: service windows of contact %d: %w", v.task.root, err)
		}
		for _, w := range v.wantWindows {
			if err := moveWindow(tx, v.task.number, v.task.root, store.Time(w.last)); err != nil {
				return err
			}
		}
		return nil
	})
}

// verdict is what stands of one ledger, and what follows from the facts.
type verdict struct {
	task                 task
	stored               []Row
	want                 []Conversation
	windows, wantWindows []windowRow
}

type windowRow struct{ contact, last, closes int64 }

// Fields names the places of sqlWindowsOf's columns.
func (w *windowRow) Fields() []any { return []any{&w.contact, &w.last, &w.closes} }

func (w windowRow) String() string {
	return fmt.Sprintf("of contact %d: last message %s, closes %s", w.contact, instant(store.Time(w.last)), instant(store.Time(w.closes)))
}

func audit(q store.Querier, after int64, limit int, each func(verdict) error) (Audit, error) {
	a := Audit{Last: after}
	roots, err := store.All[store.Col[int64]](q, sqlRoots, after, limit)
	if err != nil {
		return a, fmt.Errorf("conversations: the people after %d: %w", after, err)
	}
	a.More = len(roots) == limit
	for _, root := range roots {
		a.Last = root.V
		a.People++
		numbers, err := store.All[store.Col[string]](q, sqlNumbers, root.V)
		if err != nil {
			return a, fmt.Errorf("conversations: numbers of contact %d: %w", root.V, err)
		}
		for _, n := range numbers {
			v, err := judge(q, ledgerKey{n.V, root.V})
			if err != nil {
				return a, err
			}
			a.Ledgers++
			a.Differences = append(a.Differences, v.differences()...)
			if err := each(v); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// judge derives a ledger from its whole history.
func judge(q store.Querier, key ledgerKey) (verdict, error) {
	v := verdict{task: task{ledgerKey: key, merge: true}}
	back, err := v.task.load(q)
	if err != nil {
		return v, err
	}
	v.stored = back.rows
	if v.windows, err = store.All[windowRow](q, sqlWindowsOf, key.root, key.number); err != nil {
		return v, fmt.Errorf("conversations: service windows of contact %d: %w", key.root, err)
	}
	facts, err := events(q, key.number, key.root, time.Time{})
	if err != nil {
		return v, err
	}
	v.want = Ledger(time.Time{}, facts)
	var last time.Time
	for _, e := range facts {
		if e.Inbound && e.At.After(last) {
			last = e.At
		}
	}
	if !last.IsZero() {
		v.wantWindows = []windowRow{{key.root, store.Millis(last), store.Millis(last.Add(WindowLength))}}
	}
	return v, nil
}

// differences lists the rows that are not as they should be: first those that
// change, in the order in which they opened, then those that go.
func (v verdict) differences() (out []Difference) {
	diff := func(table string, id int64, is, should string) {
		out = append(out, Difference{table, id, v.task.number, v.task.root, is, should})
	}
	rows, left := pair(v.task.root, v.stored, v.want)
	for i, is := range rows {
		should := Row{is.ID, v.task.number, v.task.root, v.want[i]}
		switch {
		case is.ID == 0:
			diff("conversations", 0, "", should.describe())
		case is != should:
			diff("conversations", is.ID, is.describe(), should.describe())
		}
	}
	slices.SortFunc(left, func(a, b Row) int { return cmp.Compare(a.ID, b.ID) })
	for _, is := range left {
		diff("conversations", is.ID, is.describe(), "")
	}
	for i := range max(len(v.windows), len(v.wantWindows)) {
		var is, should string
		if i < len(v.windows) {
			is = v.windows[i].String()
		}
		if i < len(v.wantWindows) {
			should = v.wantWindows[i].String()
		}
		if is != should {
			diff("service_windows", 0, is, should)
		}
	}
	return out
}

// describe says everything that a row says, for people who compare two.
func (r Row) describe() string {
	text := fmt.Sprintf("%s, %s, %s to %s, contact %d, out %d, in %d", r.Category, r.Origin, instant(r.OpenedAt), instant(r.ExpiresAt),
		r.Contact, r.MessagesOut, r.MessagesIn)
	if r.FreeEntryPoint {
		text += ", free entry point"
	}
	if !r.ClosedAt.IsZero() {
		text += ", closed " + instant(r.ClosedAt)
	}
	if r.Provisional {
		text += ", provisional"
	}
	if r.OpenedBy != 0 {
		text += fmt.Sprintf(", opened by message %d", r.OpenedBy)
	} else {
		text += ", opened by " + r.OpenedByWamid.String() // masked: a wamid holds the number
	}
	if r.Inbound != 0 {
		text += fmt.Sprintf(", answering %d", r.Inbound)
	}
	return text
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
