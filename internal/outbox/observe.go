package outbox

import (
	"slices"
	"strings"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Observation is one status that Meta reported.
type Observation struct {
	Message  int64 // from our callback id; 0 when the status carried none of ours
	Attempt  int
	Wamid    whatsapp.Wamid
	People   []int64 // whom it may have gone to, any contact of each: among their messages the wamid is looked for
	Status   string  // sent, delivered, read, failed; others change nothing
	At       time.Time
	InWindow bool   // At lay in a service window; Observing asks by itself
	Reason   string // of failed: what the error table calls it
	Code     int
}

var (
	// The columns of a message that statuses look at, and no more.
	sqlObserved = store.SQL(`SELECT ` + observedColumns + ` FROM messages WHERE id = ?1`)
	// sqlObservedMany is sqlObserved for several.
	sqlObservedMany = store.SQLMany(`WITH r(id) AS (VALUES {rows}) SELECT `+"m."+strings.ReplaceAll(observedColumns, ", ", ", m.")+` FROM r CROSS JOIN messages m WHERE m.id = r.id`,
		`(CAST(?r1 AS BIGINT))`)
	sqlObserve = store.SQL(`UPDATE messages SET state = ?2, sent_at = ?3, delivered_at = ?4, read_at = ?5, failed_at = ?6,
		reason = ?7, code = ?8, in_window = CASE WHEN CAST(?11 AS INTEGER) = 1 THEN ?9 ELSE in_window END,
		ended_at = CASE WHEN ended_at = 0 THEN ?10 ELSE ended_at END WHERE id = ?1`)
	sqlName = store.SQL(`UPDATE messages SET wamid = ?2 WHERE id = ?1`)
)

const observedColumns = `id, stream_id, run_id, contact_id, address, kind, state, reason, code, attempt, deadline, claimed_at, accepted_at, sent_at, delivered_at, read_at, failed_at, held, wamid`

// observed is a message to which statuses come.
type observed struct {
	Message        // as it is with all of them; without parameters and what else statuses do not ask
	stored  string // the wamid that stands in the table
	changed bool
	past    bool      // it stands in past_messages, until something changes
	dated   bool      // its instant is that of one of the statuses
	on      time.Time // where dated: that instant
	inside  bool      // where dated: it lay in a service window
}

// Fields names the places of observedColumns.
func (o *observed) Fields() []any {
	m := &o.Message
	return []any{&m.ID, &m.Stream, &m.Run, &m.Contact, &m.Address, &m.Kind, &m.State, &m.Reason, &m.Code, &m.Attempt,
		&m.Deadline, &m.ClaimedAt, &m.AcceptedAt, &m.SentAt, &m.DeliveredAt, &m.ReadAt, &m.FailedAt, &m.Held, &m.Wamid}
}

// Observing applies the statuses of one transaction together: each message is
// read and written once, each tally written once. Nothing of it stands in the
// tables before Write: call it before anything else that reads or changes
// messages.
type Observing struct {
	tx       *store.Tx
	inWindow func([]Instant) ([]bool, error)
	c        *changes
	rows     map[int64]*observed
	order    []*observed
	marks    map[string]int64 // by number: when the latest message was claimed of which a status came
}

// Instant is when a message went to a person from a number.
type Instant struct {
	Number  string
	Contact int64
	At      time.Time
}

// NewObserving begins. inWindow says of each instant whether it lay in the
// person's service window on the number.
func NewObserving(tx *store.Tx, inWindow func([]Instant) ([]bool, error)) *Observing {
	return &Observing{tx: tx, inWindow: inWindow, c: begin(tx), rows: map[int64]*observed{}, marks: map[string]int64{}}
}

// Load reads messages that statuses are about to be applied to, several at once. One
// that it does not find is read when it is asked for.
func (b *Observing) Load(messages []int64) error {
	fresh := make([]int64, 0, len(messages))
	for _, id := range messages {
		if _, ok := b.rows[id]; !ok {
			b.rows[id] = nil // asked for
			fresh = append(fresh, id)
		}
	}
	err := store.EachMany(b.tx, sqlObservedMany, len(fresh), func(i int, args []any) []any { return append(args, fresh[i]) },
		func(o *observed) error { row := *o; b.keep(&row); return nil })
	for _, id := range fresh {
		if b.rows[id] == nil {
			delete(b.rows, id)
		}
	}
	return err
}

// Forget lets go of what was read, and not changed: call it when something else may
// have changed messages.
func (b *Observing) Forget() {
	b.order = slices.DeleteFunc(b.order, func(o *observed) bool {
		if !o.changed {
			delete(b.rows, o.ID)
		}
		return !o.changed
	})
}

func (b *Observing) keep(row *observed) {
	row.stored = string(row.Wamid)
	b.rows[row.ID] = row
	b.order = append(b.order, row)
}

// Find returns the message that a status means, with what was observed so far,
// and its stream. found is false when no message of ours is meant. The message
// is without parameters, line and external id.
func (b *Observing) Find(o Observation) (m Message, s Stream, found bool, err error) {
	row, found, err := b.row(o)
	if err != nil || !found {
		return m, s, false, err
	}
	s, err = b.c.stream(row.Stream)
	return row.Message, s, true, err
}

func (b *Observing) row(o Observation) (*observed, bool, error) {
	id := o.Message
	if id == 0 && o.Wamid != "" {
		if row, ok := b.named(o.Wamid); ok {
			return row, true, nil
		}
		var err error
		if id, _, err = idByWamid(b.tx, o.Wamid, o.People); err != nil {
			return nil, false, err
		}
	}
	if row, ok := b.rows[id]; ok || id == 0 {
		return row, ok, nil
	}
	got, ok, err := store.Get[observed](b.tx, sqlObserved, id)
	if err == nil && !ok {
		got, ok, err = store.Get[observed](b.tx, sqlPastObserved, id)
		got.past = true
	}
	if err != nil || !ok {
		return nil, false, err
	}
	b.keep(&got)
	return &got, true, nil
}

// named finds a message that got its wamid from a status of this batch.
func (b *Observing) named(w whatsapp.Wamid) (*observed, bool) {
	for _, row := range b.order {
		if row.Wamid == w && row.stored == "" {
			return row, true
		}
	}
	return nil, false
}

// Observe applies a status. Facts are kept as times (of several of one kind the
// earliest), and the state follows from them: twice, late and out of order give
// the same row. A status for an unknown message adopts its wamid and settles
// what became of it. changed says whether the state is another one now, or the
// instant that the conversation ledger knows.
func (b *Observing) Observe(o Observation) (changed, found bool, err error) {
	row, found, err := b.row(o)
	if err != nil || !found {
		return false, false, err
	}
	before := row.Message
	if o.Message > 0 && o.Attempt > before.Attempt && !b.tx.Older(before.ID) {
		return false, true, nil // no such attempt was made, nor forgotten with a restored backup: not ours to believe
	}
	again, err := resent(b.tx, &before)
	if err != nil {
		return false, true, err
	}
	after := before
	at := store.Millis(o.At)
	switch o.Status {
	case "sent":
		after.SentAt = earliest(after.SentAt, at)
	case "delivered":
		after.DeliveredAt = earliest(after.DeliveredAt, at)
	case "read", "played":
		after.ReadAt = earliest(after.ReadAt, at)
	case "failed":
		after.FailedAt = earliest(after.FailedAt, at)
	default:
		return false, true, nil
	}
	if again != nil {
		if !again.hear(o, at) {
			return false, true, nil
		}
		if err := again.save(b.tx); err != nil {
			return false, true, err
		}
	}
	after.name(o.Wamid)
	after.follow(&before, again, o)
	// Whether the message fell in a service window is asked at its own instant,
	// not at that of every status.
	if after.at() == at {
		row.dated, row.on = true, o.At
	}
	if o.Attempt == before.Attempt {
		s, err := b.c.stream(after.Stream)
		if err != nil {
			return false, true, err
		}
		b.marks[s.Number] = max(b.marks[s.Number], before.ClaimedAt)
	}
	told := len(b.c.out)
	if err := b.c.moved(&before, &after); err != nil {
		return false, true, err
	}
	row.changed = row.changed || !row.past || after != before // one that is past comes back for news alone
	row.Message = after
	return len(b.c.out) > told, true, nil
}

// Write writes what was observed since the last time, and returns the outcomes.
// Afterwards it may go on.
func (b *Observing) Write() ([]Outcome, error) {
	now := store.Millis(b.tx.Now())
	if err := b.askWindows(); err != nil {
		return nil, err
	}
	for _, m := range b.order {
		if !m.changed {
			continue
		}
		if m.past {
			if err := takeBack(b.tx, m.ID); err != nil {
				return nil, err
			}
		}
		err := b.tx.One(sqlObserve, m.ID, string(m.State), m.SentAt, m.DeliveredAt, m.ReadAt, m.FailedAt, m.Reason, m.Code, m.inside, now, m.dated)
		if err == nil && string(m.Wamid) != m.stored {
			err = b.tx.One(sqlName, m.ID, string(m.Wamid))
		}
		if err != nil {
			return nil, err
		}
	}
	if err := mark(b.tx, b.marks); err != nil {
		return nil, err
	}
	clear(b.marks)
	out, err := b.c.end()
	clear(b.rows)
	b.order, b.c.out = b.order[:0], nil
	clear(b.c.counts)
	return out, err
}

// askWindows asks which of the messages that have another instant now lay in a
// service window.
func (b *Observing) askWindows() error {
	var rows []*observed
	var asked []Instant
	for _, m := range b.order {
		if !m.changed || !m.dated {
			continue
		}
		s, err := b.c.stream(m.Stream)
		if err != nil {
			return err
		}
		rows, asked = append(rows, m), append(asked, Instant{s.Number, m.Contact, m.on})
	}
	if len(asked) == 0 {
		return nil
	}
	inside, err := b.inWindow(asked)
	for i := range inside {
		rows[i].inside = inside[i]
	}
	return err
}

// Observe applies one status; InWindow of it says whether At lay in a service
// window.
func Observe(tx *store.Tx, o Observation) (out []Outcome, found bool, err error) {
	b := NewObserving(tx, func([]Instant) ([]bool, error) { return []bool{o.InWindow}, nil })
	if _, found, err = b.Observe(o); err != nil || !found {
		return nil, found, err
	}
	out, err = b.Write()
	return out, true, err
}

// Foreign is a message that somebody else sent from one of our numbers.
type Foreign struct {
	Wamid    whatsapp.Wamid
	Number   string
	Contact  int64
	Category whatsapp.Category // "" opens no conversation
	Status   string
	At       time.Time
	InWindow bool
}

// ForeignMessage is a row of foreign_messages, as far as statuses change it.
type foreignRow struct {
	Contact                       int64
	Category                      string
	Sent, Delivered, Read, Failed int64
}

// Fields names the places of sqlForeign.
func (f *foreignRow) Fields() []any {
	return []any{&f.Contact, &f.Category, &f.Sent, &f.Delivered, &f.Read, &f.Failed}
}

var (
	sqlForeign    = store.SQL(`SELECT contact_id, category, sent_at, delivered_at, read_at, failed_at FROM foreign_messages WHERE wamid = ?1`)
	sqlPutForeign = store.SQL(`INSERT INTO foreign_messages (wamid, number_id, contact_id, category, seen_at, sent_at, delivered_at, read_at, failed_at, in_window)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
		ON CONFLICT (wamid) DO UPDATE SET category = excluded.category, sent_at = excluded.sent_at, delivered_at = excluded.delivered_at,
			read_at = excluded.read_at, failed_at = excluded.failed_at,
			in_window = CASE WHEN CAST(?11 AS INTEGER) = 1 THEN excluded.in_window ELSE foreign_messages.in_window END`)
)

var sqlForeignContact = store.SQL(`SELECT contact_id FROM foreign_messages WHERE wamid = ?1`)

// ForeignContact returns to whom a foreign message went, by what was heard of it
// before.
func ForeignContact(q store.Querier, w whatsapp.Wamid) (contact int64, ok bool, err error) {
	return store.Value[int64](q, sqlForeignContact, string(w))
}

// ObserveForeign records a status of a message that is not ours, and returns
// the earliest instant at which the conversation ledger may differ now.
func ObserveForeign(tx *store.Tx, f Foreign) (since time.Time, err error) {
	row, _, err := store.Get[foreignRow](tx, sqlForeign, string(f.Wamid))
	if err != nil {
		return since, err
	}
	at := store.Millis(f.At)
	switch f.Status {
	case "sent":
		row.Sent = earliest(row.Sent, at)
	case "delivered":
		row.Delivered = earliest(row.Delivered, at)
	case "read", "played":
		row.Read = earliest(row.Read, at)
	case "failed":
		row.Failed = earliest(row.Failed, at)
	default:
		return since, nil
	}
	if f.Category != "" {
		row.Category = string(f.Category)
	}
	first := at
	for _, t := range []int64{row.Sent, row.Delivered, row.Read} {
		first = earliest(first, t)
	}
	own := (&Message{SentAt: row.Sent, DeliveredAt: row.Delivered, ReadAt: row.Read}).at()
	_, err = tx.Exec(sqlPutForeign, string(f.Wamid), f.Number, f.Contact, row.Category, store.Millis(tx.Now()),
		row.Sent, row.Delivered, row.Read, row.Failed, f.InWindow, own == at)
	return store.Time(first), err
}
