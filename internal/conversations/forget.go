package conversations

import "janela/internal/store"

var (
	sqlForgetInbound = store.SQL(`UPDATE inbound_messages SET wamid = 'forgotten-' || id, answers_wamid = '' WHERE contact_id = ?1`)
	sqlForgetOpeners = store.SQL(`UPDATE conversations SET opened_by_wamid = '' WHERE contact_id = ?1 AND opened_by_wamid <> ''`)
	sqlForgetPrice   = store.SQL(`UPDATE message_pricing SET wamid = ?2, conversation_id = '' WHERE wamid = ?1`)
)

// Forget takes from a contact's conversations and inbound messages the ids of
// Meta's that hold the number. The rows and their times stay.
func Forget(tx *store.Tx, contact int64) error {
	for _, stmt := range []*store.Stmt{sqlForgetInbound, sqlForgetOpeners} {
		if _, err := tx.Exec(stmt, contact); err != nil {
			return err
		}
	}
	return nil
}

// RenamePrice puts another text for a message's id of Meta's: what was paid
// stays, and names nobody.
func RenamePrice(tx *store.Tx, wamid, name string) error {
	_, err := tx.Exec(sqlForgetPrice, wamid, name)
	return err
}
