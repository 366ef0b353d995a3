package outbox

import (
	"sort"

	"janela/internal/store"
)

var sqlTally = store.SQL(`INSERT INTO tallies (stream_id, state, reason, n) VALUES (?1, ?2, ?3, ?4)
	ON CONFLICT (stream_id, state, reason) DO UPDATE SET n = tallies.n + excluded.n`)

type tallyKey struct {
	stream int64
	state  State
	reason string
}

// countKey is what messages are counted by while a verb goes on.
type countKey struct {
	tallyKey
	hour int64 // in which the message was made
}

// changes gathers what one verb does: the tallies are written once per key and
// verb, however many messages moved.
type changes struct {
	tx      *store.Tx
	counts  map[countKey]int64
	out     []Outcome
	streams map[int64]Stream
}

func begin(tx *store.Tx) *changes {
	return &changes{tx: tx, counts: map[countKey]int64{}, streams: map[int64]Stream{}}
}

// reasonOf keeps reasons out of the tallies of states that pass: one row per
// state there, one per reason where a message ends.
func reasonOf(s State, reason string) string {
	switch s {
	case Refused, Cancelled, Failed, Expired, Unknown:
		return reason
	default:
		return ""
	}
}

func (c *changes) count(message, stream int64, s State, reason string, n int64) {
	c.counts[countKey{tallyKey{stream, s, reasonOf(s, reason)}, hourOf(store.IDTime(message))}] += n
}

// moved notes one transition and its outcome.
func (c *changes) moved(before, after *Message) error {
	if before.State != after.State || before.Reason != after.Reason {
		c.count(before.ID, before.Stream, before.State, before.Reason, -1)
		c.count(after.ID, after.Stream, after.State, after.Reason, 1)
	}
	s, err := c.stream(after.Stream)
	if err != nil {
		return err
	}
	if err := s.returned(c.tx, before, after); err != nil {
		return err
	}
	o := Outcome{Message: after.ID, Run: after.Run, Stream: after.Stream, Contact: after.Contact, Campaign: s.Campaign, Number: s.Number,
		Category: s.Category, From: before.State, To: after.State, Reason: after.Reason, Code: after.Code}
	if at := since(before, after); at > 0 {
		o.Since = store.Time(at)
		if counts(before) && counts(after) && before.provisional() && !after.provisional() {
			o.Confirmed, o.Was = store.Time(after.at()), store.Time(before.at())
		}
	}
	if o.From != o.To || !o.Since.IsZero() {
		c.out = append(c.out, o)
	}
	return nil
}

func (c *changes) stream(id int64) (Stream, error) {
	if s, ok := c.streams[id]; ok {
		return s, nil
	}
	s, _, err := StreamByID(c.tx, id)
	c.streams[id] = s
	return s, err
}

// end writes the tallies and returns the outcomes.
func (c *changes) end() ([]Outcome, error) {
	tallies := make(map[tallyKey]int64, len(c.counts))
	for k, n := range c.counts {
		tallies[k.tallyKey] += n
	}
	keys := make([]tallyKey, 0, len(tallies))
	for k, n := range tallies {
		if n != 0 {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		if a.stream != b.stream {
			return a.stream < b.stream
		}
		return a.state+State(a.reason) < b.state+State(b.reason)
	})
	for _, k := range keys {
		if _, err := c.tx.Exec(sqlTally, k.stream, string(k.state), k.reason, tallies[k]); err != nil {
			return nil, err
		}
	}
	return c.out, c.endHours()
}

// Tally is how many messages are in a state for a reason.
type Tally struct {
	State  State
	Reason string
	N      int64
}

// Fields names the places of a tally.
func (t *Tally) Fields() []any { return []any{&t.State, &t.Reason, &t.N} }

var (
	sqlTalliesRun = store.SQL(`SELECT t.state, t.reason, SUM(t.n) FROM streams s JOIN tallies t ON t.stream_id = s.id
		WHERE s.run_id = ?1 AND s.run_id > 0 GROUP BY t.state, t.reason HAVING SUM(t.n) > 0`)
	sqlTalliesCampaign = store.SQL(`SELECT t.state, t.reason, SUM(t.n) FROM streams s JOIN tallies t ON t.stream_id = s.id
		WHERE s.campaign_id = ?1 AND s.campaign_id <> '' GROUP BY t.state, t.reason HAVING SUM(t.n) > 0`)
	sqlTalliesAll = store.SQL(`SELECT t.state, t.reason, SUM(t.n) FROM tallies t GROUP BY t.state, t.reason HAVING SUM(t.n) > 0`)
)

// TalliesOfRun counts a run's messages by state and reason.
func TalliesOfRun(q store.Querier, run int64) ([]Tally, error) {
	return store.All[Tally](q, sqlTalliesRun, run)
}

// TalliesOfCampaign counts a campaign's messages over all runs.
func TalliesOfCampaign(q store.Querier, id string) ([]Tally, error) {
	return store.All[Tally](q, sqlTalliesCampaign, id)
}

// Tallies counts every message of the outbox.
func Tallies(q store.Querier) ([]Tally, error) { return store.All[Tally](q, sqlTalliesAll) }
