package dispatch

import (
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"janela/internal/outbox"
	"janela/internal/store"
)

// recorder gathers faults instead of ending the test, so that rapid can look
// for the smallest case.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	faults []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatal(args ...any) { r.Error(args...); runtime.Goexit() }

func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }

// fates are the answers that a message may meet, by name.
var fates = map[string]answer{
	"accepted": {}, "accepted late": {after: 20 * time.Second}, "held": {state: "held_for_quality_assessment"},
	"retry": {code: 131016}, "throttle": {code: 130429}, "app throttle": {code: 80007}, "pair": {code: 131056},
	"drop": {code: 131026}, "template": {code: 132015}, "number": {code: 131048}, "token": {code: 190},
	"payment": {code: 131042}, "blocked": {code: 131031}, "campaign": {code: 132000},
	"undocumented": {code: 999_999}, "maybe": {code: 131000}, "hang": {hang: true}, "cut": {cut: true}, "page": {page: true},
}

// taken says what an answer proves.
func (a answer) taken() string {
	switch {
	case a.hang, a.cut, a.page, a.code == 131000:
		return "perhaps"
	case a.code == 0:
		return "yes"
	default:
		return "no"
	}
}

// plan is one random life: what every message meets, and what happens to the
// house meanwhile.
type plan struct {
	fates [][]string      // per message, one per request; then accepted
	deeds []string        // stop, crash, fail: one after each pause
	waits []time.Duration // before each deed
}

func draw(t *rapid.T) plan {
	names := slices.Sorted(maps.Keys(fates)) // the order of a map is not rapid's to decide
	p := plan{fates: rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom(names), 0, 3), 1, 8).Draw(t, "fates")}
	p.deeds = rapid.SliceOfN(rapid.SampledFrom([]string{"stop", "crash", "fail"}), 0, 3).Draw(t, "deeds")
	for range p.deeds {
		p.waits = append(p.waits, time.Duration(rapid.IntRange(0, 40_000).Draw(t, "wait"))*time.Millisecond)
	}
	return p
}

// live plays a plan and tells t what was wrong.
func (p plan) live(t testing.TB, h *house) {
	asked := map[int64]int{}
	fate := func(id int64, n int) answer {
		for i, f := range p.fates {
			if id == h.ids[i] && n < len(f) {
				return fates[f[n]]
			}
		}
		return answer{}
	}
	h.meta.says(func(c call) answer { asked[c.ID]++; return fate(c.ID, asked[c.ID]-1) })
	h.ids = h.queue(stream("oferta", func(s *outbox.Stream) { s.Campaign, s.Run = "natal", 7 }), 1, len(p.fates))
	h.start()
	crashed := false
	for i, deed := range p.deeds {
		h.pass(p.waits[i])
		switch deed {
		case "stop":
			h.stop()
			h.start()
		case "crash":
			h.crash()
			h.start()
			crashed = true
		case "fail":
			h.failTurn()
		}
	}
	for range 80 { // hours
		h.pass(time.Hour)
		h.write(func(tx *store.Tx) error { // somebody mends the campaign and resumes it
			_, err := outbox.Lift(tx, outbox.ScopeCampaign, "natal", "", "maria")
			return err
		})
		if s := h.states(); s[outbox.Queued]+s[outbox.Sending] == 0 {
			break
		}
	}
	p.check(t, h, crashed, fate)
}

// check compares what Meta saw with what the outbox says.
func (p plan) check(t testing.TB, h *house, crashed bool, fate func(int64, int) answer) {
	calls := map[int64]int{}
	for _, c := range h.meta.log() {
		if n := calls[c.ID]; n > 0 && fate(c.ID, n-1).taken() != "no" {
			t.Errorf("message %d was sent again after an answer that proves nothing", c.ID)
		}
		calls[c.ID]++
	}
	for i, id := range h.ids {
		m, n := h.message(id), calls[id]
		last := "nothing"
		if n > 0 {
			last = fate(id, n-1).taken()
		}
		ok := false
		switch m.State {
		case outbox.Accepted, outbox.AcceptedHeld:
			ok = last == "yes"
		case outbox.Unknown: // after a crash nobody knows, whatever was answered
			ok = last == "perhaps" || crashed
		case outbox.Failed:
			ok = last == "no"
		}
		if !ok {
			t.Errorf("message %d (%v) ended %s %q after %d requests; Meta took it: %s", i, p.fates[i], m.State, m.Reason, n, last)
		}
	}
}

// Whatever Meta answers, and whenever the process ends: nobody is sent to twice,
// and every message ends settled as the answers prove.
func TestWhateverMetaAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := draw(rt)
		rec := &recorder{TB: t}
		path := filepath.Join(t.TempDir(), "janela.db")
		synctest.Test(t, func(*testing.T) {
			h := open(rec, path)
			defer h.close()
			p.live(rec, h)
		})
		if len(rec.faults) > 0 {
			rt.Fatalf("%+v\n%s", p, strings.Join(rec.faults, "\n"))
		}
	})
}

// The two lives that the property found first.
func TestWhatAPropertyFound(t *testing.T) {
	for _, p := range []plan{
		{fates: [][]string{{"accepted late"}}, deeds: []string{"fail", "crash"}, waits: []time.Duration{6 * time.Second, time.Second}}, // the first look at what was in flight fails
		{fates: [][]string{{"accepted late"}}, deeds: []string{"fail", "stop"}, waits: []time.Duration{time.Second, time.Second}},      // the last results cannot be written at once
	} {
		t.Run(p.deeds[1], func(t *testing.T) {
			bubble(t, func(h *house) {
				p.live(t, h)
				want := outbox.Unknown
				if p.deeds[1] == "stop" {
					want = outbox.Accepted
				}
				h.wantStates(map[outbox.State]int64{want: 1})
			})
		})
	}
}
