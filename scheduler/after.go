package scheduler

import (
	"fmt"
	"time"
)

// After returns the first instant after t at which a cron expression fires in a
// zone (IANA name), for what keeps no slots: whoever asks remembers what it has
// done. Civil time is read as for slots. It refuses what CheckCron refuses, and
// zones that are not known.
func After(expr, zone string, t time.Time) (time.Time, error) {
	sched, err := parseCron(expr)
	if err != nil {
		return time.Time{}, err
	}
	loc, err := loadZone(zone)
	if err != nil {
		return time.Time{}, err
	}
	for civil := clock(t.In(loc)); ; {
		if civil = sched.Next(civil); civil.IsZero() {
			return time.Time{}, fmt.Errorf("cron %q: never fires", expr)
		}
		if at := reach(civil, loc); at.After(t) {
			return at, nil
		}
	}
}
