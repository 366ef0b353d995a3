package otp

import "janela/internal/store"

var sqlForget = store.SQL(`UPDATE challenges SET metadata = '', masked = '' WHERE id IN
	(SELECT challenge_id FROM code_sends WHERE message_id = ?1)`)

// Forget takes from the challenges that messages carried what names the person:
// the caller's own words. The limits go on by keyed hashes.
func Forget(tx *store.Tx, messages []int64) error {
	for _, id := range messages {
		if _, err := tx.Exec(sqlForget, id); err != nil {
			return err
		}
	}
	return nil
}
