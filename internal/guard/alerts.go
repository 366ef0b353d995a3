package guard

import (
	"slices"

	"janela/internal/outbox"
	"janela/internal/store"
)

// ours are the reasons of the holds that a Guard places.
var ours = []string{ReasonClockJump, ReasonClockBehind, ReasonRestored, ReasonDiskLow}

// Alerts says what a person should look at: the cause of each of our holds that
// stands.
func Alerts(q store.Querier) ([]string, error) {
	holds, err := outbox.Holds(q)
	var out []string
	for _, h := range holds {
		if slices.Contains(ours, h.Reason) {
			out = append(out, string(h.Scope)+" "+h.Target+" stands still: "+h.Detail)
		}
	}
	return out, err
}
