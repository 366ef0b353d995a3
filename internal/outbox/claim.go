package outbox

import (
	"fmt"
	"time"

	"janela/internal/store"
)

// Move is what the gate decided about one queued message.
type Move struct {
	Message Message // as read in this transaction
	To      State   // Sending, Refused, Expired, Cancelled, or Queued to wait
	Reason  string
	Until   time.Time // for Queued: not before
}

var (
	sqlClaim = store.SQLMany(`UPDATE messages SET state = 'sending', attempt = attempt + 1, claimed_at = ?1, reason = '', code = 0
		WHERE id IN ({rows}) AND state = 'queued'`, `?r1`)
	sqlEnd   = store.SQL(`UPDATE messages SET state = ?2, reason = ?3, ended_at = ?4 WHERE id = ?1 AND state = 'queued'`)
	sqlDelay = store.SQL(`UPDATE messages SET not_before = ?2 WHERE id = ?1 AND state = 'queued'`)
)

// Apply carries out the gate's verdicts, each by compare-and-set. The messages
// moved to Sending are claimed: in flight from the moment this commits.
func Apply(tx *store.Tx, s Stream, moves []Move) ([]Message, []Outcome, error) {
	c := begin(tx)
	c.streams[s.ID] = s
	now := store.Millis(tx.Now())
	c.out = make([]Outcome, 0, len(moves))
	claimed := make([]Message, 0, len(moves))
	var after Message // one for all: it would be on the heap each time
	var err error
	for i := range moves {
		mv := &moves[i]
		after = mv.Message
		switch mv.To {
		case Sending:
			after.State, after.Attempt, after.ClaimedAt = Sending, after.Attempt+1, now
			after.Reason, after.Code = "", 0
			claimed = append(claimed, after)
		case Queued:
			err = tx.One(sqlDelay, after.ID, store.Millis(mv.Until))
		default:
			after, err = endQueued(tx, &mv.Message, mv.To, mv.Reason)
		}
		if err != nil {
			return nil, nil, err
		}
		if err := c.moved(&mv.Message, &after); err != nil {
			return nil, nil, err
		}
	}
	if err := s.claimed(tx, len(claimed)); err != nil {
		return nil, nil, err
	}
	n, err := tx.ExecMany(sqlClaim, len(claimed), func(i int, args []any) []any { return append(args, claimed[i].ID) }, now)
	if err != nil {
		return nil, nil, err
	}
	if n != int64(len(claimed)) {
		return nil, nil, fmt.Errorf("%w: %d of %d messages were queued", store.ErrLost, n, len(claimed))
	}
	out, err := c.end()
	return claimed, out, err
}

var sqlOverdue = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE state = 'queued' AND deadline > 0 AND deadline <= ?1 ORDER BY deadline LIMIT ?2`)

// Expire ends at most limit queued messages whose deadline has passed, also
// those of held streams, which no claim ever meets.
func Expire(tx *store.Tx, limit int) ([]Outcome, error) {
	rows, err := store.All[Message](tx, sqlOverdue, store.Millis(tx.Now()), limit)
	if err != nil {
		return nil, err
	}
	return endAll(tx, rows, Expired, "deadline")
}

// endAll ends queued messages of any streams.
func endAll(tx *store.Tx, rows []Message, to State, reason string) ([]Outcome, error) {
	c := begin(tx)
	for i := range rows {
		after, err := endQueued(tx, &rows[i], to, reason)
		if err != nil {
			return nil, err
		}
		if err := c.moved(&rows[i], &after); err != nil {
			return nil, err
		}
	}
	return c.end()
}
