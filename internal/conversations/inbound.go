package conversations

import (
	"errors"
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Inbound is one thing a person sent to a number of the business.
type Inbound struct {
	Number       string
	Contact      int64
	Wamid        whatsapp.Wamid
	At           time.Time      // Meta's time
	Type         string         // Meta's message type
	Counts       bool           // see the function Counts
	Referral     bool           // it came through an ad
	AnswersWamid whatsapp.Wamid // the message it quotes, or whose button was pressed
}

var (
	sqlInbound = store.SQL(`INSERT INTO inbound_messages
		(id, wamid, number_id, contact_id, type, at, counts, referral, answers, answers_wamid)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (wamid) DO NOTHING`)
	sqlInboundID = store.SQL(`SELECT id FROM inbound_messages WHERE wamid = ?1`)
	sqlAnswered  = store.SQL(`SELECT m.id FROM contacts k CROSS JOIN messages m
			WHERE k.root = CAST(?1 AS BIGINT) AND m.contact_id = k.id AND m.contact_id > 0 AND m.run_id > 0 AND m.wamid = CAST(?2 AS TEXT)
		UNION ALL SELECT m.id FROM contacts k CROSS JOIN messages m
			WHERE k.root = CAST(?1 AS BIGINT) AND m.contact_id = k.id AND m.contact_id > 0 AND m.run_id = 0 AND m.wamid = CAST(?2 AS TEXT)`)
	sqlAnsweredPast = store.SQL(`SELECT m.id FROM contacts k CROSS JOIN past_messages m
			WHERE k.root = CAST(?1 AS BIGINT) AND m.contact_id = k.id AND m.contact_id > 0 AND m.wamid = CAST(?2 AS TEXT)`)
)

// RecordInbound writes down an inbound message, moves the service window and
// recomputes the conversations from its time on. It is idempotent by wamid: the
// second time it returns the same id, fresh false, and changes nothing. A time
// that cannot be true is replaced by the transaction's Now. The contact must
// exist.
func RecordInbound(tx *store.Tx, in Inbound) (id int64, fresh bool, err error) {
	if in.Wamid == "" || in.Number == "" {
		return 0, false, errors.New("conversations: an inbound message needs a wamid and the number it came to")
	}
	p, ok, err := store.Get[person](tx, sqlPerson, in.Contact)
	if err != nil {
		return 0, false, fmt.Errorf("conversations: contact %d: %w", in.Contact, err)
	}
	if !ok {
		return 0, false, fmt.Errorf("conversations: inbound message of contact %d, who is not known; learn the sender first", in.Contact)
	}
	var answers int64
	for _, s := range []*store.Stmt{sqlAnswered, sqlAnsweredPast} {
		if in.AnswersWamid == "" || answers > 0 {
			break
		}
		if answers, _, err = store.Value[int64](tx, s, p.root, string(in.AnswersWamid)); err != nil {
			return 0, false, fmt.Errorf("conversations: the message that %v answers: %w", in.Wamid, err)
		}
	}
	id, at := tx.NewID(), SaneTime(in.At, tx.Now())
	n, err := tx.Exec(sqlInbound, id, string(in.Wamid), in.Number, in.Contact, in.Type, store.Millis(at),
		flag(in.Counts), flag(in.Referral), answers, string(in.AnswersWamid))
	if err != nil {
		return 0, false, fmt.Errorf("conversations: store inbound message %v: %w", in.Wamid, err)
	}
	if n == 0 {
		id, _, err = store.Value[int64](tx, sqlInboundID, string(in.Wamid))
		return id, false, err
	}
	if !in.Counts {
		return id, true, nil
	}
	if err := moveWindow(tx, in.Number, p.root, at); err != nil {
		return 0, false, err
	}
	_, err = Recompute(tx, Touch{Number: in.Number, Contact: in.Contact, Since: at})
	return id, true, err
}

var (
	sqlHeard   = store.SQL(`SELECT contact_id, number_id FROM inbound_messages WHERE wamid = ?1`)
	sqlReplies = store.SQL(`SELECT i.id, i.at, i.type FROM contacts c CROSS JOIN contacts m CROSS JOIN inbound_messages i
		WHERE c.id = CAST(?1 AS BIGINT) AND m.root = c.root AND i.contact_id = m.id AND i.number_id = CAST(?2 AS TEXT)
		AND (i.answers = ?3 OR (i.answers_wamid = ?4 AND i.answers_wamid <> '')) ORDER BY i.at, i.id LIMIT ?5`)
)

type heardRow struct {
	contact int64
	number  string
}

// Fields names the places of sqlHeard's columns.
func (h *heardRow) Fields() []any { return []any{&h.contact, &h.number} }

// Heard says of an inbound message whose it is, and to which number it came.
func Heard(q store.Querier, w whatsapp.Wamid) (contact int64, number string, ok bool, err error) {
	row, ok, err := store.Get[heardRow](q, sqlHeard, string(w))
	if err != nil {
		return 0, "", false, fmt.Errorf("conversations: inbound message %v: %w", w, err)
	}
	return row.contact, row.number, ok, nil
}

// Reply is an inbound message that answers one of ours: it quotes it, or was a
// tap on one of its buttons.
type Reply struct {
	ID   int64
	At   time.Time
	Type string // Meta's message type
}

type replyScan struct {
	Reply
	at int64
}

// Fields names the places of sqlReplies' columns.
func (r *replyScan) Fields() []any { return []any{&r.ID, &r.at, &r.Type} }

// Replies lists what the person answered to a message of ours, the first first,
// at most limit. An answer that came before we knew the message's wamid counts.
func Replies(q store.Querier, number string, contact, message int64, w whatsapp.Wamid, limit int) ([]Reply, error) {
	var out []Reply
	err := store.Each(q, sqlReplies, func(r *replyScan) error {
		r.Reply.At = store.Time(r.at)
		out = append(out, r.Reply)
		return nil
	}, contact, number, message, string(w), limit)
	if err != nil {
		return nil, fmt.Errorf("conversations: replies to message %d: %w", message, err)
	}
	return out, nil
}
