package outbox

import (
	"maps"
	"slices"

	"janela/internal/whatsapp"
)

// model is the outbox in memory, in as few words as possible: no statements, no
// tallies, no compare-and-set, one message after the other.
type model struct {
	now     int64
	rows    map[int64]row
	root    map[int64]int64 // contact → root
	streams map[int64]Stream
}

func newModel() *model {
	return &model{rows: map[int64]row{}, root: map[int64]int64{}, streams: map[int64]Stream{}}
}

// has reports whether the person behind a contact has a message in a run.
func (m *model) has(contact, run int64) bool {
	for _, r := range m.rows {
		if contact > 0 && run > 0 && r.Run == run && r.Contact > 0 && m.root[r.Contact] == m.root[contact] {
			return true
		}
	}
	return false
}

func (m *model) enqueue(id int64, s Stream, n New) {
	r := row{ID: id, Stream: s.ID, Run: s.Run, Contact: n.Contact, State: Queued, NotBefore: millis(n.NotBefore), Deadline: millis(n.Deadline)}
	if n.Refused != "" {
		r.State, r.Reason, r.EndedAt = Refused, n.Refused, m.now
	}
	m.rows[id] = r
}

// apply carries out one verdict of the gate.
func (m *model) apply(mv Move) {
	r := m.rows[mv.Message.ID]
	switch mv.To {
	case Sending:
		r.State, r.Attempt, r.Claimed, r.Reason, r.Code = Sending, r.Attempt+1, m.now, "", 0
	case Queued:
		r.NotBefore = millis(mv.Until)
	default:
		r.State, r.Reason, r.EndedAt = mv.To, mv.Reason, m.now
	}
	m.rows[r.ID] = r
}

func (m *model) settle(res Result) {
	r, ok := m.rows[res.Message]
	accepted := res.To == Accepted || res.To == AcceptedHeld
	switch {
	case !ok || r.Attempt != res.Attempt:
		return
	case accepted && r.AcceptedAt == 0:
		r.AcceptedAt, r.Held = millis(res.At), res.To == AcceptedHeld
		r = m.derive(r, string(res.Wamid), "", 0, r.AcceptedAt)
	case accepted || r.State != Sending:
		return
	case res.To == Queued && r.Deadline > 0 && r.Deadline <= max(m.now, millis(res.Retry)):
		r.State, r.Reason, r.Code, r.EndedAt = Expired, "deadline", res.Code, m.now
	case res.To == Queued:
		r.State, r.Reason, r.Code, r.NotBefore = Queued, res.Reason, res.Code, millis(res.Retry)
		if res.Unused {
			r.Attempt--
		}
	default:
		r.State, r.Reason, r.Code, r.EndedAt = res.To, res.Reason, res.Code, m.now
		if res.To == Failed {
			r.FailedAt = m.now
		}
	}
	m.rows[r.ID] = r
}

// observe applies a status, and reports whether a message of ours was meant.
func (m *model) observe(o Observation) (ours bool) {
	r, ok := m.rows[o.Message]
	if o.Message == 0 {
		for _, c := range m.rows {
			if o.Wamid != "" && c.Wamid == string(o.Wamid) {
				r, ok = c, true
			}
		}
	}
	fact, known := map[string]*int64{"sent": &r.SentAt, "delivered": &r.DeliveredAt, "read": &r.ReadAt, "played": &r.ReadAt, "failed": &r.FailedAt}[o.Status]
	if !ok || !known || o.Message > 0 && o.Attempt > r.Attempt {
		return ok
	}
	reason, code, at := r.Reason, r.Code, millis(o.At)
	if *fact == 0 || at < *fact {
		*fact = at
		if o.Status == "failed" {
			reason, code = o.Reason, o.Code
		}
	}
	m.rows[r.ID] = m.derive(r, string(o.Wamid), reason, code, m.now)
	return true
}

// derive makes the row what its facts say: the best one is the state.
func (m *model) derive(r row, wamid, reason string, code int, ended int64) row {
	wasFailed, given := r.State == Failed, r.State == PresumedExpired
	for _, f := range []struct {
		at    int64
		state State
	}{{r.ReadAt, Read}, {r.DeliveredAt, Delivered}, {r.FailedAt, Failed}, {r.SentAt, Sent}, {r.AcceptedAt, Accepted}} {
		if f.at > 0 {
			r.State = f.state
			break
		}
	}
	if r.State == Accepted && r.Held {
		r.State = AcceptedHeld
	}
	if given && slices.Contains([]State{Accepted, AcceptedHeld, Sent}, r.State) {
		r.State = PresumedExpired // only an arrival or a failure revives it
	}
	switch {
	case r.State != Failed:
		r.Reason, r.Code = "", 0
	case code != 0 || !wasFailed:
		r.Reason, r.Code = reason, code
	}
	if r.Wamid == "" {
		r.Wamid = wamid
	}
	if _, at, _ := r.ledger(); at > 0 {
		r.InWindow = inWindow(at)
	}
	if r.EndedAt == 0 {
		r.EndedAt = ended
	}
	return r
}

// ledger is what the conversation ledger makes of a message: whether it counts,
// since when, and whether that is Meta's time.
func (r row) ledger() (counts bool, at int64, provisional bool) {
	counts = slices.Contains([]State{Accepted, Sent, Delivered, Read}, r.State)
	for _, t := range []int64{r.SentAt, r.DeliveredAt, r.ReadAt} {
		if t > 0 {
			return counts, t, false
		}
	}
	return counts, r.AcceptedAt, true
}

// end ends a queued message.
func (m *model) end(id int64, to State, reason string) {
	r := m.rows[id]
	r.State, r.Reason, r.EndedAt = to, reason, m.now
	m.rows[id] = r
}

// pick returns the ids of the messages that match, in ascending order.
func (m *model) pick(match func(row, Stream) bool) (ids []int64) {
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		if r := m.rows[id]; match(r, m.streams[r.Stream]) {
			ids = append(ids, id)
		}
	}
	return ids
}

// counts adds up what the tallies must say: a reason where a message ends.
func (m *model) counts() map[tally]int64 {
	out := map[tally]int64{}
	for _, r := range m.rows {
		k := tally{Stream: r.Stream, State: r.State}
		if slices.Contains([]State{Refused, Cancelled, Failed, Expired, Unknown}, r.State) {
			k.Reason = r.Reason
		}
		out[k]++
	}
	return out
}

// forbidden are the queued messages that a revocation cancels.
func (m *model) forbidden(contacts []int64, categories []whatsapp.Category, numbers []string) []int64 {
	return m.pick(func(r row, s Stream) bool {
		return r.State == Queued && slices.Contains(contacts, r.Contact) && slices.Contains(categories, s.Category) &&
			(numbers == nil || slices.Contains(numbers, s.Number))
	})
}
