package optin

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"janela/internal/store"
)

// Kinds of Fault.
const (
	FaultEventAltered     = "event_altered"      // a field of an event is not what was sealed
	FaultEvidenceAltered  = "evidence_altered"   // its evidence is not
	FaultEvidenceRemoved  = "evidence_removed"   // its evidence is gone, and nobody was forgotten
	FaultEventRemoved     = "event_removed"      // a sealed event is gone
	FaultEventInserted    = "event_inserted"     // an event between sealed ones has no seal
	FaultForgetting       = "forgetting_altered" // a forgetting, or what keeps the person from coming back, is not what was sealed
	FaultSealAltered      = "seal_altered"       // a seal is not what it was, or stands in another place
	FaultSealsRemoved     = "seals_removed"      // seals are gone from the middle
	FaultTailRemoved      = "tail_removed"       // the last seals are gone: somebody knows a later head
	FaultHeadDiffers      = "head_differs"       // the seals were made anew: a head that somebody knows is another one
	FaultHeadMissing      = "head_missing"       // there are seals, and the head file is gone
	FaultStandingAltered  = "standing_altered"   // what the gate reads (consents) is not what the events add up to
	FaultStandingInserted = "standing_inserted"  // it says something of which there is no event
	FaultStandingRemoved  = "standing_removed"   // there are events, and it says nothing
)

// shownFaults bounds VerifyReport.Faults.
const shownFaults = 1000

// Fault is something that was changed behind the ledger's back.
type Fault struct {
	Kind    string
	Seq     int64 // the seal, 0 for none
	Event   int64 // the event, 0 for none
	Contact int64 // of a standing
	Detail  string
}

// VerifyReport says what was found. Faults are in the order of the chain, the
// standings after it.
type VerifyReport struct {
	Events        int64
	Seals         int64
	Blanked       int64 // events whose evidence was removed at the person's request
	Unsealed      int64 // events not sealed yet: the newest, if the daemon runs
	UnsealedSince time.Time
	Standings     int64 // rows of consents
	Head          Head  // of the last seal
	Faults        []Fault
	FaultCount    int // also of those that Faults leaves out
}

// verifyPage is how many rows are looked at in one snapshot.
const verifyPage = 1000

// Verify reads the whole ledger, compares it with its seals, and what the gate
// reads with the ledger. heads are those that somebody kept elsewhere; the head
// file is asked as well. It writes nothing, and memory does not grow with the
// ledger.
func (l *Ledger) Verify(ctx context.Context, heads ...Head) (VerifyReport, error) {
	v := &verifier{ledger: l, ctx: ctx, sealer: newSealer(l.cfg.Keys, l.cfg.DB.Name())}
	v.mac, v.told = v.sealer.genesis, map[int64]bool{}
	file, ok, err := readHead(l.cfg.Head, l.cfg.DB.Name())
	if err != nil {
		return v.VerifyReport, err
	}
	if ok {
		v.heads = append(v.heads, witness{file, "the head file"})
	}
	for _, h := range heads {
		v.heads = append(v.heads, witness{h, "the head that was given"})
	}
	for more := true; more; {
		if more, err = v.page(); err != nil {
			return v.VerifyReport, err
		}
	}
	if !ok && v.Seals > 0 {
		v.fault(Fault{Kind: FaultHeadMissing, Detail: fmt.Sprintf("%s is gone", l.cfg.Head)})
	}
	v.judgeHeads()
	return v.VerifyReport, v.standings()
}

// witness is a head that somebody knows of.
type witness struct {
	Head
	whose string
}

// verifier is one verification under way.
type verifier struct {
	VerifyReport
	ledger *Ledger
	ctx    context.Context
	sealer *sealer
	heads  []witness

	seq            int64          // of the last seal that was read
	mac            []byte         // of it
	strays         [][]byte       // of altered seals, as they stand there and as they should be: others may be chained to them
	unsure         bool           // seals are gone before the next one, which cannot be checked therefore
	last           int64          // the last event that was looked at
	lastForgetting int64          // the last that was looked at
	top            int64          // the last event that any seal speaks of
	told           map[int64]bool // events whose seals are altered
	gone           int64          // events that may lack a seal, because that many seals are gone
}

func (v *verifier) fault(f Fault) {
	v.FaultCount++
	if len(v.Faults) < shownFaults {
		v.Faults = append(v.Faults, f)
	}
}

// page looks at the next seals and at everything up to what the last of them
// seals. Seals are read first: what they speak of is in the same snapshot.
func (v *verifier) page() (more bool, err error) {
	err = v.ledger.cfg.DB.Read(v.ctx, func(q *store.Snap) error {
		seals, err := store.All[seal](q, sqlSeals, v.seq, verifyPage)
		if err != nil {
			return err
		}
		more = len(seals) > 0
		for i := range seals {
			if !v.link(&seals[i]) {
				continue
			}
			if err := v.follows(q, &seals[i]); err != nil {
				return err
			}
		}
		if !more {
			return v.rest(q)
		}
		return nil
	})
	return more, err
}

// maxTold bounds what is remembered of altered seals: where there are more, an
// event may be told twice.
const maxTold = 10_000

// maxStrays bounds how far a seal may have been moved to be recognised.
const maxStrays = 16

// link checks a seal's place in the chain, and says whether what it speaks of
// can be believed.
func (v *verifier) link(s *seal) bool {
	v.Seals++
	if gap := s.seq - v.seq - 1; gap > 0 {
		v.fault(Fault{Kind: FaultSealsRemoved, Seq: v.seq + 1,
			Detail: fmt.Sprintf("seals %d to %d are gone, and seal %d cannot be checked", v.seq+1, s.seq-1, s.seq)})
		v.gone += gap
		v.unsure = true
	}
	should := v.sealer.mac(v.mac, s)
	good := v.unsure || bytes.Equal(should, s.mac) // unsure: what it was chained to is gone
	for _, before := range v.strays {
		good = good || bytes.Equal(v.sealer.mac(before, s), s.mac)
	}
	for _, h := range v.heads {
		if h.Seq == s.seq && !bytes.Equal(h.MAC, s.mac) {
			v.fault(Fault{Kind: FaultHeadDiffers, Seq: s.seq, Detail: fmt.Sprintf("%s knows seal %d as another one", h.whose, s.seq)})
		}
	}
	v.top = max(v.top, s.ref)
	v.seq, v.mac, v.Head = s.seq, s.mac, Head{s.seq, s.mac}
	if good {
		v.unsure = false
		return true
	}
	v.fault(Fault{Kind: FaultSealAltered, Seq: s.seq, Event: s.ref, Detail: "the seal is not what it was, or stands in another place"})
	if len(v.told) < maxTold {
		v.told[s.ref] = true
	}
	v.strays = append(v.strays[max(0, len(v.strays)-maxStrays):], s.mac, should)
	return false
}

// follows looks at every event up to that of the seal, and compares this one.
func (v *verifier) follows(q store.Querier, s *seal) error {
	if s.kind == sealForgetting {
		return v.forgetting(q, s)
	}
	found := false
	err := v.events(q, s.ref, func(e *eventRow) error {
		if e.ID < s.ref {
			v.unexpected(e)
			return nil
		}
		found = true
		return v.compare(q, s, e)
	})
	if err != nil {
		return err
	}
	if !found {
		if s.ref <= v.last { // an earlier seal has passed it: only behind a gap
			v.fault(Fault{Kind: FaultSealAltered, Seq: s.seq, Event: s.ref, Detail: "the seal stands behind later ones"})
			return nil
		}
		v.fault(Fault{Kind: FaultEventRemoved, Seq: s.seq, Event: s.ref, Detail: "the event is gone"})
	}
	v.last = max(v.last, s.ref)
	return nil
}

// events calls each for those not looked at, up to an id.
func (v *verifier) events(q store.Querier, to int64, each func(*eventRow) error) error {
	for {
		n := 0
		err := store.Each(q, sqlSince, func(e *eventRow) error {
			n++
			v.Events++
			err := each(e)
			v.last = e.ID
			return err
		}, v.last, to, verifyPage)
		if err != nil || n < verifyPage {
			return err
		}
	}
}

// unexpected is an event without a seal, before one that has one.
func (v *verifier) unexpected(e *eventRow) {
	switch {
	case v.told[e.ID]:
	case v.gone > 0:
		v.gone--
	default:
		v.fault(Fault{Kind: FaultEventInserted, Event: e.ID, Contact: e.Contact, Detail: "an event between sealed ones has no seal"})
	}
}

func (v *verifier) compare(q store.Querier, s *seal, e *eventRow) error {
	v.gone = 0
	should := v.sealer.event(e)
	if !bytes.Equal(should.digest, s.digest) {
		v.fault(Fault{Kind: FaultEventAltered, Seq: s.seq, Event: e.ID, Contact: e.Contact, Detail: "a field of the event is not what was sealed"})
	}
	if bytes.Equal(should.proof, s.proof) {
		return nil
	}
	f := Fault{Kind: FaultEvidenceAltered, Seq: s.seq, Event: e.ID, Contact: e.Contact, Detail: "the evidence is not what was sealed"}
	if e.evidence == noEvidence {
		switch _, forgotten, err := store.Value[int64](q, sqlForgottenAfter, e.Contact, e.ID); {
		case err != nil:
			return err
		case forgotten: // which is checked at its own seal
			v.Blanked++
			return nil
		}
		f.Kind, f.Detail = FaultEvidenceRemoved, "the evidence is gone, and nobody was forgotten"
	}
	v.fault(f)
	return nil
}

// noEvidence is what stands there when it was blanked.
const noEvidence = "{}"

// rest looks at what is behind the last seal.
func (v *verifier) rest(q *store.Snap) error {
	if err := v.strangers(q, math.MaxInt64); err != nil {
		return err
	}
	return v.events(q, math.MaxInt64, func(e *eventRow) error {
		if v.told[e.ID] || e.ID < v.top {
			v.unexpected(e)
			return nil
		}
		v.Unsealed++
		if v.UnsealedSince.IsZero() {
			v.UnsealedSince = store.Time(e.recorded)
		}
		return nil
	})
}

// judgeHeads tells of heads that the chain does not reach.
func (v *verifier) judgeHeads() {
	told := map[int64]bool{}
	for _, h := range v.heads {
		if h.Seq > v.seq && !told[h.Seq] {
			told[h.Seq] = true
			v.fault(Fault{Kind: FaultTailRemoved, Seq: v.seq + 1, Detail: fmt.Sprintf("%s knows seal %d, and the last one there is %d", h.whose, h.Seq, v.seq)})
		}
	}
}
