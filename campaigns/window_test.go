package campaigns

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/outbox"
)

func TestWindowsOfDefinition(t *testing.T) {
	def := testDefinition(t, `[template]
name = "t"
language = "pt_BR"
[recipients]
file = "r.csv"
[schedule]
cron = "0 9 * * *"
[[schedule.windows]]
days = ["mon", "sat"]
from = 09:30:00
to = 20:00:00
[[schedule.windows]]
days = ["sun"]
`)
	got, err := json.Marshal(def.Windows("America/Sao_Paulo"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"zone":"America/Sao_Paulo","list":[{"days":[1,6],"from":570,"to":1200},{"days":[0],"from":0,"to":1440}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	def.Schedule.Windows = nil
	if w := def.Windows("America/Sao_Paulo"); !w.Always() || !w.Open(time.Now()) {
		t.Error("no window is not always")
	}
}

var testZones = map[string]*time.Location{}

// naiveOpen reads the wall clock; the two naive searches walk by minutes.
func naiveOpen(w Windows, at time.Time) bool {
	local := at.In(testZones[w.Zone])
	for _, win := range w.List {
		for _, day := range win.Days {
			if clock := local.Hour()*60 + local.Minute(); day == local.Weekday() && win.From <= clock && clock < win.To {
				return true
			}
		}
	}
	return false
}

// Windows around the changes of the clocks open and close when the wall clock
// says so.
func TestWindowsOverClockChanges(t *testing.T) {
	// New York 2027: 14 March 02:00 → 03:00, 7 November 02:00 → 01:00. Lord
	// Howe moves by half an hour.
	places := []struct {
		zone string
		near []time.Time
	}{
		{"America/New_York", []time.Time{time.Date(2027, 3, 14, 7, 0, 0, 0, time.UTC), time.Date(2027, 11, 7, 6, 0, 0, 0, time.UTC)}},
		{"Australia/Lord_Howe", []time.Time{time.Date(2027, 4, 3, 15, 0, 0, 0, time.UTC), time.Date(2027, 10, 2, 15, 30, 0, 0, time.UTC)}},
		{"America/Sao_Paulo", []time.Time{time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}},
	}
	for _, p := range places {
		loc, err := time.LoadLocation(p.zone)
		if err != nil {
			t.Fatal(err)
		}
		testZones[p.zone] = loc
	}
	rapid.Check(t, func(t *rapid.T) {
		place := rapid.SampledFrom(places).Draw(t, "place")
		from := rapid.IntRange(0, 47).Draw(t, "from") * 30
		to := from + rapid.IntRange(1, 8).Draw(t, "length")*30
		w := Windows{Zone: place.zone, List: []outbox.Window{{
			Days: rapid.SampledFrom([][]time.Weekday{{0}, {6}, {0, 1, 2, 3, 4, 5, 6}, {1, 5}}).Draw(t, "days"), From: from, To: min(to, endOfDay),
		}}}
		at := rapid.SampledFrom(place.near).Draw(t, "near").Add(time.Duration(rapid.IntRange(-600, 600).Draw(t, "minutes")) * time.Minute)
		open := naiveOpen(w, at)
		if w.Open(at) != open {
			t.Fatalf("%v at %s: open is %v", w, at, !open)
		}
		opens := at
		for range 8 * 24 * 60 {
			if naiveOpen(w, opens) {
				break
			}
			opens = opens.Add(time.Minute)
		}
		switch got, ok := w.Next(at); {
		case ok && (got.Before(opens) || !naiveOpen(w, got)):
			t.Fatalf("%v at %s: Next %s, want %s", w, at, got, opens)
		case exact(w.Zone, at, opens) && (!ok || !got.Equal(opens)):
			t.Fatalf("%v at %s: Next %s %v, want %s", w, at, got, ok, opens)
		}
		if !open {
			return
		}
		closes := at
		for range 8 * 24 * 60 {
			if !naiveOpen(w, closes) {
				break
			}
			closes = closes.Add(time.Minute)
		}
		if got, ok := w.Closes(at); ok != !naiveOpen(w, closes) || ok && !got.Equal(closes) {
			t.Fatalf("%v at %s: Closes %s %v, want %s", w, at, got, ok, closes)
		}
	})
}

// exact reports whether no change of the clocks lies between the instants, or
// shortly before the first. Across one, Next may skip a window of that night,
// never open one early.
func exact(zone string, from, to time.Time) bool {
	_, before := from.Add(-3 * time.Hour).In(testZones[zone]).Zone()
	_, after := to.Add(3 * time.Hour).In(testZones[zone]).Zone()
	return before == after
}
