package guard

import (
	"context"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ReasonRestored is the reason of the holds of a database that is not the one
// that ran here last.
const ReasonRestored = outbox.ReasonRestored

// heldByRestore are the categories that stand still: what the database has
// queued, and the runs that it begins again, may have left before. Codes do not:
// people wait for them, each is made anew, and an old one has expired. Nor do
// free-form replies, which somebody writes now.
var heldByRestore = []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}

// restored holds what may be sent twice, if the database is a restored one.
func (g *Guard) restored(ctx context.Context) error {
	r, yes := g.cfg.DB.Restored()
	if !yes {
		return nil
	}
	g.cfg.Log.Error("the database is not the one that ran here last: what it does not know of may be sent twice, so marketing and notices stand still",
		"why", r.Why, "database", instant(r.Stands), "ran_until", instant(r.Ran), "do", "janela recover")
	return g.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		for _, c := range heldByRestore {
			if err := hold(tx, c, ReasonRestored, r.Why+"; look at janela recover"); err != nil {
				return err
			}
		}
		return nil
	})
}

// Release lifts the holds of a restored database: somebody has taken care of it.
func Release(tx *store.Tx, by string) error {
	for _, c := range heldByRestore {
		if _, err := outbox.Lift(tx, outbox.ScopeCategory, string(c), ReasonRestored, by); err != nil {
			return err
		}
	}
	return tx.EndRestored()
}

func instant(ms int64) string {
	if ms == 0 {
		return "unknown"
	}
	return store.Time(ms).Format("2006-01-02T15:04:05Z")
}
