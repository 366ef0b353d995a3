package otp

import (
	"cmp"
	"context"
	"math"
	"time"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// A decoy is a challenge for a number that its caller does not want to write to,
// and that nobody outside can tell from a real one: same limits, same charges,
// same answers, and a delivery that goes on as real ones do. It has no message,
// so nothing can leave; no code is right for it.

// nobody stands in the derivation of a decoy's code for the number that it has
// not: a guess costs the same work, and is wrong whatever comes out.
const nobody whatsapp.Phone = "+0"

// decoy is a row of code_decoys: the delivery of a message that never was.
type decoy struct {
	Message                           int64 // negative: there is no such message
	CreatedAt, ClaimedAt              int64 // ms, as what follows; 0: it does not come to this
	AcceptedAt                        int64
	SentAt, DeliveredAt, ReadAt       int64 // as Meta would say it: whole seconds
	SentSeen, DeliveredSeen, ReadSeen int64 // when its callback would have come
}

// Fields names the places of sqlDecoy.
func (d *decoy) Fields() []any {
	return []any{&d.Message, &d.CreatedAt, &d.ClaimedAt, &d.AcceptedAt, &d.SentAt, &d.DeliveredAt, &d.ReadAt, &d.SentSeen, &d.DeliveredSeen, &d.ReadSeen}
}

const decoyColumns = `message_id, created_at, claimed_at, accepted_at, sent_at, delivered_at, read_at, sent_seen, delivered_seen, read_seen`

var (
	sqlDecoy    = store.SQL(`SELECT ` + decoyColumns + ` FROM code_decoys WHERE message_id = ?1`)
	sqlPutDecoy = store.SQL(`INSERT INTO code_decoys (` + decoyColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`)
	// How many there were, to be taken off what was sent: nobody could verify them.
	sqlCountDecoy = store.SQL(`INSERT INTO code_counts (scope, bucket, sent) VALUES (?1, ?2, ?3)
		ON CONFLICT (scope, bucket) DO UPDATE SET sent = code_counts.sent + excluded.sent`)
	sqlSweepDecoys = store.SQL(`DELETE FROM code_decoys WHERE message_id IN (SELECT message_id FROM code_decoys WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)`)

	sqlCourses = store.SQL(`SELECT m.created_at, m.claimed_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at FROM code_sends s JOIN messages m ON m.id = s.message_id
		WHERE s.at > ?1 AND s.at <= ?2 AND s.again = 0 AND m.accepted_at > 0 AND m.failed_at = 0 ORDER BY s.at DESC LIMIT ?3`)
)

// message returns a challenge's latest message; of a decoy what would be its row
// by now. ok is false where none was made.
func (ch *challenge) message(q store.Querier) (m outbox.Message, ok bool, err error) {
	m, _, ok, err = ch.latest(q)
	return m, ok, err
}

// latest is message with the next instant at which it changes by time alone,
// zero where none is known.
func (ch *challenge) latest(q store.Querier) (m outbox.Message, next time.Time, ok bool, err error) {
	switch {
	case ch.Message > 0:
		m, ok, err = outbox.ByID(q, ch.Message)
		return m, time.Time{}, ok, err
	case ch.Message < 0:
		d, ok, err := store.Get[decoy](q, sqlDecoy, ch.Message)
		if err != nil || !ok {
			return m, time.Time{}, false, err
		}
		if ch.EndedAt > 0 && ch.EndedAt < d.ClaimedAt { // it would still have been queued then, and was cancelled
			return outbox.Message{ID: d.Message, State: outbox.Cancelled, CreatedAt: d.CreatedAt}, next, true, nil
		}
		m, next = d.at(store.Millis(q.Now()))
		return m, next, true, nil
	default:
		return m, time.Time{}, false, nil
	}
}

// at is the row that its message would be at an instant (ms).
func (d *decoy) at(now int64) (m outbox.Message, next time.Time) {
	m = outbox.Message{ID: d.Message, State: outbox.Queued, CreatedAt: d.CreatedAt}
	for _, s := range []struct {
		state    outbox.State
		at, seen int64
		into     *int64
	}{
		{outbox.Accepted, d.AcceptedAt, d.AcceptedAt, &m.AcceptedAt},
		{outbox.Sent, d.SentAt, d.SentSeen, &m.SentAt},
		{outbox.Delivered, d.DeliveredAt, d.DeliveredSeen, &m.DeliveredAt},
		{outbox.Read, d.ReadAt, d.ReadSeen, &m.ReadAt},
	} {
		switch {
		case s.at == 0:
		case s.seen > now:
			return m, store.Time(s.seen)
		default:
			m.State, *s.into = s.state, s.at
		}
	}
	return m, time.Time{}
}

// sendNothing is send for a decoy: as many statements, all the charges, and
// nothing in the outbox.
func (o *OTP) sendNothing(tx *store.Tx, ch *challenge, ask sendAsk, s outbox.Stream) (outbox.Message, error) {
	if _, err := outbox.OpenStream(tx, s); err != nil {
		return outbox.Message{}, err
	}
	ch.Message = -tx.NewID()
	d := o.course(store.Millis(tx.Now()))
	d.Message = ch.Message
	if err := tx.One(sqlPutDecoy, d.Message, d.CreatedAt, d.ClaimedAt, d.AcceptedAt, d.SentAt, d.DeliveredAt, d.ReadAt, d.SentSeen, d.DeliveredSeen, d.ReadSeen); err != nil {
		return outbox.Message{}, err
	}
	if err := countDecoy(tx, ch.Country, d.CreatedAt, 1); err != nil {
		return outbox.Message{}, err
	}
	if err := o.recordSend(tx, ask, sendRow{message: ch.Message, challenge: ch.ID, gen: ch.Gen}); err != nil {
		return outbox.Message{}, err
	}
	m, _ := d.at(d.CreatedAt)
	return m, nil
}

// agreeing are the facts of a person, as the gate sees them: a decoy answers as
// somebody who agreed to codes.
func (ch *challenge) agreeing(f gate.MessageFacts) gate.MessageFacts {
	if ch.Decoy {
		f.Consent = gate.Consent{GrantedAt: 1}
	}
	return f
}

// hookTakes is how long (ms) the fallback's receiver would take to answer.
func hookTakes(random float64) int64 { return 50 + int64(400*random) }

// withdraw is drop for a decoy: a message that were still queued would be
// cancelled, and given back to the limits.
func (o *OTP) withdraw(tx *store.Tx, ch *challenge) error {
	d, ok, err := store.Get[decoy](tx, sqlDecoy, ch.Message)
	if err != nil || !ok || d.ClaimedAt <= store.Millis(tx.Now()) {
		return err
	}
	if err := countDecoy(tx, ch.Country, d.CreatedAt, -1); err != nil {
		return err
	}
	return o.refund(tx, ch.Message)
}

// countDecoy counts one by ten minutes and by hours: as many statements as the
// outbox counts a message with.
func countDecoy(tx *store.Tx, country string, at, n int64) error {
	if _, err := tx.Exec(sqlCountDecoy, scopeDecoy(country), bucketOf(at), n); err != nil {
		return err
	}
	_, err := tx.Exec(sqlCountDecoy, "hour:"+scopeDecoy(country), hourBucket(bucketOf(at)), n)
	return err
}

func scopeDecoy(country string) string { return "decoy:" + country }

// course is how the delivery of one message went. Times are ms after it was
// queued, 0 for what did not happen; phase is where in its second it was queued.
type course struct {
	phase                                    int64
	claimed, accepted, sent, delivered, read int64
}

// Fields names the places of sqlCourses; relative makes a course of them.
func (c *course) Fields() []any {
	return []any{&c.phase, &c.claimed, &c.accepted, &c.sent, &c.delivered, &c.read}
}

func (c *course) relative() {
	created := c.phase
	for _, at := range []*int64{&c.claimed, &c.accepted, &c.sent, &c.delivered, &c.read} {
		if *at > 0 {
			*at = cmp.Or(*at-created, 1)
		}
	}
	c.phase = created % 1000
}

const (
	coursesKept  = 200             // the newest messages of a day, which decoys imitate
	coursesLeast = 20              // fewer say nothing yet
	courseAge    = 2 * time.Minute // younger ones have not come to their end
	courseTries  = 8
)

// learn remembers how the latest messages went. Run calls it, so that a decoy
// reads no more than a real request.
func (o *OTP) learn(ctx context.Context) error {
	return o.deps.DB.Read(ctx, func(q *store.Snap) error {
		now := q.Now()
		list, err := store.All[course](q, sqlCourses, store.Millis(now.Add(-day)), store.Millis(now.Add(-courseAge)), coursesKept)
		if err != nil {
			return err
		}
		for i := range list {
			list[i].relative()
		}
		if len(list) < coursesLeast {
			list = nil
		}
		o.courses.Store(&list)
		return nil
	})
}

// course draws the delivery of a decoy that is queued now (ms): as that of a
// real message went, or, where nothing is known, as they usually go. Meta's
// times are whole seconds, so one is taken that was queued at about the same
// part of a second.
func (o *OTP) course(now int64) decoy {
	c := o.usual()
	if list := o.courses.Load(); list != nil && len(*list) > 0 {
		apart := int64(math.MaxInt64)
		for range courseTries {
			one := (*list)[min(int(o.random()*float64(len(*list))), len(*list)-1)]
			by := (one.phase - now%1000 + 1000) % 1000
			if by = min(by, 1000-by); by < apart {
				apart, c = by, one
			}
		}
	}
	d := decoy{CreatedAt: now, ClaimedAt: now + max(c.claimed, 1), AcceptedAt: now + max(c.accepted, 1)}
	seen := d.AcceptedAt
	for _, s := range []struct {
		after    int64
		at, seen *int64
	}{{c.sent, &d.SentAt, &d.SentSeen}, {c.delivered, &d.DeliveredAt, &d.DeliveredSeen}, {c.read, &d.ReadAt, &d.ReadSeen}} {
		if s.after == 0 {
			continue
		}
		*s.at = (now + s.after + 500) / 1000 * 1000
		// The rest of that second, and the callback's way to us.
		seen = max(seen, *s.at+int64(1000*o.random())+200+int64(600*o.random()))
		*s.seen = seen
	}
	return d
}

// usual is how messages go of which none was measured: half are delivered within
// two and a half seconds, a few not at all while a code lives.
func (o *OTP) usual() course {
	spread := func(median, sigma float64) int64 { // log-normal, by Box and Muller
		z := math.Sqrt(-2*math.Log(1-o.random())) * math.Cos(2*math.Pi*o.random())
		return int64(1000 * median * math.Exp(sigma*z))
	}
	c := course{claimed: spread(0.005, 0.5), accepted: spread(0.3, 0.4)}
	c.sent = c.accepted + spread(0.6, 0.5)
	if o.random() > 0.04 {
		c.delivered = c.sent + spread(1.5, 0.8)
	}
	// What Meta says are whole seconds, cut off.
	c.sent = max(c.sent-int64(1000*o.random()), 1)
	if c.delivered > 0 {
		c.delivered = max(c.delivered-int64(1000*o.random()), c.sent)
	}
	return c
}
