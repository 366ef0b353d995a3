package outbox

import (
	"errors"
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	openRun  = store.SQL(`INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, started_at) VALUES (?1, 'c', 1, 0, '', 'sending', 1)`)
	closeRun = store.SQL(`UPDATE runs SET state = 'finished' WHERE id = ?1`)
	pastRows = store.SQL(`SELECT id, stream_id, run_id, contact_id, state, reason, code, attempt, not_before, deadline, claimed_at,
		accepted_at, sent_at, delivered_at, read_at, failed_at, held, wamid, in_window, ended_at FROM past_messages ORDER BY id`)
	pastWords    = store.SQL(`SELECT address FROM past_messages WHERE id = ?1`)
	resolvedSent = store.SQL(`UPDATE messages SET state = 'unknown', reason = 'resolved_sent', accepted_at = 0 WHERE id = ?1`)
	hotWords     = store.SQL(`SELECT params || reply_to FROM messages WHERE id = ?1`)
)

const longAgo = 100 * 24 * time.Hour

// delivered takes a message through its life, to a contact, in a run or none.
func (w *world) delivered(t *testing.T, contact, run int64, status ...string) (id int64) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		s, err := OpenStream(tx, Stream{Number: number1, WABA: "w", Category: whatsapp.Utility, Template: "fatura", Language: "pt_BR", Campaign: "c", Run: run})
		if err != nil {
			return err
		}
		ids, _, err := Enqueue(tx, s, []New{{Contact: contact, To: phoneOf(contact), Params: "what it said", ReplyTo: "wamid.before", Line: 7, ExternalID: "e"}})
		if err != nil || ids[0] == 0 {
			return errors.Join(err, errors.New("not queued"))
		}
		id = ids[0]
		m, _, err := ByID(tx, id)
		if err != nil {
			return err
		}
		if _, _, err := Apply(tx, s, []Move{{Message: m, To: Sending}}); err != nil {
			return err
		}
		_, err = Settle(tx, []Result{{Message: id, Attempt: 1, To: Accepted, Wamid: whatsapp.Wamid("wamid." + string(rune('a'+contact))), At: tx.Now()}})
		for _, s := range status {
			if err == nil {
				_, _, err = Observe(tx, Observation{Message: id, Attempt: 1, Status: s, At: tx.Now()})
			}
		}
		return err
	})
	return id
}

func (w *world) rows(t *testing.T, s *store.Stmt) (rows []row) {
	t.Helper()
	if err := w.Read(t.Context(), func(q *store.Snap) (err error) { rows, err = store.All[row](q, s); return err }); err != nil {
		t.Fatal(err)
	}
	return rows
}

// retire moves what ended 90 days ago.
func (w *world) retire(t *testing.T) (moved int64) {
	t.Helper()
	w.write(t, func(tx *store.Tx) (err error) {
		moved, _, err = Retire(tx, 0, tx.Now().Add(-90*24*time.Hour), 100)
		return err
	})
	return moved
}

// What a message said goes; the rest stays, column by column.
func TestThePastKeepsWhatIsNeeded(t *testing.T) {
	w := newWorld(t)
	w.know(t, 1)
	id := w.delivered(t, 1, 0, "sent", "delivered", "read")
	var stranger int64
	w.write(t, func(tx *store.Tx) error {
		s, err := OpenStream(tx, Stream{Number: number1, WABA: "w", Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := Enqueue(tx, s, []New{{To: phoneOf(9), Params: "x", Refused: "no_opt_in"}})
		stranger = ids[0]
		return err
	})
	before := w.rows(t, allRows)
	w.wall = w.wall.Add(longAgo)
	if n := w.retire(t); n != 2 {
		t.Fatalf("%d messages moved", n)
	}
	after := w.rows(t, pastRows)
	if len(after) != 2 || after[0] != before[0] || after[1] != before[1] {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	if left := w.rows(t, allRows); len(left) > 0 {
		t.Errorf("still there: %+v", left)
	}
	for id, want := range map[int64]string{id: phoneOf(1).Value, stranger: ""} {
		w.write(t, func(tx *store.Tx) error {
			got, ok, err := store.Value[string](tx, pastWords, id)
			if got != want || !ok {
				t.Errorf("address %q, want %q", got, want)
			}
			return err
		})
	}
	w.write(t, func(tx *store.Tx) error {
		m, ok, err := ByID(tx, id)
		if err != nil || !ok || m.Params != "" || m.ReplyTo != "" || m.Line != 7 || m.ExternalID != "e" || m.State != Read {
			t.Errorf("%+v %v %v", m, ok, err)
		}
		return nil
	})
}

// What may still change stays: whatever is not over, what was heard of lately,
// what is of an open run. So a run admits nobody twice: neither while it is open,
// because its messages are there, nor afterwards, because nothing is admitted then.
func TestWhatIsNotOverStays(t *testing.T) {
	w := newWorld(t)
	w.know(t, 1, 2, 3, 4, 5, 6)
	w.write(t, func(tx *store.Tx) error { return tx.One(openRun, 5) })
	w.delivered(t, 1, 5, "delivered")
	w.delivered(t, 2, 0)         // accepted
	w.delivered(t, 3, 0, "sent") // sent
	late := w.delivered(t, 4, 0, "delivered")
	unknown := w.delivered(t, 5, 0)
	w.write(t, func(tx *store.Tx) error {
		return tx.One(resolvedSent, unknown)
	})
	w.wall = w.wall.Add(longAgo)
	w.write(t, func(tx *store.Tx) error {
		_, _, err := Observe(tx, Observation{Message: late, Attempt: 1, Status: "read", At: tx.Now().Add(-time.Hour)})
		return err
	})
	if n := w.retire(t); n != 0 {
		t.Errorf("%d messages moved that are not over: %+v", n, w.rows(t, pastRows))
	}
	w.write(t, func(tx *store.Tx) error {
		s, _, err := StreamByID(tx, w.rows(t, allRows)[0].Stream)
		if err != nil {
			return err
		}
		ids, _, err := Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}})
		if err == nil && ids[0] != 0 {
			t.Error("a run has a person twice")
		}
		return err
	})
	w.write(t, func(tx *store.Tx) error { return tx.One(closeRun, 5) })
	if n := w.retire(t); n != 1 {
		t.Errorf("%d messages of the run moved when it was over", n)
	}
	w.write(t, func(tx *store.Tx) error {
		_, _, err := Retire(tx, 0, tx.Now().Add(-whatsapp.LastNews+time.Millisecond), 100)
		if !errors.Is(err, ErrTooYoung) {
			t.Errorf("44 days: %v", err)
		}
		return nil
	})
}

// A late status brings its message back, once, and for good it says nothing: it
// is sent by nobody again.
func TestALateStatusOfThePast(t *testing.T) {
	w := newWorld(t)
	w.know(t, 1)
	id := w.delivered(t, 1, 0, "sent")
	w.write(t, func(tx *store.Tx) error {
		m, _, err := ByID(tx, id)
		if err == nil {
			_, err = PresumeExpired(tx, []Message{m})
		}
		return err
	})
	w.wall = w.wall.Add(longAgo)
	if w.retire(t) != 1 {
		t.Fatal("it does not move")
	}
	for i, o := range []Observation{
		{Message: id, Attempt: 1, Status: "sent", At: start},              // nothing new
		{Wamid: "wamid.b", People: []int64{1}, Status: "sent", At: start}, // the same, by Meta's id
		{Message: id, Attempt: 2, Status: "delivered", At: w.wall},        // no such attempt was made
	} {
		w.write(t, func(tx *store.Tx) error {
			out, found, err := Observe(tx, o)
			if !found || len(out) > 0 {
				t.Errorf("%d: %v %+v", i, found, out)
			}
			return err
		})
		if len(w.rows(t, allRows)) != 0 {
			t.Fatalf("%d: what says nothing new brings a message back", i)
		}
	}
	w.write(t, func(tx *store.Tx) error {
		out, found, err := Observe(tx, Observation{Wamid: "wamid.b", People: []int64{1}, Status: "delivered", At: tx.Now().Add(-time.Minute)})
		if !found || len(out) != 1 || out[0].From != PresumedExpired || out[0].To != Delivered {
			t.Errorf("%v %+v", found, out)
		}
		return err
	})
	rows := w.rows(t, allRows)
	if len(rows) != 1 || rows[0].State != Delivered || len(w.rows(t, pastRows)) != 0 || w.retire(t) != 0 {
		t.Errorf("%+v", rows)
	}
	w.write(t, func(tx *store.Tx) error {
		said, _, err := store.Value[string](tx, hotWords, id)
		if err == nil && (said != "" || rows[0].Deadline == 0 || rows[0].Deadline > millis(start.Add(time.Hour))) {
			t.Errorf("it came back with %q and deadline %d", said, rows[0].Deadline)
		}
		past, err := PastOf(tx)
		if past.Messages != 0 {
			t.Errorf("%+v", past)
		}
		return err
	})
	w.wall = w.wall.Add(longAgo)
	if w.retire(t) != 1 {
		t.Error("it does not move again")
	}
}

// NextOver finds each, a page at a time, and stops at what is young.
func TestNextOver(t *testing.T) {
	w := newWorld(t)
	w.know(t, 1, 2, 3, 4, 5)
	w.delivered(t, 1, 0)
	w.delivered(t, 2, 0)
	over := w.delivered(t, 3, 0, "delivered")
	w.wall = w.wall.Add(longAgo)
	w.delivered(t, 4, 0, "delivered")
	for look, pages := range map[int]int{1: 3, 2: 2, 3: 1, 100: 1} {
		n, id, next := 0, int64(0), int64(0)
		for ok := true; ok; ok = id == 0 && next > 0 {
			w.write(t, func(tx *store.Tx) (err error) {
				id, next, err = NextOver(tx, next, tx.Now().Add(-90*24*time.Hour), look)
				return err
			})
			n++
		}
		if id != over || n != pages {
			t.Errorf("looking at %d: %d after %d pages, want %d after %d", look, id, n, over, pages)
		}
		for ok := true; ok; ok = next > 0 {
			w.write(t, func(tx *store.Tx) (err error) {
				id, next, err = NextOver(tx, max(id, next), tx.Now().Add(-90*24*time.Hour), look)
				return err
			})
		}
		if id != 0 {
			t.Errorf("looking at %d: %d is young", look, id)
		}
	}
}
