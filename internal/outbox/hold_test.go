package outbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

func TestHoldStops(t *testing.T) {
	campaign := Stream{Number: number1, WABA: "900", Category: whatsapp.Marketing, Template: "sale", Language: "pt_BR", Campaign: "natal", Run: 7}
	text := Stream{Number: number1, WABA: "900", Category: whatsapp.Service}
	for _, c := range []struct {
		scope          Scope
		target         string
		campaign, text bool
	}{
		{ScopeAll, "", true, true},
		{ScopeAccount, "900", true, true},
		{ScopeAccount, "901", false, false},
		{ScopeAccount, "", false, false},
		{ScopeNumber, number1, true, true},
		{ScopeNumber, number2, false, false},
		{ScopeCategory, "marketing", true, false},
		{ScopeCategory, "service", false, true},
		{ScopeCategory, "utility", false, false},
		{ScopeTemplate, "900/sale/pt_BR", true, false},
		{ScopeTemplate, "900/sale/pt", false, false},
		{ScopeTemplate, "901/sale/pt_BR", false, false},
		{ScopeTemplate, "900//", false, false}, // text has no template
		{ScopeCampaign, "natal", true, false},
		{ScopeCampaign, "", false, false}, // nor a campaign
		{"region", "", false, false},
	} {
		h := Hold{Scope: c.scope, Target: c.target}
		if got := h.Stops(&campaign); got != c.campaign {
			t.Errorf("%s %q stops the campaign: %v", c.scope, c.target, got)
		}
		if got := h.Stops(&text); got != c.text {
			t.Errorf("%s %q stops the text: %v", c.scope, c.target, got)
		}
	}
}

// Our own breaker of a number does not stop codes, nor does a restriction that no
// code has met; everything else does.
func TestWhatStopsNoCodes(t *testing.T) {
	code := Stream{Number: number1, WABA: "900", Lane: whatsapp.LaneAuthentication, Category: whatsapp.Authentication, Template: "code", Language: "pt_BR"}
	sale := Stream{Number: number1, WABA: "900", Lane: whatsapp.LaneMarketing, Category: whatsapp.Marketing, Template: "sale", Language: "pt_BR"}
	for _, c := range []struct {
		hold       Hold
		code, sale bool
	}{
		{Hold{Scope: ScopeNumber, Target: number1, Reason: ReasonNoAnswers}, false, true},
		{Hold{Scope: ScopeNumber, Target: number1, Reason: ReasonRestricted}, false, true},
		{Hold{Scope: ScopeNumber, Target: number1, Reason: ReasonCodesRestricted}, true, false},
		{Hold{Scope: ScopeNumber, Target: number1, Reason: "number_unusable"}, true, true},
		{Hold{Scope: ScopeCategory, Target: "authentication", Reason: ReasonRestricted}, true, false},
		{Hold{Scope: ScopeTemplate, Target: "900/code/pt_BR", Reason: ReasonNoAnswers}, true, false},
		{Hold{Scope: ScopeAll, Reason: ReasonNoAnswers}, true, true},
		{Hold{Scope: ScopeCategory, Target: "authentication", Reason: "operator"}, true, false},
	} {
		if code, sale := c.hold.Stops(&code), c.hold.Stops(&sale); code != c.code || sale != c.sale {
			t.Errorf("%s %s %s stops codes: %v, others: %v", c.hold.Scope, c.hold.Target, c.hold.Reason, code, sale)
		}
	}
}

func TestHoldEnds(t *testing.T) {
	for _, c := range []struct {
		name           string
		until          time.Duration // 0: until lifted
		probe          bool
		over, mayProbe bool
	}{
		{"until lifted", 0, false, false, false},
		{"until lifted, with a probe that has no time", 0, true, false, false},
		{"to come", time.Millisecond, false, false, false},
		{"to come, then a probe", time.Millisecond, true, false, false},
		{"this very instant", -1, false, true, false},
		{"this very instant, then a probe", -1, true, false, true},
		{"past", -time.Hour, false, true, false},
		{"past, then a probe", -time.Hour, true, false, true},
	} {
		h := Hold{Probe: c.probe}
		switch {
		case c.until == -1:
			h.Until = millis(start)
		case c.until != 0:
			h.Until = millis(start.Add(c.until))
		}
		if h.Over(start) != c.over || h.MayProbe(start) != c.mayProbe {
			t.Errorf("%s: over %v, may probe %v; want %v, %v", c.name, h.Over(start), h.MayProbe(start), c.over, c.mayProbe)
		}
	}
}

func (w *world) holds(t *testing.T) (out []Hold) {
	t.Helper()
	if err := w.Read(t.Context(), func(s *store.Snap) (err error) { out, err = Holds(s); return err }); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		out[i].ID = 0
	}
	return out
}

// TestPlace places a hold where another of the same scope, target and reason
// stands already, and looks which end holds.
func TestPlace(t *testing.T) {
	const forever, passed = 0, -60
	for _, c := range []struct {
		name         string
		first, again int // minutes from now; 0 until lifted
		probe        bool
		want         int
		fresh        bool
	}{
		{"later moves the end", 10, 20, false, 20, false},
		{"earlier changes nothing", 10, 5, false, 10, false},
		{"the same changes nothing", 10, 10, false, 10, false},
		{"until lifted stays", forever, 20, false, forever, false},
		{"until lifted is later than any time", 10, forever, false, forever, false},
		{"one that has ended is a new one", passed, 20, false, 20, true},
		{"one that has ended is a new one, until lifted", passed, forever, false, forever, true},
		{"one that waits for its probe stands", passed, 20, true, 20, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			until := func(minutes int) int64 {
				if minutes == forever {
					return 0
				}
				return millis(start.Add(time.Duration(minutes) * time.Minute))
			}
			h := Hold{Scope: ScopeNumber, Target: number1, Reason: "no_answers", Detail: "first", Actor: "breaker", Until: until(c.first), Probe: c.probe}
			place := func() (fresh bool) {
				w.write(t, func(tx *store.Tx) (err error) { fresh, err = Place(tx, h); return err })
				return fresh
			}
			if !place() {
				t.Error("the first was there already")
			}
			w.write(t, func(tx *store.Tx) error { // others beside it play no part
				for _, other := range []Hold{{Scope: ScopeNumber, Target: number1, Reason: "payment"}, {Scope: ScopeNumber, Target: number2, Reason: "no_answers"}, {Scope: ScopeAll, Reason: "no_answers"}} {
					if fresh, err := Place(tx, other); err != nil || !fresh {
						return fmt.Errorf("another: fresh %v, %w", fresh, err)
					}
				}
				return nil
			})
			w.wall = start.Add(time.Minute)
			h.Until, h.Detail = until(c.again), "second"
			if fresh := place(); fresh != c.fresh {
				t.Errorf("fresh is %v", fresh)
			}
			want := Hold{Scope: ScopeNumber, Target: number1, Reason: "no_answers", Detail: "first", Actor: "breaker", Since: millis(start), Until: until(c.want), Probe: c.probe}
			if c.want != c.first || c.fresh {
				want.Detail = "second"
			}
			if c.fresh {
				want.Since = millis(w.wall)
			}
			var got []Hold
			for _, h := range w.holds(t) {
				if h.Target == number1 && h.Reason == "no_answers" {
					got = append(got, h)
				}
			}
			if diff := cmp.Diff([]Hold{want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProlongAndLift(t *testing.T) {
	w := newWorld(t)
	wakes := w.Wakes(Topic(whatsapp.LaneMarketing))
	w.write(t, func(tx *store.Tx) error {
		for _, h := range []Hold{
			{Scope: ScopeCampaign, Target: "natal", Reason: "paused", Actor: "operator"},
			{Scope: ScopeCampaign, Target: "natal", Reason: "campaign_error", Actor: "meta"},
			{Scope: ScopeCampaign, Target: "pascoa", Reason: "paused", Actor: "operator"},
			{Scope: ScopeAccount, Target: "900", Reason: "payment", Actor: "meta", Until: millis(start), Probe: true},
		} {
			if _, err := Place(tx, h); err != nil {
				return err
			}
		}
		holds, err := Holds(tx)
		if err != nil {
			return err
		}
		probed := holds[3]
		if err := Prolong(tx, probed, start.Add(time.Minute)); err != nil {
			return err
		}
		probed.Tries++ // as the next reader finds it
		return Prolong(tx, probed, start.Add(3*time.Minute))
	})
	if h := w.holds(t)[3]; h.Tries != 2 || h.Until != millis(start.Add(3*time.Minute)) || !h.Probe {
		t.Errorf("after two probes: %+v", h)
	}
	select {
	case <-wakes:
		t.Error("a hold that came woke the lane")
	default:
	}
	for _, c := range []struct {
		scope          Scope
		target, reason string
		ended, left    int
	}{
		{ScopeCampaign, "natal", "payment", 0, 4},
		{ScopeCampaign, "natal", "paused", 1, 3},
		{ScopeCampaign, "natal", "paused", 0, 3}, // already
		{ScopeCampaign, "pascoa", "", 1, 2},
		{ScopeAccount, "natal", "", 0, 2},
		{ScopeCampaign, "natal", "", 1, 1},
	} {
		var n int
		w.write(t, func(tx *store.Tx) (err error) { n, err = Lift(tx, c.scope, c.target, c.reason, "operator"); return err })
		if left := len(w.holds(t)); n != c.ended || left != c.left {
			t.Errorf("lifting %s %s %q: ended %d and left %d, want %d and %d", c.scope, c.target, c.reason, n, left, c.ended, c.left)
		}
		woken := false
		select {
		case <-wakes:
			woken = true
		default:
		}
		if woken != (c.ended > 0) {
			t.Errorf("lifting %s %s %q: woken is %v", c.scope, c.target, c.reason, woken)
		}
	}
	// A lifted hold does not come back; the same may be placed again.
	w.write(t, func(tx *store.Tx) error {
		fresh, err := Place(tx, Hold{Scope: ScopeCampaign, Target: "natal", Reason: "paused"})
		if err == nil && !fresh {
			t.Error("a lifted hold still stood")
		}
		holds, err2 := Holds(tx)
		if err2 != nil {
			return err2
		}
		lifted := holds[1]
		if err := LiftOne(tx, lifted, "x"); err != nil {
			return err
		}
		if err := LiftOne(tx, lifted, "x"); err == nil {
			t.Error("lifted twice")
		}
		if err := Prolong(tx, lifted, start); err == nil {
			t.Error("a lifted hold was prolonged")
		}
		return err
	})
}
