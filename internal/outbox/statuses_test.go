package outbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// What can be told about a message once its request was written: our own answer
// (accepted), and Meta's statuses, each at its own instant.
var (
	told   = []string{"accepted", "sent", "delivered", "read", "failed"}
	toldAt = map[string]time.Duration{"accepted": 0, "sent": -8 * time.Second, "delivered": -5 * time.Second, "read": -2 * time.Second, "failed": -time.Second}
)

// tell applies one of them to a message's first attempt.
func tell(tx *store.Tx, id int64, what string) error {
	at := tx.Now().Add(toldAt[what])
	wamid, in := whatsapp.Wamid(fmt.Sprint("wamid.", id)), inWindow(store.Millis(at)/1000)
	if what == "accepted" {
		_, err := Settle(tx, []Result{{Message: id, Attempt: 1, To: Accepted, Wamid: wamid, At: at, InWindow: in}})
		return err
	}
	o := Observation{Message: id, Attempt: 1, Wamid: wamid, Status: what, At: at, InWindow: in}
	if what == "failed" {
		o.Reason, o.Code = "suppress_user", 131026
	}
	_, found, err := Observe(tx, o)
	if err == nil && !found {
		err = fmt.Errorf("%s of message %d was taken for a foreign one", what, id)
	}
	return err
}

// sequences calls fn with every sequence of 1 to 5 words, and with those of 6
// that contain every word.
func sequences(fn func(seq []string)) {
	var grow func(seq []string, most int)
	grow = func(seq []string, most int) {
		if len(seq) > 0 && (len(seq) < 6 || len(distinct(seq)) == len(told)) {
			fn(seq)
		}
		if len(seq) < most {
			for _, w := range told {
				grow(append(slices.Clip(seq), w), most)
			}
		}
	}
	grow(nil, 6)
}

func distinct(seq []string) []string {
	s := slices.Clone(seq)
	slices.Sort(s)
	return slices.Compact(s)
}

// Statuses come twice, late, out of order and before our own answer: the row
// depends on what was told, never on the order, nor on how often.
func TestEveryOrderOfTheSameFactsEndsInTheSameRow(t *testing.T) {
	w := newWorld(t)
	type ended struct {
		seq string
		row row
	}
	var stream Stream
	w.write(t, func(tx *store.Tx) (err error) {
		stream, err = OpenStream(tx, Stream{Number: number1, WABA: "1", Category: whatsapp.Utility, Template: "order", Language: "pt_BR"})
		return err
	})
	// from is where the message is when the first word comes: in flight, or
	// unknown since a restart, when no answer of ours can come any more.
	play := func(t *testing.T, from State) map[string]ended {
		by := map[string]ended{}
		var waiting [][]string
		flush := func() {
			w.write(t, func(tx *store.Tx) error {
				for _, seq := range waiting {
					ids, _, err := Enqueue(tx, stream, []New{{Contact: 1, To: phoneOf(1)}})
					if err != nil {
						return err
					}
					id := ids[0]
					m, _, err := ByID(tx, id)
					if err != nil {
						return err
					}
					if _, _, err := Apply(tx, stream, []Move{{Message: m, To: Sending}}); err != nil {
						return err
					}
					if from == Unknown {
						if _, err := Rescue(tx, 10); err != nil {
							return err
						}
					}
					for _, what := range seq {
						if err := tell(tx, id, what); err != nil {
							return fmt.Errorf("%v: %w", seq, err)
						}
					}
					got, _, err := store.Get[row](tx, oneRow, id)
					if err != nil {
						return err
					}
					got.ID, got.Wamid = 0, strings.TrimSuffix(got.Wamid, fmt.Sprint(id))
					got.EndedAt, got.Claimed = 0, 0 // when we heard of it: the clock of each sequence
					key := strings.Join(distinct(seq), " ")
					first, ok := by[key]
					if !ok {
						by[key] = ended{strings.Join(seq, " "), got}
					} else if diff := cmp.Diff(first.row, got); diff != "" {
						t.Errorf("%q and %q tell the same and end differently:\n%s", first.seq, strings.Join(seq, " "), diff)
					}
				}
				return nil
			})
			waiting = waiting[:0]
		}
		n := 0
		sequences(func(seq []string) {
			if t.Failed() || from == Unknown && slices.Contains(seq, "accepted") {
				return
			}
			n++
			if waiting = append(waiting, slices.Clone(seq)); len(waiting) == 200 {
				flush()
			}
		})
		flush()
		t.Logf("%d sequences from %s, %d sets of facts", n, from, len(by))
		return by
	}
	var sending, unknown map[string]ended
	t.Run("sending", func(t *testing.T) { sending = play(t, Sending) })
	t.Run("unknown", func(t *testing.T) { unknown = play(t, Unknown) })
	if len(sending) != 31 || len(unknown) != 15 {
		t.Fatalf("%d and %d sets of facts, want 31 and 15", len(sending), len(unknown))
	}
	for key, e := range unknown { // the restart left no trace
		if diff := cmp.Diff(sending[key].row, e.row); diff != "" {
			t.Errorf("%q ends differently after a restart:\n%s", key, diff)
		}
	}
	for key, e := range sending { // the furthest fact names the state
		want := Accepted
		for _, s := range []State{Sent, Failed, Delivered, Read} {
			if strings.Contains(key, string(s)) {
				want = s
			}
		}
		if e.row.State != want {
			t.Errorf("%q ends in %s, want %s", key, e.row.State, want)
		}
	}
}

type foreignEnd struct {
	Category                      string
	Sent, Delivered, Read, Failed int64
	InWindow                      bool
}

func (f *foreignEnd) Fields() []any {
	return []any{&f.Category, &f.Sent, &f.Delivered, &f.Read, &f.Failed, &f.InWindow}
}

var oneForeign = store.SQL(`SELECT category, sent_at, delivered_at, read_at, failed_at, in_window FROM foreign_messages WHERE wamid = ?1`)

// The same holds for messages that somebody else sent.
func TestEveryOrderOfAForeignMessagesStatusesEndsInTheSameRow(t *testing.T) {
	w := newWorld(t)
	first := map[string]foreignEnd{}
	w.write(t, func(tx *store.Tx) error {
		n := 0
		var err error
		sequences(func(seq []string) {
			if err != nil || len(seq) > 4 || slices.Contains(seq, "accepted") {
				return
			}
			n++
			wamid := whatsapp.Wamid(fmt.Sprint("wamid.foreign.", n))
			facts := map[string]int64{}
			for i, status := range seq {
				at := tx.Now().Add(toldAt[status])
				facts[status] = millis(at)
				f := Foreign{Wamid: wamid, Number: number1, Contact: 1, Status: status, At: at, InWindow: inWindow(millis(at) / 1000)}
				if i == 0 { // Meta may leave the price out later
					f.Category = whatsapp.Marketing
				}
				since, e := ObserveForeign(tx, f)
				if e != nil {
					err = e
					return
				}
				for _, t := range []int64{facts["sent"], facts["delivered"], facts["read"]} {
					if t > 0 && millis(since) > t {
						err = fmt.Errorf("%v: since %d lies after what is known to be at %d", seq[:i+1], millis(since), t)
						return
					}
				}
			}
			got, ok, e := store.Get[foreignEnd](tx, oneForeign, string(wamid))
			if e != nil || !ok {
				err = fmt.Errorf("%v: no row: %w", seq, e)
				return
			}
			want := foreignEnd{Category: "marketing", Sent: facts["sent"], Delivered: facts["delivered"], Read: facts["read"], Failed: facts["failed"]}
			key := strings.Join(distinct(seq), " ")
			if f, ok := first[key]; ok {
				want.InWindow = f.InWindow
			} else {
				first[key], want.InWindow = got, got.InWindow
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v:\n%s", seq, diff)
			}
		})
		return err
	})
	if len(first) != 15 {
		t.Errorf("%d sets of facts, want 15", len(first))
	}
	err := w.Write(t.Context(), func(tx *store.Tx) error {
		since, err := ObserveForeign(tx, Foreign{Wamid: "wamid.x", Number: number1, Contact: 1, Status: "deleted", At: start})
		if err == nil && !since.IsZero() {
			t.Error("a status that is none touches the ledger")
		}
		if _, ok, _ := store.Get[foreignEnd](tx, oneForeign, "wamid.x"); ok {
			t.Error("a status that is none made a row")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var oneRow = store.SQL(`SELECT id, stream_id, run_id, contact_id, state, reason, code, attempt, not_before, deadline, claimed_at,
	accepted_at, sent_at, delivered_at, read_at, failed_at, held, wamid, in_window, ended_at FROM messages WHERE id = ?1`)
