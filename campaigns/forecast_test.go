package campaigns

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// limitedTo lets 15 people in within 24 hours; who counts now are the example
// people from to to, for so many hours from worldStart.
func limitedTo(w **world, from, to, hours int) func(*Config) {
	return func(c *Config) {
		c.Tier = func(q store.Querier, category whatsapp.Category) (Tier, error) {
			t := Tier{Limit: 20, Kept: 5, Counts: map[int64]int64{}, Span: 24 * time.Hour}
			for i := from; i <= to; i++ {
				who, _, err := contacts.Find(q, whatsapp.Phone(testPhone(i)).Identity())
				if err != nil {
					return t, err
				}
				t.Counts[who.ID] = store.Millis(worldStart.Add(time.Duration(hours) * time.Hour))
			}
			return t, nil
		}
		c.Limited = func(time.Time, whatsapp.Category) (string, time.Time, bool) {
			return "20 of 20 people in 24 hours", worldStart.Add(time.Duration(hours) * time.Hour), to-from+1 >= 15
		}
	}
}

// A plan says how long the messaging limit makes it last.
func TestPlanWithinTheMessagingLimit(t *testing.T) {
	var w *world
	inWorld(t, limitedTo(&w, 1, 10, 7), func(t *testing.T, made *world) {
		w = made
		w.consent("marketing", 1, 60)
		for _, c := range []struct {
			people      string
			last        time.Time
			new         int64
			hint, limit string
		}{
			{people(1, 12), worldStart.Add(time.Hour + 110*time.Millisecond), 2, "", ""}, // ten count already
			// 5 at once, 10 when the others leave, 15 a day later, and 20 more.
			{people(1, 60), worldStart.Add(73*time.Hour + 160*time.Millisecond), 50, "15 new people in 24 hours (20 less what is kept), and 5 more now: its 50 new people take until 2026-11-23T14:00:00Z", ""},
		} {
			w.put("m.csv", c.people)
			w.put("m.toml", oneOff("m", "2026-11-20T11:00:00", "", ""))
			plan, problems, err := w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{})
			if err != nil || problems.HasErrors() {
				t.Fatal(err, problems)
			}
			if plan.LastSend.Sub(c.last).Abs() > time.Second {
				t.Errorf("the last leaves at %v, want %v", plan.LastSend, c.last)
			}
			if diff := cmp.Diff(&PlanLimit{Limit: 20, Kept: 5, Count: 10, New: c.new}, plan.Limit); diff != "" {
				t.Error(diff)
			}
			if hints := strings.Join(plan.Hints, "\n"); c.hint == "" && strings.Contains(hints, "limit") || !strings.Contains(hints, c.hint) {
				t.Errorf("hints %q, want %q", hints, c.hint)
			}
		}
		// Who would get it after its end does not get it.
		w.put("m.toml", oneOff("m", "2026-11-20T11:00:00\nends_at = 2026-11-21T18:00:00", "", ""))
		plan, _, err := w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{})
		if err != nil || plan.Go != 40 || plan.Refused["deadline"] != 20 {
			t.Errorf("with an end: %v, %+v", err, plan)
		}
	})
}

// status is what status.json says of a campaign.
func (w *world) statusOf(id string) (s Status) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.cfg.Status, id, "status.json"))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// The status says why a run waits, until when, and when it will be through.
func TestStatusSaysWhatItWaitsFor(t *testing.T) {
	var w *world
	inWorld(t, limitedTo(&w, 200, 214, 7), func(t *testing.T, made *world) {
		w = made
		w.consent("marketing", 1, 60)
		w.consent("marketing", 200, 214)
		w.put("m.csv", people(1, 60))
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", "[throttle]\nper_day = 20\nper_second = 2\nramp = { start_per_second = 0.5, double_every = \"1m\" }\n"))
		w.run()
		w.pass(3 * time.Minute)
		waits := func() (out []string) {
			w.pass(statusOpen + 3*time.Second)
			for _, x := range w.statusOf("m").Runs[0].Waits {
				out = append(out, fmt.Sprintf("%s %s: %s", x.Reason, x.Until, x.Detail))
			}
			return out
		}
		check := func(when, finishes string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, waits()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
			if got := w.statusOf("m").Runs[0].Finishes; got != finishes {
				t.Errorf("%s: it finishes at %q, want %q", when, got, finishes)
			}
		}
		limit := "messaging_limit 2026-11-20T20:00:00Z: 20 of 20 people in 24 hours"
		// 15 at 20 h of each day; and afterwards 15 at each midnight.
		check("full", "2026-11-23T20:01:00Z", limit)
		w.sendSome(20, nil)
		check("enough for today", "2026-11-23T03:01:00Z", "day_limit 2026-11-21T03:00:00Z: 20 messages of the campaign left today, and per_day = 20", limit)
		w.must(func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeNumber, Target: "200000000000001", Reason: "number_unusable", Detail: "error 33", Actor: "meta"})
			return err
		})
		got := waits()
		if len(got) != 3 || got[0] != "held : hold on number 200000000000001: number_unusable, by meta (error 33)" || w.statusOf("m").Runs[0].Finishes != "" {
			t.Errorf("held: %v, finishes %q", got, w.statusOf("m").Runs[0].Finishes)
		}
		if words := WaitWords(w.statusOf("m").Runs[0].Waits); !strings.HasPrefix(words, got[0][len("held : "):]+"; 20 messages of the campaign left today, and per_day = 20, until 2026-11-21T03:00:00Z; ") {
			t.Errorf("in words: %s", words)
		}
	})
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 60)
		w.put("m.csv", people(1, 60))
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", "[throttle]\nper_second = 0.1\n"))
		w.run()
		w.pass(2 * time.Minute)
		w.sendSome(7, func(int) outbox.Result { return outbox.Result{To: outbox.AcceptedHeld, Wamid: ""} })
		w.pass(statusOpen + 3*time.Second)
		s := w.statusOf("m").Runs[0]
		if len(s.Waits) != 1 || s.Waits[0].Detail != "Meta holds 7 of its messages back for a quality assessment" || s.Messages["accepted_held"] != 7 {
			t.Errorf("%+v", s)
		}
		if s.Finishes != "2026-11-20T13:12:00Z" { // 53 at one in ten seconds
			t.Errorf("it finishes at %s", s.Finishes)
		}
	})
}
