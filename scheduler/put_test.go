package scheduler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
	"janela/scheduler"
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
