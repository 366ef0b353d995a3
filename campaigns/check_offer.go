package campaigns

import (
	"fmt"
	"time"
)

// offerEnds puts the end of an offer for everybody on the calendar: nobody may
// get one that is over.
func (c *outside) offerEnds(zone string) {
	const path = "template.limited_time_offer.expires_at"
	o := c.def.Template.Offer
	if o == nil || o.ExpiresAt == nil || c.env.Planned {
		return
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return // a fault already
	}
	ends := o.ExpiresAt.AsTime(loc)
	if !c.env.Now.Before(ends) {
		c.fault(path, fmt.Sprintf("the offer ended at %s", civil(*o.ExpiresAt)), "choose a time to come")
		return
	}
	if c.def.Schedule.Cron == "" {
		return // compared with at when the file was read
	}
	spec := c.def.Spec(c.env.DefaultZone)
	first, err := spec.Upcoming(c.env.Now, 1)
	switch {
	case err != nil || len(first) == 0:
	case !first[0].DueAt.Before(ends):
		c.fault(path, "the offer ends before the first run", "choose a later end, or an earlier run")
	default:
		if more, err := spec.Upcoming(ends.Add(-time.Nanosecond), 1); err == nil && len(more) > 0 {
			c.warn(path, "runs after the end of the offer send nothing: their rows are refused, offer_ended", "write schedule.ends_at, or a column with each row's own end")
		}
	}
}
