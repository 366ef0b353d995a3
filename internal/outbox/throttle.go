package outbox

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"janela/internal/store"
)

// Throttle is how fast a stream may send, beside what it may in a second for
// ever.
type Throttle struct {
	PerDay      int64   `json:"per_day,omitempty"`         // messages of the campaign on a local day; 0: no limit
	Zone        string  `json:"zone,omitempty"`            // whose days
	RampStart   float64 `json:"ramp_start,omitempty"`      // messages a second in the beginning; 0: no ramp
	DoubleEvery int64   `json:"double_every_ms,omitempty"` // how long until it may send twice as many
}

// Value stores the throttle as JSON, "" for none.
func (t Throttle) Value() (driver.Value, error) {
	if t == (Throttle{}) {
		return "", nil
	}
	b, err := json.Marshal(t)
	return string(b), err
}

// Scan reads what Value wrote.
func (t *Throttle) Scan(v any) error {
	*t = Throttle{}
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("outbox: a throttle is stored as text, not %T", v)
	}
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), t)
}

// Ramp is how many messages a second a ramp allows so long after its first
// message; 0: no limit, also when it has grown beyond what any number may.
func (t Throttle) Ramp(since time.Duration) float64 {
	if t.RampStart <= 0 || t.DoubleEvery <= 0 {
		return 0
	}
	rate := t.RampStart
	for d := max(since, 0).Milliseconds(); d >= t.DoubleEvery; d -= t.DoubleEvery {
		if rate *= 2; rate > noNumber {
			return 0
		}
	}
	return rate
}

// noNumber is more than a number ever sends in a second.
const noNumber = 1e5

// Day names the local day of an instant.
func (t Throttle) Day(at time.Time) string { return at.In(zone(t.Zone)).Format("2006-01-02") }

// NextDay is the first instant of the local day after an instant's.
func (t Throttle) NextDay(at time.Time) time.Time {
	local := at.In(zone(t.Zone))
	next := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, local.Location())
	if next.Day() == local.Day() { // midnight does not exist, and this is before the gap
		_, next = next.ZoneBounds()
	}
	return next
}

// Rate is how many messages a second the stream may send at an instant; 0: as
// many as its number.
func (s *Stream) Rate(now time.Time) float64 {
	ramp := s.Throttle.Ramp(0)
	if s.FirstAt > 0 {
		ramp = s.Throttle.Ramp(now.Sub(store.Time(s.FirstAt)))
	}
	switch {
	case ramp == 0:
		return s.PerSecond
	case s.PerSecond > 0:
		return min(ramp, s.PerSecond)
	default:
		return ramp
	}
}

var (
	sqlDays = store.SQL(`SELECT n FROM campaign_days WHERE campaign_id = ?1 AND day = ?2`)
	sqlDay  = store.SQL(`INSERT INTO campaign_days (campaign_id, day, n) VALUES (?1, ?2, ?3)
		ON CONFLICT (campaign_id, day) DO UPDATE SET n = campaign_days.n + excluded.n`)
	sqlFirst = store.SQL(`UPDATE streams SET first_at = ?2 WHERE id = ?1 AND first_at = 0`)
)

// SentToday is how many messages of the stream's campaign left, or may have left,
// on the local day of Now; counted only where the stream has a limit per day.
func SentToday(q store.Querier, s Stream) (int64, error) {
	n, _, err := store.Value[int64](q, sqlDays, s.Campaign, s.Throttle.Day(q.Now()))
	return n, err
}

// claimed notes that messages of a stream leave.
func (s *Stream) claimed(tx *store.Tx, n int) error {
	if n == 0 {
		return nil
	}
	if s.Throttle.RampStart > 0 && s.FirstAt == 0 {
		if _, err := tx.Exec(sqlFirst, s.ID, store.Millis(tx.Now())); err != nil {
			return err
		}
	}
	if s.Throttle.PerDay == 0 {
		return nil
	}
	return tx.One(sqlDay, s.Campaign, s.Throttle.Day(tx.Now()), n)
}

// returned notes that a message that was claimed surely did not leave.
func (s *Stream) returned(tx *store.Tx, before, after *Message) error {
	if s.Throttle.PerDay == 0 || before.State != Sending {
		return nil
	}
	switch after.State {
	case Queued, Failed, Expired:
		return tx.One(sqlDay, s.Campaign, s.Throttle.Day(store.Time(before.ClaimedAt)), -1)
	default:
		return nil
	}
}
