package outbox

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// What a result says ends in the same row, with the same outcomes, whether its
// claim comes with it or not, alone or with many others, whatever has happened to
// the row meanwhile.
func TestAcceptanceWithItsClaim(t *testing.T) {
	for _, tt := range []struct {
		name   string
		since  string // what was written to the row after the claim
		to     State
		behind int // by how many attempts the result is behind the claim
	}{
		{"nothing happened", "", Accepted, 0},
		{"held", "", AcceptedHeld, 0},
		{"another attempt has begun", "attempt = 2", Accepted, 0},
		{"of the attempt before", "", Accepted, 1},
		{"a status came", "state = 'sent', sent_at = 5", Accepted, 0},
		{"it is unknown", "state = 'unknown', reason = 'no_answer'", Accepted, 0},
		{"a status of an attempt before", "sent_at = 5", Accepted, 0},
		{"it was delivered before", "delivered_at = 5", AcceptedHeld, 0},
		{"it was read before", "read_at = 5", Accepted, 0},
		{"it failed before", "failed_at = 5, reason = 'drop', code = 131026", Accepted, 0},
		{"it was accepted before", "accepted_at = 5", Accepted, 0},
		{"it has a name", "wamid = 'wamid.before'", Accepted, 0},
		{"no acceptance", "", Unknown, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rows [3]row
			var outs [3][]Outcome
			for i := range rows {
				w := newWorld(t)
				people := 1 + 10*(i/2) // the third time among others
				for p := range int64(people) {
					w.know(t, p+1)
				}
				w.write(t, func(tx *store.Tx) error {
					s, err := OpenStream(tx, sale(7))
					if err != nil {
						return err
					}
					queued := make([]New, people)
					for p := range queued {
						queued[p] = New{Contact: int64(p + 1), To: phoneOf(int64(p + 1))}
					}
					ids, _, err := Enqueue(tx, s, queued)
					if err != nil {
						return err
					}
					moves := make([]Move, people)
					for p, id := range ids {
						m, _, err := ByID(tx, id)
						if err != nil {
							return err
						}
						moves[p] = Move{Message: m, To: Sending}
					}
					m := &moves[0].Message
					m.Attempt = tt.behind
					claimed, _, err := Apply(tx, s, moves)
					if err != nil {
						return err
					}
					if tt.since != "" {
						if _, err := tx.Exec(store.SQL(fmt.Sprintf(`UPDATE messages SET %s WHERE id = ?1`, tt.since)), m.ID); err != nil {
							return err
						}
					}
					results := make([]Result, people)
					for p := range results {
						results[p] = Result{Message: ids[p], Attempt: 1, To: Accepted, Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.%d", p+1)), At: tx.Now(), InWindow: true}
						if i > 0 {
							results[p].Claimed = &claimed[p]
						}
					}
					results[0].To = tt.to
					out, err := Settle(tx, results)
					if err != nil {
						return err
					}
					outs[i] = slices.DeleteFunc(out, func(o Outcome) bool { return o.Message != m.ID })
					rows[i], _, err = store.Get[row](tx, oneRow, m.ID)
					return err
				})
			}
			for i := 1; i < len(rows); i++ {
				if diff := cmp.Diff(rows[0], rows[i]); diff != "" {
					t.Errorf("the row (-without its claim, +with it, %d):\n%s", i, diff)
				}
				if diff := cmp.Diff(outs[0], outs[i], cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("the outcomes (-without its claim, +with it, %d):\n%s", i, diff)
				}
			}
		})
	}
}
