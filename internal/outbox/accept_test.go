package outbox

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
)

// What a result says ends in the same row, with the same outcomes, whether its
// claim comes with it or not, whatever has happened to the row meanwhile.
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
			var rows [2]row
			var outs [2][]Outcome
			for i := range rows {
				w := newWorld(t)
				w.know(t, 1)
				w.write(t, func(tx *store.Tx) error {
					s, err := OpenStream(tx, sale(7))
					if err != nil {
						return err
					}
					ids, _, err := Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}})
					if err != nil {
						return err
					}
					m, _, err := ByID(tx, ids[0])
					if err != nil {
						return err
					}
					m.Attempt = tt.behind
					claimed, _, err := Apply(tx, s, []Move{{Message: m, To: Sending}})
					if err != nil {
						return err
					}
					if tt.since != "" {
						if _, err := tx.Exec(store.SQL(fmt.Sprintf(`UPDATE messages SET %s WHERE id = ?1`, tt.since)), m.ID); err != nil {
							return err
						}
					}
					r := Result{Message: m.ID, Attempt: 1, To: tt.to, Wamid: "wamid.1", At: tx.Now(), InWindow: true}
					if i > 0 {
						r.Claimed = &claimed[0]
					}
					if outs[i], err = Settle(tx, []Result{r}); err != nil {
						return err
					}
					rows[i], _, err = store.Get[row](tx, oneRow, m.ID)
					return err
				})
			}
			if diff := cmp.Diff(rows[0], rows[1]); diff != "" {
				t.Errorf("the row (-without its claim, +with it):\n%s", diff)
			}
			if diff := cmp.Diff(outs[0], outs[1]); diff != "" {
				t.Errorf("the outcomes (-without its claim, +with it):\n%s", diff)
			}
		})
	}
}
