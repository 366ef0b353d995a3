package contacts

import (
	"fmt"

	"janela/internal/store"
)

var sqlForget = store.SQL(`DELETE FROM identities WHERE contact_id = ?1`)

// Forget takes every name from a contact. The contact stays, and names nobody.
func Forget(tx *store.Tx, contact int64) error {
	tx.Changes(phones)
	if _, err := tx.Exec(sqlForget, contact); err != nil {
		return fmt.Errorf("contacts: forget %d: %w", contact, err)
	}
	return nil
}
