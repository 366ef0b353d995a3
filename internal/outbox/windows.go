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
// false when none comes within two weeks, which is more than any change of the
// clocks can take away.
func (w Windows) Next(at time.Time) (opens time.Time, ok bool) {
	return w.first(at, true)
}

// Closes returns the instant at which the window that is open at at ends. ok is
// false when it never ends, or when none is open.
func (w Windows) Closes(at time.Time) (closes time.Time, ok bool) {
	if !w.Open(at) {
		return time.Time{}, false
	}
	return w.first(at, false)
}

// first returns the first instant from at on at which Open is as wanted.
func (w Windows) first(at time.Time, open bool) (time.Time, bool) {
	const far = 14 * 24 * time.Hour
	for t := at.In(zone(w.Zone)); t.Sub(at) <= far; t = w.edge(t) {
		if w.Open(t) == open {
			return t, true
		}
	}
	return time.Time{}, false
}

// edge returns the next instant after t at which Open can change: where a
// window of the clock's day begins or ends, midnight, or a change of the clock.
func (w Windows) edge(t time.Time) time.Time {
	clock := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
		time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	next := 24 * time.Hour
	for _, win := range w.List {
		for _, minute := range []int{win.From, win.To} {
			if at := time.Duration(minute) * time.Minute; at > clock && at < next {
				next = at
			}
		}
	}
	edge := t.Add(next - clock)
	if _, end := t.ZoneBounds(); !end.IsZero() && end.Before(edge) {
		return end
	}
	return edge
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
