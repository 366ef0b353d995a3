package scheduler

import (
	"time"

	"janela/internal/store"
)

var (
	sqlKeys = store.SQL(`SELECT key FROM schedules ORDER BY key`)

	sqlRevive = store.SQL(`UPDATE slots SET state = 'due', note = '', settled_at = 0
		WHERE schedule_key = ?1 AND civil >= ?2 AND due_at > ?3 AND state IN ('missed', 'skipped')`)

	sqlThroughBack = store.SQL(`UPDATE schedules SET through = ?2 WHERE key = ?1 AND through > ?2`)
)

// Rewind is for a clock that was ahead and was set right: from now on it is the
// instant at. Slots after it that a wrong clock let pass without firing are to
// come again; those that fired have fired. It returns how many are due again.
func Rewind(tx *store.Tx, at time.Time) (n int, err error) {
	keys, err := column(tx, sqlKeys)
	if err != nil {
		return 0, err
	}
	day := at.UTC().Add(-farOffset).Format(civilMinute)
	for _, key := range keys {
		again, err := tx.Exec(sqlRevive, key, day, store.Millis(at))
		if err != nil {
			return n, err
		}
		if _, err := tx.Exec(sqlThroughBack, key, store.Millis(at)); err != nil {
			return n, err
		}
		n += int(again)
	}
	tx.Wake(Topic)
	return n, nil
}
