package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// reactions is what an error of each class does. Requeued is when the message
// may be tried again after its first attempt; 0: never.
var reactions = map[whatsapp.Class]struct {
	scope    outbox.Scope // "" for no hold
	target   string
	reason   string
	until    time.Duration // of a probe; 0: until somebody lifts it
	requeued time.Duration
}{
	whatsapp.ClassRetry:             {requeued: time.Second},
	whatsapp.ClassPair:              {requeued: 6 * time.Second},
	whatsapp.ClassThrottleNumber:    {requeued: time.Second},
	whatsapp.ClassThrottleApp:       {outbox.ScopeAccount, waba, "account_throttled", 10 * time.Minute, time.Second},
	whatsapp.ClassWaitNumber:        {outbox.ScopeNumber, number1, "number_not_ready", 10 * time.Second, time.Second},
	whatsapp.ClassPauseNumber:       {outbox.ScopeNumber, number1, "number_restricted", time.Hour, time.Second},
	whatsapp.ClassPauseTemplate:     {outbox.ScopeTemplate, "900/marketing/pt_BR", "template_paused", 5 * time.Minute, time.Second},
	whatsapp.ClassWaitTemplate:      {outbox.ScopeTemplate, "900/marketing/pt_BR", "template_syncing", 10 * time.Minute, time.Second},
	whatsapp.ClassMedia:             {requeued: time.Second}, // more in media_test.go
	whatsapp.ClassStopCampaign:      {outbox.ScopeCampaign, "natal", "campaign_error", 0, time.Second},
	whatsapp.ClassHaltAuth:          {outbox.ScopeAccount, waba, "bad_token", time.Minute, time.Second},
	whatsapp.ClassHaltAccount:       {outbox.ScopeAccount, waba, "account_blocked", 30 * time.Minute, time.Second},
	whatsapp.ClassHaltNumber:        {outbox.ScopeNumber, number1, "number_unusable", 30 * time.Minute, time.Second},
	whatsapp.ClassHaltPayment:       {outbox.ScopeAccount, waba, "payment", 30 * time.Minute, time.Second},
	whatsapp.ClassDrop:              {},
	whatsapp.ClassBarCountry:        {},
	whatsapp.ClassDropDefer:         {},
	whatsapp.ClassSuppressMarketing: {},
	whatsapp.ClassSuppressUser:      {},
	whatsapp.ClassWindow:            {},
	whatsapp.ClassUnknown:           {},
}

func inCampaign() outbox.Stream {
	s := streamOf(whatsapp.Marketing)
	s.Campaign, s.Run = "natal", 7
	return s
}

func TestReactToEachClass(t *testing.T) {
	for class, want := range reactions {
		t.Run(string(class), func(t *testing.T) {
			w := newWorld(t)
			var msg outbox.Message
			var s outbox.Stream
			w.write(t, func(tx *store.Tx) error {
				p, err := person(tx, 1)
				if err != nil {
					return err
				}
				var ids []int64
				if s, ids, err = queue(tx, inCampaign(), p.ID); err != nil {
					return err
				}
				msg, _, err = outbox.ByID(tx, ids[0])
				return err
			})
			f := Failure{Message: msg, Stream: s, Code: whatsapp.Code{Code: 42, Class: class, Meaning: "what Meta says"}}
			for i := range 2 { // the second time it stands already
				var r Reaction
				w.write(t, func(tx *store.Tx) (err error) { r, err = React(tx, f); return err })
				if r.Placed != (want.scope != "" && i == 0) {
					t.Errorf("time %d: placed is %v", i+1, r.Placed)
				}
				if r.Hold.Scope != want.scope || r.Hold.Target != want.target {
					t.Errorf("hold %+v", r.Hold)
				}
			}
			var holds []outbox.Hold
			if err := w.Read(t.Context(), func(s *store.Snap) (err error) { holds, err = outbox.Holds(s); return err }); err != nil {
				t.Fatal(err)
			}
			var stands []outbox.Hold
			if want.scope != "" {
				h := outbox.Hold{Scope: want.scope, Target: want.target, Reason: want.reason, Detail: "error 42: what Meta says", Actor: "meta", Since: ms(0)}
				if want.until > 0 {
					h.Until, h.Probe = store.Millis(start.Add(want.until)), true
				}
				stands = append(stands, h)
				if !h.Stops(&s) {
					t.Error("the hold does not stop the stream whose message failed")
				}
			}
			if diff := cmp.Diff(stands, holds, cmpopts.IgnoreFields(outbox.Hold{}, "ID"), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			retry, ok := Requeues(s, f.Code, 1, 0, start)
			if ok != (want.requeued > 0) || ok && !retry.Equal(start.Add(want.requeued)) {
				t.Errorf("requeues %v at %v, want after %v", ok, retry.Sub(start), want.requeued)
			}
		})
	}
}

// A restriction lasts an hour for what the business begins. A code would be over
// by then, and a text as well: they are tried sooner.
func TestWhatARestrictionSpares(t *testing.T) {
	c := whatsapp.LookupCode(131048, 0)
	for category, want := range map[whatsapp.Category]time.Duration{whatsapp.Marketing: time.Hour, whatsapp.Utility: time.Hour,
		whatsapp.Authentication: time.Second, whatsapp.Service: 8 * time.Second} {
		s := streamOf(category)
		if retry, ok := Requeues(s, c, 4, c.RetryAfter, start); !ok || retry.Sub(start) != want {
			t.Errorf("%s: again %v after %v, want %v", category, ok, retry.Sub(start), want)
		}
		w := newWorld(t)
		w.write(t, func(tx *store.Tx) error {
			if _, err := React(tx, Failure{Stream: s, Code: c}); err != nil {
				return err
			}
			holds, err := outbox.Holds(tx)
			for i, reason := range []string{"number_restricted", "codes_restricted"}[:len(holds)] {
				if holds[i].Reason != reason {
					t.Errorf("%s: %s is held for %s", category, holds[i].Target, holds[i].Reason)
				}
			}
			if both := len(holds) == 2; both != (category == whatsapp.Authentication) {
				t.Errorf("%s: %d holds", category, len(holds))
			}
			for _, of := range []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility, whatsapp.Authentication, whatsapp.Service} {
				stops := false
				other := streamOf(of)
				for _, h := range holds {
					stops = stops || h.Stops(&other)
				}
				if want := of == whatsapp.Marketing || of == whatsapp.Utility || of == whatsapp.Authentication && category == whatsapp.Authentication; stops != want {
					t.Errorf("met by %s, it stops %s: %v", category, of, stops)
				}
			}
			return err
		})
	}
}

// Every code of Meta's table has a class that the gate knows, and one after
// which the message may have been taken is never sent again.
func TestEveryCodeHasAReaction(t *testing.T) {
	codes := whatsapp.Codes()
	for code := range 10 {
		for _, status := range []int{0, 400, 429, 500, 503} {
			codes = append(codes, whatsapp.LookupCode(900_000+code, status), whatsapp.LookupCode(code, status))
		}
	}
	maybe := 0
	for _, c := range codes {
		want, known := reactions[c.Class]
		if !known {
			t.Errorf("code %d: class %q has no reaction", c.Code, c.Class)
			continue
		}
		for _, s := range []outbox.Stream{inCampaign(), streamOf(whatsapp.Marketing)} {
			for attempt := 1; attempt < 5; attempt++ {
				retry, ok := Requeues(s, c, attempt, time.Hour, start)
				if c.Accepted == whatsapp.AcceptedMaybe {
					maybe++
					if ok || want.scope != "" {
						t.Errorf("code %d may have been taken, and is requeued (%v) or holds %q", c.Code, ok, want.scope)
					}
				}
				if ok && retry.Before(start.Add(max(c.RetryAfter, time.Hour))) {
					t.Errorf("code %d: again after %v, sooner than Meta asked for", c.Code, retry.Sub(start))
				}
			}
		}
	}
	if maybe == 0 {
		t.Error("no code may have been taken: the table has changed")
	}
}

// A fault of configuration with nobody to mend it is final.
func TestConfigurationFaultOfASingleMessage(t *testing.T) {
	single := streamOf(whatsapp.Utility)
	if _, ok := Requeues(single, whatsapp.Code{Class: whatsapp.ClassStopCampaign}, 1, 0, start); ok {
		t.Error("it is tried again, although no campaign could be resumed")
	}
	w := newWorld(t)
	w.write(t, func(tx *store.Tx) error {
		r, err := React(tx, Failure{Stream: single, Code: whatsapp.Code{Class: whatsapp.ClassStopCampaign}})
		if err != nil || r.Placed || r.Hold.Scope != "" {
			t.Errorf("%+v %v, want no hold: it would stop every campaign", r, err)
		}
		holds, err := outbox.Holds(tx)
		if len(holds) > 0 {
			t.Errorf("holds %v", holds)
		}
		return err
	})
}

// A code is worth nothing in five minutes: it is tried again every ten seconds,
// unless Meta asks for more patience.
func TestBackOffOfCodes(t *testing.T) {
	s := streamOf(whatsapp.Authentication)
	for attempt, seconds := range []int{1, 1, 2, 4, 8, 10, 10, 10, 10} {
		want := time.Duration(seconds) * time.Second
		retry, ok := Requeues(s, whatsapp.Code{Class: whatsapp.ClassRetry}, attempt, 0, start)
		if !ok || retry.Sub(start) != want {
			t.Errorf("attempt %d: again %v after %v, want %v", attempt, ok, retry.Sub(start), want)
		}
	}
	if retry, _ := Requeues(s, whatsapp.Code{Class: whatsapp.ClassRetry}, 1, time.Minute, start); retry.Sub(start) != time.Minute {
		t.Errorf("Meta asked for a minute, and it is tried after %v", retry.Sub(start))
	}
}

func TestBackOff(t *testing.T) {
	s := inCampaign()
	for _, c := range []struct {
		class      whatsapp.Class
		attempt    int
		asked, own time.Duration // by Meta's answer, by the table
		want       time.Duration
	}{
		{whatsapp.ClassRetry, 0, 0, 0, time.Second},
		{whatsapp.ClassRetry, 1, 0, 0, time.Second},
		{whatsapp.ClassRetry, 2, 0, 0, 2 * time.Second},
		{whatsapp.ClassRetry, 5, 0, 0, 16 * time.Second},
		{whatsapp.ClassRetry, 9, 0, 0, 256 * time.Second},
		{whatsapp.ClassRetry, 10, 0, 0, 5 * time.Minute},
		{whatsapp.ClassRetry, 1_000_000, 0, 0, 5 * time.Minute},
		{whatsapp.ClassRetry, 2, 40 * time.Second, 0, 40 * time.Second},
		{whatsapp.ClassRetry, 2, 0, 10 * time.Second, 10 * time.Second},
		{whatsapp.ClassRetry, 9, 40 * time.Second, 10 * time.Second, 256 * time.Second},
		{whatsapp.ClassPair, 1, 0, 0, 6 * time.Second},
		{whatsapp.ClassPair, 2, 0, 0, 24 * time.Second},
		{whatsapp.ClassPair, 4, 0, 0, 384 * time.Second},
		{whatsapp.ClassPair, 6, 0, 0, time.Hour},
		{whatsapp.ClassPair, 1_000_000, 0, 0, time.Hour},
		{whatsapp.ClassPauseNumber, 8, 0, time.Hour, time.Hour}, // the hold decides, not the attempt
		{whatsapp.ClassHaltPayment, 8, 0, 0, time.Second},
	} {
		got, ok := Requeues(s, whatsapp.Code{Class: c.class, RetryAfter: c.own}, c.attempt, c.asked, start)
		if !ok || got.Sub(start) != c.want {
			t.Errorf("%+v: %v %v", c, got.Sub(start), ok)
		}
	}
}

// Error 131050 says that the person stopped marketing: it is written down for
// every contact of the person, and what is queued to them is cancelled.
func TestSuppressMarketing(t *testing.T) {
	w := newWorld(t)
	var failed outbox.Message
	var s outbox.Stream
	queued := map[string]int64{}
	w.write(t, func(tx *store.Tx) error {
		p, err := person(tx, 1)
		if err != nil {
			return err
		}
		bsuid, err := contacts.Learn(tx, whatsapp.BSUID("BR.1502").Identity())
		if err != nil {
			return err
		}
		if _, err := contacts.Learn(tx, phone(1), whatsapp.BSUID("BR.1502").Identity()); err != nil {
			return err
		}
		stranger, err := person(tx, 2)
		if err != nil {
			return err
		}
		for _, c := range []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility} {
			for _, contact := range []int64{p.ID, bsuid.ID, stranger.ID} {
				if err := grant(tx, contact, c); err != nil {
					return err
				}
			}
		}
		var ids []int64
		if s, ids, err = queue(tx, inCampaign(), p.ID, stranger.ID); err != nil {
			return err
		}
		failed, _, err = outbox.ByID(tx, ids[0])
		if err != nil {
			return err
		}
		if _, _, err := outbox.Apply(tx, s, []outbox.Move{{Message: failed, To: outbox.Sending}}); err != nil {
			return err
		}
		queued["stranger"] = ids[1]
		other := inCampaign()
		other.Run = 8
		if _, ids, err = queue(tx, other, bsuid.ID); err != nil {
			return err
		}
		queued["marketing by BSUID"] = ids[0]
		_, ids, err = queue(tx, streamOf(whatsapp.Utility), p.ID)
		queued["utility"] = ids[0]
		return err
	})
	w.write(t, func(tx *store.Tx) error {
		r, err := React(tx, Failure{Message: failed, Stream: s, Code: whatsapp.LookupCode(131050, 0), ByStatus: true})
		if err != nil {
			return err
		}
		if r.Placed || r.Hold.Scope != "" {
			t.Errorf("a hold on everybody for one person's wish: %+v", r.Hold)
		}
		if len(r.Outcomes) != 1 || r.Outcomes[0].Message != queued["marketing by BSUID"] || r.Outcomes[0].To != outbox.Cancelled {
			t.Errorf("outcomes %+v", r.Outcomes)
		}
		for name, want := range map[string]outbox.State{"stranger": outbox.Queued, "marketing by BSUID": outbox.Cancelled, "utility": outbox.Queued} {
			if m, _, err := outbox.ByID(tx, queued[name]); err != nil || m.State != want {
				t.Errorf("%s is %s, want %s (%v)", name, m.State, want, err)
			}
		}
		return nil
	})
	// From now on marketing is refused, whatever is granted later, until lifted.
	w.wall = at(5)
	w.write(t, func(tx *store.Tx) error {
		if err := consent(tx, failed.Contact, whatsapp.Marketing, "*", at(1), time.Time{}); err != nil {
			return err
		}
		again := inCampaign()
		again.Run = 9
		_, ids, err := queue(tx, again, failed.Contact)
		if err != nil {
			return err
		}
		if _, _, err := claimAll(tx, whatsapp.LaneMarketing, 10); err != nil {
			return err
		}
		m, _, err := outbox.ByID(tx, ids[0])
		if m.State != outbox.Refused || m.Reason != string(OptedOut) {
			t.Errorf("it is %s %q", m.State, m.Reason)
		}
		return err
	})
}

// The classes of this test are all there are: a new one must be thought about.
func TestReactionsNameOnlyClassesThatAreUsed(t *testing.T) {
	var used []whatsapp.Class
	for _, c := range whatsapp.Codes() {
		used = append(used, c.Class)
	}
	for class := range reactions {
		if !slices.Contains(used, class) {
			t.Errorf("class %q stands for no code", class)
		}
	}
}
