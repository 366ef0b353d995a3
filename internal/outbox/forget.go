package outbox

import (
	"errors"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ErrSending says that a message is with Meta at this moment: its answer would
// name the person again.
var ErrSending = errors.New("outbox: a message to this person is on its way at this moment")

var (
	sqlNamesOf = store.SQL(`SELECT id, state, wamid FROM messages WHERE contact_id = ?1 AND contact_id > 0 AND run_id > 0
		UNION ALL SELECT id, state, wamid FROM messages WHERE contact_id = ?1 AND contact_id > 0 AND run_id = 0
		UNION ALL SELECT id, state, wamid FROM past_messages WHERE contact_id = ?1 AND contact_id > 0`)
	sqlForeignOf     = store.SQL(`SELECT wamid FROM foreign_messages WHERE contact_id = ?1`)
	sqlForget        = store.SQL(`UPDATE messages SET address = '', params = '', reply_to = '', external_id = '', wamid = ?2 WHERE id = ?1`)
	sqlForgetPast    = store.SQL(`UPDATE past_messages SET address = '', external_id = '', wamid = ?2 WHERE id = ?1`)
	sqlForgetForeign = store.SQL(`UPDATE foreign_messages SET wamid = ?2 WHERE wamid = ?1`)
	// sqlStrangers walks the messages to people whom nobody knew, by their key.
	sqlStrangers = store.SQL(`SELECT id FROM messages WHERE id > ?1 AND contact_id = 0 AND address = CAST(?2 AS TEXT) ORDER BY id`)
)

type nameRow struct {
	id           int64
	state, wamid string
}

// Fields names the places of sqlNamesOf's columns.
func (n *nameRow) Fields() []any { return []any{&n.id, &n.state, &n.wamid} }

// Forget cancels what is queued to a contact, and takes from all its messages
// whatever names the person. rename gives the text that stands for a message's
// wamid from then on, which holds the number; it is called once for each that
// Meta gave, with message 0 for foreign ones. The rows and their times stay. ErrSending: try again in a moment.
func Forget(tx *store.Tx, contact int64, reason string, rename func(message int64, wamid string) (string, error)) (ids []int64, out []Outcome, err error) {
	out, err = CancelForbidden(tx, []int64{contact}, append([]whatsapp.Category{whatsapp.Service}, whatsapp.TemplateCategories...), nil, reason)
	if err != nil {
		return nil, nil, err
	}
	rows, err := store.All[nameRow](tx, sqlNamesOf, contact)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		if State(r.state) == Sending {
			return nil, nil, ErrSending
		}
		name := ""
		if r.wamid != "" {
			if name, err = rename(r.id, r.wamid); err != nil {
				return nil, nil, err
			}
		}
		n, err := tx.Exec(sqlForget, r.id, name)
		if err == nil && n == 0 {
			err = tx.One(sqlForgetPast, r.id, name)
		}
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, r.id)
	}
	foreign, err := store.All[store.Col[string]](tx, sqlForeignOf, contact)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range foreign {
		name, err := rename(0, f.V)
		if err == nil {
			err = tx.One(sqlForgetForeign, f.V, name)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return ids, out, nil
}

// Strangers returns the messages to an address that were refused because nobody
// knew the person. It walks all messages: for snapshots only.
func Strangers(q *store.Snap, address string) (ids []int64, err error) {
	err = store.Each(q, sqlStrangers, func(c *store.Col[int64]) error { ids = append(ids, c.V); return nil }, 0, address)
	return ids, err
}

// ForgetStrangers takes the address from such messages, at most about 200 a call.
func ForgetStrangers(tx *store.Tx, ids []int64) error {
	for _, id := range ids {
		if err := tx.One(sqlForget, id, ""); err != nil {
			return err
		}
	}
	return nil
}
