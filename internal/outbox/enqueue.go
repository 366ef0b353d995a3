package outbox

import (
	"errors"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// New is a message to be queued. Contact 0 is a recipient unknown to contacts;
// such a message must come with a refusal, because nobody can have consented.
type New struct {
	Contact    int64
	To         whatsapp.Identity
	Params     string // rendered components as JSON, or the text
	ReplyTo    whatsapp.Wamid
	Line       int
	ExternalID string
	NotBefore  time.Time
	Deadline   time.Time
	Refused    string // a reason: it is recorded, and never leaves
}

// Person-wide uniqueness within a run: the unique index covers the contact, the
// NOT EXISTS the other contacts that were found to be the same person. The past is
// not asked: nothing of a run goes there before the run is over.
var sqlEnqueue = store.SQL(`INSERT INTO messages (id, stream_id, run_id, contact_id, address, kind, params, reply_to, line, external_id,
		state, reason, not_before, deadline, created_at, ended_at)
	SELECT ?1, ?2, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16
	WHERE CAST(?4 AS INTEGER) = 0 OR CAST(?3 AS INTEGER) = 0 OR NOT EXISTS (
		SELECT 1 FROM contacts p JOIN contacts k ON k.root = p.root
		JOIN messages m ON m.contact_id = k.id AND m.contact_id > 0 AND m.run_id = CAST(?3 AS INTEGER) AND m.run_id > 0
		WHERE p.id = CAST(?4 AS INTEGER))`)

// Enqueue adds messages to a stream and wakes its lane. The ids come back in
// the order of the rows; 0 stands for a person who has a message in this run
// already. At most about 200 rows a call.
func Enqueue(tx *store.Tx, s Stream, rows []New) ([]int64, []Outcome, error) {
	c := begin(tx)
	c.streams[s.ID] = s
	now := store.Millis(tx.Now())
	ids := make([]int64, len(rows))
	for i, r := range rows {
		if r.Contact == 0 && r.Refused == "" {
			return nil, nil, errors.New("outbox: a message to nobody we know must be refused")
		}
		m := Message{ID: tx.NewID(), Stream: s.ID, Run: s.Run, Contact: r.Contact, State: Queued, Reason: r.Refused}
		var ended int64
		if r.Refused != "" {
			m.State, ended = Refused, now
		}
		n, err := tx.Exec(sqlEnqueue, m.ID, s.ID, s.Run, r.Contact, r.To.Value, r.To.Kind, r.Params, string(r.ReplyTo), r.Line, r.ExternalID,
			m.State, m.Reason, store.Millis(r.NotBefore), store.Millis(r.Deadline), now, ended)
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			continue
		}
		ids[i] = m.ID
		c.count(s.ID, m.State, m.Reason, 1)
	}
	out, err := c.end()
	tx.Wake(Topic(s.Lane))
	return ids, out, err
}
