package outbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// What is observed together, in one transaction, ends in the same rows, with
// the same outcomes, as one by one.
func TestObservingTogetherIsObservingOneByOne(t *testing.T) {
	w := newWorld(t)
	w.know(t, 1)
	var stream [2]Stream
	w.write(t, func(tx *store.Tx) (err error) {
		for i, name := range []string{"alone", "together"} {
			stream[i], err = OpenStream(tx, Stream{Number: number1, WABA: "1", Category: whatsapp.Utility, Template: name, Language: "pt_BR"})
		}
		return err
	})
	states := []State{Queued, Sending, Unknown, Accepted, AcceptedHeld, Failed}
	put := func(tx *store.Tx, s Stream, to State) (int64, error) {
		ids, _, err := Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}})
		if err != nil || to == Queued {
			return ids[0], err
		}
		m, _, err := ByID(tx, ids[0])
		if err != nil {
			return 0, err
		}
		if _, _, err = Apply(tx, s, []Move{{Message: m, To: Sending}}); err != nil || to == Sending {
			return m.ID, err
		}
		_, err = Settle(tx, []Result{{Message: m.ID, Attempt: 1, To: to, Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", m.ID)), At: tx.Now(), Reason: "r"}})
		return m.ID, err
	}
	rapid.Check(t, func(t *rapid.T) {
		type step struct {
			who    int
			byName bool
			foreign,
			attempt int
			status string
			at     int
			write  bool
		}
		start := rapid.SliceOfN(rapid.SampledFrom(states), 1, 4).Draw(t, "states")
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, len(start)-1).Draw(t, "who"), rapid.Bool().Draw(t, "by wamid"), rapid.IntRange(0, 2).Draw(t, "foreign"),
				rapid.IntRange(1, 2).Draw(t, "attempt"), rapid.SampledFrom([]string{"sent", "delivered", "read", "failed", "deleted"}).Draw(t, "status"),
				rapid.IntRange(-9, 9).Draw(t, "at"), rapid.IntRange(0, 4).Draw(t, "write") == 0}
		}), 1, 12).Draw(t, "steps")
		err := w.Write(t.Context(), func(tx *store.Tx) error {
			var ids [2][]int64
			var outs [2][]string
			note := func(side int, out []Outcome) {
				for _, o := range out {
					for i, id := range ids[side] {
						if id == o.Message {
							outs[side] = append(outs[side], fmt.Sprintf("%d %s→%s %s %d since %d", i, o.From, o.To, o.Reason, o.Code, millis(o.Since)))
						}
					}
				}
			}
			for side := range ids {
				for _, s := range start {
					id, err := put(tx, stream[side], s)
					if err != nil {
						return err
					}
					ids[side] = append(ids[side], id)
				}
			}
			of := func(side int, s step) Observation {
				at := tx.Now().Add(time.Duration(s.at) * time.Second)
				o := Observation{Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", ids[side][s.who])), Status: s.status, At: at,
					InWindow: inWindow(millis(at) / 1000), Reason: "drop", Code: 131026}
				if !s.byName {
					o.Message, o.Attempt = ids[side][s.who], s.attempt
				}
				o.People = []int64{1}
				if s.foreign == 0 && !s.byName {
					o.Wamid = "wamid.same" // a server that gives one id twice
				}
				return o
			}
			b := NewObserving(tx, func(asked []Instant) (in []bool, err error) {
				for _, a := range asked {
					in = append(in, inWindow(millis(a.At)/1000))
				}
				return in, nil
			})
			for _, s := range steps {
				out, found, err := Observe(tx, of(0, s))
				if err != nil {
					return err
				}
				note(0, out)
				changed, also, err := b.Observe(of(1, s))
				if err != nil {
					return err
				}
				if found != also || changed != (len(out) > 0) {
					return fmt.Errorf("%+v: found %t and %t, changed %d and %t", s, found, also, len(out), changed)
				}
				if s.write {
					out, err := b.Write()
					if err != nil {
						return err
					}
					note(1, out)
				}
			}
			out, err := b.Write()
			if err != nil {
				return err
			}
			note(1, out)
			if diff := cmp.Diff(outs[0], outs[1]); diff != "" {
				return fmt.Errorf("outcomes:\n%s", diff)
			}
			for i := range ids[0] {
				var rows [2]row
				for side := range rows {
					r, _, err := store.Get[row](tx, oneRow, ids[side][i])
					if err != nil {
						return err
					}
					for j, id := range ids[side] {
						r.Wamid = strings.ReplaceAll(r.Wamid, fmt.Sprint(id), fmt.Sprint("#", j))
					}
					r.ID, r.Stream = 0, 0
					rows[side] = r
				}
				if diff := cmp.Diff(rows[0], rows[1]); diff != "" {
					return fmt.Errorf("message %d:\n%s", i, diff)
				}
			}
			var talliesOf [2][]string
			all, err := store.All[tally](tx, allTallies)
			if err != nil {
				return err
			}
			for _, n := range all {
				for side := range stream {
					if n.Stream == stream[side].ID {
						talliesOf[side] = append(talliesOf[side], fmt.Sprint(n.State, " ", n.Reason, " ", n.N))
					}
				}
			}
			slices.Sort(talliesOf[0])
			slices.Sort(talliesOf[1])
			if diff := cmp.Diff(talliesOf[0], talliesOf[1]); diff != "" {
				return fmt.Errorf("tallies:\n%s", diff)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
