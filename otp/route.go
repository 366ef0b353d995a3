package otp

import (
	"janela/internal/account"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// route is the way by which the codes of a purpose go, and what stops it.
type route struct {
	number account.Number
	stream outbox.Stream // not opened yet
	waits  []gate.Verdict
}

// way names a route.
type way struct{ number, template, language string }

// road is what is known of a way.
type road struct {
	stream outbox.Stream
	facts  gate.StreamFacts
}

// roads are read once for all requests that are committed together: what
// another of them changes, nobody has been told yet. The one writer uses them.
type roads struct {
	commits int64
	known   map[way]road
}

// route asks the gate about the stream of a purpose in a language.
func (o *OTP) route(tx *store.Tx, p Purpose, language, device string) (route, error) {
	w := way{number: p.Number, template: p.template(device), language: language}
	if w.number == "" {
		w.number = o.cfg().Number
	}
	if n := o.deps.DB.Commits(); o.roads.known == nil || o.roads.commits != n {
		o.roads = roads{commits: n, known: map[way]road{}}
	}
	r, ok := o.roads.known[w]
	if !ok {
		var err error
		if r, err = w.look(tx); err != nil {
			return route{}, err
		}
		o.roads.known[w] = r
	}
	rt := route{number: r.facts.Number, stream: r.stream}
	if r.stream.Number == "" {
		rt.waits = []gate.Verdict{{Kind: gate.Wait, Reason: gate.NumberUnknown}}
	} else {
		rt.waits = gate.DecideStream(r.facts, tx.Now())
	}
	return rt, nil
}

// look reads what decides about a way; a number that is not configured gives a
// stream without one.
func (w way) look(q store.Querier) (road, error) {
	r := road{stream: outbox.Stream{Category: whatsapp.Authentication, Template: w.template, Language: w.language}}
	numbers, err := account.Numbers(q)
	if err != nil {
		return r, err
	}
	for _, n := range numbers {
		if n.Name == w.number || n.ID == w.number {
			r.stream.Number, r.stream.WABA = n.ID, n.WABA
			break
		}
	}
	if r.stream.Number == "" {
		return r, nil
	}
	holds, err := outbox.Holds(q)
	if err == nil {
		r.facts, err = gate.FactsOfStream(q, r.stream, holds)
	}
	return r, err
}
