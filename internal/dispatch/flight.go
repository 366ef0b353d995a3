package dispatch

import (
	"cmp"
	"math"
	"slices"
	"time"

	"janela/internal/whatsapp"
)

// flight is how many requests of a lane a number may have under way, by Little's
// law: its rate times how long answers take, and half as much again. It begins
// small, grows with every answer, and halves when answers fail to come: slow
// answers keep no number below its rate while there are senders, and a fast
// server gets no more connections than its answers need.
type flight struct {
	floor   float64
	limit   float64
	most    float64 // its part of the senders
	took    float64 // an answer, in seconds, on average; more readily up than down
	flying  int
	waiting []*ticket // for a place, in the order in which they came
}

// Requests under way at the beginning, and at least, where nothing is wrong.
// Codes come in bursts, and somebody waits for each.
const (
	flightFloor = 5
	codesFloor  = 16
	headroom    = 1.5
)

func newFlight(l whatsapp.Lane) *flight {
	f := &flight{floor: flightFloor, most: math.Inf(1)}
	if l == whatsapp.LaneAuthentication {
		f.floor = codesFloor
	}
	f.limit = f.floor
	return f
}

// wanted is how many requests the law asks for at a rate.
func (f *flight) wanted(perSecond float64) float64 {
	return max(f.floor, math.Ceil(perSecond*f.took*headroom))
}

// allowed is how many requests may be under way now.
func (f *flight) allowed() int { return max(1, int(min(f.limit, f.most))) }

// answered learns from an answer, or from one that did not come.
func (f *flight) answered(perSecond float64, took time.Duration, trouble bool) {
	if trouble {
		f.limit = max(f.limit/2, 1)
		return
	}
	switch s := took.Seconds(); {
	case f.took == 0:
		f.took = s
	case s > f.took:
		f.took += (s - f.took) / 4
	default:
		f.took += (s - f.took) / 16
	}
	if want := f.wanted(perSecond); f.limit < want {
		f.limit = min(f.limit+1, want)
	} else {
		f.limit = max(f.limit-(f.limit-want)/8, want)
	}
}

// next lets those in who fit now. While any waits, somebody is in, and calls
// this in the end.
func (f *flight) next() (in []*ticket) {
	n := min(len(f.waiting), max(f.allowed()-f.flying, 0))
	in, f.waiting = f.waiting[:n:n], f.waiting[n:]
	f.flying += n
	return in
}

// enter gives a ticket a place among the requests of a lane under way, or keeps
// it until there is one: then exit, done or share return it.
func (p *pacer) enter(l whatsapp.Lane, t *ticket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flights[l]
	if len(f.waiting) > 0 || f.flying >= f.allowed() {
		f.waiting = append(f.waiting, t)
		return false
	}
	f.flying++
	return true
}

// exit ends what enter began without a request.
func (p *pacer) exit(l whatsapp.Lane) []*ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flights[l]
	f.flying--
	return f.next()
}

// done ends a request; trouble: no answer of Meta's came.
func (p *pacer) done(l whatsapp.Lane, took time.Duration, trouble bool) []*ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flights[l]
	f.flying--
	f.answered(p.nominal*p.factor*shares[l], took, trouble)
	return f.next()
}

// share gives every number its part of a lane's senders: those that want less
// than an equal part get what they want, the others share the rest. So a number
// whose answers are slow takes no sender from one that needs it. It returns the
// tickets that have a place now.
func share(senders int, l whatsapp.Lane, pacers []*pacer) (in []*ticket) {
	type want struct {
		p *pacer
		n float64
	}
	all := make([]want, 0, len(pacers))
	for _, p := range pacers {
		p.mu.Lock()
		all = append(all, want{p, p.flights[l].wanted(p.nominal * p.factor * shares[l])})
		p.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b want) int { return cmp.Compare(a.n, b.n) })
	left := float64(senders)
	for i, w := range all {
		part := left / float64(len(all)-i)
		w.p.mu.Lock()
		w.p.flights[l].most = max(1, part)
		in = append(in, w.p.flights[l].next()...)
		w.p.mu.Unlock()
		left -= min(w.n, part)
	}
	return in
}

// Pace is how fast a number may send now.
type Pace struct {
	Number   string        // phone_number_id
	Allowed  float64       // messages a second, by Meta and the configuration
	Factor   float64       // of that; below 1 since Meta throttled
	InFlight int           // requests under way
	Window   int           // requests that may be under way, over all lanes
	Took     time.Duration // an answer, on average
}

// PerSecond is the rate now.
func (p Pace) PerSecond() float64 { return p.Allowed * p.Factor }

// Paces says how fast each number may send that has sent since the start.
func (d *Dispatcher) Paces() []Pace {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Pace, 0, len(d.pacers))
	for number, p := range d.pacers {
		p.recover(now)
		out = append(out, p.pace(number))
	}
	slices.SortFunc(out, func(a, b Pace) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

func (p *pacer) pace(number string) Pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := Pace{Number: number, Allowed: p.nominal, Factor: p.factor}
	var took float64
	lanes := 0.0
	for _, f := range p.flights {
		out.InFlight += f.flying
		if f.took > 0 {
			out.Window += f.allowed()
			took, lanes = took+f.took, lanes+1
		}
	}
	if lanes > 0 {
		out.Took = time.Duration(took / lanes * float64(time.Second))
	}
	return out
}
