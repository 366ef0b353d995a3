package outbox

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Windows says when a stream may send: local times of a zone. No window at all
// means always.
type Windows struct {
	Zone string   `json:"zone,omitempty"`
	List []Window `json:"list,omitempty"`
}

// Window is [From, To) on some days of the week, in minutes after local
// midnight; To 1440 is the end of the day.
type Window struct {
	Days []time.Weekday `json:"days"`
	From int            `json:"from"`
	To   int            `json:"to"`
}

// Always reports whether nothing is restricted.
func (w Windows) Always() bool { return len(w.List) == 0 }

// Open reports whether the instant lies in a window.
func (w Windows) Open(at time.Time) bool {
	if w.Always() {
		return true
	}
	local := at.In(zone(w.Zone))
	minute := local.Hour()*60 + local.Minute()
	for _, win := range w.List {
		if slices.Contains(win.Days, local.Weekday()) && minute >= win.From && minute < win.To {
			return true
		}
	}
	return false
}

// Next returns the first instant at or after at that lies in a window. ok is
// false when none comes within nine days: every weekday was looked at, also
// over a change of the clocks.
func (w Windows) Next(at time.Time) (opens time.Time, ok bool) {
	if w.Open(at) {
		return at, true
	}
	loc := zone(w.Zone)
	day := at.In(loc)
	for range 9 {
		for _, minute := range w.starts(day.Weekday()) {
			t := time.Date(day.Year(), day.Month(), day.Day(), 0, minute, 0, 0, loc)
			if t.Before(at) {
				continue
			}
			// A start in the hour that the clocks skip lands after it; a
			// window that the gap swallows whole is not open then.
			if w.Open(t) {
				return t, true
			}
		}
		day = time.Date(day.Year(), day.Month(), day.Day()+1, 12, 0, 0, 0, loc)
	}
	return time.Time{}, false
}

// Closes returns the instant at which the window that is open at at ends. ok is
// false when it never ends, or when none is open.
func (w Windows) Closes(at time.Time) (closes time.Time, ok bool) {
	if w.Always() || !w.Open(at) {
		return time.Time{}, false
	}
	// Minute steps would be right; days are few, so ends are tried in order.
	t := at.Truncate(time.Minute)
	for range 8 * 24 * 60 {
		t = t.Add(time.Minute)
		if !w.Open(t) {
			return t, true
		}
	}
	return time.Time{}, false
}

func (w Windows) starts(day time.Weekday) []int {
	var out []int
	for _, win := range w.List {
		if slices.Contains(win.Days, day) {
			out = append(out, win.From)
		}
	}
	slices.Sort(out)
	return out
}

var zones sync.Map // name → *time.Location

func zone(name string) *time.Location {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location)
	}
	loc, err := time.LoadLocation(name)
	if err != nil { // checked when the definition was read
		loc = time.UTC
	}
	zones.Store(name, loc)
	return loc
}

// Value stores the windows as JSON, "" for always.
func (w Windows) Value() (driver.Value, error) {
	if w.Always() {
		return "", nil
	}
	b, err := json.Marshal(w)
	return string(b), err
}

// Scan reads what Value wrote.
func (w *Windows) Scan(v any) error {
	*w = Windows{}
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("outbox: windows are stored as text, not %T", v)
	}
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), w)
}
