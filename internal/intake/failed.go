package intake

import (
	"context"

	"janela/internal/store"
)

// FailedCallback is a callback that could not be applied. Its body is kept, and
// not shown: it is personal.
type FailedCallback struct {
	ID         int64
	ReceivedAt int64 // ms
	FailedAt   int64 // ms
	Why        string
}

// Fields names the places of sqlFailed.
func (f *FailedCallback) Fields() []any { return []any{&f.ID, &f.ReceivedAt, &f.FailedAt, &f.Why} }

var (
	sqlFailed      = store.SQL(`SELECT id, received_at, applied_at, note FROM callbacks WHERE state = 'failed' AND id > ?1 ORDER BY id LIMIT ?2`)
	sqlFailedCount = store.SQL(`SELECT COUNT(*) FROM callbacks WHERE state = 'failed'`)
	sqlRetry       = store.SQL(`UPDATE callbacks SET state = 'stored', note = '', applied_at = 0 WHERE id = ?1 AND state = 'failed'`)
	sqlTriedBy     = store.SQL(`SELECT version FROM hearing WHERE id = 1`)
	sqlTries       = store.SQL(`UPDATE hearing SET version = ?1 WHERE id = 1`)
)

// Failed lists at most limit callbacks that could not be applied, from behind an
// id on.
func Failed(q store.Querier, after int64, limit int) ([]FailedCallback, error) {
	return store.All[FailedCallback](q, sqlFailed, after, limit)
}

// CountFailed counts them.
func CountFailed(q store.Querier) (int64, error) {
	n, _, err := store.Value[int64](q, sqlFailedCount)
	return n, err
}

// Retry lets a callback that could not be applied be applied again: what it tells
// are facts, and hearing one again changes nothing. ok is false when it is none
// of those.
func Retry(tx *store.Tx, id int64) (ok bool, err error) {
	n, err := tx.Exec(sqlRetry, id)
	if n > 0 {
		tx.Wake(storedTopic)
	}
	return n > 0, err
}

// retryBatch is how many callbacks are tried again in one transaction.
const retryBatch = 100

// retryOnce tries again, once, what an earlier version of the program could not
// apply.
func (in *Intake) retryOnce(ctx context.Context) error {
	if in.cfg.Version == "" {
		return nil
	}
	total := 0
	for more := true; more; {
		n := 0
		err := in.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
			by, _, err := store.Value[string](tx, sqlTriedBy)
			if err != nil || by == in.cfg.Version {
				more = false
				return err
			}
			failed, err := Failed(tx, 0, retryBatch)
			if err != nil {
				return err
			}
			for _, f := range failed {
				if _, err := Retry(tx, f.ID); err != nil {
					return err
				}
			}
			if n = len(failed); n < retryBatch { // those that fail again do so after this
				more = false
				return tx.One(sqlTries, in.cfg.Version)
			}
			return nil
		})
		if err != nil {
			return err
		}
		total += n
	}
	if total > 0 {
		in.cfg.Log.Info("callbacks that an earlier version could not apply are tried again", "callbacks", total, "version", in.cfg.Version)
	}
	return nil
}
