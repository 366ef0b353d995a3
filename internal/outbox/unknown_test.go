package outbox

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// What a person says of an unknown message is done, and a status that comes
// later wins over it.
func TestResolve(t *testing.T) {
	for _, c := range []struct {
		as      Resolution
		state   State
		reason  string
		listed  bool // without asking for the settled ones
		touches bool // the conversation ledger looks at it
	}{
		{AsSent, Unknown, "resolved_sent", false, false},
		{AsUnsent, Failed, "resolved_not_sent", false, false},
		{AsAgain, Queued, "sent_again", false, false},
	} {
		for status, want := range map[string]State{"": c.state, "sent": Sent, "delivered": Delivered, "failed": Failed} {
			t.Run(string(c.as)+" "+status, func(t *testing.T) {
				w := newWorld(t)
				w.write(t, func(tx *store.Tx) error {
					s, err := utility(tx)
					if err != nil {
						return err
					}
					m, err := unanswered(tx, s, New{Contact: 1, To: phoneOf(1)})
					if err != nil {
						return err
					}
					out, err := Resolve(tx, m, c.as, "maria")
					if err != nil {
						return err
					}
					for _, o := range out {
						if !o.Since.IsZero() {
							t.Errorf("the conversation ledger is touched: %+v", o)
						}
					}
					got, _, err := ByID(tx, m.ID)
					if err != nil || got.State != c.state || got.Reason != c.reason || got.FailedAt != 0 {
						t.Errorf("it is %s %q, failed at %d (%v)", got.State, got.Reason, got.FailedAt, err)
					}
					open, err := ListUnknown(tx, UnknownFilter{Limit: 10})
					if err != nil || len(open) != 0 {
						t.Errorf("%d are listed still (%v)", len(open), err)
					}
					if _, err := Resolve(tx, m, c.as, "maria"); c.as != AsSent && !errors.Is(err, ErrMoved) && !errors.Is(err, ErrAgain) {
						t.Errorf("once more: %v", err)
					}
					if status == "" {
						return talliesAddUp(tx)
					}
					if err := tell(tx, m.ID, status); err != nil {
						return err
					}
					if got, _, err = ByID(tx, m.ID); err != nil || got.State != want || got.Reason == c.reason {
						t.Errorf("after %s it is %s %q, want %s (%v)", status, got.State, got.Reason, want, err)
					}
					return talliesAddUp(tx)
				})
			})
		}
	}
}

func TestWhatCannotBeSentAgain(t *testing.T) {
	w := newWorld(t)
	w.write(t, func(tx *store.Tx) error {
		s, err := utility(tx)
		if err != nil {
			return err
		}
		codes, err := OpenStream(tx, Stream{Number: number1, WABA: "1", Category: whatsapp.Authentication, Template: "code", Language: "pt_BR"})
		if err != nil {
			return err
		}
		late, err := unanswered(tx, s, New{Contact: 1, To: phoneOf(1), Deadline: tx.Now()})
		if err != nil {
			return err
		}
		code, err := unanswered(tx, codes, New{Contact: 1, To: phoneOf(1)})
		if err != nil {
			return err
		}
		gone, err := unanswered(tx, s, New{Contact: 2, To: phoneOf(2)})
		if err != nil {
			return err
		}
		if _, _, err := Forget(tx, 2, "forgotten", func(int64, string) (string, error) { return "x", nil }); err != nil {
			return err
		}
		if gone, _, err = ByID(tx, gone.ID); err != nil {
			return err
		}
		sent, err := unanswered(tx, s, New{Contact: 1, To: phoneOf(1)})
		if err != nil {
			return err
		}
		if err := tell(tx, sent.ID, "sent"); err != nil {
			return err
		}
		for _, c := range []struct {
			name string
			m    Message
			want error
		}{{"past its deadline", late, ErrDeadline}, {"a code", code, ErrCode}, {"to somebody forgotten", gone, ErrForgotten},
			{"of which a status came, by who did not look again", sent, ErrMoved}} {
			if _, err := Resolve(tx, c.m, AsAgain, "maria"); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
			if m, _, err := ByID(tx, c.m.ID); err != nil || m.State == Queued {
				t.Errorf("%s: it is %s (%v)", c.name, m.State, err)
			}
		}
		_, err = Resolve(tx, late, "perhaps", "maria")
		if err == nil {
			t.Error("a word that means nothing was taken")
		}
		return nil
	})
}

func TestListUnknown(t *testing.T) {
	w := newWorld(t)
	var all []int64
	w.write(t, func(tx *store.Tx) error {
		for i, s := range []Stream{
			{Number: number1, Category: whatsapp.Marketing, Campaign: "natal", Run: 1}, {Number: number2, Category: whatsapp.Marketing, Campaign: "natal", Run: 2},
			{Number: number1, Category: whatsapp.Utility, Campaign: "boleto", Run: 3}, {Number: number1, Category: whatsapp.Utility},
		} {
			s.WABA, s.Template, s.Language = "1", "t", "pt_BR"
			s, err := OpenStream(tx, s)
			if err != nil {
				return err
			}
			for range i + 1 {
				m, err := unanswered(tx, s, New{Contact: int64(1 + len(all)), To: phoneOf(int64(1 + len(all)))})
				if err != nil {
					return err
				}
				all = append(all, m.ID)
			}
		}
		m, _, err := ByID(tx, all[9])
		if err != nil {
			return err
		}
		_, err = Resolve(tx, m, AsSent, "maria")
		return err
	})
	list := func(f UnknownFilter) (ids []int64) {
		err := w.Read(t.Context(), func(q *store.Snap) error {
			rows, err := ListUnknown(q, f)
			for _, u := range rows {
				if u.Since != millis(w.wall) || u.Stream.ID != u.Message.Stream || u.Message.State != Unknown {
					t.Errorf("%+v", u)
				}
				ids = append(ids, u.Message.ID)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	for name, c := range map[string]struct {
		f    UnknownFilter
		want []int64
	}{
		"all": {UnknownFilter{}, all[:9]}, "settled too": {UnknownFilter{Settled: true}, all}, "a campaign": {UnknownFilter{Campaign: "natal"}, all[:3]},
		"a number": {UnknownFilter{Number: number2}, all[1:3]}, "a category": {UnknownFilter{Category: whatsapp.Utility}, all[3:9]},
		"a page": {UnknownFilter{After: UnknownMark{millis(start), all[3]}, Limit: 2}, all[4:6]}, "nothing": {UnknownFilter{Campaign: "outra"}, nil},
	} {
		if c.f.Limit == 0 {
			c.f.Limit = 100
		}
		if diff := cmp.Diff(c.want, list(c.f)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	err := w.Read(t.Context(), func(q *store.Snap) error {
		counts, err := CountUnknown(q)
		want := []UnknownCount{{"", number1, "utility", "no_answer", 3}, {"", number1, "utility", "resolved_sent", 1}, {"boleto", number1, "utility", "no_answer", 3},
			{"natal", number1, "marketing", "no_answer", 1}, {"natal", number2, "marketing", "no_answer", 2}}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Error(diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What outlived its time to live is given up; an arrival or a failure that is
// told after all revives it, and that it was sent is no news.
func TestPresumeExpired(t *testing.T) {
	for status, want := range map[string]State{"": PresumedExpired, "sent": PresumedExpired, "delivered": Delivered, "read": Read, "failed": Failed} {
		w := newWorld(t)
		w.write(t, func(tx *store.Tx) error {
			s, err := utility(tx)
			if err != nil {
				return err
			}
			ids, _, err := Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}, {Contact: 2, To: phoneOf(2)}})
			if err != nil {
				return err
			}
			for _, id := range ids {
				if _, err := claimed(tx, s, id); err != nil {
					return err
				}
				if err := tell(tx, id, "accepted"); err != nil {
					return err
				}
			}
			if err := tell(tx, ids[1], "delivered"); err != nil {
				return err
			}
			rows, err := Silent(tx, s.ID, Before{tx.Now(), tx.Now()}, 10)
			if err != nil || len(rows) != 0 {
				t.Errorf("claimed now, and silent too long: %d (%v)", len(rows), err)
			}
			if rows, err = Silent(tx, s.ID, Before{tx.Now().Add(time.Millisecond), tx.Now()}, 10); err != nil || len(rows) != 1 || rows[0].ID != ids[0] {
				t.Fatalf("%d silent messages (%v)", len(rows), err)
			}
			out, err := PresumeExpired(tx, rows)
			if err != nil {
				return err
			}
			if len(out) != 1 || out[0].To != PresumedExpired || out[0].Since.IsZero() {
				t.Errorf("outcomes %+v", out)
			}
			if status != "" {
				if err := tell(tx, ids[0], status); err != nil {
					return err
				}
			}
			got, _, err := ByID(tx, ids[0])
			if err != nil || got.State != want {
				t.Errorf("after %q it is %s, want %s (%v)", status, got.State, want, err)
			}
			return talliesAddUp(tx)
		})
	}
}
