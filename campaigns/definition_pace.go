package campaigns

import (
	"fmt"
	"strings"
	"time"

	"janela/internal/outbox"
)

// pace is how fast a run may send beside what it may in a second, as outbox keeps
// it with the stream; fallback is the zone of config.toml.
func (d *Definition) pace(fallback string) outbox.Throttle {
	var t outbox.Throttle
	if d.Throttle.PerDay > 0 {
		t.PerDay, t.Zone = d.Throttle.PerDay, d.Zone(fallback)
	}
	if r := d.Throttle.Ramp; r != nil {
		t.RampStart, t.DoubleEvery = r.StartPerSecond, r.DoubleEvery.Milliseconds()
	}
	return t
}

// Bounds of double_every: below a second a ramp is none, and beyond a week
// nobody means it.
const (
	shortestDouble = time.Second
	longestDouble  = 7 * 24 * time.Hour
)

// pacing judges the throttle.
func (c *checker) pacing() {
	t := c.def.Throttle
	if c.typed("throttle.per_second") && t.PerSecond <= 0 {
		c.fault("throttle.per_second", fmt.Sprintf("per_second is %v", t.PerSecond), "write a number above 0, such as 40 or 0.5; to stop a campaign, pause it")
	}
	if c.typed("throttle.per_day") && t.PerDay <= 0 {
		c.fault("throttle.per_day", fmt.Sprintf("per_day is %d", t.PerDay), "write how many messages may leave in a day, such as 20000; to stop a campaign, pause it")
	}
	if !c.typed("throttle.ramp") || t.Ramp == nil {
		return
	}
	const start, every = "throttle.ramp.start_per_second", "throttle.ramp.double_every"
	switch r := t.Ramp; {
	case !c.typed(start):
		c.missing(start, "write with how many messages a second the run begins: start_per_second = 5")
	case r.StartPerSecond <= 0:
		c.fault(start, fmt.Sprintf("start_per_second is %v", r.StartPerSecond), "write a number above 0, such as 5 or 0.5")
	case t.PerSecond > 0 && r.StartPerSecond >= t.PerSecond:
		c.warn(start, fmt.Sprintf("the ramp begins with %v a second, and per_second is %v: it changes nothing", r.StartPerSecond, t.PerSecond), "begin lower, or take the ramp out")
	}
	switch r := t.Ramp; {
	case !c.typed(every):
		c.missing(every, `write how long until it may send twice as fast: double_every = "10m"`)
	case r.DoubleEvery < shortestDouble || r.DoubleEvery > longestDouble:
		c.fault(every, fmt.Sprintf("double_every is %s", r.DoubleEvery), fmt.Sprintf(`write a duration from 1s to %s: "10m"`, shortHours(longestDouble)))
	}
}

// guard judges when a campaign pauses by itself.
func (c *checker) guard() {
	g := &c.def.Guard
	percent := func(path string, p *float64) {
		if c.typed(path) && p != nil && (*p < 0 || *p >= 100) {
			c.fault(path, fmt.Sprintf("%s is %v", strings.TrimPrefix(path, "guard."), *p), "write a number from 0 up to 100: with more than so many the campaign pauses")
		}
	}
	percent("guard.max_failed_percent", g.MaxFailedPercent)
	percent("guard.max_blocked_by_user_percent", g.MaxBlockedPercent)
	if c.typed("guard.min_sample") && g.MinSample < 1 {
		c.fault("guard.min_sample", fmt.Sprintf("min_sample is %d", g.MinSample), "write how many messages must have left before a percentage counts, such as 200")
	}
	if c.typed("guard.pause_on_quality") {
		g.PauseOnQuality = strings.ToLower(strings.TrimSpace(g.PauseOnQuality))
		if g.PauseOnQuality == "green" {
			c.fault("guard.pause_on_quality", "green is the best rating: the campaign would never leave", `write "yellow" or "red"`)
		} else {
			c.oneOf("guard.pause_on_quality", g.PauseOnQuality, QualityYellow, QualityRed)
		}
	}
	if c.typed("guard") && !g.Set() && !c.faulty["guard.max_failed_percent"] && !c.faulty["guard.max_blocked_by_user_percent"] && !c.faulty["guard.pause_on_quality"] {
		c.fault("guard", "the guard watches nothing", "write max_failed_percent, max_blocked_by_user_percent or pause_on_quality, or leave the table out")
	}
}
