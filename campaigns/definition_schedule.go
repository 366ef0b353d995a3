package campaigns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	toml "github.com/pelletier/go-toml/v2"

	"janela/internal/tomlfile"
	"janela/scheduler"
)

// maxWindows is far above what a week needs: each is asked before each send.
const maxWindows = 100

func (c *checker) schedule() {
	s := &c.def.Schedule
	switch at, cron := c.doc.Has("schedule.at"), c.doc.Has("schedule.cron"); {
	case at && cron:
		c.fault("schedule.cron", "the schedule has both at and cron", "keep at for a single date, cron for a series")
	case !at && !cron:
		c.fault("schedule", "the schedule says neither at nor cron", `write at = 2026-11-27T09:00:00, or cron = "30 8 * * *"`)
	}
	if s.At != nil && (s.At.Second != 0 || s.At.Nanosecond != 0) {
		c.fault("schedule.at", "at has seconds", "campaigns start on whole minutes")
	}
	if c.typed("schedule.cron") {
		warnings, err := scheduler.CheckCron(s.Cron)
		if err != nil {
			c.fault("schedule.cron", err.Error(), "")
		}
		for _, w := range warnings {
			c.warn("schedule.cron", w, "")
		}
	}
	c.timezone()
	if s.At != nil && s.EndsAt != nil && !s.EndsAt.AsTime(time.UTC).After(s.At.AsTime(time.UTC)) {
		c.fault("schedule.ends_at", "ends_at is not after at", "nothing leaves at or after ends_at")
	}
	seen := make(map[toml.LocalDate]bool, len(s.SkipDates))
	for i, date := range s.SkipDates {
		path := item("schedule.skip_dates", i, "")
		switch {
		case !c.typed(path):
		case seen[date]:
			c.warn(path, date.String()+" stands twice in skip_dates", "keep one")
		case s.At != nil && sameDay(*s.At, date):
			c.fault(path, "the only date of the schedule is skipped", "take it out, or move at")
		}
		seen[date] = true
	}
	if len(s.Windows) > maxWindows {
		c.fault("schedule.windows", fmt.Sprintf("the schedule has %d windows; at most %d", len(s.Windows), maxWindows), "put the days of one time into one window")
		s.Windows = nil
	}
	for i := range s.Windows {
		c.window(item("schedule.windows", i, ""), &s.Windows[i])
	}
}

// offsetZone matches what people write in place of a zone's name.
var offsetZone = regexp.MustCompile(`(?i)^((utc|gmt)?\s*[+-]?\d{1,2}(:?\d{2})?|BRT|BRST|EST|PST|CET|ART|CLT|COT)$`)

func (c *checker) timezone() {
	zone := c.def.Schedule.Timezone
	if !c.typed("schedule.timezone") {
		return
	}
	switch {
	case zone == "recipient":
		c.fault("schedule.timezone", "a time zone for each recipient is not in this version", "write one IANA name, and one campaign for each zone")
		c.def.Schedule.Timezone = ""
	case !knownZone(zone):
		hint := `write an IANA name such as "America/Sao_Paulo"`
		if offsetZone.MatchString(strings.TrimSpace(zone)) {
			hint = `an offset forgets summer time; write an IANA name such as "America/Sao_Paulo"`
		}
		c.fault("schedule.timezone", fmt.Sprintf("the time zone %q is not known", zone), hint)
		c.def.Schedule.Timezone = ""
	}
}

// knownZone refuses the names that mean this machine's zone: a definition must
// mean the same everywhere.
func knownZone(name string) bool {
	if name == "" || name == "Local" || offsetZone.MatchString(name) {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

func (c *checker) window(path string, w *Window) {
	for i, day := range w.Days {
		at := item(path+".days", i, "")
		if !c.typed(at) {
			continue
		}
		folded := strings.ToLower(strings.TrimSpace(day))
		switch {
		case slices.Contains(weekdays, day):
			if slices.Contains(w.Days[:i], day) {
				c.warn(at, fmt.Sprintf("%q stands twice in the window", day), "keep one")
			}
		case foreignDay(folded) != "":
			c.fault(at, fmt.Sprintf("%q is not a day here", day), fmt.Sprintf("days are English: write %q", foreignDay(folded)))
		case len(folded) >= 3 && slices.Contains(weekdays, folded[:3]):
			c.fault(at, fmt.Sprintf("%q is not a day here", day), fmt.Sprintf("write %q", folded[:3]))
		default:
			hint := "write " + orList(weekdays)
			if near := tomlfile.Suggest(day, weekdays); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			c.fault(at, fmt.Sprintf("%q is not a day", day), hint)
		}
	}
	if c.typed(path+".days") && len(w.Days) == 0 {
		c.fault(path+".days", "the window has no days", "leave days out for every day of the week")
	}
	if w.From != nil && (w.From.Second != 0 || w.From.Nanosecond != 0) {
		c.fault(path+".from", "the window has seconds", "windows begin on whole minutes")
	}
	if w.To != nil && (w.To.Second != 0 || w.To.Nanosecond != 0) {
		hint := "windows end on whole minutes"
		if w.To.Hour == 23 && w.To.Minute == 59 {
			hint = "leave to out: the window then lasts until the end of the day"
		}
		c.fault(path+".to", "the window has seconds", hint)
	}
	if from, to := minutes(w.From, 0), minutes(w.To, endOfDay); to <= from {
		hint := "for a night, write two windows: one without to, one without from"
		if to == 0 {
			hint = "leave to out: the window then lasts until the end of the day"
		}
		c.fault(path+".to", "the window ends before it begins", hint)
	}
}

// foreignDay returns the English name of a Portuguese or Spanish day.
func foreignDay(day string) string {
	for name, english := range foreignDays {
		if strings.HasPrefix(day, name) {
			return english
		}
	}
	return ""
}
