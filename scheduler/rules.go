package scheduler

import (
	"fmt"
	"time"
)

const (
	grace      = time.Minute // a slot up to this late is on time
	catchUpMax = 100         // run_all with more missed slots than this fires once
)

// The states of a slot.
const (
	stateDue       = "due"
	stateFired     = "fired"
	stateMissed    = "missed"
	stateSkipped   = "skipped"
	stateCancelled = "cancelled"
)

// waiting is a due slot as the policy sees it.
type waiting struct {
	civil string
	due   time.Time
	tried bool // it was to be fired in time, and that failed
}

// verdict says what becomes of a slot: fired, missed or skipped, and why.
type verdict struct{ state, note string }

// judge applies the missed policy to the due slots of one schedule, oldest
// first. ends is the end of the series, zero for none.
func judge(policy Missed, maxLateness time.Duration, ends, now time.Time, slots []waiting) []verdict {
	maxLateness = max(maxLateness, grace)
	out := make([]verdict, len(slots))
	var late []int // missed, and not too late for the policy to decide
	for i, s := range slots {
		lateness := now.Sub(s.due)
		switch {
		case !ends.IsZero() && !now.Before(ends):
			out[i] = verdict{stateMissed, "ends_at has passed"}
		case lateness <= grace:
			out[i] = verdict{stateFired, ""}
		case lateness > maxLateness && s.tried:
			out[i] = verdict{stateMissed, "firing failed until max_lateness (" + maxLateness.String() + ") passed"}
		case lateness > maxLateness:
			out[i] = verdict{stateMissed, "later than max_lateness (" + maxLateness.String() + ")"}
		case s.tried:
			out[i] = verdict{stateFired, lateNote(lateness) + ": firing failed before"}
		case policy == Skip:
			out[i] = verdict{stateMissed, "missed, and the policy is skip"}
		default:
			late = append(late, i)
			out[i] = verdict{stateFired, lateNote(lateness)}
		}
	}
	if len(late) < 2 || policy == RunAll && len(late) <= catchUpMax {
		return out
	}
	newest := late[len(late)-1]
	for _, i := range late[:len(late)-1] {
		out[i] = verdict{stateSkipped, fmt.Sprintf("missed; %s runs for all missed slots", slots[newest].civil)}
	}
	out[newest].note += fmt.Sprintf(", for %d missed slots", len(late))
	if policy == RunAll {
		out[newest].note += fmt.Sprintf(": more than %d, so run_all runs once", catchUpMax)
	}
	return out
}

func lateNote(lateness time.Duration) string {
	return "late " + lateness.Truncate(time.Second).String()
}
