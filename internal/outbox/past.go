package outbox

import (
	"errors"
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// pastKept are the columns that past_messages has as messages has them.
const pastKept = `id, stream_id, run_id, contact_id, kind, line, external_id, state, reason, code, attempt, not_before, deadline,
	created_at, claimed_at, accepted_at, sent_at, delivered_at, read_at, failed_at, ended_at, held, in_window, wamid`

// pastColumns are messageColumns, of past_messages.
const pastColumns = `id, stream_id, run_id, contact_id, address, kind, '', '', line, external_id,
	state, reason, code, attempt, not_before, deadline, created_at, claimed_at, accepted_at, sent_at, delivered_at,
	read_at, failed_at, held, wamid`

// isOver is what a message must be to belong to the past, where ?2 is the instant
// up to which it must have ended: nothing can become of it, nothing happened to it
// since, and the run that it is of is over, so that nobody is admitted to it
// again. Its conversation is over as well: none lasts longer than three days.
const isOver = `m.state IN ('delivered','read','failed','presumed_expired','refused','cancelled','expired')
	AND m.ended_at > 0 AND m.ended_at <= ?2 AND m.claimed_at <= ?2 AND m.accepted_at <= ?2 AND m.sent_at <= ?2 AND m.delivered_at <= ?2
	AND m.read_at <= ?2 AND m.failed_at <= ?2
	AND (m.run_id = 0 OR NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = m.run_id AND r.state IN ('expanding','sending')))`

var (
	sqlOver = store.SQL(`SELECT m.id, m.created_at, CASE WHEN ` + isOver + ` THEN 1 ELSE 0 END FROM messages m WHERE m.id > ?1 ORDER BY m.id LIMIT ?3`)
	// The id of the last of some messages from an id on.
	sqlLastOfSome = store.SQL(`SELECT COALESCE(MAX(p.id), 0) FROM (SELECT m.id FROM messages m WHERE m.id >= ?1 ORDER BY m.id LIMIT ?2) p`)
	sqlMove       = store.SQL(`INSERT INTO past_messages (` + pastKept + `, address)
		SELECT ` + pastKept + `, CASE WHEN contact_id > 0 THEN address ELSE '' END FROM messages m WHERE m.id >= ?1 AND m.id <= ?3 AND ` + isOver)
	sqlMoved = store.SQL(`DELETE FROM messages AS m WHERE m.id >= ?1 AND m.id <= ?3 AND ` + isOver)

	// What a message that comes back said is not known any more: its deadline is
	// over, so that nobody sends it again.
	sqlTakeBack = store.SQL(`INSERT INTO messages (` + pastKept + `, address, params, reply_to) SELECT ` + pastKept + `, address, '', '' FROM past_messages WHERE id = ?1`)
	sqlNoneLeft = store.SQL(`UPDATE messages SET deadline = ended_at WHERE id = ?1 AND deadline = 0`)
	sqlTaken    = store.SQL(`DELETE FROM past_messages WHERE id = ?1`)
	sqlPastMore = store.SQL(`UPDATE retention SET messages = messages + ?1 WHERE id = 1`)
	sqlLooked   = store.SQL(`UPDATE retention SET looked_at = ?1, since = CASE WHEN looked_at < ?2 OR looked_at > ?1 THEN ?1 ELSE since END WHERE id = 1`)
	sqlSince    = store.SQL(`SELECT since FROM retention WHERE id = 1`)
	sqlRan      = store.SQL(`UPDATE retention SET ran_at = ?1 WHERE id = 1`)
	sqlPast     = store.SQL(`SELECT messages, ran_at FROM retention WHERE id = 1`)

	sqlPastMessage   = store.SQL(`SELECT ` + pastColumns + ` FROM past_messages WHERE id = ?1`)
	sqlPastOfContact = store.SQL(`SELECT ` + pastColumns + ` FROM past_messages WHERE contact_id = ?1 AND contact_id > 0 AND id < ?2 ORDER BY id DESC LIMIT ?3`)
	sqlPastNamed     = store.SQL(`SELECT m.id FROM contacts p CROSS JOIN contacts k CROSS JOIN past_messages m
		WHERE p.id = CAST(?1 AS BIGINT) AND k.root = p.root AND m.contact_id = k.id AND m.contact_id > 0 AND m.wamid = CAST(?2 AS TEXT)`)
	sqlPastObserved = store.SQL(`SELECT ` + observedColumns + ` FROM past_messages WHERE id = ?1`)
)

type overRow struct {
	id, created int64
	over        bool
}

// Fields names the places of sqlOver's columns.
func (o *overRow) Fields() []any { return []any{&o.id, &o.created, &o.over} }

var errFound = errors.New("found")

// NextOver looks at most at look messages behind an id, the oldest first, and
// returns the first that belongs to the past, because it ended before the instant;
// 0 where none of them does. next is the id from behind which to go on then: 0
// when all are younger.
func NextOver(q store.Querier, after int64, before time.Time, look int) (id, next int64, err error) {
	cut, n := store.Millis(before), 0
	err = store.Each(q, sqlOver, func(o *overRow) error {
		n++
		switch next = o.id; {
		case o.created > cut:
			n = 0
			return errFound
		case o.over:
			id = o.id
			return errFound
		}
		return nil
	}, after, cut, look)
	if errors.Is(err, errFound) {
		err = nil
	}
	if n < look && id == 0 {
		next = 0
	}
	return id, next, err
}

// ErrTooYoung says that messages were to be moved of which news may still come.
var ErrTooYoung = errors.New("outbox: messages stay where they are for 45 days after they ended")

// Retire moves messages to the past that ended before an instant, of at most limit
// messages from an id on. It returns how many it moved, and up to which id it
// looked. What nothing needs any more is left behind. ErrTooYoung: the instant is
// less than whatsapp.LastNews ago.
func Retire(tx *store.Tx, from int64, before time.Time, limit int) (moved, last int64, err error) {
	if before.After(tx.Now().Add(-whatsapp.LastNews)) {
		return 0, 0, ErrTooYoung
	}
	if last, _, err = store.Value[int64](tx, sqlLastOfSome, from, limit); err != nil || last == 0 {
		return 0, 0, err
	}
	if moved, err = tx.Exec(sqlMove, from, store.Millis(before), last); err != nil || moved == 0 {
		return 0, last, err
	}
	gone, err := tx.Exec(sqlMoved, from, store.Millis(before), last)
	if err == nil && gone != moved {
		err = fmt.Errorf("%w: %d messages were moved and %d are gone", store.ErrLost, moved, gone)
	}
	if err == nil {
		err = tx.One(sqlPastMore, moved)
	}
	return moved, last, err
}

// takeBack brings a message back of which something new is known: it is no past
// until that is long ago as well.
func takeBack(tx *store.Tx, id int64) error {
	for _, s := range []*store.Stmt{sqlTakeBack, sqlTaken} {
		if err := tx.One(s, id); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(sqlNoneLeft, id); err != nil {
		return err
	}
	return tx.One(sqlPastMore, -1)
}

// Past is what is known of past_messages.
type Past struct {
	Messages int64 // that stand there
	RanAt    int64 // ms: when it was last seen to the end what has to go there; 0 for never
}

// Fields names the places of sqlPast.
func (p *Past) Fields() []any { return []any{&p.Messages, &p.RanAt} }

// PastOf says how many messages were moved, and when that was last done.
func PastOf(q store.Querier) (Past, error) {
	p, _, err := store.Get[Past](q, sqlPast)
	return p, err
}

// longestGap is how long nobody may have looked for the time to be believed.
const longestGap = 26 * time.Hour

// Look notes that somebody looks for what has to go to the past, and returns for
// how long that has been done without a long gap. Behind one may lie a clock that
// was set: by a wrong one everything is old, and what a message said does not
// come back.
func Look(tx *store.Tx) (steady time.Duration, err error) {
	now := tx.Now()
	if err := tx.One(sqlLooked, store.Millis(now), store.Millis(now.Add(-longestGap))); err != nil {
		return 0, err
	}
	if err := forgetHours(tx); err != nil {
		return 0, err
	}
	since, _, err := store.Value[int64](tx, sqlSince)
	return now.Sub(store.Time(since)), err
}

// Ran notes that all messages were looked at.
func Ran(tx *store.Tx) error { return tx.One(sqlRan, store.Millis(tx.Now())) }
