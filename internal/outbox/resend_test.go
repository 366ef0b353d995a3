package outbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// unanswered queues a message of a stream and lets its first attempt become
// unknown.
func unanswered(tx *store.Tx, s Stream, n New) (Message, error) {
	ids, _, err := Enqueue(tx, s, []New{n})
	if err != nil {
		return Message{}, err
	}
	m, err := claimed(tx, s, ids[0])
	if err != nil {
		return m, err
	}
	if _, err := Settle(tx, []Result{{Message: m.ID, Attempt: m.Attempt, To: Unknown, Reason: ReasonNoAnswer}}); err != nil {
		return m, err
	}
	m, _, err = ByID(tx, m.ID)
	return m, err
}

func claimed(tx *store.Tx, s Stream, id int64) (Message, error) {
	m, _, err := ByID(tx, id)
	if err != nil {
		return m, err
	}
	_, _, err = Apply(tx, s, []Move{{Message: m, To: Sending}})
	if err != nil {
		return m, err
	}
	m, _, err = ByID(tx, id)
	return m, err
}

func utility(tx *store.Tx) (Stream, error) {
	return OpenStream(tx, Stream{Number: number1, WABA: "1", Category: whatsapp.Utility, Template: "order", Language: "pt_BR"})
}

// What can be told of a message whose second copy is on its way: statuses of
// both, and the answer to the second, which comes once.
var (
	toldOfCopies = []string{"sent 1", "delivered 1", "failed 1", "sent 2", "delivered 2", "failed 2"}
	answers      = []string{"accepted", "refused", "unknown"}
)

func tellCopy(tx *store.Tx, m Message, what string) error {
	status, n, isStatus := strings.Cut(what, " ")
	if !isStatus {
		r := Result{Message: m.ID, Attempt: m.Attempt, At: tx.Now().Add(-time.Second)}
		switch what {
		case "accepted":
			r.To, r.Wamid = Accepted, whatsapp.Wamid(fmt.Sprint("wamid.2.", m.ID))
		case "refused":
			r.To, r.Reason, r.Code = Failed, "drop", 131021
		default:
			r.To, r.Reason = Unknown, ReasonRestart
		}
		_, err := Settle(tx, []Result{r})
		return err
	}
	o := Observation{Message: m.ID, Attempt: m.Attempt, Status: status, At: tx.Now().Add(toldAt[status]), Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.%s.%d", n, m.ID))}
	if n == "1" {
		o.Attempt, o.At = 1, o.At.Add(-time.Hour)
	}
	if status == "failed" {
		o.Reason, o.Code = "drop", 130472
	}
	_, found, err := Observe(tx, o)
	if err == nil && !found {
		err = errors.New("it was taken for a foreign one")
	}
	return err
}

// stateOfCopies is what the facts add up to, in whatever order they came.
func stateOfCopies(facts []string) State {
	has := func(what string) bool { return slices.Contains(facts, what) }
	taken1, failed1 := has("sent 1"), has("failed 1")
	taken2, failed2 := has("accepted") || has("sent 2"), has("failed 2") || has("refused")
	switch {
	case has("delivered 1") || has("delivered 2"):
		return Delivered
	case taken1 && !failed1 || taken2 && !failed2:
		if has("sent 1") || has("sent 2") {
			return Sent
		}
		return Accepted
	case failed1 && failed2:
		return Failed
	default:
		return Unknown
	}
}

// Two copies may be about: whatever is told of them, in whatever order, ends in
// the same row, the better copy counts, and nothing makes a third.
func TestEveryOrderOfTwoCopiesFactsEndsInTheSameRow(t *testing.T) {
	w := newWorld(t)
	type ended struct {
		seq string
		row row
		of  Resend
	}
	by, n := map[string]ended{}, 0
	one := func(seq []string) error {
		return w.Write(t.Context(), func(tx *store.Tx) error {
			s, err := utility(tx)
			if err != nil {
				return err
			}
			m, err := unanswered(tx, s, New{Contact: 1, To: phoneOf(1)})
			if err != nil {
				return err
			}
			if _, err := Again(tx, m, "janela"); err != nil {
				return err
			}
			if m, err = claimed(tx, s, m.ID); err != nil {
				return err
			}
			for _, what := range seq {
				if err := tellCopy(tx, m, what); err != nil {
					return fmt.Errorf("%v: %w", seq, err)
				}
			}
			got, _, err := store.Get[row](tx, oneRow, m.ID)
			if err != nil {
				return err
			}
			r, _, err := ResendOf(tx, m.ID)
			if err != nil {
				return err
			}
			if want := stateOfCopies(seq); got.State != want {
				t.Errorf("%v ends in %s, want %s", seq, got.State, want)
			}
			if twice := slices.ContainsFunc(seq, func(s string) bool { return s == "sent 1" || s == "delivered 1" }) &&
				slices.ContainsFunc(seq, func(s string) bool { return s == "accepted" || s == "sent 2" || s == "delivered 2" }); r.Twice() != twice {
				t.Errorf("%v: sent twice is %v, want %v", seq, r.Twice(), twice)
			}
			if err := noThird(tx, m.ID, seq); err != nil {
				return err
			}
			// Which wamid stands, whose answer is missing and when we heard of it depend
			// on the order; nothing else may.
			if got.State == Unknown {
				got.Reason = ""
			}
			if got.Wamid != "" {
				got.Wamid = "one of both"
			}
			got.ID, got.Claimed, got.EndedAt, got.InWindow = 0, 0, 0, false
			r.Message, r.At = 0, 0
			key := strings.Join(distinct(seq), ", ")
			if first, ok := by[key]; !ok {
				by[key] = ended{strings.Join(seq, ", "), got, r}
			} else if diff := cmp.Diff(first.row, got) + cmp.Diff(first.of, r); diff != "" {
				t.Errorf("%q and %q tell the same and end differently:\n%s", first.seq, strings.Join(seq, ", "), diff)
			}
			n++
			return nil
		})
	}
	var grow func(seq []string, answered bool)
	grow = func(seq []string, answered bool) {
		if t.Failed() {
			return
		}
		refused := slices.Contains(seq, "refused")
		if answered {
			if err := one(seq); err != nil {
				t.Fatal(err)
			}
		}
		if len(seq) == 4 {
			return
		}
		for _, f := range toldOfCopies {
			if !(refused && strings.HasSuffix(f, "2")) && !slices.Contains(seq, f) {
				grow(append(slices.Clip(seq), f), answered)
			}
		}
		for _, a := range answers {
			second := slices.ContainsFunc(seq, func(s string) bool { return strings.HasSuffix(s, " 2") })
			if !answered && !(a == "refused" && second) { // Meta does not send what it refused
				grow(append(slices.Clip(seq), a), true)
			}
		}
	}
	grow(nil, false)
	t.Logf("%d sequences, %d sets of facts", n, len(by))
	if n < 300 {
		t.Errorf("only %d sequences were played", n)
	}
}

// noThird says what would queue the message once more.
func noThird(tx *store.Tx, id int64, seq []string) error {
	m, _, err := ByID(tx, id)
	if err != nil {
		return err
	}
	if m.State == Queued {
		return fmt.Errorf("%v: it is queued", seq)
	}
	m.State = Unknown
	if _, err := Again(tx, m, "janela"); !errors.Is(err, ErrAgain) {
		return fmt.Errorf("%v: a third time is %w", seq, err)
	}
	return nil
}

// While the second copy waits in the queue, whatever is told of the first keeps
// it there; and if it is ended there, it is again what it was: nobody knows more.
func TestWhatEndsAResendThatWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(tx *store.Tx, s Stream, m Message) error
		want State
		why  string
	}{
		{"a sent status", func(tx *store.Tx, _ Stream, m Message) error { return tell(tx, m.ID, "sent") }, Sent, ""},
		{"a read status", func(tx *store.Tx, _ Stream, m Message) error { return tell(tx, m.ID, "read") }, Read, ""},
		{"a failed status", func(tx *store.Tx, _ Stream, m Message) error { return tell(tx, m.ID, "failed") }, Failed, "suppress_user"},
		{"a refusal", func(tx *store.Tx, s Stream, m Message) error {
			_, _, err := Apply(tx, s, []Move{{Message: m, To: Refused, Reason: "opted_out"}})
			return err
		}, Unknown, ReasonNoAnswer},
		{"a STOP", func(tx *store.Tx, _ Stream, m Message) error {
			_, err := CancelForbidden(tx, []int64{m.Contact}, []whatsapp.Category{whatsapp.Utility}, nil, "opted_out")
			return err
		}, Unknown, ReasonNoAnswer},
		{"its campaign's end", func(tx *store.Tx, s Stream, _ Message) error {
			_, err := CancelStream(tx, s.ID, 10, "campaign_cancelled")
			return err
		}, Unknown, ReasonNoAnswer},
		{"its deadline", func(tx *store.Tx, s Stream, m Message) error {
			m, err := claimed(tx, s, m.ID)
			if err != nil {
				return err
			}
			_, err = Settle(tx, []Result{{Message: m.ID, Attempt: m.Attempt, To: Queued, Reason: "retry", Code: 2, Retry: tx.Now().Add(2 * time.Hour)}})
			return err
		}, Unknown, ReasonNoAnswer},
		{"a kill", func(tx *store.Tx, s Stream, m Message) error {
			if _, err := claimed(tx, s, m.ID); err != nil {
				return err
			}
			_, err := Rescue(tx, 10)
			return err
		}, Unknown, ReasonRestart},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.write(t, func(tx *store.Tx) error {
				s, err := utility(tx)
				if err != nil {
					return err
				}
				m, err := unanswered(tx, s, New{Contact: 1, To: phoneOf(1), Deadline: tx.Now().Add(time.Hour)})
				if err != nil {
					return err
				}
				if _, err := Again(tx, m, "janela"); err != nil {
					return err
				}
				if m, _, err = ByID(tx, m.ID); err != nil || m.State != Queued || m.Reason != ReasonAgain {
					t.Fatalf("it is %s %q, %v", m.State, m.Reason, err)
				}
				if err := c.do(tx, s, m); err != nil {
					return err
				}
				got, _, err := ByID(tx, m.ID)
				if err != nil || got.State != c.want || got.Reason != c.why {
					t.Errorf("it is %s %q, want %s %q (%v)", got.State, got.Reason, c.want, c.why, err)
				}
				got.State = Unknown
				if _, err := Again(tx, got, "janela"); !errors.Is(err, ErrAgain) {
					t.Errorf("once more: %v", err)
				}
				return talliesAddUp(tx)
			})
		})
	}
}

var talliesOff = store.SQL(`SELECT COUNT(*) FROM (SELECT stream_id, state, SUM(n) AS n FROM tallies GROUP BY stream_id, state) t
	WHERE t.n <> (SELECT COUNT(*) FROM messages m WHERE m.stream_id = t.stream_id AND m.state = t.state)`)

func talliesAddUp(tx *store.Tx) error {
	n, _, err := store.Value[int64](tx, talliesOff)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d tallies are wrong", n)
	}
	return err
}

// A machine sends a message again only where silence proves something, while
// there is time, once, and never marketing.
func TestUnanswered(t *testing.T) {
	w := newWorld(t)
	ids := map[string]int64{}
	add := func(name string, category whatsapp.Category, number string, deadline time.Duration, change func(tx *store.Tx, m Message) error) {
		w.write(t, func(tx *store.Tx) error {
			s, err := OpenStream(tx, Stream{Number: number, WABA: "1", Category: category, Template: "order", Language: "pt_BR"})
			if err != nil {
				return err
			}
			n := New{Contact: 1, To: phoneOf(1)}
			if deadline > 0 {
				n.Deadline = tx.Now().Add(deadline)
			}
			m, err := unanswered(tx, s, n)
			if err != nil {
				return err
			}
			ids[name] = m.ID
			if change != nil {
				return change(tx, m)
			}
			return nil
		})
	}
	add("long ago", whatsapp.Utility, number1, 0, nil)
	w.wall = w.wall.Add(25 * time.Hour)
	add("utility", whatsapp.Utility, number1, 0, nil)
	add("with time left", whatsapp.Utility, number1, time.Hour, nil)
	add("its time is over", whatsapp.Utility, number1, 10*time.Minute, nil)
	add("marketing", whatsapp.Marketing, number1, 0, nil)
	add("a code", whatsapp.Authentication, number1, 0, nil)
	add("another number", whatsapp.Utility, number2, 0, nil)
	add("said to be sent", whatsapp.Utility, number1, 0, func(tx *store.Tx, m Message) error {
		_, err := Resolve(tx, m, AsSent, "maria")
		return err
	})
	add("sent again before", whatsapp.Utility, number1, 0, func(tx *store.Tx, m Message) error {
		if _, err := Again(tx, m, "maria"); err != nil {
			return err
		}
		s, _, err := StreamByID(tx, m.Stream)
		if err != nil {
			return err
		}
		if _, err := claimed(tx, s, m.ID); err != nil {
			return err
		}
		_, err = Rescue(tx, 10)
		return err
	})
	add("settled by a status", whatsapp.Utility, number1, 0, func(tx *store.Tx, m Message) error { return tell(tx, m.ID, "failed") })
	claimedAt := millis(w.wall)
	w.wall = w.wall.Add(15*time.Minute - time.Millisecond)
	due := func() (out []string) {
		w.write(t, func(tx *store.Tx) error {
			rows, err := Unanswered(tx, 15*time.Minute, 100)
			for _, m := range rows {
				for name, id := range ids {
					if id == m.ID {
						out = append(out, name)
					}
				}
			}
			return err
		})
		return out
	}
	news := func(at int64) {
		w.write(t, func(tx *store.Tx) error { return mark(tx, map[string]int64{number1: at}) })
	}
	news(claimedAt + 1)
	if got := due(); got != nil {
		t.Errorf("too early: %v", got)
	}
	w.wall = w.wall.Add(time.Millisecond)
	if diff := cmp.Diff([]string{"utility", "with time left"}, due()); diff != "" {
		t.Error(diff)
	}
	w.write(t, func(tx *store.Tx) error { // the silence is ours: the news reach just to the message itself
		_, err := tx.Exec(setMarks, claimedAt)
		return err
	})
	if got := due(); got != nil {
		t.Errorf("although nothing later was heard of: %v", got)
	}
	news(claimedAt + 1)
	news(claimedAt - 1) // of an older message: the watermark never goes back
	w.wall = w.wall.Add(45 * time.Minute)
	if diff := cmp.Diff([]string{"utility"}, due()); diff != "" {
		t.Errorf("at the deadline: %s", diff)
	}
	// The clock was set back: a watermark of the future proves nothing, and goes.
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.Exec(setMarks, millis(w.wall.Add(time.Hour)))
		return err
	})
	if got := due(); got != nil {
		t.Errorf("by a watermark of the future: %v", got)
	}
	news(claimedAt + 1)
	if diff := cmp.Diff([]string{"utility"}, due()); diff != "" {
		t.Errorf("when it was replaced: %s", diff)
	}
	w.wall = w.wall.Add(24 * time.Hour)
	if got := due(); got != nil {
		t.Errorf("after a day: %v", got)
	}
}

var setMarks = store.SQL(`UPDATE watermarks SET claimed_at = ?1`)
