package conversations

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"janela/internal/store"
)

// What is said to count in a conversation is as much as its row says, each
// message in one conversation at most, and whether it lay in a window is what
// the windows' own history says.
func TestContentsAddUp(t *testing.T) {
	db := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt, false)
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			w, err := reveal(tx, h)
			if err != nil {
				return err
			}
			for _, s := range h.steps {
				if _, _, err := w.apply(tx, s); err != nil {
					return err
				}
			}
			rows, err := stored(tx)
			if err != nil {
				return err
			}
			var seen []string
			for _, r := range rows {
				parts, err := Contents(tx, r)
				if err != nil {
					return err
				}
				var in, out int64
				for _, p := range parts {
					if p.Inbound {
						in++
					} else {
						out++
						ok, err := InWindowAt(tx, r.Number, r.Contact, p.At)
						if err != nil || ok != p.InWindow {
							return fmt.Errorf("row %d: in a window %v, by the windows %v, %w", r.ID, p.InWindow, ok, err)
						}
					}
					if !r.OpenAt(p.At) {
						return fmt.Errorf("row %d %v has a message of %v", r.ID, showRows([]Row{r}), p.At)
					}
					name := fmt.Sprint(r.Number, p.Inbound, p.ID, string(p.Wamid))
					if slices.Contains(seen, name) {
						return fmt.Errorf("%s counts twice", name)
					}
					seen = append(seen, name)
				}
				if in != r.MessagesIn || out != r.MessagesOut {
					return fmt.Errorf("row %d says %d out, %d in, and holds %d and %d", r.ID, r.MessagesOut, r.MessagesIn, out, in)
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
