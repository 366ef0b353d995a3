package scheduler

import (
	"fmt"
	"time"
)

// Civil times are time.Time values in UTC that mean what a wall clock shows.
const (
	civilSecond = "2006-01-02T15:04:05"
	civilMinute = "2006-01-02T15:04"
	civilDate   = "2006-01-02"
)

// farOffset is more than any zone has ever differed from UTC.
const farOffset = 26 * time.Hour

// reach returns the first instant at which the clock of loc shows civil or
// anything later. For a civil time that the clock jumps over that is the end of
// the jump; for one that comes twice it is the first. It never decreases when
// civil grows.
func reach(civil time.Time, loc *time.Location) time.Time {
	t := civil.Add(-farOffset).In(loc)
	for {
		_, end := t.ZoneBounds()
		at := shows(civil, t)
		if at.Before(t) { // the clock was set forward to t, over civil
			at = t
		}
		if end.IsZero() || at.Before(end) {
			return at.UTC()
		}
		t = end
	}
}

// shows returns the instant at which a clock with t's offset would show civil.
func shows(civil, t time.Time) time.Time {
	_, offset := t.Zone()
	return civil.Add(-time.Duration(offset) * time.Second)
}

// clock returns what the clock of t's zone shows at t, as a civil time.
func clock(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).UTC()
}

// again returns the later instant at which the clock of loc shows civil once
// more, ok false when it comes only once.
func again(civil time.Time, loc *time.Location) (later time.Time, ok bool) {
	first := reach(civil, loc)
	for t := first.In(loc); ; {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Sub(first) > farOffset {
			return time.Time{}, false
		}
		t = end
		if at := shows(civil, t); at.After(first) && !at.Before(t) {
			if _, end := t.ZoneBounds(); end.IsZero() || at.Before(end) {
				return at.UTC(), true
			}
		}
	}
}

// CheckAt says when a civil time ("2006-01-02T15:04:05") is in a zone (IANA
// name). A time that the clock jumps over is an error that names the jump; of
// one that comes twice the first instant is meant, with a warning. A time in the
// past, or more than a year ahead, is a warning: how late is too late is the
// caller's policy.
func CheckAt(civil, zone string, now time.Time) (instant time.Time, warnings []string, err error) {
	loc, err := loadZone(zone)
	if err != nil {
		return time.Time{}, nil, err
	}
	c, err := time.Parse(civilSecond, civil)
	if err != nil {
		return time.Time{}, nil, fmt.Errorf("%q is not a local date and time; write it like 2026-11-27T09:00:00, without an offset", civil)
	}
	instant = reach(c, loc)
	if !clock(instant.In(loc)).Equal(c) {
		before := clock(instant.Add(-time.Nanosecond).In(loc)).Add(time.Nanosecond)
		return time.Time{}, nil, fmt.Errorf("%s does not exist in %s: the clock goes from %s to %s; choose a time outside of that", civil, zone,
			before.Format(civilMinute), clock(instant.In(loc)).Format(civilMinute))
	}
	if later, twice := again(c, loc); twice {
		warnings = append(warnings, fmt.Sprintf("%s comes twice in %s (%s and %s UTC): the first is used", civil, zone,
			instant.Format(civilMinute), later.Format(civilMinute)))
	}
	switch {
	case instant.Before(now):
		warnings = append(warnings, fmt.Sprintf("%s in %s is in the past, by %s", civil, zone, now.Sub(instant).Truncate(time.Second)))
	case instant.After(now.Add(yearAhead)):
		warnings = append(warnings, fmt.Sprintf("%s is more than a year ahead; is the year right?", civil))
	}
	return instant, warnings, nil
}

// loadZone loads an IANA zone. The names that mean "this machine's" or nothing
// are refused: a schedule must mean the same everywhere.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("the time zone is missing; write an IANA name such as America/Sao_Paulo")
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known; write an IANA name such as America/Sao_Paulo", name)
	}
	return loc, nil
}
