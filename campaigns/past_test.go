package campaigns

import (
	"path/filepath"
	"testing"

	"janela/internal/store"
)

var (
	putPerson = store.SQL(`INSERT INTO contacts (id, root, created_at) VALUES (?1, ?2, 0)`)
	putKey    = store.SQL(`INSERT INTO once_keys (campaign_id, key, message_id) VALUES ('boletos', ?1, ?2)`)
	putPast   = store.SQL(`INSERT INTO past_messages (id, stream_id, run_id, contact_id, address, kind, line, external_id, state, reason, code, attempt, not_before, deadline,
		created_at, claimed_at, accepted_at, sent_at, delivered_at, read_at, failed_at, ended_at, held, in_window, wamid)
		VALUES (?1, 1, ?2, ?3, '', 'phone', 0, '', ?4, '', 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, '')`)
	putOldRun = store.SQL(`INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, started_at) VALUES (?1, 'boletos', 1, 0, '', 'finished', 1)`)
)

// A notice whose message moved to the past counts as before: by its key, and, of
// a one-off that runs again, by its person under any name.
func TestNoticesOfThePast(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		for _, c := range [][2]int64{{1, 1}, {2, 1}, {3, 3}, {4, 4}} {
			if err := tx.One(putPerson, c[0], c[1]); err != nil {
				return err
			}
		}
		if err := tx.One(putOldRun, 7); err != nil {
			return err
		}
		for id, state := range map[int64]string{1: "read", 3: "refused"} {
			if err := tx.One(putPast, id, 7, id, state); err != nil {
				return err
			}
			if err := tx.One(putKey, state, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Read(t.Context(), func(q *store.Snap) error {
		for _, c := range []struct {
			run     int64
			oneOff  bool
			contact int64
			key     string
			want    bool
		}{
			{8, false, 0, "read", true}, {8, false, 0, "refused", false}, {8, false, 0, "new", false},
			{8, true, 1, "", true}, {8, true, 2, "", true}, {8, true, 3, "", false}, {8, true, 4, "", false},
			{7, true, 1, "", false}, // its own run
			{8, false, 1, "", false},
		} {
			got, err := sentBefore(q, "boletos", c.run, c.oneOff, c.contact, c.key)
			if err != nil || got != c.want {
				t.Errorf("%+v: %v %v", c, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
