package gate

import (
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// probeEvery is the least time between two probes of one hold; it doubles with
// every probe that failed.
const probeEvery = time.Minute

// Open is a stream of which messages may leave now.
type Open struct {
	outbox.Ready
	facts  StreamFacts
	probes []outbox.Hold // holds that let one message through

	// Turn says how long a message to a contact must wait because of another to
	// the same, and otherwise reserves the place for it; nil: not asked.
	Turn func(contact int64) time.Duration
}

// From is the sending number, as Meta last spoke of it.
func (o *Open) From() account.Number { return o.facts.Number }

// Closes is when the stream's window closes that is open at now, by the clock
// that closes it first; zero: it does not.
func (o *Open) Closes(now time.Time) time.Time {
	if o.Windows.Always() {
		return time.Time{}
	}
	at, _ := o.Windows.Closes(now)
	if behind := o.facts.Behind; behind > 0 {
		if wall, ok := o.Windows.Closes(now.Add(-behind)); ok && (at.IsZero() || wall.Add(behind).Before(at)) {
			at = wall.Add(behind)
		}
	}
	return at
}

// Opens returns the streams of a lane that are open now, and when the next of
// the closed ones opens by itself (zero: when something happens). Holds,
// windows and templates are asked once per stream, never per message.
func Opens(q store.Querier, lane whatsapp.Lane) (open []Open, next time.Time, err error) {
	ready, err := outbox.ReadyStreams(q, lane)
	if err != nil || len(ready) == 0 {
		return nil, next, err
	}
	holds, err := outbox.Holds(q)
	if err != nil {
		return nil, next, err
	}
	for _, r := range ready {
		f, err := FactsOfStream(q, r.Stream, holds)
		if err != nil {
			return nil, next, err
		}
		waits := DecideStream(f, q.Now())
		if len(waits) > 0 && !skips(r.Stream, waits) {
			next = sooner(next, opensAt(waits))
			continue
		}
		o := Open{Ready: r, facts: f}
		for _, h := range f.Holds {
			if h.MayProbe(q.Now()) {
				o.probes = append(o.probes, h)
			}
		}
		open = append(open, o)
	}
	return open, next, nil
}

// skips reports whether the stream's waits turn into refusals, so that its
// messages must be looked at although none may leave.
func skips(s outbox.Stream, waits []Verdict) bool {
	if s.NotApproved != "skip" && s.NotApproved != "fail" {
		return false
	}
	for _, v := range waits {
		if v.Reason == TemplateNotApproved || v.Reason == TemplateUnknown {
			return true
		}
	}
	return false
}

// opensAt is when all waits have ended by themselves; zero if one does not.
func opensAt(waits []Verdict) time.Time {
	var at time.Time
	for _, v := range waits {
		if v.Until.IsZero() {
			return time.Time{}
		}
		if v.Until.After(at) {
			at = v.Until
		}
	}
	return at
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// Claim takes at most n messages of an open stream: it reads the facts of the
// next candidates, judges each, and moves them. What it returns is in flight
// once the transaction commits. The stream's own facts are read again, because
// a hold may have come since Opens looked. Where messages are named, it takes
// those alone, as far as they may leave.
func Claim(tx *store.Tx, o Open, n int, these ...int64) ([]outbox.Message, []outbox.Outcome, error) {
	holds, err := outbox.Holds(tx)
	if err != nil {
		return nil, nil, err
	}
	f, err := FactsOfStream(tx, o.Stream, holds)
	if err != nil {
		return nil, nil, err
	}
	now := tx.Now()
	waits := DecideStream(f, now)
	if len(waits) > 0 && !skips(o.Stream, waits) {
		return nil, nil, nil
	}
	probing := false
	for _, h := range f.Holds {
		if h.MayProbe(now) {
			probing, n = true, 1
		}
	}
	if perDay := o.Throttle.PerDay; perDay > 0 {
		n = int(min(int64(n), max(perDay-f.Today, 1)))
	}
	name, unit := scopes(f.Number)
	var rows []candidate
	if len(these) == 0 {
		rows, err = candidates(tx, o.Stream, f.Number, n)
	}
	for _, id := range these[:min(n, len(these))] {
		row, ok, err := store.Get[candidate](tx, sqlOne, id, string(o.Category), name, unit, o.Number)
		if err != nil {
			return nil, nil, err
		}
		if ok && row.Message.State == outbox.Queued && row.Message.Stream == o.ID && row.Message.NotBefore <= store.Millis(now) {
			rows = append(rows, row)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if err := barredAmong(tx, o.Stream, rows); err != nil {
		return nil, nil, err
	}
	moves := make([]outbox.Move, 0, len(rows))
	for i := range rows {
		v := Decide(o.Stream, waits, rows[i].facts(), now)
		if v.Kind == Go && o.Turn != nil {
			if d := o.Turn(rows[i].Message.Contact); d > 0 { // cut to milliseconds it would come again at once
				v = Verdict{Kind: Wait, Reason: NotDue, Until: now.Add(d + time.Millisecond)}
			}
		}
		moves = append(moves, move(rows[i].Message, v, now))
	}
	claimed, out, err := outbox.Apply(tx, o.Stream, moves)
	if err != nil || !probing || len(claimed) == 0 {
		return claimed, out, err
	}
	for _, h := range f.Holds {
		if h.MayProbe(now) {
			if err := outbox.Prolong(tx, h, now.Add(probeAgain(h))); err != nil {
				return nil, nil, err
			}
		}
	}
	return claimed, out, nil
}

// move turns a verdict into what the outbox does.
func move(m outbox.Message, v Verdict, now time.Time) outbox.Move {
	switch {
	case v.Kind == Go:
		return outbox.Move{Message: m, To: outbox.Sending}
	case v.Kind == Wait:
		until := v.Until
		if until.IsZero() {
			until = now.Add(time.Minute)
		}
		return outbox.Move{Message: m, To: outbox.Queued, Until: until}
	case v.Reason == Deadline:
		return outbox.Move{Message: m, To: outbox.Expired, Reason: string(v.Reason)}
	case v.Reason == DryRun:
		return outbox.Move{Message: m, To: outbox.Cancelled, Reason: string(v.Reason)}
	default:
		return outbox.Move{Message: m, To: outbox.Refused, Reason: string(v.Reason)}
	}
}

// Judge returns the verdict on one queued message, for why.
func Judge(q store.Querier, m outbox.Message) (Verdict, []Verdict, error) {
	s, _, err := outbox.StreamByID(q, m.Stream)
	if err != nil {
		return Verdict{}, nil, err
	}
	holds, err := outbox.Holds(q)
	if err != nil {
		return Verdict{}, nil, err
	}
	f, err := FactsOfStream(q, s, holds)
	if err != nil {
		return Verdict{}, nil, err
	}
	name, unit := scopes(f.Number)
	row, _, err := store.Get[candidate](q, sqlOne, m.ID, string(s.Category), name, unit, s.Number)
	if err != nil {
		return Verdict{}, nil, err
	}
	one := []candidate{row}
	if err := barredAmong(q, s, one); err != nil {
		return Verdict{}, nil, err
	}
	waits := DecideStream(f, q.Now())
	return Decide(s, waits, one[0].facts(), q.Now()), waits, nil
}
