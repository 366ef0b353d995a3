package outbox

import (
	"errors"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Resend is a message that was queued again although Meta may have taken an
// earlier attempt: from then on there may be two copies of it.
type Resend struct {
	Message int64
	Attempt int   // the last of the first copy; later ones are the second's
	Cause   State // Unknown or PresumedExpired: what it was, and is again if the second copy comes to nothing
	Reason  string
	Code    int
	Actor   string
	At      int64 // ms
	First   Copy
	Second  Copy
}

// Copy is what is known of one of the two.
type Copy struct {
	TakenAt  int64 // ms; Meta took it: its answer, or a status
	FailedAt int64 // ms
	Code     int   // why it failed
}

// Twice reports whether both copies were sent.
func (r *Resend) Twice() bool { return r.First.TakenAt > 0 && r.Second.TakenAt > 0 }

const resendColumns = `message_id, attempt, cause, reason, code, actor, at, first_at, first_failed_at, first_code, second_at, second_failed_at, second_code`

// Fields names the places of resendColumns.
func (r *Resend) Fields() []any {
	return []any{&r.Message, &r.Attempt, &r.Cause, &r.Reason, &r.Code, &r.Actor, &r.At,
		&r.First.TakenAt, &r.First.FailedAt, &r.First.Code, &r.Second.TakenAt, &r.Second.FailedAt, &r.Second.Code}
}

var (
	sqlResend = store.SQL(`SELECT ` + resendColumns + ` FROM resends WHERE message_id = ?1`)
	sqlCopies = store.SQL(`UPDATE resends SET first_at = ?2, first_failed_at = ?3, first_code = ?4, second_at = ?5, second_failed_at = ?6, second_code = ?7
		WHERE message_id = ?1`)
	sqlPutResend = store.SQL(`INSERT INTO resends (` + resendColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)`)
	// The facts of the first copy go: of one that is presumed to have expired they
	// would stand for the second.
	sqlAgain = store.SQL(`UPDATE messages SET state = 'queued', reason = ?4, code = 0, not_before = 0, ended_at = 0, accepted_at = 0, sent_at = 0,
		held = 0, wamid = '' WHERE id = ?1 AND state = ?2 AND attempt = ?3`)
	sqlBack = store.SQL(`UPDATE messages SET state = ?2, reason = ?3, code = ?4, failed_at = ?5, ended_at = CASE WHEN ended_at = 0 THEN ?6 ELSE ended_at END
		WHERE id = ?1 AND state = ?7 AND attempt = ?8`)
	sqlResends = store.SQL(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN first_at > 0 AND second_at > 0 THEN 1 ELSE 0 END), 0) FROM resends`)
)

// ReasonAgain is the reason of a queued message that goes out a second time.
const ReasonAgain = "sent_again"

// ErrAgain says that a message was sent a second time before: there is no third.
var ErrAgain = errors.New("outbox: the message was sent again once already; there is no third time")

// ErrMoved says that a message is in another state than the one it was taken for.
var ErrMoved = errors.New("outbox: something came to be known of the message meanwhile")

// ResendOf returns the row of a message that was queued again.
func ResendOf(q store.Querier, message int64) (Resend, bool, error) {
	return store.Get[Resend](q, sqlResend, message)
}

type resendCount struct{ all, twice int64 }

// Fields names the places of sqlResends.
func (c *resendCount) Fields() []any { return []any{&c.all, &c.twice} }

// Resends counts the messages that were queued again, and those of which both
// copies were sent.
func Resends(q store.Querier) (all, twice int64, err error) {
	c, _, err := store.Get[resendCount](q, sqlResends)
	return c.all, c.twice, err
}

// Again queues a message once more that is unknown, or presumed to have expired:
// the same message, under a new attempt. It can be done once: the second time is
// ErrAgain. ErrMoved: a status was faster.
func Again(tx *store.Tx, m Message, actor string) ([]Outcome, error) {
	if m.State != Unknown && m.State != PresumedExpired {
		return nil, ErrMoved
	}
	if _, before, err := ResendOf(tx, m.ID); err != nil || before {
		return nil, errors.Join(err, ErrAgain)
	}
	n, err := tx.Exec(sqlAgain, m.ID, string(m.State), m.Attempt, ReasonAgain)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrMoved
	}
	r := Resend{Message: m.ID, Attempt: m.Attempt, Cause: m.State, Reason: m.Reason, Code: m.Code, Actor: actor, At: store.Millis(tx.Now())}
	if _, err := tx.Exec(sqlPutResend, r.values()...); err != nil {
		return nil, err
	}
	after := m
	after.State, after.Reason, after.Code, after.NotBefore = Queued, ReasonAgain, 0, 0
	after.AcceptedAt, after.SentAt, after.Held, after.Wamid = 0, 0, false, ""
	c := begin(tx)
	if err := c.moved(&m, &after); err != nil {
		return nil, err
	}
	s, err := c.stream(m.Stream)
	if err != nil {
		return nil, err
	}
	tx.Wake(Topic(s.Lane))
	return c.end()
}

func (r *Resend) values() []any {
	return []any{r.Message, r.Attempt, string(r.Cause), r.Reason, r.Code, r.Actor, r.At,
		r.First.TakenAt, r.First.FailedAt, r.First.Code, r.Second.TakenAt, r.Second.FailedAt, r.Second.Code}
}

// resent returns the row of a message that was queued again; nil for the many
// that were not, which are not even asked for.
func resent(q store.Querier, m *Message) (*Resend, error) {
	if m.Attempt < 2 && (m.Attempt == 0 || m.State != Queued) {
		return nil, nil
	}
	r, ok, err := ResendOf(q, m.ID)
	if err != nil || !ok {
		return nil, err
	}
	return &r, nil
}

func (r *Resend) save(tx *store.Tx) error {
	return tx.One(sqlCopies, r.Message, r.First.TakenAt, r.First.FailedAt, r.First.Code, r.Second.TakenAt, r.Second.FailedAt, r.Second.Code)
}

// copy returns whose attempt it is. A status that names no attempt speaks of the
// copy that is known.
func (r *Resend) copy(attempt int) *Copy {
	if attempt > r.Attempt || attempt == 0 && r.Second.TakenAt > 0 {
		return &r.Second
	}
	return &r.First
}

// hear notes a status of one of the copies. news is false for one that says
// nothing: that the first copy was sent is known of what presumably expired.
func (r *Resend) hear(o Observation, at int64) (news bool) {
	c := r.copy(o.Attempt)
	switch {
	case o.Status == "failed":
		if c.FailedAt == 0 || at < c.FailedAt {
			c.FailedAt, c.Code = at, o.Code
		}
	case o.Status == "sent" && c == &r.First && r.Cause == PresumedExpired:
		return false
	default:
		c.TakenAt = earliest(c.TakenAt, at)
	}
	return true
}

// derive makes the message what is known of its two copies: the better one
// counts, and it has failed only when both have.
func (r *Resend) derive(m *Message) {
	m.FailedAt = 0
	failed := r.First.FailedAt > 0 && (r.Second.FailedAt > 0 || m.State == Queued)
	switch {
	case m.DeliveredAt > 0 || m.ReadAt > 0,
		r.First.TakenAt > 0 && r.First.FailedAt == 0, r.Second.TakenAt > 0 && r.Second.FailedAt == 0:
		m.State, m.Reason, m.Code = m.reached(), "", 0
	case failed:
		why := r.Second
		if why.FailedAt == 0 {
			why = r.First
		}
		m.State, m.FailedAt, m.Code = Failed, why.FailedAt, why.Code
		m.Reason = string(whatsapp.LookupCode(why.Code, 0).Class)
	case m.State == Queued || m.State == Sending || m.State == Unknown || m.State == Failed:
		// The second is on its way, or nobody knows more than before.
		if r.Second.FailedAt > 0 && m.State == Sending {
			m.State, m.Reason, m.Code = r.Cause, r.Reason, r.Code
		}
	default: // one copy has failed, and of the other nobody knows
		m.State, m.Reason, m.Code = r.Cause, r.Reason, r.Code
	}
}

// instead says what becomes of a message that is to end without its second copy
// having been taken: what it was before, because of the first copy nobody knows
// more; unless that is known to have failed.
func (r *Resend) instead(to State, reason string, code int) (State, string, int) {
	if r == nil || r.First.FailedAt > 0 {
		return to, reason, code
	}
	return r.Cause, r.Reason, r.Code
}

// taken notes that Meta answered to the second copy that it took it.
func (r *Resend) taken(tx *store.Tx, res Result) error {
	c := r.copy(res.Attempt)
	c.TakenAt = earliest(c.TakenAt, store.Millis(res.At))
	return r.save(tx)
}

// refused notes that Meta surely did not take the second copy.
func (r *Resend) refused(tx *store.Tx, res Result) error {
	if r == nil {
		return nil
	}
	r.Second.FailedAt, r.Second.Code = store.Millis(tx.Now()), res.Code
	return r.save(tx)
}

// endQueued ends a queued message, or lets it fall back into what it was
// before it was queued again.
func endQueued(tx *store.Tx, m *Message, to State, reason string) (after Message, err error) {
	after = *m
	again, err := resent(tx, m)
	if err != nil {
		return after, err
	}
	now := store.Millis(tx.Now())
	if after.State, after.Reason, after.Code = again.instead(to, reason, m.Code); again == nil || after.State == to {
		after.Code = m.Code
		return after, tx.One(sqlEnd, m.ID, string(to), reason, now)
	}
	return after, tx.One(sqlBack, m.ID, string(after.State), after.Reason, after.Code, 0, now, string(Queued), m.Attempt)
}

// refusedLate notes that Meta surely did not take the second copy of a message
// that a status of the first has moved on meanwhile.
func (r *Resend) refusedLate(tx *store.Tx, m *Message, res Result) error {
	if err := r.refused(tx, res); err != nil {
		return err
	}
	was := m.State
	r.derive(m)
	return tx.One(sqlBack, m.ID, string(m.State), m.Reason, m.Code, m.FailedAt, store.Millis(tx.Now()), string(was), m.Attempt)
}
