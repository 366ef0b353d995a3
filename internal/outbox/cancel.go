package outbox

import (
	"slices"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlQueuedOfContact = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE contact_id = ?1 AND contact_id > 0 AND run_id > 0 AND state = 'queued'
		UNION ALL SELECT ` + messageColumns + ` FROM messages WHERE contact_id = ?1 AND contact_id > 0 AND run_id = 0 AND state = 'queued'`)
	sqlQueuedOfStream = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE stream_id = ?1 AND state = 'queued' ORDER BY not_before, id LIMIT ?2`)
)

// CancelForbidden cancels the queued messages to any of the contacts in one of
// the categories, on the given numbers (nil for all). optin.Revoke calls it.
func CancelForbidden(tx *store.Tx, contacts []int64, categories []whatsapp.Category, numbers []string, reason string) ([]Outcome, error) {
	var hit []Message
	look := begin(tx)
	for _, contact := range contacts {
		rows, err := store.All[Message](tx, sqlQueuedOfContact, contact)
		if err != nil {
			return nil, err
		}
		for _, m := range rows {
			s, err := look.stream(m.Stream)
			if err != nil {
				return nil, err
			}
			if slices.Contains(categories, s.Category) && (numbers == nil || slices.Contains(numbers, s.Number)) {
				hit = append(hit, m)
			}
		}
	}
	return endAll(tx, hit, Cancelled, reason)
}

// CancelStream cancels at most limit queued messages of a stream; call it until
// it returns none.
func CancelStream(tx *store.Tx, stream int64, limit int, reason string) ([]Outcome, error) {
	rows, err := store.All[Message](tx, sqlQueuedOfStream, stream, limit)
	if err != nil {
		return nil, err
	}
	return endAll(tx, rows, Cancelled, reason)
}

// CancelMessages cancels those of the messages that are still queued: what is
// on its way, or over, stays as it is. At most about 200 ids a call.
func CancelMessages(tx *store.Tx, ids []int64, reason string) ([]Outcome, error) {
	var hit []Message
	for _, id := range ids {
		m, ok, err := present(tx, id)
		if err != nil {
			return nil, err
		}
		same := func(h Message) bool { return h.ID == id }
		if ok && m.State == Queued && !slices.ContainsFunc(hit, same) {
			hit = append(hit, m)
		}
	}
	return endAll(tx, hit, Cancelled, reason)
}
