package outbox

import (
	"errors"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Result is what became of one claimed message at the door out.
type Result struct {
	Message  int64
	Attempt  int
	Claimed  *Message // as Apply returned it, where the caller has it: an acceptance then costs one statement
	To       State    // Accepted, AcceptedHeld, Queued (surely not sent), Unknown, Failed
	Wamid    whatsapp.Wamid
	At       time.Time // when the answer came; of an acceptance
	InWindow bool      // accepted inside an open service window
	Reason   string
	Code     int
	Retry    time.Time // for Queued: not before
	Unused   bool      // for Queued: never handed to a sender; the attempt does not count
}

var (
	sqlAccept = store.SQL(`UPDATE messages SET state = ?3, accepted_at = ?4, wamid = ?5, held = ?6, in_window = ?7, ended_at = ?4
		WHERE id = ?1 AND attempt = ?2 AND state = 'sending'`)
	// sqlAcceptAlone is sqlAccept for a message of which nothing has been heard since
	// it was claimed.
	sqlAcceptAlone = store.SQL(`UPDATE messages SET state = ?3, accepted_at = ?4, wamid = ?5, held = ?6, in_window = ?7, ended_at = ?4
		WHERE id = ?1 AND attempt = ?2 AND state = 'sending' AND wamid = ''
		AND accepted_at = 0 AND sent_at = 0 AND delivered_at = 0 AND read_at = 0 AND failed_at = 0`)
	sqlRequeue = store.SQL(`UPDATE messages SET state = 'queued', attempt = attempt - ?3, not_before = ?4, reason = ?5, code = ?6
		WHERE id = ?1 AND attempt = ?2 AND state = 'sending'`)
	sqlSettle = store.SQL(`UPDATE messages SET state = ?3, reason = ?4, code = ?5, failed_at = ?6, ended_at = ?7
		WHERE id = ?1 AND attempt = ?2 AND state = 'sending'`)
	sqlAdopt = store.SQL(`UPDATE messages SET state = ?5, reason = ?6, code = ?7, accepted_at = ?2, wamid = ?3,
		held = ?4, in_window = CASE WHEN CAST(?9 AS INTEGER) = 1 THEN ?8 ELSE in_window END, ended_at = CASE WHEN ended_at = 0 THEN ?2 ELSE ended_at END
		WHERE id = ?1 AND accepted_at = 0`)
)

// Settle writes the results of sends. A status may have come before our own
// answer: then the message is past sending, and of the answer only an
// acceptance is kept. A requeued message whose deadline has passed expires instead.
func Settle(tx *store.Tx, results []Result) ([]Outcome, error) {
	c := begin(tx)
	c.out = make([]Outcome, 0, len(results))
	var after Message // one for all: it would be on the heap each time
	for i := range results {
		r := &results[i]
		done, err := c.accept(r)
		if err != nil {
			return nil, err
		}
		if done {
			after = r.accepted()
			if err := c.moved(r.Claimed, &after); err != nil {
				return nil, err
			}
			continue
		}
		before, ok, err := present(tx, r.Message)
		if err != nil {
			return nil, err
		}
		if !ok || before.Attempt != r.Attempt {
			continue // another attempt has begun: this answer is none of its
		}
		again, err := resent(tx, &before)
		if err != nil {
			return nil, err
		}
		after = before
		if before.State == Sending {
			err = settle(tx, &after, *r, again)
		} else if r.To == Accepted || r.To == AcceptedHeld {
			err = adopt(tx, &after, *r, again)
		} else if again != nil && r.To == Failed {
			err = again.refusedLate(tx, &after, *r)
		}
		if err != nil {
			return nil, err
		}
		if err := c.moved(&before, &after); err != nil {
			return nil, err
		}
		if after.State == Queued {
			s, err := c.stream(after.Stream)
			if err != nil {
				return nil, err
			}
			tx.Wake(Topic(s.Lane))
		}
	}
	return c.end()
}

// accept writes an acceptance without reading the message first: what it is where
// the statement finds it, its claim has told. done says that it did.
func (c *changes) accept(r *Result) (done bool, err error) {
	switch {
	case r.Claimed == nil || r.Claimed.Attempt != r.Attempt || r.To != Accepted && r.To != AcceptedHeld:
		return false, nil
	case r.Attempt > 1: // it may be a second copy
		return false, nil
	}
	n, err := c.tx.Exec(sqlAcceptAlone, r.Message, r.Attempt, string(r.To), store.Millis(r.At), string(r.Wamid), r.To == AcceptedHeld, r.InWindow)
	return n == 1, err
}

// accepted is the message as its acceptance leaves it.
func (r *Result) accepted() Message {
	m := *r.Claimed
	m.State, m.Held, m.AcceptedAt, m.Wamid = r.To, r.To == AcceptedHeld, store.Millis(r.At), r.Wamid
	m.Reason, m.Code = r.Reason, r.Code
	return m
}

func settle(tx *store.Tx, m *Message, r Result, again *Resend) error {
	now := store.Millis(tx.Now())
	m.Reason, m.Code = r.Reason, r.Code
	switch r.To {
	case Accepted, AcceptedHeld:
		m.State, m.Held, m.AcceptedAt = r.To, r.To == AcceptedHeld, store.Millis(r.At)
		m.name(r.Wamid)
		if again != nil {
			if err := again.taken(tx, r); err != nil {
				return err
			}
			again.derive(m)
		}
		return tx.One(sqlAccept, m.ID, r.Attempt, string(m.State), m.AcceptedAt, string(m.Wamid), m.Held, r.InWindow)
	case Queued:
		if m.Deadline > 0 && (m.Deadline <= now || m.Deadline <= store.Millis(r.Retry)) {
			m.State, m.Reason, m.Code = again.instead(Expired, "deadline", r.Code)
			return tx.One(sqlSettle, m.ID, r.Attempt, string(m.State), m.Reason, m.Code, 0, now)
		}
		unused := 0
		if r.Unused {
			unused = 1
		}
		m.State, m.Attempt, m.NotBefore = Queued, m.Attempt-unused, store.Millis(r.Retry)
		return tx.One(sqlRequeue, m.ID, r.Attempt, unused, m.NotBefore, r.Reason, r.Code)
	case Unknown:
		m.State = Unknown
		return tx.One(sqlSettle, m.ID, r.Attempt, string(Unknown), r.Reason, r.Code, 0, now)
	case Failed:
		m.State, m.Reason, m.Code = again.instead(Failed, r.Reason, r.Code)
		if m.State == Failed {
			m.FailedAt = now
		}
		if err := again.refused(tx, r); err != nil {
			return err
		}
		return tx.One(sqlSettle, m.ID, r.Attempt, string(m.State), m.Reason, m.Code, m.FailedAt, now)
	default:
		return errors.New("outbox: a send cannot end in " + string(r.To))
	}
}

// adopt keeps an acceptance that comes when the message is past sending: it is
// a fact like a status, and the state follows from all of them.
func adopt(tx *store.Tx, m *Message, r Result, again *Resend) error {
	if m.AcceptedAt > 0 {
		return nil
	}
	m.AcceptedAt, m.Held = store.Millis(r.At), r.To == AcceptedHeld
	if again != nil {
		if err := again.taken(tx, r); err != nil {
			return err
		}
		again.derive(m)
	} else if m.State = m.reachedFrom(m.State); m.State != Failed {
		m.Reason, m.Code = "", 0
	}
	m.name(r.Wamid)
	return tx.One(sqlAdopt, m.ID, m.AcceptedAt, string(m.Wamid), m.Held, string(m.State), m.Reason, m.Code, r.InWindow, m.at() == m.AcceptedAt)
}

var sqlSending = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE state = 'sending' ORDER BY id LIMIT ?1`)

// Rescue turns what was in flight when the process ended into unknown, at most
// limit at a call: nobody can say whether it was sent, so it is never queued
// again. Call it at start, before anything is claimed, until it returns none.
func Rescue(tx *store.Tx, limit int) ([]Outcome, error) {
	rows, err := store.All[Message](tx, sqlSending, limit)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(rows))
	for i, m := range rows {
		results[i] = Result{Message: m.ID, Attempt: m.Attempt, To: Unknown, Reason: ReasonRestart}
	}
	return Settle(tx, results)
}

// Reasons of an unknown message.
const (
	ReasonRestart  = "restart"   // the process ended while the request was under way
	ReasonNoAnswer = "no_answer" // the request was written and no readable answer came
)
