package intake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/outbox"
	"janela/internal/store"
)

// running calls fn while Run runs.
func (h *house) running(fn func()) {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.in.Run(ctx) })
	for !h.in.running.Load() {
		time.Sleep(time.Millisecond)
	}
	fn()
	stop()
	wg.Wait()
}

// postAll posts bodies so many at a time.
func (h *house) postAll(bodies []string, together int) {
	h.t.Helper()
	var wg sync.WaitGroup
	next := make(chan string)
	for range together {
		wg.Go(func() {
			for b := range next {
				if w := h.post(b, sign(secret, b)); w.Code != http.StatusOK {
					h.t.Errorf("got %d %s", w.Code, w.Body)
				}
			}
		})
	}
	for _, b := range bodies {
		next <- b
	}
	close(next)
	wg.Wait()
}

var ledgerRows = []*store.Stmt{
	store.SQL(`SELECT address, state, reason, code, sent_at, delivered_at, read_at, failed_at, in_window, wamid FROM messages ORDER BY id`),
	store.SQL(`SELECT state, reason, n, 0, 0, 0, 0, 0, 0, '' FROM tallies WHERE n <> 0 ORDER BY stream_id, state, reason`),
	store.SQL(`SELECT state, reason, n, lane, 0, 0, 0, 0, 0, '' FROM message_hours WHERE n <> 0 ORDER BY hour, lane, state, reason`),
	store.SQL(`SELECT number_id, category, opened_at, expires_at, closed_at, provisional, messages_out, messages_in, contact_id, '' FROM conversations ORDER BY contact_id, number_id, opened_at, category`),
	store.SQL(`SELECT category, '', minute, n, 0, 0, 0, 0, 0, '' FROM conversation_ends WHERE n <> 0 ORDER BY minute, category`),
	store.SQL(`SELECT model, type, billable, at, conversation_ends, 0, 0, 0, 0, category FROM message_prices ORDER BY id`),
	store.SQL(`SELECT wamid, number_id, contact_id, sent_at, delivered_at, read_at, failed_at, in_window, 0, category FROM foreign_messages ORDER BY wamid`),
	store.SQL(`SELECT number_id, '', claimed_at, 0, 0, 0, 0, 0, 0, '' FROM watermarks ORDER BY number_id`),
	store.SQL(`SELECT body, state, applied_at > 0, 0, 0, 0, 0, 0, 0, note FROM callbacks ORDER BY body`),
}

type anyRow [10]any

type anyValue struct{ to *any }

func (a anyValue) Scan(v any) error {
	if b, ok := v.([]byte); ok {
		v = string(b)
	}
	*a.to = v
	return nil
}

func (r *anyRow) Fields() (out []any) {
	for i := range r {
		out = append(out, anyValue{&r[i]})
	}
	return out
}

// ledgers is all that statuses change.
func (h *house) ledgers() (out []string) {
	h.t.Helper()
	h.read(func(q *store.Snap) error {
		for i, s := range ledgerRows {
			rows, err := store.All[anyRow](q, s)
			if err != nil {
				return err
			}
			for _, r := range rows {
				out = append(out, strings.ReplaceAll(fmt.Sprint(i, r), h.db.Name(), "db"))
			}
		}
		return nil
	})
	slices.Sort(out)
	return out
}

// Statuses that are applied as they come in, many together and in whatever order,
// make the rows that they make when each callback is stored first and then applied.
func TestTogetherIsAsOneByOne(t *testing.T) {
	const people = 4
	plans := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, people*5*4-1), 1, 4), 1, 20)
	for seed := range 25 { // each opens two databases
		stored, direct := newHouse(t), newHouse(t)
		direct.batched = true
		var bodies [2][]string
		plan := plans.Example(seed)
		for i, h := range []*house{stored, direct} {
			ids := h.accepted(people)
			for n, list := range plan {
				var all []string
				for _, x := range list {
					who, what, late := x%people, x/people%5, x/people/5
					callback := h.callback(ids[who])
					wamid := string(benchWamid(ids[who]))
					if late == 3 { // somebody else's
						callback, wamid = "", fmt.Sprintf("wamid.other-%d", who)
					}
					word := []string{"sent", "delivered", "read", "failed", "played"}[what]
					var more []string
					switch what {
					case 0, 1:
						more = append(more, fmt.Sprintf(`"pricing":{"billable":%v,"pricing_model":"PMP","type":"regular","category":"marketing"}`, late == 1))
					case 3:
						more = append(more, `"errors":[{"code":131026,"title":"no"}]`)
					}
					s := h.status(wamid, word, callback, benchPhone(who), more...)
					at := fmt.Sprintf(`"timestamp":"%d"`, began.Unix())
					s = strings.Replace(s, at, fmt.Sprintf(`"timestamp":"%d"`, began.Unix()+int64(what)+int64(late)*7), 1)
					all = append(all, s)
				}
				bodies[i] = append(bodies[i], envelope("messages", statuses(all...))+fmt.Sprintf("%*s", n, ""))
			}
		}
		h := stored
		for _, b := range bodies[0] {
			h.deliver(b)
		}
		direct.running(func() {
			direct.postAll(bodies[1], 1+seed%6)
			for direct.in.Stats.Applied.Load()+direct.in.Stats.Failed.Load() < int64(len(plan)) {
				time.Sleep(time.Millisecond)
			}
		})
		if diff := cmp.Diff(stored.ledgers(), direct.ledgers()); diff != "" {
			t.Fatalf("stored first and together, of plan %d %v:\n%s", seed, plan, diff)
		}
	}
}

// What cannot be applied at once is stored as ever, and does not hold up what came
// with it.
func TestTogetherFails(t *testing.T) {
	h := newHouse(t)
	ids := h.accepted(20)
	broken := ids[7]
	h.onTell = func(_ *store.Tx, out []outbox.Outcome) error {
		for _, o := range out {
			if o.Message == broken && o.To == outbox.Delivered {
				return errors.New("no place for it")
			}
		}
		return nil
	}
	var bodies []string
	for i, id := range ids {
		bodies = append(bodies, envelope("messages", statuses(h.status(string(benchWamid(id)), "delivered", h.callback(id), benchPhone(i)))))
	}
	h.running(func() {
		h.postAll(bodies, 8)
		for h.in.Stats.Applied.Load()+h.in.Stats.Failed.Load() < 20 {
			time.Sleep(time.Millisecond)
		}
	})
	for i, r := range h.rows() {
		if bad := strings.Contains(r.Body, h.callback(broken)); r.State != map[bool]string{true: "failed", false: "applied"}[bad] {
			t.Errorf("callback %d is %s: %s", i, r.State, r.Note)
		}
	}
	for _, id := range ids {
		if m := h.message(id); (m.State == outbox.Delivered) == (id == broken) {
			t.Errorf("message %d is %s", id, m.State)
		}
	}
	if s := &h.in.Stats; s.Stored.Load() != 20 || s.Applied.Load() != 19 || s.Failed.Load() != 1 {
		t.Errorf("stored %d, applied %d, failed %d", s.Stored.Load(), s.Applied.Load(), s.Failed.Load())
	}
}

// Callbacks that come at the same time share a commit, are on disk when they are
// answered, and the same bytes count once.
func TestTogetherIsOnDisk(t *testing.T) {
	h := newHouse(t)
	ids := h.accepted(60)
	var bodies []string
	for i, id := range ids {
		b := envelope("messages", statuses(h.status(string(benchWamid(id)), "delivered", h.callback(id), benchPhone(i))))
		bodies = append(bodies, b, b)
	}
	h.running(func() {
		h.postAll(bodies, 16)
		if s := &h.in.Stats; s.Stored.Load() != 60 || s.Again.Load() != 60 {
			t.Errorf("stored %d, again %d; want 60 and 60", s.Stored.Load(), s.Again.Load())
		}
		h.crash()
	})
	h.apply() // the same bytes at the same time are not applied at once
	for _, r := range h.rows() {
		if r.State != "applied" || r.AppliedAt == 0 {
			t.Errorf("a callback that was answered is %s at %d", r.State, r.AppliedAt)
		}
	}
	if n := len(h.rows()); n != 60 {
		t.Errorf("%d callbacks are kept, and 60 came", n)
	}
	for _, id := range ids {
		if m := h.message(id); m.State != outbox.Delivered {
			t.Errorf("message %d is %s", id, m.State)
		}
	}
}

// One transaction takes all that wait, at most a hundred statuses, in the order in
// which they came; the first of the others leads the next.
func TestTogetherInTurns(t *testing.T) {
	h := newHouse(t)
	ids := h.accepted(150)
	gate, entered := make(chan struct{}), make(chan struct{})
	var blocked sync.WaitGroup
	h.running(func() {
		blocked.Go(func() {
			_ = h.db.Bulk(context.Background(), func(*store.Tx) error { close(entered); <-gate; return nil })
		})
		<-entered
		commits := h.db.Commits()
		var posts sync.WaitGroup
		for i, id := range ids {
			b := envelope("messages", statuses(h.status(string(benchWamid(id)), "delivered", h.callback(id), benchPhone(i))))
			posts.Go(func() {
				if w := h.post(b, sign(secret, b)); w.Code != http.StatusOK {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
		for {
			h.in.gather.Lock()
			n := len(h.in.gather.waiting)
			h.in.gather.Unlock()
			if n == len(ids) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		close(gate)
		posts.Wait()
		blocked.Wait()
		if n := h.db.Commits() - commits; n > 3 { // the one that stood, and two of them
			t.Errorf("%d callbacks took %d commits", len(ids), n)
		}
	})
	if n := h.in.Stats.Applied.Load(); n != int64(len(ids)) || h.in.gather.led || h.in.gather.waiting != nil {
		t.Errorf("%d are applied; somebody still waits: %v", n, h.in.gather.waiting)
	}
}

// When the database goes, nobody is left waiting and nobody hears 200.
func TestTogetherWithoutADatabase(t *testing.T) {
	h := newHouse(t)
	ids := h.accepted(10)
	h.running(func() {
		h.db.Crash()
		var posts sync.WaitGroup
		for i, id := range ids {
			b := envelope("messages", statuses(h.status(string(benchWamid(id)), "delivered", h.callback(id), benchPhone(i))))
			posts.Go(func() {
				if w := h.post(b, sign(secret, b)); w.Code != http.StatusServiceUnavailable {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
		posts.Wait()
	})
}

// Keys of callbacks begin with the message, and are others for other bytes.
func TestKeys(t *testing.T) {
	h := newHouse(t)
	ids := h.accepted(2)
	keys := map[string]bool{}
	for i, id := range ids {
		for _, word := range []string{"sent", "delivered"} {
			body := []byte(envelope("messages", statuses(h.status(string(benchWamid(id)), word, h.callback(id), benchPhone(i)))))
			events, ok := statusesOnly(body)
			key := keyOf(body, events)
			if !ok || len(key) != 64 || !strings.HasPrefix(key, fmt.Sprintf("%016x", id)) {
				t.Errorf("%v: key %q of message %x", ok, key, id)
			}
			keys[key] = true
		}
	}
	other := []byte(envelope("messages", messages(h.text(ana, "Oi"))))
	if key := keyOf(other, nil); len(key) != 64 {
		t.Errorf("key %q", key)
	}
	if len(keys) != 4 {
		t.Errorf("%d keys of 4 callbacks", len(keys))
	}
}

// What many statuses have in common is asked and written together: a hundred cost
// few statements each.
func TestTogetherCostsLittle(t *testing.T) {
	h := newHouse(t)
	h.batched = true
	ids := h.accepted(100)
	for _, word := range []string{"sent", "delivered", "read"} {
		h.pass(time.Second)
		var list []string
		for i, id := range ids {
			list = append(list, h.status(string(benchWamid(id)), word, h.callback(id), benchPhone(i), `"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}`))
		}
		body := []byte(envelope("messages", statuses(list...)))
		events, ok := statusesOnly(body)
		if !ok {
			t.Fatal("it is not of that form")
		}
		h.write(func(tx *store.Tx) error {
			before := tx.Statements()
			err := h.in.takeInAll(tx, []*newcomer{{body: body, key: keyOf(body, events), statuses: events}})
			if n := tx.Statements() - before; n > mostPer100[word] {
				t.Errorf("100 statuses %s took %d statements", word, n)
			}
			return err
		})
	}
	if n := h.read3(); n != 100 {
		t.Errorf("%d of 100 messages are read", n)
	}
}

// mostPer100 is how many statements a hundred statuses take at most: for each
// message one that writes it, and for the first news of it one that moves its
// conversation.
var mostPer100 = map[string]int{"sent": 230, "delivered": 125, "read": 125}
