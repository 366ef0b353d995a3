package campaigns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// sendSome lets n messages of marketing leave, and Meta answer as fate says of
// each, from 0 on; it returns them.
func (w *world) sendSome(n int, fate func(i int) outbox.Result) (out []outbox.Message) {
	w.t.Helper()
	w.must(func(tx *store.Tx) error {
		open, _, err := gate.Opens(tx, whatsapp.LaneMarketing)
		if err != nil || len(open) == 0 {
			return err
		}
		claimed, came, err := gate.Claim(tx, open[0], n)
		if err != nil {
			return err
		}
		var results []outbox.Result
		for i, m := range claimed {
			r := outbox.Result{To: outbox.Accepted, Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.%d", m.ID))}
			if fate != nil {
				if f := fate(i); f.To != "" {
					r = f
				}
			}
			r.Message, r.Attempt, r.At = m.ID, m.Attempt, tx.Now()
			results = append(results, r)
		}
		settled, err := outbox.Settle(tx, results)
		if err != nil {
			return err
		}
		out = claimed
		return w.c.Outcomes(tx, append(came, settled...))
	})
	return out
}

// status is what Meta says later of messages.
func (w *world) status(word string, code int, all ...outbox.Message) {
	w.t.Helper()
	w.must(func(tx *store.Tx) error {
		for _, m := range all {
			out, _, err := outbox.Observe(tx, outbox.Observation{Message: m.ID, Attempt: 1, Status: word, At: tx.Now(), Reason: "drop", Code: code})
			if err != nil {
				return err
			}
			if err := w.c.Outcomes(tx, out); err != nil {
				return err
			}
		}
		return nil
	})
}

// failing fails every message below n.
func failing(n int) func(int) outbox.Result {
	return func(i int) outbox.Result {
		if i < n {
			return outbox.Result{To: outbox.Failed, Reason: "drop", Code: 131026}
		}
		return outbox.Result{}
	}
}

// guardedCampaign starts a campaign of 300 people with a guard.
func guardedCampaign(t *testing.T, guard string, fn func(w *world)) {
	t.Helper()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 300)
		w.rate("GREEN")
		w.put("m.csv", people(1, 300))
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", "[guard]\n"+guard+"\n"))
		w.run()
		w.pass(2 * time.Minute)
		if n := len(w.list(getLines)); n != 300 {
			t.Fatalf("%d people were admitted\n%s", n, w.log.String())
		}
		fn(w)
	})
}

var setQuality = store.SQL(`UPDATE numbers SET quality = ?1`)

func (w *world) rate(quality string) {
	w.t.Helper()
	w.must(func(tx *store.Tx) error { _, err := tx.Exec(setQuality, quality); return err })
}

// standsAs is why the campaign stands still, as its status and its hold say.
func (w *world) standsAs() (reason, detail string) {
	w.t.Helper()
	camp := w.campaign("m")
	w.read(func(q *store.Snap) error {
		holds, err := outbox.Holds(q)
		for _, h := range holds {
			if h.Scope == outbox.ScopeCampaign && h.Target == "m" && h.Reason == camp.Reason && h.Actor == guardActor {
				detail = h.Detail
			}
		}
		return err
	})
	if camp.State != Paused {
		return camp.State, detail
	}
	return camp.Reason, detail
}

func (w *world) wantStanding(when, reason, detail string) {
	w.t.Helper()
	if r, d := w.standsAs(); r != reason || d != detail {
		w.t.Errorf("%s: the campaign is %s (%s), want %s (%s)", when, r, d, reason, detail)
	}
}

func (w *world) resumed() {
	w.t.Helper()
	if err := w.c.Resume(w.t.Context(), "m", "ana"); err != nil {
		w.t.Fatal(err)
	}
}

// Failures by answer count, from the smallest sample on, and stop the campaign in
// the transaction in which they are written.
func TestGuardOfFailures(t *testing.T) {
	guardedCampaign(t, "max_failed_percent = 10\nmin_sample = 20", func(w *world) {
		w.sendSome(19, failing(19))
		w.wantStanding("below the sample", Active, "")
		w.sendSome(1, nil)
		w.wantStanding("an acceptance asks nothing", Active, "")
		w.sendSome(1, failing(1))
		w.wantStanding("beyond it", ReasonGuardFailed, "20 of 21 messages failed (95.2 %), and max_failed_percent = 10")
		if n := len(w.sendSome(10, nil)); n != 0 {
			w.t.Errorf("%d messages left a campaign that stands still", n)
		}
		if got := w.list(getAudit); got[len(got)-1] != "guard campaigns pause m" {
			w.t.Errorf("the audit log ends with %v", got)
		}
		alerts := w.c.Alerts()
		if len(alerts) != 1 || !strings.Contains(alerts[0].Text, "20 of 21 messages failed (95.2 %), and max_failed_percent = 10; look at it, then janela campaigns resume m") {
			w.t.Errorf("%+v", alerts)
		}
		w.resumed()
		if len(w.c.Alerts()) != 0 || len(w.holds()) != 0 {
			w.t.Errorf("after the resume: %v, %v", w.c.Alerts(), w.holds())
		}
		// A new sample: what failed before is not held against it.
		w.sendSome(20, failing(2))
		w.wantStanding("10 % are no more than 10", Active, "")
		w.sendSome(1, failing(1))
		w.wantStanding("again", ReasonGuardFailed, "3 of 21 messages failed (14.3 %), and max_failed_percent = 10")
	})
}

// Failures by status count with the sample in which their message left.
func TestGuardOfFailedStatuses(t *testing.T) {
	guardedCampaign(t, "max_failed_percent = 10\nmin_sample = 20", func(w *world) {
		first := w.sendSome(60, nil)
		w.status("sent", 0, first...)
		w.status("failed", 131049, first[:6]...)
		w.status("failed", 131049, first[:6]...) // again, as Meta does
		w.wantStanding("10 %", Active, "")
		w.status("delivered", 0, first[0]) // one was delivered all the same
		w.status("failed", 131049, first[6])
		w.wantStanding("one of them was delivered", Active, "")
		w.status("failed", 131049, first[7])
		w.wantStanding("11.7 %", ReasonGuardFailed, "7 of 60 messages failed (11.7 %), and max_failed_percent = 10")
		w.pass(time.Minute)
		w.resumed()
		w.status("failed", 131049, first[8:40]...)
		w.wantStanding("late failures of the sample before", Active, "")
		second := w.sendSome(30, nil)
		w.status("failed", 131049, second[:4]...)
		w.wantStanding("of the new one", ReasonGuardFailed, "4 of 30 messages failed (13.3 %), and max_failed_percent = 10")
	})
}

// Unknown is no failure; what goes back to the queue is no sample.
func TestGuardCountsWhatIsKnown(t *testing.T) {
	guardedCampaign(t, "max_failed_percent = 10\nmin_sample = 20", func(w *world) {
		w.sendSome(100, func(int) outbox.Result { return outbox.Result{To: outbox.Queued, Reason: "retry", Code: 131016} })
		w.sendSome(19, failing(19))
		w.wantStanding("nothing but what goes back, and 19", Active, "")
		w.sendSome(50, func(int) outbox.Result { return outbox.Result{To: outbox.Unknown, Reason: "no_answer"} })
		w.wantStanding("unknowns", Active, "")
		w.sendSome(1, failing(1))
		w.wantStanding("beyond", ReasonGuardFailed, "20 of 70 messages failed (28.6 %), and max_failed_percent = 10")
	})
}

// The sample survives a crash, and the pause does.
func TestGuardSurvivesACrash(t *testing.T) {
	guardedCampaign(t, "max_failed_percent = 10\nmin_sample = 20", func(w *world) {
		w.sendSome(20, failing(2))
		w.crash()
		w.run()
		w.sendSome(1, failing(1))
		w.wantStanding("after a crash", ReasonGuardFailed, "3 of 21 messages failed (14.3 %), and max_failed_percent = 10")
		w.crash()
		w.run()
		w.pass(time.Minute)
		if n := len(w.sendSome(10, nil)); n != 0 {
			w.t.Errorf("%d messages left after a restart", n)
		}
		w.remove("m.toml") // a file that goes and comes back resumes nothing
		w.pass(10 * time.Second)
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", "[guard]\nmax_failed_percent = 10\nmin_sample = 20\n"))
		w.pass(10 * time.Second)
		if r, _ := w.standsAs(); r != ReasonGuardFailed {
			t.Errorf("after the file came back the campaign is %s", r)
		}
	})
}

// stops is what a person does who stops marketing; at is when they did.
func (w *world) stops(i int, source optin.Source, at time.Time) {
	w.t.Helper()
	w.must(func(tx *store.Tx) error {
		_, out, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{whatsapp.Phone(testPhone(i)).Identity()},
			Categories: []whatsapp.Category{whatsapp.Marketing}, Source: source, Actor: "person", At: at})
		if err != nil {
			return err
		}
		return w.c.Outcomes(tx, out)
	})
}

// Blocked by the user is error 131050, and who stops marketing within a day after
// the message, by themselves, if no other campaign wrote to them in between.
func TestGuardOfStops(t *testing.T) {
	guardedCampaign(t, "max_blocked_by_user_percent = 10\nmin_sample = 20", func(w *world) {
		sent := w.sendSome(30, func(i int) outbox.Result {
			if i == 29 {
				return outbox.Result{To: outbox.Failed, Reason: "suppress_marketing", Code: codeUserStopped}
			}
			return outbox.Result{}
		})
		who := map[int64]int{} // of the messages
		for _, m := range sent {
			_, err := fmt.Sscanf(m.Address, "+55119%d", new(int))
			if err != nil {
				w.t.Fatal(err)
			}
			var i int
			_, _ = fmt.Sscanf(m.Address, "+55119%d", &i)
			who[m.ID] = i
		}
		person := func(n int) int { return who[sent[n].ID] }
		w.pass(time.Hour)
		w.stops(person(0), optin.SourceWhatsApp, time.Now())
		w.stops(person(1), optin.SourcePreferences, time.Now())
		w.pass(3 * time.Second)
		w.wantStanding("three of 30", Active, "")
		w.stops(person(0), optin.SourcePreferences, time.Now())                // the same again
		w.stops(person(2), optin.SourceAPI, time.Now())                        // the business's own system
		w.stops(person(3), optin.SourceMeta, time.Now())                       // Meta tells with 131050
		w.stops(person(4), optin.SourceWhatsApp, time.Now().Add(-2*time.Hour)) // before the message
		w.stops(299, optin.SourceWhatsApp, time.Now())                         // who got none
		w.pass(3 * time.Second)
		w.wantStanding("none of these counts", Active, "")
		// Somebody who got another campaign's message since.
		w.put("n.csv", people(person(5), person(5)))
		w.put("n.toml", oneOff("n", "2026-11-20T11:10:00", "", ""))
		w.pass(15 * time.Minute)
		if n := w.turnOf("n"); n != 1 {
			w.t.Fatalf("the other campaign sent %d", n)
		}
		w.pass(time.Minute)
		w.stops(person(5), optin.SourceWhatsApp, time.Now())
		w.pass(3 * time.Second)
		w.wantStanding("it is the other campaign's", Active, "")
		w.stops(person(6), optin.SourceWhatsApp, time.Now())
		w.pass(3 * time.Second)
		w.wantStanding("four of 30", ReasonGuardBlocked, "4 of 30 people stopped such messages (13.3 %), and max_blocked_by_user_percent = 10")
		w.resumed()
		w.stops(person(7), optin.SourceWhatsApp, time.Now()) // of the sample before
		w.pass(25 * time.Hour)
		w.wantStanding("the sample before", Active, "")
		more := w.sendSome(20, nil)
		var i int
		for n := range 3 {
			_, _ = fmt.Sscanf(more[n].Address, "+55119%d", &i)
			w.stops(i, optin.SourceWhatsApp, time.Now())
		}
		w.crash() // they are counted by who comes after
		w.run()
		w.pass(3 * time.Second)
		w.wantStanding("after a crash", ReasonGuardBlocked, "3 of 20 people stopped such messages (15.0 %), and max_blocked_by_user_percent = 10")
	})
}

// turnOf lets everything of one campaign leave.
func (w *world) turnOf(id string) (left int) {
	w.t.Helper()
	var open []gate.Open
	w.read(func(q *store.Snap) (err error) {
		open, _, err = gate.Opens(q, whatsapp.LaneMarketing)
		return err
	})
	for _, o := range open {
		if o.Campaign == id {
			left += w.turn(o).left
		}
	}
	return left
}

// The number's rating pauses at once, before the first message too; what somebody
// resumed with goes on, until it is worse, or was better in between.
func TestGuardOfQuality(t *testing.T) {
	guardedCampaign(t, `pause_on_quality = "yellow"`, func(w *world) {
		var got []string
		for _, quality := range []string{"GREEN", "UNKNOWN", "", "YELLOW", "resume", "YELLOW", "RED", "resume", "YELLOW", "RED", "resume", "GREEN", "YELLOW", "resume", "GREEN"} {
			if quality == "resume" {
				w.resumed()
			} else {
				w.rate(quality)
			}
			w.pass(5 * time.Second)
			r, _ := w.standsAs()
			got = append(got, quality+" "+r)
		}
		want := []string{"GREEN active", "UNKNOWN active", " active", "YELLOW guard_quality", "resume active", "YELLOW active", "RED guard_quality", "resume active",
			"YELLOW active", "RED guard_quality", "resume active", "GREEN active", "YELLOW guard_quality", "resume active", "GREEN active"}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
		w.rate("RED")
		w.pass(5 * time.Second)
		w.wantStanding("in the end", ReasonGuardQuality, `Meta rates the number loja red, and pause_on_quality = "yellow"`)
	})
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 3)
		w.rate("RED")
		w.put("m.csv", people(1, 3))
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", "[guard]\npause_on_quality = \"red\"\n"))
		w.run()
		w.pass(90 * time.Second)
		w.wantStanding("at the start", ReasonGuardQuality, `Meta rates the number loja red, and pause_on_quality = "red"`)
		if n := w.send(); n != 0 {
			t.Errorf("%d messages left", n)
		}
	})
}

var countGuards = store.SQL(`SELECT CAST(count(*) AS TEXT) FROM guards`)

// A run that ended is not watched for ever.
func TestGuardsEndWithTheirCampaign(t *testing.T) {
	guardedCampaign(t, "max_failed_percent = 10", func(w *world) {
		equal(w.t, "guards of a run under way", w.list(countGuards)[0], "1")
		w.send()
		equal(w.t, "state", w.campaign("m").State, Finished)
		equal(w.t, "guards afterwards", w.list(countGuards)[0], "0")
	})
	guardedCampaign(t, "max_failed_percent = 10", func(w *world) {
		if _, err := w.c.Cancel(w.t.Context(), "m", "ana"); err != nil {
			w.t.Fatal(err)
		}
		equal(w.t, "guards of a cancelled campaign", w.list(countGuards)[0], "0")
	})
}
