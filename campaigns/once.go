package campaigns

import (
	"context"

	"janela/internal/store"
)

// A notice counts as sent unless its message surely never left: then a later
// run may carry it.
var (
	sqlOnce = store.SQL(`SELECT m.state FROM once_keys k JOIN messages m ON m.id = k.message_id
		WHERE k.campaign_id = ?1 AND k.key = ?2
		UNION ALL SELECT m.state FROM once_keys k JOIN past_messages m ON m.id = k.message_id WHERE k.campaign_id = ?1 AND k.key = ?2`)
	sqlPutOnce = store.SQL(`INSERT INTO once_keys (campaign_id, key, message_id) VALUES (?1, ?2, ?3)
		ON CONFLICT (campaign_id, key) DO UPDATE SET message_id = excluded.message_id`)
	sqlReached = store.SQL(`SELECT m.state FROM contacts p JOIN contacts k ON k.root = p.root
		JOIN messages m ON m.contact_id = k.id AND m.contact_id > 0 AND m.run_id > 0
		JOIN runs r ON r.id = m.run_id WHERE p.id = ?1 AND r.campaign_id = ?2 AND r.id <> ?3
		UNION ALL SELECT m.state FROM contacts p JOIN contacts k ON k.root = p.root
		JOIN past_messages m ON m.contact_id = k.id AND m.contact_id > 0 AND m.run_id > 0
		JOIN runs r ON r.id = m.run_id WHERE p.id = ?1 AND r.campaign_id = ?2 AND r.id <> ?3`)
)

// left reports whether a message in a state may have reached somebody, or still
// will.
func left(state string) bool {
	switch state {
	case "refused", "cancelled", "expired", "failed":
		return false
	default:
		return true
	}
}

// sentBefore reports whether an earlier run carries the notice: by once_per
// over all runs of the campaign; and for a one-off that was changed and runs
// again, by person.
func sentBefore(q store.Querier, campaign string, run int64, oneOff bool, contact int64, key string) (bool, error) {
	if key != "" {
		state, ok, err := store.Value[string](q, sqlOnce, campaign, key)
		if err != nil || ok && left(state) {
			return true, err
		}
	}
	if !oneOff || contact == 0 {
		return false, nil
	}
	states, err := store.All[store.Col[string]](q, sqlReached, contact, campaign, run)
	for _, s := range states {
		if left(s.V) {
			return true, err
		}
	}
	return false, err
}

// noticed hands on rows, but not those whose notice an earlier run carries: of a person's
// several bills the first that is news counts, not the first of the file, which
// was sent long ago.
type noticed struct {
	x    *expansion
	dups *duplicates
	rows []struct {
		Recipient
		row int
	}
}

func (n *noticed) add(ctx context.Context, r Recipient, row int) error {
	if r.OnceKey == "" {
		return n.dups.add(r.Phone, row)
	}
	r.Params = nil // only the number and the key are asked for
	n.rows = append(n.rows, struct {
		Recipient
		row int
	}{r, row})
	if len(n.rows) < batchRows {
		return nil
	}
	return n.flush(ctx)
}

func (n *noticed) flush(ctx context.Context) error {
	err := n.x.c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		for _, r := range n.rows {
			sent, err := sentBefore(q, n.x.run.Campaign, n.x.run.ID, false, 0, r.OnceKey)
			if err != nil {
				return err
			}
			if sent {
				continue
			}
			if err := n.dups.add(r.Phone, r.row); err != nil {
				return err
			}
		}
		return nil
	})
	n.rows = n.rows[:0]
	return err
}
