package conversations

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// word is one thing that is learnt of a message.
type word string

var words = []word{"accepted", "accepted_held", "unknown", "sent", "delivered", "read", "failed", "presumed_expired"}

// step is one fact that arrives: what is learnt of a message, an inbound
// message, or that two contacts are one.
type step struct {
	message int // index, or -1
	word    word
	inbound int // index, or -1
	join    [2]int64
}

// history is everything that happens, in no order.
type history struct {
	messages []sending // their times are those that the steps reveal
	inbound  []Inbound
	steps    []step
}

// sparse histories have people to whom not much happens, as most of a campaign's.
func drawHistory(t *rapid.T, sparse bool) history {
	spans, most, said := []int{40, 120, 260}, 9, words
	if sparse {
		spans, most, said = []int{60, 150, 300}, 3, []word{"sent", "delivered", "failed"}
	}
	span := rapid.SampledFrom(spans).Draw(t, "span")
	hour := rapid.Custom(func(t *rapid.T) time.Time { return at(float64(rapid.IntRange(0, span).Draw(t, "hour"))) })
	contact := rapid.SampledFrom([][]int64{{1}, {1, 2}, {1, 2, 3}}).Draw(t, "contacts")
	number := rapid.SampledFrom([][]string{{numberA}, {numberA, numberB}}).Draw(t, "numbers")
	var h history
	for i := range rapid.IntRange(1, most).Draw(t, "messages") {
		m := sending{number: rapid.SampledFrom(number).Draw(t, "number"), contact: rapid.SampledFrom(contact).Draw(t, "contact")}
		m.wamid = whatsapp.Wamid(fmt.Sprintf("wamid.m%02d", i))
		said := rapid.SliceOfNDistinct(rapid.SampledFrom(said), 1, 1+most/3, rapid.ID[word]).Draw(t, "words")
		if rapid.IntRange(0, 3).Draw(t, "whose") == 0 {
			m.category = rapid.SampledFrom([]whatsapp.Category{mkt, util, text, ""}).Draw(t, "category")
			said = slices.DeleteFunc(said, func(w word) bool {
				return w == "accepted" || w == "accepted_held" || w == "unknown" || w == "presumed_expired"
			})
		} else {
			m.id, m.run = int64(i+1), int64(0)
			m.category = rapid.SampledFrom([]whatsapp.Category{mkt, util, auth, text, text}).Draw(t, "category")
			if rapid.Bool().Draw(t, "campaign") {
				m.run = int64(i + 1)
			}
		}
		m.accepted, m.sent, m.delivered, m.read, m.failed = hour.Draw(t, "accepted"), hour.Draw(t, "sent"),
			hour.Draw(t, "delivered"), hour.Draw(t, "read"), hour.Draw(t, "failed")
		if sparse { // Meta's times are about ours
			m.accepted = m.accepted.Add(26 * time.Hour) // the model begins with the day
			about := rapid.SampledFrom([]float64{-25, -1, 0, 0, 0, 1, 2, 30})
			near := func(what string) time.Time {
				return m.accepted.Add(time.Duration(about.Draw(t, what) * float64(time.Hour)))
			}
			m.sent, m.delivered = near("sent"), near("delivered")
			if m.id > 0 {
				said = append(said, "accepted")
			}
		}
		h.messages = append(h.messages, m)
		for _, w := range said {
			h.steps = append(h.steps, step{message: i, word: w, inbound: -1})
		}
	}
	for i := range rapid.IntRange(0, 2*most/3).Draw(t, "inbound") {
		in := Inbound{Number: rapid.SampledFrom(number).Draw(t, "number"), Contact: rapid.SampledFrom(contact).Draw(t, "contact"), At: hour.Draw(t, "at"),
			Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.i%02d", i)), Type: "text", Counts: rapid.IntRange(0, 4).Draw(t, "counts") > 0,
			Referral: rapid.IntRange(0, 2).Draw(t, "ad") == 0}
		if rapid.Bool().Draw(t, "answers") {
			in.AnswersWamid = rapid.SampledFrom(h.messages).Draw(t, "answered").wamid
		}
		h.inbound = append(h.inbound, in)
		h.steps = append(h.steps, step{message: -1, inbound: i})
	}
	for _, j := range [][2]int64{{3, 2}, {2, 1}, {3, 1}}[rapid.IntRange(0, 3).Draw(t, "joins from"):] {
		h.steps = append(h.steps, step{message: -1, inbound: -1, join: j})
	}
	h.steps = rapid.Permutation(h.steps).Draw(t, "order")
	if sparse { // mostly our answer comes before Meta's word
		slices.SortStableFunc(h.steps, func(a, b step) int { return order2(a.word != "accepted", b.word != "accepted") })
	}
	return h
}

// world is what has been revealed of a history.
type world struct {
	h     history
	root  [4]int64
	said  []map[word]bool
	heard map[int]int64 // inbound index to id

	confirmed bool // the last step was done by Confirm
	begun     bool // the last step was done by begin
}

// now returns the message as it is known; known is false before the first word.
func (w *world) now(i int) (m sending, known bool) {
	m, said := w.h.messages[i], w.said[i]
	if len(said) == 0 {
		return m, false
	}
	m.state = "queued"
	for _, state := range []word{"accepted", "unknown", "accepted_held", "sent", "presumed_expired", "failed", "delivered", "read"} {
		if said[state] {
			m.state = string(state)
		}
	}
	for state, at := range map[word]*time.Time{"accepted": &m.accepted, "sent": &m.sent, "delivered": &m.delivered,
		"read": &m.read, "failed": &m.failed} {
		if !said[state] {
			*at = time.Time{}
		}
	}
	return m, true
}

// event is the message as the definitions of the ledger have it, said again in
// the simplest words.
func (m sending) event() (e Event, ok bool) {
	e = Event{ID: m.id, Wamid: m.wamid, Category: m.category}
	switch {
	case m.delivered.IsZero() && m.read.IsZero() && !m.failed.IsZero(),
		m.state == "queued", m.state == "accepted_held", m.state == "unknown", m.state == "presumed_expired":
		return e, false
	case !m.sent.IsZero():
		e.At = m.sent
	case !m.delivered.IsZero():
		e.At = m.delivered
	case !m.read.IsZero():
		e.At = m.read
	default:
		e.At, e.Provisional = m.accepted, true
	}
	return e, true
}

// want is what the model makes of the facts of a person on a number.
func (w *world) want(number string, root int64) []Conversation {
	var events []Event
	for i := range w.h.messages {
		m, known := w.now(i)
		if !known || m.number != number || w.root[m.contact] != root {
			continue
		}
		if e, ok := m.event(); ok {
			events = append(events, e)
		}
	}
	for i, id := range w.heard {
		if in := w.h.inbound[i]; in.Counts && in.Number == number && w.root[in.Contact] == root {
			events = append(events, Event{Inbound: true, At: in.At, ID: id, Wamid: in.Wamid, Referral: in.Referral, AnswersWamid: in.AnswersWamid})
		}
	}
	return model(events)
}

// apply lets a step happen, as outbox and intake would, and returns the person
// it touched.
func (w *world) apply(tx *store.Tx, s step) (contact int64, changed []Change, err error) {
	switch {
	case s.message >= 0:
		before, _ := w.now(s.message)
		was, counted := before.event()
		counted = counted && len(w.said[s.message]) > 0
		w.said[s.message][s.word] = true
		m, _ := w.now(s.message)
		is, counts := m.event()
		touch := Touch{Number: m.number, Contact: m.contact, Since: at(1000)} // nothing changed
		if counted {
			touch.Since = was.At
		}
		if counts && is.At.Before(touch.Since) {
			touch.Since = is.At
		}
		if err := m.put(tx); err != nil {
			return 0, nil, err
		}
		if counted && counts && was.Provisional && !is.Provisional {
			did, err := Confirm(tx, Confirmed{m.number, m.contact, m.id, m.category, was.At, is.At})
			if err != nil {
				return 0, nil, err
			}
			if w.confirmed = did[0]; w.confirmed {
				return m.contact, nil, nil
			}
		}
		if !counted && counts && is.Provisional {
			touch.Since, touch.Accepted, touch.Category = is.At, m.id, m.category
			left, changed, err := begin(tx, []Touch{touch})
			if w.begun = len(left) == 0; err != nil || w.begun {
				return m.contact, changed, err
			}
		}
		changed, err = Recompute(tx, touch)
		return m.contact, changed, err
	case s.inbound >= 0:
		in := w.h.inbound[s.inbound]
		w.heard[s.inbound], _, err = RecordInbound(tx, in)
		return in.Contact, nil, err
	default:
		high, low := w.root[s.join[0]], w.root[s.join[1]]
		high, low = max(high, low), min(high, low)
		for i := range w.root {
			if w.root[i] == high {
				w.root[i] = low
			}
		}
		if _, err := tx.Exec(setRoot, high, low); err != nil {
			return 0, nil, err
		}
		// Whoever learns a pair touches the person, on whatever number, or says so.
		if s.join[0]%2 == 0 {
			changed, err = Merge(tx, s.join[0])
		} else {
			changed, err = Recompute(tx, Touch{Number: numberB, Contact: s.join[0], Since: at(1000)})
		}
		return s.join[0], changed, err
	}
}

// check compares the whole table with the model.
func (w *world) check(tx *store.Tx) ([]Row, error) {
	rows, err := stored(tx)
	if err != nil {
		return nil, err
	}
	seen := 0
	for _, number := range []string{numberA, numberB} {
		for c := int64(1); c <= 3; c++ {
			if w.root[c] != c {
				continue
			}
			var got, want []Conversation
			for _, r := range rows {
				if r.Number == number && r.Contact == c {
					got = append(got, r.Conversation)
				}
			}
			seen += len(got)
			want = w.want(number, c)
			slices.SortStableFunc(want, func(a, b Conversation) int {
				if c := a.OpenedAt.Compare(b.OpenedAt); c != 0 {
					return c
				}
				return slices.Compare([]byte(a.Category), []byte(b.Category))
			})
			if d := cmp.Diff(want, got); d != "" {
				return nil, fmt.Errorf("number %s, contact %d (-whole history +rows):\n%s", number[len(number)-1:], c, d)
			}
		}
	}
	if seen != len(rows) {
		return nil, fmt.Errorf("%d rows of %d stand under contacts that are no roots", len(rows)-seen, len(rows))
	}
	found, err := Check(tx, 0, 100)
	if err != nil {
		return nil, err
	}
	if len(found.Differences) > 0 {
		return nil, fmt.Errorf("the audit disagrees: %+v", found.Differences)
	}
	return rows, w.checkWindows(tx)
}

func (w *world) checkWindows(tx *store.Tx) error {
	for _, number := range []string{numberA, numberB} {
		for c := int64(1); c <= 3; c++ {
			var last time.Time
			inside := false
			probe := at(100)
			for i := range w.heard {
				in := w.h.inbound[i]
				if !in.Counts || in.Number != number || w.root[in.Contact] != w.root[c] {
					continue
				}
				if in.At.After(last) {
					last = in.At
				}
				if age := probe.Sub(in.At); age >= 0 && age < 24*time.Hour {
					inside = true
				}
			}
			got, err := ServiceWindow(tx, number, c, probe)
			if err != nil {
				return err
			}
			if !got.LastAt.Equal(last) || got.Open != (!last.IsZero() && probe.Before(last.Add(24*time.Hour))) {
				return fmt.Errorf("window of %d on %s: %+v, last message %v", c, number, got, last)
			}
			if ok, err := InWindowAt(tx, number, c, probe); err != nil || ok != inside {
				return fmt.Errorf("in a window of %d on %s: %v, %v; want %v", c, number, ok, err, inside)
			}
		}
	}
	return nil
}

// reveal empties the tables for another history.
func reveal(tx *store.Tx, h history) (*world, error) {
	for _, s := range clear {
		if _, err := tx.Exec(s); err != nil {
			return nil, err
		}
	}
	w := &world{h: h, root: [4]int64{0, 1, 2, 3}, said: make([]map[word]bool, len(h.messages)), heard: map[int]int64{}}
	for i := range w.said {
		w.said[i] = map[word]bool{}
	}
	for id := range int64(3) {
		if err := tx.One(putContact, id+1); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// The rows are those of the whole history after every single step, in any order
// of arrival, and what did not change keeps its id.
func TestRecomputeIsTheWholeHistory(t *testing.T) { checkHistories(t, false) }

// So they are where Confirm and begin may go the short way.
func TestShortWaysAreTheWholeHistory(t *testing.T) {
	n, begun, rounds, least := 0, 0, 20, 400
	if testing.Short() { // rapid draws a fifth as many
		rounds, least = 4, 10
	}
	for range rounds { // what must not be missed is rare
		c, b := checkHistories(t, true)
		n, begun = n+c, begun+b
	}
	if n < least || begun < least {
		t.Errorf("only %d and %d steps went the short way", n, begun)
	}
}

// checkHistories returns how many steps Confirm did, and begin.
func checkHistories(t *testing.T, sparse bool) (confirmed, begun int) {
	db := open(t)
	defer func(before time.Duration) { keepEnds = before }(keepEnds)
	keepEnds = 400 * 24 * time.Hour
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt, sparse)
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			w, err := reveal(tx, h)
			if err != nil {
				return err
			}
			var before []Row
			for i, s := range h.steps {
				w.confirmed, w.begun = false, false
				_, changed, err := w.apply(tx, s)
				if w.confirmed {
					confirmed++
				}
				if w.begun {
					begun++
				}
				if err != nil {
					return fmt.Errorf("step %d %+v: %w", i, s, err)
				}
				rows, err := w.check(tx)
				if err != nil {
					return fmt.Errorf("step %d %+v: %w", i, s, err)
				}
				if err := countedAs(tx, rows); err != nil {
					return fmt.Errorf("step %d %+v: %w", i, s, err)
				}
				if err := compare(before, rows, changed, s.inbound < 0 && !w.confirmed); err != nil {
					return fmt.Errorf("step %d %+v: %w", i, s, err)
				}
				before = rows
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
	return confirmed, begun
}

var allEnds = store.SQL(`SELECT minute, category, n FROM conversation_ends WHERE n <> 0`)

type endsRow struct {
	ending
	n int64
}

func (e *endsRow) Fields() []any { return []any{&e.minute, &e.category, &e.n} }

// countedAs checks that conversations are counted in the minutes in which they end.
func countedAs(q store.Querier, rows []Row) error {
	want, got := ends{}, ends{}
	for _, r := range rows {
		want.add(r.Conversation, 1)
	}
	err := store.Each(q, allEnds, func(e *endsRow) error { got[e.ending] = e.n; return nil })
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(ending{})); diff != "" && err == nil {
		err = fmt.Errorf("conversations are counted otherwise:\n%s", diff)
	}
	return err
}

// order2 puts false before true.
func order2(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// compare checks that rows kept their ids, and that the changes say what
// happened.
func compare(before, after []Row, changed []Change, told bool) error {
	type key struct {
		number string
		slot   slot
		owner  int64
	}
	ids := map[key]int64{}
	table := map[int64]Row{}
	for _, r := range before {
		ids[key{r.Number, slot{r.OpenedAt, r.Category}, r.Contact}] = r.ID
		table[r.ID] = r
	}
	for _, r := range after {
		if id, ok := ids[key{r.Number, slot{r.OpenedAt, r.Category}, r.Contact}]; ok && id != r.ID {
			return fmt.Errorf("row %d became %d: %v", id, r.ID, showRows([]Row{r}))
		}
	}
	if !told {
		return nil
	}
	for _, c := range changed {
		_, had := table[c.ID]
		if c.Opened == had {
			return fmt.Errorf("row %d: opened %v, and was there: %v", c.ID, c.Opened, had)
		}
		if c.Gone {
			delete(table, c.ID)
			continue
		}
		if table[c.ID] == c.Row {
			return fmt.Errorf("row %d was said to change and did not", c.ID)
		}
		table[c.ID] = c.Row
	}
	for _, r := range after {
		if table[r.ID] != r {
			return fmt.Errorf("row %d changed, and nobody was told", r.ID)
		}
	}
	if len(table) != len(after) {
		return fmt.Errorf("%d rows by the changes, %d in the table", len(table), len(after))
	}
	return nil
}
