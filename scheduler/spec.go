package scheduler

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Missed is what happens to slots that were not fired in time.
type Missed string

// The policies for missed slots.
const (
	RunOnce Missed = "run_once" // the newest of them fires
	Skip    Missed = "skip"     // none fires
	RunAll  Missed = "run_all"  // each fires, in order; a single date cannot have it
)

// DefaultMaxLateness stands in for a MaxLateness of 0.
const DefaultMaxLateness = time.Hour

// Spec says when a schedule fires: at one date (At) or by a cron expression
// (Cron), exactly one of them.
type Spec struct {
	At          string        // local "2006-01-02T15:04:05"
	Cron        string        // five fields
	Zone        string        // IANA name, required
	SkipDates   []string      // local "2006-01-02": dropped, not moved
	EndsAt      string        // local "2006-01-02T15:04:05": no slot at or after it; "" for no end
	Missed      Missed        // required
	MaxLateness time.Duration // later than this a slot never fires; 0 for DefaultMaxLateness; at most 366 days, of a single date 3,660
}

// mostLateness bounds how far back a series looks for missed slots; a single
// date has only the one.
func (s Spec) mostLateness() time.Duration {
	if s.At != "" {
		return 10 * yearAhead
	}
	return yearAhead
}

// Slot is one firing to come.
type Slot struct {
	Civil string    // the local minute, "2006-01-02T15:04": the slot's name
	Zone  string    // IANA name
	DueAt time.Time // when, in UTC
}

// wireSpec is a Spec as schedules.spec holds it.
type wireSpec struct {
	At          string   `json:"at,omitempty"`
	Cron        string   `json:"cron,omitempty"`
	Zone        string   `json:"zone"`
	SkipDates   []string `json:"skip_dates,omitempty"`
	EndsAt      string   `json:"ends_at,omitempty"`
	Missed      Missed   `json:"missed"`
	MaxLateness string   `json:"max_lateness"`
}

// MarshalJSON writes the spec in one form: specs that mean the same are the
// same text.
func (s Spec) MarshalJSON() ([]byte, error) {
	dates := slices.Clone(s.SkipDates)
	slices.Sort(dates)
	return json.Marshal(wireSpec{
		At: s.At, Cron: strings.Join(strings.Fields(s.Cron), " "), Zone: s.Zone,
		SkipDates: slices.Compact(dates), EndsAt: s.EndsAt, Missed: s.Missed,
		MaxLateness: s.maxLateness().String(),
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Spec) UnmarshalJSON(b []byte) error {
	var w wireSpec
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	late, err := time.ParseDuration(w.MaxLateness)
	if err != nil {
		return fmt.Errorf("max_lateness: %w", err)
	}
	*s = Spec{At: w.At, Cron: w.Cron, Zone: w.Zone, SkipDates: w.SkipDates, EndsAt: w.EndsAt, Missed: w.Missed, MaxLateness: late}
	return nil
}

func (s Spec) maxLateness() time.Duration {
	if s.MaxLateness == 0 {
		return DefaultMaxLateness
	}
	return s.MaxLateness
}

// series is a spec that was found sound, ready to count slots.
type series struct {
	spec Spec
	loc  *time.Location
	at   time.Time          // civil; zero for a cron series
	cron *cron.SpecSchedule // nil for a single date
	ends time.Time          // the instant; zero for none
	skip map[string]bool
}

// compile checks everything that does not depend on the day.
func (s Spec) compile() (*series, error) {
	out := &series{spec: s, skip: map[string]bool{}}
	var err error
	if out.loc, err = loadZone(s.Zone); err != nil {
		return nil, err
	}
	switch {
	case (s.At == "") == (s.Cron == ""):
		return nil, fmt.Errorf("a schedule has either a date (at) or a cron expression, and exactly one of them")
	case s.Missed != RunOnce && s.Missed != Skip && s.Missed != RunAll:
		return nil, fmt.Errorf("missed policy %q is not known; write run_once, skip or run_all", s.Missed)
	case s.At != "" && s.Missed == RunAll:
		return nil, fmt.Errorf("run_all is for cron series; a single date has run_once or skip")
	case s.MaxLateness < 0 || s.MaxLateness > s.mostLateness():
		return nil, fmt.Errorf("max_lateness %s is not between 0 and %s", s.MaxLateness, s.mostLateness())
	}
	if s.At != "" {
		if out.at, err = time.Parse(civilSecond, s.At); err != nil {
			return nil, fmt.Errorf("at %q is not a local date and time; write it like 2026-11-27T09:00:00", s.At)
		}
	} else if out.cron, err = parseCron(s.Cron); err != nil {
		return nil, err
	}
	if s.EndsAt != "" {
		civil, err := time.Parse(civilSecond, s.EndsAt)
		if err != nil {
			return nil, fmt.Errorf("ends_at %q is not a local date and time; write it like 2026-11-27T21:00:00", s.EndsAt)
		}
		out.ends = reach(civil, out.loc)
	}
	for _, date := range s.SkipDates {
		if _, err := time.Parse(civilDate, date); err != nil {
			return nil, fmt.Errorf("skip date %q is not a date; write it like 2026-12-25", date)
		}
		out.skip[date] = true
	}
	return out, nil
}

// Check says whether a spec can be used from now on: it is sound, its date
// exists, and its first slot is no more than 366 days away. A single date may
// lie in the past: see CheckAt.
func (s Spec) Check(now time.Time) (warnings []string, err error) {
	series, err := s.compile()
	if err != nil {
		return nil, err
	}
	if s.At != "" {
		if _, warnings, err = CheckAt(s.At, s.Zone, now); err != nil {
			return nil, err
		}
		if _, ok := series.single(); !ok {
			return nil, fmt.Errorf("%s never fires: it is a skipped date, or not before ends_at", s.At)
		}
		return warnings, nil
	}
	if warnings, err = CheckCron(s.Cron); err != nil {
		return nil, err
	}
	for first := range series.after(now) {
		if first.DueAt.After(now.Add(yearAhead)) {
			return nil, fmt.Errorf("cron %q fires at %s for the first time: it must fire within 366 days", s.Cron, first.Civil)
		}
		return warnings, nil
	}
	return nil, fmt.Errorf("cron %q never fires before ends_at", s.Cron)
}

// Upcoming returns the first n slots that are due after an instant, in order;
// fewer if the series ends.
func (s Spec) Upcoming(after time.Time, n int) ([]Slot, error) {
	series, err := s.compile()
	if err != nil {
		return nil, err
	}
	var out []Slot
	if n <= 0 {
		return out, nil
	}
	for slot := range series.after(after) {
		if out = append(out, slot); len(out) == n {
			break
		}
	}
	return out, nil
}

// single returns the slot of a single date, also when it is past; ok is false
// if it is a skipped date or not before the end.
func (s *series) single() (slot Slot, ok bool) {
	due := reach(s.at, s.loc)
	if s.over(due) || s.skip[s.at.Format(civilDate)] {
		return Slot{}, false
	}
	return s.slot(s.at, due), true
}

func (s *series) over(due time.Time) bool { return !s.ends.IsZero() && !due.Before(s.ends) }

func (s *series) slot(civil, due time.Time) Slot {
	return Slot{Civil: civil.Format(civilMinute), Zone: s.spec.Zone, DueAt: due}
}

// after walks the slots that are due after t.
func (s *series) after(t time.Time) iter.Seq[Slot] {
	if s.cron == nil {
		return func(yield func(Slot) bool) {
			if slot, ok := s.single(); ok && slot.DueAt.After(t) {
				yield(slot)
			}
		}
	}
	return func(yield func(Slot) bool) {
		// A civil time reached after t lies after what the clock shows at t. In
		// the second pass of a doubled hour some were reached before: left out.
		var held Slot // until the next slot is known to have another instant
		for civil := s.cron.Next(clock(t.In(s.loc))); !civil.IsZero(); civil = s.cron.Next(civil) {
			due := reach(civil, s.loc)
			if s.over(due) {
				break
			}
			if !due.After(t) || s.skip[civil.Format(civilDate)] {
				continue
			}
			if held.Civil != "" && !held.DueAt.Equal(due) && !yield(held) {
				return
			}
			held = s.slot(civil, due)
		}
		if held.Civil != "" {
			yield(held)
		}
	}
}
