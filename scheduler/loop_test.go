package scheduler_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
	"janela/scheduler"

	"github.com/google/go-cmp/cmp"
)

func diff(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestFiresWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:00:00")
		defer h.close()
		h.start()
		h.put("a", scheduler.Spec{Cron: "0 9 * * MON-FRI", SkipDates: []string{"2026-11-25"}, EndsAt: "2026-11-30T09:00:00", Missed: scheduler.Skip})
		diff(t, "next", h.next("a"), "2026-11-23T09:00 2026-11-23T12:00:00Z")
		h.sleep(10 * 24 * time.Hour)
		diff(t, "firings", h.civils("a"), []string{"2026-11-23T09:00", "2026-11-24T09:00", "2026-11-26T09:00", "2026-11-27T09:00"})
		for _, f := range h.calls {
			if f.Late > time.Second || f.DueAt != instant(t, f.Civil+":00", zone).UTC() || f.SlotID == 0 || f.Zone != zone {
				t.Errorf("fired %+v", f)
			}
		}
		diff(t, "next after the end", h.next("a"), "")
	})
}

// What a wall clock does in New York in 2026: 01:30 twice, 02:30 never.
func TestOverlapOnceAndGapAtItsEnd(t *testing.T) {
	const ny = "America/New_York"
	synctest.Test(t, func(t *testing.T) {
		h := newHouseIn(t, "2026-03-07T12:00:00", ny)
		defer h.close()
		h.start()
		h.put("gap", scheduler.Spec{Cron: "30 2 * * *", Zone: ny, Missed: scheduler.Skip})
		h.put("overlap", scheduler.Spec{Cron: "30 1 * * *", Zone: ny, Missed: scheduler.Skip})
		h.sleep(36 * time.Hour)
		diff(t, "gap", h.civils("gap"), []string{"2026-03-08T02:30"})
		diff(t, "due", h.calls[1].DueAt, instant(t, "2026-03-08T03:00:00", ny).UTC())
		diff(t, "overlap", h.civils("overlap"), []string{"2026-03-08T01:30"})

		h.forget()
		h.halt()
		h.step(instant(t, "2026-10-31T12:00:00", ny).Sub(h.wall()))
		h.start()
		h.forget() // the months between are another test's
		h.sleep(48 * time.Hour)
		diff(t, "overlap", h.civils("overlap"), []string{"2026-11-01T01:30", "2026-11-02T01:30"})
		diff(t, "gap", h.civils("gap"), []string{"2026-11-01T02:30", "2026-11-02T02:30"})
	})
}

// R9: what fires after the house was down, by policy.
func TestMissedPolicies(t *testing.T) {
	const month = 30 * 24 * time.Hour
	hours := func(from, to string) (out []string) {
		a, b := instant(t, from+":00", "UTC"), instant(t, to+":00", "UTC")
		for ; !a.After(b); a = a.Add(time.Hour) {
			out = append(out, a.Format("2006-01-02T15:04"))
		}
		return out
	}
	none := []string(nil)
	day := func(times ...string) (out []string) {
		for _, at := range times {
			out = append(out, "2026-11-23T"+at)
		}
		return out
	}
	// Hourly; the house stops at 12:30 on 2026-11-23.
	for _, c := range []struct {
		down               time.Duration
		late               time.Duration
		skip, once, runAll []string
	}{
		{time.Minute, 2 * time.Hour, none, none, none},
		{30 * time.Minute, 2 * time.Hour, day("13:00"), day("13:00"), day("13:00")}, // on the second
		{31 * time.Minute, 2 * time.Hour, day("13:00"), day("13:00"), day("13:00")}, // a minute is on time
		{31*time.Minute + time.Second, 2 * time.Hour, none, day("13:00"), day("13:00")},
		{40 * time.Minute, 5 * time.Minute, none, none, none},
		{40 * time.Minute, time.Second, none, none, none},
		{5*time.Hour + 30*time.Minute, 2 * time.Hour, day("18:00"), day("17:00", "18:00"), day("16:00", "17:00", "18:00")},
		{6 * time.Hour, 2 * time.Hour, none, day("18:00"), day("17:00", "18:00")},
		{6 * time.Hour, 0, none, day("18:00"), day("18:00")}, // the default is one hour
		{24 * time.Hour, 2 * time.Hour, none, []string{"2026-11-24T12:00"}, []string{"2026-11-24T11:00", "2026-11-24T12:00"}},
		{100 * time.Hour, month, none, []string{"2026-11-27T16:00"}, hours("2026-11-23T13:00", "2026-11-27T16:00")},
		{101 * time.Hour, month, none, []string{"2026-11-27T17:00"}, []string{"2026-11-27T17:00"}}, // more than 100
		{7 * 24 * time.Hour, 2 * time.Hour, none, []string{"2026-11-30T12:00"}, []string{"2026-11-30T11:00", "2026-11-30T12:00"}},
		{7 * 24 * time.Hour, month, none, []string{"2026-11-30T12:00"}, []string{"2026-11-30T12:00"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, "2026-11-23T11:30:00")
			defer h.close()
			h.start()
			policies := []scheduler.Missed{scheduler.Skip, scheduler.RunOnce, scheduler.RunAll}
			for _, p := range policies {
				h.put(string(p), scheduler.Spec{Cron: "0 * * * *", Missed: p, MaxLateness: c.late})
			}
			h.sleep(time.Hour)
			h.close()
			h.forget()
			time.Sleep(c.down)
			h.open()
			h.start()
			for i, want := range [][]string{c.skip, c.once, c.runAll} {
				key := string(policies[i])
				diff(t, fmt.Sprintf("down %v, max %v, %s", c.down, c.late, key), h.civils(key), want)
				var due, past int
				for _, row := range h.rows(key) {
					if row.state == "due" {
						due++
					} else {
						past++
					}
				}
				if slots := 1 + int((c.down+30*time.Minute)/time.Hour); due != 1 || past != slots {
					t.Errorf("down %v, %s: %d slots are settled and %d due, want %d and 1", c.down, key, past, due, slots)
				}
			}
			for key, n := range h.fired() {
				if n != 1 {
					t.Errorf("%s fired %d times", key, n)
				}
			}
		})
	}
}

func TestLongAbsenceStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T11:30:30")
		defer h.close()
		h.put("a", scheduler.Spec{Cron: "* * * * *", Missed: scheduler.RunAll, MaxLateness: 366 * 24 * time.Hour})
		for _, down := range []time.Duration{10 * 24 * time.Hour, 3 * 366 * 24 * time.Hour} {
			h.forget()
			before := len(h.rows("a"))
			time.Sleep(down)
			h.start()
			h.halt()
			if n := len(h.calls); n != 2 { // one for all, and the one on time
				t.Errorf("down %v: %d firings", down, n)
			}
			if n := len(h.rows("a")) - before; n > 201 {
				t.Errorf("down %v: %d new rows", down, n)
			}
		}
	})
}

// R8 and exactly once: whatever happens to the process and its clock, every slot
// of a run_all series fires once, in order.
func TestExactlyOnceOverCrashesAndClockSteps(t *testing.T) {
	var undone int
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			h := newHouse(t, "2026-11-23T11:30:30")
			defer func() { h.close() }()
			spec := scheduler.Spec{Cron: "*/20 * * * *", Missed: scheduler.RunAll, MaxLateness: 366 * 24 * time.Hour, Zone: zone}
			begin := h.wall()
			h.put("a", spec)
			h.slow = 2 * time.Millisecond
			h.start()
			for range 60 {
				switch r.IntN(6) {
				case 0: // killed, at any millisecond around a firing too
					next, err := spec.Upcoming(h.wall(), 1)
					if err != nil {
						t.Fatal(err)
					}
					if wait := next[0].DueAt.Sub(h.wall()); r.IntN(2) == 0 && wait > 0 {
						time.Sleep(wait + time.Duration(r.IntN(5))*time.Millisecond)
					}
					h.crash()
					time.Sleep(time.Duration(r.IntN(5000)) * time.Second)
					h.open()
					h.start()
				case 1: // stopped and started
					h.close()
					time.Sleep(time.Duration(r.IntN(5000)) * time.Second)
					h.open()
					h.start()
				case 2: // the clock is set
					h.step([]time.Duration{time.Second, -time.Second, time.Hour, -time.Hour, 24 * time.Hour / 4, -24 * time.Hour / 4}[r.IntN(6)])
				case 3: // the same definition again
					h.put("a", spec)
				default:
					h.sleep(time.Duration(r.IntN(2400)) * time.Second)
				}
			}
			h.sleep(2 * time.Minute)
			end := h.wall()
			slots, err := spec.Upcoming(begin, 20_000)
			if err != nil {
				t.Fatal(err)
			}
			fired, want := h.fired(), 0
			for _, s := range slots {
				n := fired["a/"+s.Civil]
				if s.DueAt.Before(end) && n != 1 || n > 1 {
					t.Fatalf("seed %d: %s fired %d times", seed, s.Civil, n)
				}
				want += n
			}
			if want < 20 {
				t.Errorf("seed %d: only %d firings", seed, want)
			}
			undone += len(h.calls) - want
			for i := 1; i < len(h.calls); i++ {
				if h.calls[i].DueAt.Before(h.calls[i-1].DueAt) {
					t.Fatalf("seed %d: %s fired after %s", seed, h.calls[i].Civil, h.calls[i-1].Civil)
				}
			}
		})
	}
	if undone == 0 {
		t.Error("no crash hit a firing")
	}
}

func TestFailingScheduleIsTriedAgainAndBlocksNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:59:00")
		defer h.close()
		h.start()
		h.breaks(func(f scheduler.Firing) error {
			switch f.Key {
			case "a":
				return errors.New("the disk is on fire")
			case "b":
				panic("a bug")
			}
			return nil
		})
		for _, key := range []string{"a", "b", "c"} {
			h.put(key, scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.Skip})
		}
		h.put("d", scheduler.Spec{Cron: "*/5 * * * *", Missed: scheduler.Skip})
		h.sleep(31 * time.Minute)
		diff(t, "the healthy ones", h.fired(), map[string]int{"c/2026-11-23T09:00": 1, "d/2026-11-23T09:00": 1, "d/2026-11-23T09:05": 1,
			"d/2026-11-23T09:10": 1, "d/2026-11-23T09:15": 1, "d/2026-11-23T09:20": 1, "d/2026-11-23T09:25": 1, "d/2026-11-23T09:30": 1})
		if n := len(h.civils("a")); n < 20 || n > 40 {
			t.Errorf("a was tried %d times in half an hour", n)
		}
		h.breaks(nil)
		h.sleep(2 * time.Minute)
		if f := h.fired(); f["a/2026-11-23T09:00"] != 1 || f["b/2026-11-23T09:00"] != 1 {
			t.Errorf("after the repair: %v", f)
		}
		if note := h.rows("a")[0].note; !strings.Contains(note, "firing failed before") {
			t.Errorf("a's slot says %q", note)
		}
	})
}

func TestFailingSlotIsGivenUpAtMaxLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:59:00")
		defer h.close()
		h.start()
		h.breaks(func(f scheduler.Firing) error {
			if f.Civil == "2026-11-23T09:00" {
				return errors.New("no")
			}
			return nil
		})
		h.put("a", scheduler.Spec{Cron: "0 * * * *", Missed: scheduler.RunOnce, MaxLateness: 20 * time.Minute})
		h.sleep(2 * time.Hour)
		diff(t, "slots", h.slots("a"), []string{"2026-11-23T09:00 missed", "2026-11-23T10:00 fired", "2026-11-23T11:00 due"})
		if last := h.calls[len(h.calls)-2]; last.Late > 20*time.Minute {
			t.Errorf("tried %v late", last.Late)
		}
	})
}

// A firing that was under way at a crash is undone with its slot, and happens
// once after it.
func TestCrashInTheMiddleOfAFiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:59:00")
		defer func() { h.close() }()
		h.start()
		h.slow = 10 * time.Second
		h.put("a", scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.RunOnce})
		h.sleep(time.Minute + 5*time.Second)
		diff(t, "calls", len(h.calls), 1)
		h.crash()
		h.open()
		diff(t, "after the crash", h.fired(), map[string]int{})
		h.start()
		h.sleep(time.Minute)
		diff(t, "calls", len(h.calls), 2)
		diff(t, "firings", h.fired(), map[string]int{"a/2026-11-23T09:00": 1})
	})
}

func TestSuspendAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.start()
		for _, p := range []scheduler.Missed{scheduler.Skip, scheduler.RunOnce} {
			h.put(string(p), scheduler.Spec{Cron: "0 * * * *", Missed: p, MaxLateness: 3 * time.Hour})
			h.write(func(tx *store.Tx) error { return scheduler.Suspend(tx, string(p)) })
		}
		h.sleep(150 * time.Minute) // 11:00
		diff(t, "suspended", len(h.calls), 0)
		diff(t, "next of a suspended one", h.next("skip"), "")
		h.sleep(30 * time.Minute)
		for _, p := range []string{"skip", "run_once"} {
			h.write(func(tx *store.Tx) error { return scheduler.Resume(tx, p) })
		}
		h.sleep(time.Second)
		diff(t, "skip", h.slots("skip"), []string{"2026-11-23T09:00 missed", "2026-11-23T10:00 missed", "2026-11-23T11:00 missed", "2026-11-23T12:00 due"})
		diff(t, "run_once", h.slots("run_once"), []string{"2026-11-23T09:00 skipped", "2026-11-23T10:00 skipped", "2026-11-23T11:00 fired", "2026-11-23T12:00 due"})
		err := h.db.Write(t.Context(), func(tx *store.Tx) error { return scheduler.Suspend(tx, "unknown") })
		if !errors.Is(err, store.ErrLost) {
			t.Errorf("suspending what is not there: %v", err)
		}
	})
}
