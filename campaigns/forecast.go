package campaigns

import (
	"fmt"
	"strings"
	"time"

	"janela/internal/account"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Wait is why a run stands still, or lets only some of its messages leave.
type Wait struct {
	Reason string `json:"reason"`          // docs/reasons.md
	Detail string `json:"detail"`          // in words, with figures
	Until  string `json:"until,omitempty"` // when it ends by itself; "" when something must happen
}

// forecast is when a run is likely to be through, as reckoned at an instant.
type forecast struct {
	at, end time.Time
}

// forecastEvery is how long a forecast is good enough.
const forecastEvery = 30 * time.Second

// forecastSample is how many of the next messages say what part of them goes to
// people who do not count within the messaging limit yet.
const forecastSample = 200

var sqlNextPeople = store.SQL(`SELECT c.root FROM messages m CROSS JOIN contacts c WHERE m.stream_id = CAST(?1 AS BIGINT) AND m.state = 'queued'
	AND c.id = m.contact_id ORDER BY m.not_before, m.id LIMIT ?2`)

// look says of a run under way why it waits, and when it will be through.
func (c *Campaigns) look(q store.Querier, r RunRecord, s *RunStatus) error {
	left := s.Messages[string(outbox.Queued)] + max(r.Rows-r.done(), 0)
	if r.State != Expanding && r.State != SendingRun || r.Stream == 0 || left == 0 && s.Messages[string(outbox.AcceptedHeld)] == 0 {
		return nil
	}
	stream, ok, err := outbox.StreamByID(q, r.Stream)
	if err != nil || !ok {
		return err
	}
	holds, err := outbox.Holds(q)
	if err != nil {
		return err
	}
	facts, err := gate.FactsOfStream(q, stream, holds)
	if err != nil {
		return err
	}
	begin, known := q.Now(), true // when what stops all of it is over
	for _, v := range gate.DecideStream(facts, q.Now()) {
		s.Waits = append(s.Waits, Wait{string(v.Reason), v.Detail, stampTime(v.Until)})
		switch {
		case v.Reason == gate.OutsideWindow || v.Reason == gate.DayLimit: // the pace knows
		case v.Until.IsZero():
			known = false
		case v.Until.After(begin):
			begin = v.Until
		}
	}
	if n := s.Messages[string(outbox.AcceptedHeld)]; n > 0 {
		s.Waits = append(s.Waits, Wait{Reason: gate.ReasonQualityAssessment, Detail: fmt.Sprintf("Meta holds %d of its messages back for a quality assessment", n)})
	}
	if c.cfg.Limited != nil && left > 0 {
		if detail, until, full := c.cfg.Limited(q.Now(), stream.Category); full {
			s.Waits = append(s.Waits, Wait{reasonMessagingLimit, detail, stampTime(until)})
		}
	}
	if known && left > 0 {
		end, err := c.ends(q, r, stream, facts.Number, begin, left)
		if err != nil {
			return err
		}
		s.Finishes = stampTime(end)
	}
	return nil
}

// reasonMessagingLimit is the reason that dispatch gives as well.
const reasonMessagingLimit = "messaging_limit"

// ends returns when the last of so many messages of a run will leave, by the
// minute. Zero: nobody can say.
func (c *Campaigns) ends(q store.Querier, r RunRecord, s outbox.Stream, n account.Number, begin time.Time, left int64) (time.Time, error) {
	now := q.Now()
	c.mu.Lock()
	have, ok := c.forecasts[r.ID]
	c.mu.Unlock()
	if ok && now.Sub(have.at) < forecastEvery && !now.Before(have.at) {
		return have.end, nil
	}
	perSecond := rateShare * c.cfg.PerSecond(n)
	if s.PerSecond > 0 {
		perSecond = min(perSecond, s.PerSecond)
	}
	p := newPace(s.Windows, perSecond, begin)
	p.throttle = s.Throttle
	if s.FirstAt > 0 {
		p.first = store.Time(s.FirstAt)
	}
	if s.Throttle.PerDay > 0 {
		today, err := outbox.SentToday(q, s)
		if err != nil {
			return begin, err
		}
		p.days[s.Throttle.Day(now)] = today
	}
	part := 0.0
	if c.cfg.Tier != nil {
		t, err := c.cfg.Tier(q, s.Category)
		if err != nil {
			return begin, err
		}
		if p.tier = newSlots(t); p.tier != nil {
			people, err := store.All[store.Col[int64]](q, sqlNextPeople, s.ID, forecastSample)
			if err != nil {
				return begin, err
			}
			fresh := 0
			for _, who := range people {
				if t.Counts[who.V] == 0 {
					fresh++
				}
			}
			part = float64(fresh) / float64(max(len(people), 1))
		}
	}
	end := p.finishes(left, part)
	if !end.IsZero() {
		end = end.Add(time.Minute - 1).Truncate(time.Minute)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.forecasts) >= 1000 {
		clear(c.forecasts) // of runs that ended
	}
	c.forecasts[r.ID] = forecast{now, end}
	return end, nil
}

func stampTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// WaitWords says in a line why a run waits, and until when.
func WaitWords(all []Wait) string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = w.Detail
		if w.Until != "" {
			out[i] += ", until " + w.Until
		}
	}
	return strings.Join(out, "; ")
}
