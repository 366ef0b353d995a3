package conversations

import "janela/internal/store"

var (
	sqlForgetInbound = store.SQL(`UPDATE inbound_messages SET wamid = 'forgotten-' || id, answers_wamid = '' WHERE contact_id = ?1`)
	sqlForgetOpeners = store.SQL(`UPDATE conversations SET opened_by_wamid = '' WHERE contact_id = ?1 AND opened_by_wamid <> ''`)
	sqlForgetPrice   = store.SQL(`UPDATE message_prices SET conversation_id = '' WHERE id = ?1 AND conversation_id <> ''`)
	sqlRenamePrice   = store.SQL(`UPDATE message_prices SET wamid = ?2, conversation_id = '' WHERE wamid = ?1 AND wamid <> ''`)
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

// ForgetPrice puts another text for Meta's id of a message, which is 0 for a
// foreign one: what was paid stays, and names nobody.
func ForgetPrice(tx *store.Tx, message int64, wamid, name string) error {
	if message > 0 {
		if _, err := tx.Exec(sqlForgetPrice, message); err != nil {
			return err
		}
	}
	_, err := tx.Exec(sqlRenamePrice, wamid, name)
	return err
}
