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
	sqlAnswered  = store.SQL(`SELECT id FROM messages WHERE wamid = ?1 AND wamid <> ''`)
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
	if in.AnswersWamid != "" {
		if answers, _, err = store.Value[int64](tx, sqlAnswered, string(in.AnswersWamid)); err != nil {
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
