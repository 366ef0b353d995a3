package outbox

import (
	"errors"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// UnknownFilter says which unknown messages are meant; "" is any.
type UnknownFilter struct {
	Campaign string
	Number   string // phone_number_id
	Category whatsapp.Category
	Settled  bool        // also those of which somebody has said that they were sent
	After    UnknownMark // from behind it on
	Limit    int
}

// UnknownMark is a place in the list: since when a message is unknown (ms), and
// its id.
type UnknownMark struct{ Since, ID int64 }

// UnknownMessage is a message of which nobody knows whether Meta took it.
type UnknownMessage struct {
	Message Message
	Stream  Stream
	Since   int64 // ms
	Again   bool  // it went out a second time already
}

// Fields names the places of sqlUnknown.
func (u *UnknownMessage) Fields() []any {
	return append(append(u.Message.Fields(), u.Stream.Fields()...), &u.Since, &u.Again)
}

const ofMessage = `m.id, m.stream_id, m.run_id, m.contact_id, m.address, m.kind, m.params, m.reply_to, m.line, m.external_id,
	m.state, m.reason, m.code, m.attempt, m.not_before, m.deadline, m.created_at, m.claimed_at, m.accepted_at, m.sent_at, m.delivered_at,
	m.read_at, m.failed_at, m.held, m.wamid`

var (
	sqlUnknown = store.SQL(`SELECT ` + ofMessage + `, ` + streamColumns + `, m.ended_at,
			CASE WHEN EXISTS (SELECT 1 FROM resends r WHERE r.message_id = m.id) THEN 1 ELSE 0 END
		FROM messages m CROSS JOIN streams s WHERE m.state = 'unknown' AND (m.ended_at, m.id) > (?1, ?7) AND s.id = m.stream_id
		AND (CAST(?2 AS TEXT) = '' OR s.campaign_id = CAST(?2 AS TEXT)) AND (CAST(?3 AS TEXT) = '' OR s.number_id = CAST(?3 AS TEXT))
		AND (CAST(?4 AS TEXT) = '' OR s.category = CAST(?4 AS TEXT)) AND (CAST(?5 AS INTEGER) = 1 OR m.reason <> 'resolved_sent')
		ORDER BY m.ended_at, m.id LIMIT ?6`)
	sqlUnknowns = store.SQL(`SELECT s.campaign_id, s.number_id, s.category, t.reason, SUM(t.n) FROM tallies t CROSS JOIN streams s
		WHERE t.state = 'unknown' AND t.n > 0 AND s.id = t.stream_id
		GROUP BY s.campaign_id, s.number_id, s.category, t.reason ORDER BY s.campaign_id, s.number_id, s.category, t.reason`)
	// The watermark: of a message that was claimed later than it, on the same
	// number, a status has come. Otherwise the silence may be ours.
	sqlUnanswered = store.SQL(`SELECT ` + ofMessage + ` FROM messages m CROSS JOIN streams s CROSS JOIN watermarks w
		WHERE m.state = 'unknown' AND m.ended_at > ?1 AND m.ended_at <= ?2 AND m.reason NOT IN ('resolved_sent', 'restored') AND (m.deadline = 0 OR m.deadline > ?3)
		AND s.id = m.stream_id AND s.category = 'utility' AND w.number_id = s.number_id AND w.claimed_at > m.claimed_at AND w.claimed_at <= ?3
		AND NOT EXISTS (SELECT 1 FROM resends r WHERE r.message_id = m.id) ORDER BY m.ended_at, m.id LIMIT ?4`)
	sqlResolve = store.SQL(`UPDATE messages SET state = ?3, reason = ?4 WHERE id = ?1 AND state = 'unknown' AND attempt = ?2`)
)

// ListUnknown lists unknown messages, the oldest first.
func ListUnknown(q store.Querier, f UnknownFilter) ([]UnknownMessage, error) {
	return store.All[UnknownMessage](q, sqlUnknown, f.After.Since, f.Campaign, f.Number, string(f.Category), f.Settled, f.Limit, f.After.ID)
}

// UnknownCount is how many messages of a campaign ("" for single ones), number
// and category are unknown, and why.
type UnknownCount struct {
	Campaign, Number string
	Category         whatsapp.Category
	Reason           string
	N                int64
}

// Fields names the places of sqlUnknowns.
func (c *UnknownCount) Fields() []any {
	return []any{&c.Campaign, &c.Number, &c.Category, &c.Reason, &c.N}
}

// CountUnknown counts them all; it reads tallies, never messages.
func CountUnknown(q store.Querier) ([]UnknownCount, error) {
	return store.All[UnknownCount](q, sqlUnknowns)
}

// giveUp is how long a machine may send an unknown message again: what came to
// be unknown longer ago is left to people.
const giveUp = 24 * time.Hour

// Unanswered returns at most limit utility messages that have been unknown for
// that long, have not gone out a second time, may still leave, and of which
// Meta's silence proves something.
func Unanswered(q store.Querier, after time.Duration, limit int) ([]Message, error) {
	now := q.Now()
	return store.All[Message](q, sqlUnanswered, store.Millis(now.Add(-after-giveUp)), store.Millis(now.Add(-after)), store.Millis(now), limit)
}

// Resolution is what a person says of an unknown message.
type Resolution string

// The resolutions.
const (
	AsSent   Resolution = "sent"     // it stays unknown, and nobody looks for it any more
	AsUnsent Resolution = "not-sent" // it failed; whoever sends it anew may
	AsAgain  Resolution = "resend"   // it goes out a second time
)

// Reasons of messages that a person has resolved.
const (
	ReasonResolvedSent    = "resolved_sent"
	ReasonResolvedNotSent = "resolved_not_sent"
)

// Why a message cannot be resolved so.
var (
	ErrCode      = errors.New("outbox: a code is not sent again: its person asks for another")
	ErrDeadline  = errors.New("outbox: its deadline has passed")
	ErrForgotten = errors.New("outbox: its person was forgotten")
)

// Resolve does what a person decided about an unknown message. A status that
// comes later wins over all of it. What somebody says is not what Meta says: it
// opens no conversation. The error may be ErrMoved, ErrAgain, ErrCode,
// ErrDeadline or ErrForgotten.
func Resolve(tx *store.Tx, m Message, as Resolution, actor string) ([]Outcome, error) {
	if m.State != Unknown {
		return nil, ErrMoved
	}
	after := m
	switch as {
	case AsSent:
		after.Reason = ReasonResolvedSent
	case AsUnsent:
		after.State, after.Reason = Failed, ReasonResolvedNotSent
	case AsAgain:
		s, _, err := StreamByID(tx, m.Stream)
		switch {
		case err != nil:
			return nil, err
		case s.Category == whatsapp.Authentication:
			return nil, ErrCode
		case m.Deadline > 0 && m.Deadline <= store.Millis(tx.Now()):
			return nil, ErrDeadline
		case m.Address == "":
			return nil, ErrForgotten
		}
		return Again(tx, m, actor)
	default:
		return nil, errors.New("outbox: a message cannot be resolved as " + string(as))
	}
	n, err := tx.Exec(sqlResolve, m.ID, m.Attempt, string(after.State), after.Reason)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrMoved
	}
	c := begin(tx)
	if err := c.moved(&m, &after); err != nil {
		return nil, err
	}
	return c.end()
}
