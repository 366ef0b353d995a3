package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
	"janela/scheduler"
)

// What only another version, or other zone rules, would have written.
var (
	sqlSpoil = store.SQL(`UPDATE schedules SET spec = '{"cron":"0 9 * * *","zone":"Moon/Base","missed":"skip","max_lateness":"1h"}' WHERE key = ?1`)
	sqlForge = store.SQL(`UPDATE slots SET state = ?2, due_at = ?3 WHERE schedule_key = ?1`)
)

func TestSingleDate(t *testing.T) {
	for _, c := range []struct {
		name, at string
		late     time.Duration
		missed   scheduler.Missed
		want     []string
	}{
		{"to come", "2026-11-23T12:00:30", time.Hour, scheduler.Skip, []string{"2026-11-23T12:00 fired"}},
		{"just past", "2026-11-23T11:30:00", time.Hour, scheduler.Skip, []string{"2026-11-23T11:30 fired"}},
		{"past, run_once", "2026-11-23T11:00:00", time.Hour, scheduler.RunOnce, []string{"2026-11-23T11:00 fired"}},
		{"past, skip", "2026-11-23T11:00:00", time.Hour, scheduler.Skip, []string{"2026-11-23T11:00 missed"}},
		{"too late", "2026-11-23T09:00:00", time.Hour, scheduler.RunOnce, []string{"2026-11-23T09:00 missed"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, "2026-11-23T11:30:30")
			defer h.close()
			h.start()
			spec := scheduler.Spec{At: c.at, Missed: c.missed, MaxLateness: c.late}
			h.put("a", spec)
			h.sleep(time.Hour)
			diff(t, c.name, h.slots("a"), c.want)
			// Neither again, nor after it was away, nor with another policy.
			calls := len(h.calls)
			h.put("a", spec)
			spec.MaxLateness = 24 * time.Hour
			h.put("a", spec)
			h.write(func(tx *store.Tx) error { return scheduler.Remove(tx, "a") })
			h.put("a", spec)
			h.sleep(time.Hour)
			diff(t, c.name+", put again", h.slots("a"), c.want)
			diff(t, c.name+", calls", len(h.calls), calls)
		})
	}
}

func TestPutTheSameForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.put("a", scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.RunOnce, SkipDates: []string{"2026-12-25", "2026-01-01"}})
		h.close()
		time.Sleep(time.Hour)
		h.open()
		// As at every start: definitions are put before the loop runs.
		h.put("a", scheduler.Spec{Cron: " 0  9 * * * ", Missed: scheduler.RunOnce, MaxLateness: time.Hour,
			SkipDates: []string{"2026-01-01", "2026-12-25", "2026-12-25"}})
		h.start()
		diff(t, "slots", h.slots("a"), []string{"2026-11-23T09:00 fired", "2026-11-24T09:00 due"})
	})
}

func TestChangedSpec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.put("a", scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.RunOnce})
		h.put("a", scheduler.Spec{Cron: "0 10 * * *", Missed: scheduler.RunOnce})
		diff(t, "moved", h.slots("a"), []string{"2026-11-23T09:00 cancelled", "2026-11-23T10:00 due"})
		h.put("a", scheduler.Spec{Cron: "0 9,10 * * *", Missed: scheduler.RunOnce})
		diff(t, "back", h.slots("a"), []string{"2026-11-23T09:00 due", "2026-11-23T10:00 cancelled"})
		h.start()
		h.sleep(31 * time.Minute)
		diff(t, "fired", h.slots("a"), []string{"2026-11-23T09:00 fired", "2026-11-23T10:00 due"})

		// Slots in the past of a new spec are nobody's. One of the old spec that
		// fell due while the house was down is judged.
		h.close()
		time.Sleep(time.Hour) // 10:01
		h.forget()
		h.open()
		h.put("a", scheduler.Spec{Cron: "30 9 * * *", Missed: scheduler.RunOnce})
		h.start()
		diff(t, "down", h.slots("a"), []string{"2026-11-23T09:00 fired", "2026-11-23T10:00 fired", "2026-11-24T09:30 due"})
		h.put("a", scheduler.Spec{At: "2026-11-24T09:30:00", Missed: scheduler.RunOnce})
		h.put("a", scheduler.Spec{At: "2026-11-24T09:30:00", Missed: scheduler.Skip})
		diff(t, "a date instead", h.slots("a"), []string{"2026-11-23T09:00 fired", "2026-11-23T10:00 fired", "2026-11-24T09:30 due"})
	})
}

func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.start()
		spec := scheduler.Spec{Cron: "0 * * * *", Missed: scheduler.RunAll, MaxLateness: 24 * time.Hour}
		h.put("a", spec)
		h.put("b", spec)
		h.sleep(time.Hour)
		h.write(func(tx *store.Tx) error { return scheduler.Remove(tx, "a") })
		h.write(func(tx *store.Tx) error { return scheduler.Remove(tx, "a") })
		h.sleep(2 * time.Hour) // 11:30
		diff(t, "removed", h.slots("a"), []string{"2026-11-23T09:00 fired", "2026-11-23T10:00 cancelled"})
		h.put("a", spec)
		h.sleep(time.Hour)
		diff(t, "back", h.slots("a"), []string{"2026-11-23T09:00 fired", "2026-11-23T10:00 cancelled", "2026-11-23T12:00 fired", "2026-11-23T13:00 due"})
		diff(t, "the other", h.civils("b"), []string{"2026-11-23T09:00", "2026-11-23T10:00", "2026-11-23T11:00", "2026-11-23T12:00"})
	})
}

func TestNothingFiresOnceTheSeriesEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.put("a", scheduler.Spec{Cron: "0 9 * * *", EndsAt: "2026-11-23T10:00:00", Missed: scheduler.RunOnce, MaxLateness: 5 * time.Hour})
		time.Sleep(2 * time.Hour)
		h.start()
		diff(t, "slots", h.slots("a"), []string{"2026-11-23T09:00 missed"})
	})
}

func TestPutRefuses(t *testing.T) {
	h := newHouse(t, "2026-11-23T08:30:00")
	defer h.close()
	for name, spec := range map[string]scheduler.Spec{
		"nothing":        {Zone: zone, Missed: scheduler.Skip},
		"both":           {At: "2026-11-27T09:00:00", Cron: "0 9 * * *", Zone: zone, Missed: scheduler.Skip},
		"no zone":        {Cron: "0 9 * * *", Missed: scheduler.Skip},
		"this machine's": {Cron: "0 9 * * *", Zone: "Local", Missed: scheduler.Skip},
		"unknown zone":   {Cron: "0 9 * * *", Zone: "America/Sampa", Missed: scheduler.Skip},
		"no policy":      {Cron: "0 9 * * *", Zone: zone},
		"run_all at":     {At: "2026-11-27T09:00:00", Zone: zone, Missed: scheduler.RunAll},
		"an offset":      {At: "2026-11-27T09:00:00-03:00", Zone: zone, Missed: scheduler.Skip},
		"bad cron":       {Cron: "TZ=0", Zone: zone, Missed: scheduler.Skip},
		"bad skip date":  {Cron: "0 9 * * *", Zone: zone, Missed: scheduler.Skip, SkipDates: []string{"25/12/2026"}},
		"bad end":        {Cron: "0 9 * * *", Zone: zone, Missed: scheduler.Skip, EndsAt: "2026-11-27"},
		"negative":       {Cron: "0 9 * * *", Zone: zone, Missed: scheduler.Skip, MaxLateness: -1},
	} {
		err := h.db.Write(context.Background(), func(tx *store.Tx) error { return scheduler.Put(tx, "a", spec) })
		if err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
	if rows := h.rows("a"); len(rows) > 0 {
		t.Errorf("%d slots were left behind", len(rows))
	}
}

// What the old spec owes is written down before it is gone, also beyond the one
// slot that was planned; the new policy judges it.
func TestChangedSpecKeepsWhatWasOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.put("a", scheduler.Spec{Cron: "0 * * * *", Missed: scheduler.Skip})
		time.Sleep(3 * time.Hour)
		h.put("a", scheduler.Spec{Cron: "30 */2 * * *", Missed: scheduler.RunAll, MaxLateness: 2 * time.Hour})
		h.start()
		diff(t, "slots", h.slots("a"), []string{"2026-11-23T09:00 missed", "2026-11-23T10:00 fired", "2026-11-23T11:00 fired", "2026-11-23T12:30 due"})
	})
}

func TestUnreadableOldSpecIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.put("a", scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.RunOnce})
		h.write(func(tx *store.Tx) error { return tx.One(sqlSpoil, "a") })
		h.start()
		h.sleep(2 * time.Hour) // the loop lives on
		h.put("a", scheduler.Spec{Cron: "0 9,10,11 * * *", Missed: scheduler.RunAll, MaxLateness: 12 * time.Hour})
		h.sleep(2 * time.Minute)
		diff(t, "slots", h.slots("a"), []string{"2026-11-23T09:00 fired", "2026-11-23T11:00 due"})
	})
}

// When a zone's clock is set by new rules, the next civil minute may be one that
// has fired already, or may be due at another instant.
func TestNewRulesForAZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:30:00")
		defer h.close()
		h.put("fired", scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.RunOnce})
		h.put("later", scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.RunOnce})
		h.write(func(tx *store.Tx) error {
			if err := tx.One(sqlForge, "fired", "fired", instant(t, "2026-11-23T08:00:00", zone).UnixMilli()); err != nil {
				return err
			}
			return tx.One(sqlForge, "later", "due", instant(t, "2026-11-23T10:00:00", zone).UnixMilli())
		})
		h.start()
		diff(t, "fired already", h.next("fired"), "2026-11-24T09:00 2026-11-24T12:00:00Z")
		diff(t, "due at another instant", h.next("later"), "2026-11-23T09:00 2026-11-23T12:00:00Z")
	})
}

func TestSuspensionIsNoReasonToFireLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, "2026-11-23T08:59:00")
		defer h.close()
		h.start()
		h.breaks(func(scheduler.Firing) error { return errors.New("no") })
		h.put("a", scheduler.Spec{Cron: "0 9 * * *", Missed: scheduler.Skip})
		h.sleep(2 * time.Minute)
		h.write(func(tx *store.Tx) error { return scheduler.Suspend(tx, "a") })
		h.breaks(nil)
		h.sleep(10 * time.Minute)
		h.write(func(tx *store.Tx) error { return scheduler.Resume(tx, "a") })
		h.sleep(2 * time.Minute)
		diff(t, "slots", h.slots("a"), []string{"2026-11-23T09:00 missed", "2026-11-24T09:00 due"})
	})
}
