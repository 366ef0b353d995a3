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
	Alone      bool   // the person is this one contact, as the same transaction has seen: it costs less
}

func (r *New) state() State {
	if r.Refused != "" {
		return Refused
	}
	return Queued
}

// values appends what a message begins with, as the statements below take it.
func (r *New) values(id int64, args []any, now time.Time) []any {
	var ended int64
	if r.Refused != "" {
		ended = store.Millis(now)
	}
	return append(args, id, r.Contact, r.To.Value, r.To.Kind, r.Params, string(r.ReplyTo), r.Line, r.ExternalID,
		r.state(), r.Refused, store.Millis(r.NotBefore), store.Millis(r.Deadline), ended)
}

// Person-wide uniqueness within a run: the unique index covers the contact, the
// NOT EXISTS the other contacts that were found to be the same person. The past is
// not asked: nothing of a run goes there before the run is over.
var sqlEnqueue = store.SQL(`INSERT INTO messages (stream_id, run_id, created_at, id, contact_id, address, kind, params, reply_to, line, external_id,
		state, reason, not_before, deadline, ended_at)
	SELECT ?1, CAST(?2 AS INTEGER), ?3, ?4, CAST(?5 AS INTEGER), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16
	WHERE NOT EXISTS (
		SELECT 1 FROM contacts p JOIN contacts k ON k.root = p.root
		JOIN messages m ON m.contact_id = k.id AND m.contact_id > 0 AND m.run_id = CAST(?2 AS INTEGER) AND m.run_id > 0
		WHERE p.id = CAST(?5 AS INTEGER))`)

// sqlEnqueueMany is sqlEnqueue for messages of which the unique index says all:
// outside of a run, to nobody, and to people who are one contact.
var (
	sqlEnqueueMany = store.SQLMany(`INSERT INTO messages (stream_id, run_id, created_at, id, contact_id, address, kind, params, reply_to, line, external_id,
		state, reason, not_before, deadline, ended_at) VALUES {rows} ON CONFLICT DO NOTHING`,
		`(?1, ?2, ?3, ?r1, ?r2, ?r3, ?r4, ?r5, ?r6, ?r7, ?r8, ?r9, ?r10, ?r11, ?r12, ?r13)`)
	sqlEnqueued = store.SQLMany(`WITH r(id) AS (VALUES {rows}) SELECT m.id FROM r CROSS JOIN messages m WHERE m.id = r.id`, `(CAST(?r1 AS BIGINT))`)
)

// Enqueue adds messages to a stream and wakes its lane. The ids come back in
// the order of the rows; 0 stands for a person who has a message in this run
// already, the first of several in rows gets it. At most about 200 rows a call.
func Enqueue(tx *store.Tx, s Stream, rows []New) ([]int64, []Outcome, error) {
	c := begin(tx)
	c.streams[s.ID] = s
	ids := make([]int64, len(rows))
	together := make([]int, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		if r.Contact == 0 && r.Refused == "" {
			return nil, nil, errors.New("outbox: a message to nobody we know must be refused")
		}
		ids[i] = tx.NewID()
		if r.Alone || s.Run == 0 || r.Contact == 0 {
			together = append(together, i)
			continue
		}
		n, err := tx.Exec(sqlEnqueue, r.values(ids[i], []any{s.ID, s.Run, store.Millis(tx.Now())}, tx.Now())...)
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			ids[i] = 0
		}
	}
	if err := enqueueMany(tx, s, rows, ids, together); err != nil {
		return nil, nil, err
	}
	for i := range rows {
		if ids[i] > 0 {
			c.count(ids[i], s.ID, rows[i].state(), rows[i].Refused, 1)
		}
	}
	out, err := c.end()
	if s.Lane == whatsapp.LaneAuthentication {
		tx.Summon(Topic(s.Lane)) // a code is claimed by the commit that queues it
	} else {
		tx.Wake(Topic(s.Lane))
	}
	return ids, out, err
}

// enqueueMany adds the rows that together names, and sets the ids of those to 0
// that were there already.
func enqueueMany(tx *store.Tx, s Stream, rows []New, ids []int64, together []int) error {
	n, err := tx.ExecMany(sqlEnqueueMany, len(together), func(i int, args []any) []any {
		return rows[together[i]].values(ids[together[i]], args, tx.Now())
	}, s.ID, s.Run, store.Millis(tx.Now()))
	if err != nil || n == int64(len(together)) {
		return err
	}
	added := make(map[int64]bool, n)
	err = store.EachMany(tx, sqlEnqueued, len(together), func(i int, args []any) []any { return append(args, ids[together[i]]) },
		func(id *store.Col[int64]) error { added[id.V] = true; return nil })
	for _, i := range together {
		if !added[ids[i]] {
			ids[i] = 0
		}
	}
	return err
}
