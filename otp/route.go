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

// route asks the gate about the stream of a purpose in a language.
func (o *OTP) route(q store.Querier, p Purpose, language, device string) (route, error) {
	var rt route
	numbers, err := account.Numbers(q)
	if err != nil {
		return rt, err
	}
	want := p.Number
	if want == "" {
		want = o.cfg.Number
	}
	for _, n := range numbers {
		if n.Name == want || n.ID == want {
			rt.number = n
			break
		}
	}
	if rt.number.ID == "" {
		rt.stream.Category = whatsapp.Authentication
		rt.waits = []gate.Verdict{{Kind: gate.Wait, Reason: gate.NumberUnknown}}
		return rt, nil
	}
	rt.stream = outbox.Stream{Number: rt.number.ID, WABA: rt.number.WABA, Category: whatsapp.Authentication, Template: p.template(device), Language: language}
	holds, err := outbox.Holds(q)
	if err != nil {
		return rt, err
	}
	f, err := gate.FactsOfStream(q, rt.stream, holds)
	if err != nil {
		return rt, err
	}
	rt.waits = gate.DecideStream(f, q.Now())
	return rt, nil
}
