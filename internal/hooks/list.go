package hooks

import (
	"errors"
	"time"

	"janela/internal/store"
)

// Delivery is one payload on its way to one target, for people. What is in it is
// not shown.
type Delivery struct {
	ID        int64
	WebhookID string // what the receiver knows it by
	Target    string
	Type      string // of the event; Meta's field, of a callback
	State     string // waiting, queued, sending, dead
	Attempt   int    // requests made so far
	Failure   string // what became of the last one, in words; "" before
	CreatedAt time.Time
	NextAt    time.Time // when it is due, queued ones only
	Deadline  time.Time
	EndedAt   time.Time // when it was given up, dead ones only
}

type listed struct {
	id, payload, created, notBefore, deadline, ended int64
	attempt                                          int
	target, kind, state, failure                     string
}

// Fields names the places of listedColumns.
func (l *listed) Fields() []any {
	return []any{&l.id, &l.payload, &l.target, &l.kind, &l.state, &l.attempt, &l.failure, &l.created, &l.notBefore, &l.deadline, &l.ended}
}

const listedColumns = `d.id, d.payload_id, d.target, p.type, d.state, d.attempt, d.failure, d.created_at, d.not_before, d.deadline, d.ended_at`

var (
	sqlListOpen = store.SQL(`SELECT ` + listedColumns + ` FROM hook_deliveries d JOIN hook_payloads p ON p.id = d.payload_id
		WHERE d.target = ?1 AND d.state <> 'dead' ORDER BY d.deadline, d.id LIMIT ?2`)
	sqlListDead = store.SQL(`SELECT ` + listedColumns + ` FROM hook_deliveries d JOIN hook_payloads p ON p.id = d.payload_id
		WHERE d.target = ?1 AND d.state = 'dead' ORDER BY d.ended_at, d.id LIMIT ?2`)
)

// List returns at most limit deliveries of a target, the oldest first: those that
// were given up, or those that have not arrived yet. What has arrived leaves no
// row.
func (h *Hooks) List(q store.Querier, target string, dead bool, limit int) ([]Delivery, error) {
	s := sqlListOpen
	if dead {
		s = sqlListDead
	}
	rows, err := store.All[listed](q, s, target, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Delivery, len(rows))
	for i, r := range rows {
		out[i] = Delivery{ID: r.id, WebhookID: h.webhookID(r.payload), Target: r.target, Type: r.kind, State: r.state, Attempt: r.attempt, Failure: r.failure,
			CreatedAt: store.Time(r.created), Deadline: store.Time(r.deadline), EndedAt: store.Time(r.ended)}
		if r.state == "queued" {
			out[i].NextAt = store.Time(r.notBefore)
		}
	}
	return out, nil
}

// ErrUnknown says that there is no target, or no delivery, of that name.
var ErrUnknown = errors.New("hooks: there is no such target or delivery")

var (
	sqlRetryDead = store.SQL(`UPDATE hook_deliveries SET state = 'queued', key = '', failing_since = 0, not_before = ?2, deadline = ?3,
		ended_at = 0 WHERE id = ?1 AND state = 'dead'`)
	sqlRetryOpen = store.SQL(`UPDATE hook_deliveries SET failing_since = 0, not_before = ?2 WHERE id = ?1 AND state = 'queued'`)
	sqlRetried   = store.SQL(`UPDATE hook_targets SET retried_at = CASE WHEN retried_at < ?2 THEN ?2 ELSE retried_at + 1 END,
		waiting = waiting + ?3, dead = dead - ?3 WHERE name = ?1`)
	sqlOne  = store.SQL(`SELECT ` + deliveryColumns + ` FROM hook_deliveries WHERE id = ?1`)
	sqlDead = store.SQL(`SELECT ` + deliveryColumns + ` FROM hook_deliveries WHERE target = ?1 AND state = 'dead' AND ended_at <= ?2
		ORDER BY ended_at, id LIMIT ?3`)
)

// Retry sends one delivery again now, whether it waits for its next request or
// was given up. A dead one gets a new life of MaxAge, outside of any order. A
// paused target stays paused.
func (h *Hooks) Retry(tx *store.Tx, id int64) error {
	all, err := store.All[delivery](tx, sqlOne, id)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return ErrUnknown
	}
	r := &all[0]
	if r.state == "dead" {
		return h.revive(tx, r.target, all)
	}
	if _, err := tx.Exec(sqlRetryOpen, id, store.Millis(tx.Now())); err != nil { // waiting: its turn comes; sending: it is
		return err
	}
	return h.tryNow(tx, r.target, 0)
}

// RetryTarget makes a target be tried at once, and gives its dead deliveries, the
// oldest first and at most 200, a new life. It returns how many; call it again
// until that is 0.
func (h *Hooks) RetryTarget(tx *store.Tx, target string) (int, error) {
	dead, err := store.All[delivery](tx, sqlDead, target, store.Millis(tx.Now()), batch)
	if err != nil {
		return 0, err
	}
	return len(dead), h.revive(tx, target, dead)
}

func (h *Hooks) revive(tx *store.Tx, target string, dead []delivery) error {
	age := Target{}
	if w := h.worker(target); w != nil {
		age = *w.target()
	}
	age.fill()
	for i := range dead {
		if err := tx.One(sqlRetryDead, dead[i].id, store.Millis(tx.Now()), store.Millis(tx.Now().Add(age.MaxAge))); err != nil {
			return err
		}
	}
	return h.tryNow(tx, target, len(dead))
}

// tryNow ends a target's back-off and counts the deliveries that came back.
func (h *Hooks) tryNow(tx *store.Tx, target string, revived int) error {
	n, err := tx.Exec(sqlRetried, target, store.Millis(tx.Now()), revived)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrUnknown
	}
	tx.Wake(topicOf(target))
	return nil
}

var (
	sqlPause  = store.SQL(`UPDATE hook_targets SET state = 'paused', reason = 'operator', actor = ?2, since = ?3 WHERE name = ?1 AND state = 'active'`)
	sqlResume = store.SQL(`UPDATE hook_targets SET state = 'active', reason = '', actor = ?2, since = ?3 WHERE name = ?1 AND state = 'paused'`)
)

// Pause sends a target nothing more until Resume; what comes waits. changed is
// false when it was paused already.
func (h *Hooks) Pause(tx *store.Tx, target, actor string) (changed bool, err error) {
	_, known, err := store.Get[targetRow](tx, sqlTarget, target)
	if err != nil {
		return false, err
	}
	if !known {
		return false, ErrUnknown
	}
	n, err := tx.Exec(sqlPause, target, actor, store.Millis(tx.Now()))
	return n > 0, err
}

// Resume ends a pause, whoever set it, and tries the target at once. changed is
// false when there was none.
func (h *Hooks) Resume(tx *store.Tx, target, actor string) (changed bool, err error) {
	n, err := tx.Exec(sqlResume, target, actor, store.Millis(tx.Now()))
	if err != nil {
		return false, err
	}
	return n > 0, h.tryNow(tx, target, 0)
}

// Report is how a target stands.
type Report struct {
	Name      string
	Address   string // its host; "" of one that is no longer configured
	Mode      Mode   // likewise
	Paused    bool
	Reason    string // gone or operator, while paused
	Actor     string // who paused or resumed it
	Since     time.Time
	Waiting   int64         // deliveries that have not arrived yet
	Oldest    time.Duration // the age of the oldest of them; 0: there is none
	Dead      int64         // given up and still kept
	Bytes     int64         // what they take on disk, roughly
	Dropped   int64         // deliveries not taken, ever: the queue was full
	DroppedAt time.Time     // the last time
	Delivered int64         // since the start of the process
	Failed    int64         // likewise: requests that did not arrive
	Died      int64         // likewise: deliveries that were given up
}

type reportRow struct {
	name, state, reason, actor                      string
	since, waiting, dead, bytes, dropped, droppedAt int64
}

// Fields names the places of sqlReport.
func (r *reportRow) Fields() []any {
	return []any{&r.name, &r.state, &r.reason, &r.actor, &r.since, &r.waiting, &r.dead, &r.bytes, &r.dropped, &r.droppedAt}
}

var (
	sqlReport = store.SQL(`SELECT name, state, reason, actor, since, waiting, dead, bytes, dropped, dropped_at FROM hook_targets ORDER BY name`)
	sqlOldest = store.SQL(`SELECT created_at FROM hook_deliveries WHERE target = ?1 AND state <> 'dead' ORDER BY deadline, id LIMIT 1`)
)

// Reports tells how every target stands that has a row: those configured, and
// those of before.
func (h *Hooks) Reports(q store.Querier) ([]Report, error) {
	if h == nil {
		return nil, nil
	}
	rows, err := store.All[reportRow](q, sqlReport)
	if err != nil {
		return nil, err
	}
	out := make([]Report, len(rows))
	for i, r := range rows {
		out[i] = Report{Name: r.name, Paused: r.state == "paused", Reason: r.reason, Actor: r.actor, Since: store.Time(r.since), Waiting: r.waiting,
			Dead: r.dead, Bytes: r.bytes, Dropped: r.dropped, DroppedAt: store.Time(r.droppedAt)}
		if w := h.worker(r.name); w != nil {
			out[i].Address, out[i].Mode = w.target().host(), w.target().Mode
			if w.target().Mode == Stream {
				out[i].Address = ""
			}
			out[i].Delivered, out[i].Failed, out[i].Died = w.stats.delivered.Load(), w.stats.failed.Load(), w.stats.dead.Load()
		}
		created, ok, err := store.Value[int64](q, sqlOldest, r.name)
		if err != nil {
			return nil, err
		}
		if ok && out[i].Mode != Stream { // nothing of a stream is late
			out[i].Oldest = q.Now().Sub(store.Time(created))
		}
	}
	return out, nil
}
