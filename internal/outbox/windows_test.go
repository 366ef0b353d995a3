package outbox

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// changes are instants around which clocks change: an hour that is missing or
// comes twice, half an hour, at midnight, a whole day.
var changesOfClock = []struct{ zone, at string }{
	{"America/New_York", "2026-03-08T07:00:00Z"},    // 02:00 becomes 03:00
	{"America/New_York", "2026-11-01T06:00:00Z"},    // 02:00 becomes 01:00
	{"America/Sao_Paulo", "2018-11-04T03:00:00Z"},   // midnight becomes 01:00
	{"America/Sao_Paulo", "2019-02-17T02:00:00Z"},   // midnight becomes 23:00
	{"America/Santiago", "2026-09-06T04:00:00Z"},    // midnight becomes 01:00
	{"America/Havana", "2026-11-01T05:00:00Z"},      // 01:00 becomes midnight
	{"Australia/Lord_Howe", "2026-04-04T15:00:00Z"}, // half an hour back
	{"Australia/Lord_Howe", "2026-10-03T15:30:00Z"}, // half an hour forward
	{"Pacific/Apia", "2011-12-30T10:00:00Z"},        // a Friday that never was
	{"America/Sao_Paulo", "2026-11-27T12:00:00Z"},   // no change
	{"UTC", "2026-11-27T12:00:00Z"},
	{"", "2026-11-27T12:00:00Z"},
}

func TestWindowsAgainstAClockThatTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(changesOfClock).Draw(t, "change")
		mid, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		// Most windows begin and end about where the clock changes, also at times
		// that it leaves out.
		about := mid.Add(-time.Minute).In(loc)
		near := rapid.Map(rapid.IntRange(-9, 9), func(quarter int) int {
			return (60*about.Hour() + about.Minute() + 1 + 15*quarter + 1440) % 1440
		})
		minute := rapid.OneOf(near, near, near, rapid.IntRange(0, 1440), rapid.SampledFrom([]int{0, 1440}))
		everyDay := []time.Weekday{0, 1, 2, 3, 4, 5, 6}
		w := Windows{Zone: c.zone, List: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Window {
			days := rapid.OneOf(rapid.Just(everyDay), rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 6), func(d int) time.Weekday { return time.Weekday(d) }), 1, 7, rapid.ID[time.Weekday])).Draw(t, "days")
			return Window{days, minute.Draw(t, "from"), minute.Draw(t, "to")} // From at or after To is never open
		}), 0, 3).Draw(t, "windows")}
		at := mid.Add(time.Duration(rapid.OneOf(rapid.IntRange(-120, 120), rapid.IntRange(-3*1440, 3*1440)).Draw(t, "minutes")) * time.Minute).
			Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 29_999, 59_999}).Draw(t, "ms")) * time.Millisecond)

		ticks := map[bool]time.Time{} // the first tick at which it is open, and closed
		for i := at; !i.After(at.Add(14*24*time.Hour)) && len(ticks) < 2; i = i.Truncate(time.Minute).Add(time.Minute) {
			if is := naiveOpen(w, i.In(loc)); ticks[is].IsZero() {
				ticks[is] = i
			}
		}
		isOpen := ticks[true].Equal(at)
		if got := w.Open(at); got != isOpen {
			t.Fatalf("open at %v: %v, want %v", at.In(loc), got, isOpen)
		}
		want, some := ticks[true]
		if got, ok := w.Next(at); ok != some || !got.Equal(want) {
			t.Fatalf("opens after %v: %v %v, want %v %v", at.In(loc), got, ok, want.In(loc), some)
		}
		want, some = ticks[false]
		if some = some && isOpen; !some {
			want = time.Time{}
		}
		if got, ok := w.Closes(at); ok != some || !got.Equal(want) {
			t.Fatalf("closes after %v: %v %v, want %v %v", at.In(loc), got, ok, want.In(loc), some)
		}
	})
}

// naiveOpen looks at the face of a clock and at the calendar.
func naiveOpen(w Windows, local time.Time) bool {
	open := len(w.List) == 0
	for _, win := range w.List {
		for _, d := range win.Days {
			face := 60*local.Hour() + local.Minute()
			open = open || d == local.Weekday() && win.From <= face && face < win.To
		}
	}
	return open
}

func TestWindowsAreStoredAsTheyAre(t *testing.T) {
	for _, w := range []Windows{{}, {Zone: "America/Sao_Paulo"}, {Zone: "America/Sao_Paulo", List: []Window{{Days: []time.Weekday{1, 5}, From: 540, To: 1440}}}} {
		v, err := w.Value()
		if err != nil {
			t.Fatal(err)
		}
		var back Windows
		if err := back.Scan(v); err != nil {
			t.Fatal(err)
		}
		if w.Always() != back.Always() || !w.Always() && (back.Zone != w.Zone || len(back.List) != 1 || back.List[0].From != 540 || len(back.List[0].Days) != 2) {
			t.Errorf("%+v came back as %+v", w, back)
		}
	}
	if err := new(Windows).Scan([]byte("{}")); err == nil {
		t.Error("bytes were read as windows")
	}
	if err := new(Windows).Scan("{"); err == nil {
		t.Error("half a text was read as windows")
	}
}
