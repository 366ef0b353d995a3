package tomlfile

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// likeDuration shows the form when nothing better can be said.
const likeDuration = `write a number and its unit in quotes: "30s", "5m" or "24h"`

var (
	digits   = regexp.MustCompile(`^[0-9]{1,9}$`)
	longUnit = regexp.MustCompile(`^([0-9]{1,5})([a-z]+)$`)
	zone     = regexp.MustCompile(`([Zz]|[+-][0-9]{2}:?[0-9]{2})$`)
)

// goUnits translates the units that people write, in English and Portuguese, to
// how many of which unit Go knows.
var goUnits = map[string]struct {
	times int
	unit  string
}{
	"d": {24, "h"}, "day": {24, "h"}, "days": {24, "h"}, "dia": {24, "h"}, "dias": {24, "h"},
	"w": {168, "h"}, "week": {168, "h"}, "weeks": {168, "h"}, "semana": {168, "h"}, "semanas": {168, "h"},
	"hr": {1, "h"}, "hrs": {1, "h"}, "hour": {1, "h"}, "hours": {1, "h"}, "hora": {1, "h"}, "horas": {1, "h"},
	"min": {1, "m"}, "mins": {1, "m"}, "minute": {1, "m"}, "minutes": {1, "m"}, "minuto": {1, "m"}, "minutos": {1, "m"},
	"sec": {1, "s"}, "secs": {1, "s"}, "second": {1, "s"}, "seconds": {1, "s"}, "segundo": {1, "s"}, "segundos": {1, "s"},
}

// durationHint reads a duration as it was meant and writes it as Go would.
func durationHint(s string) string {
	compact := strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(s, ",", ".")), ""))
	if m := longUnit.FindStringSubmatch(compact); m != nil {
		if u, ok := goUnits[m[2]]; ok {
			n, _ := strconv.Atoi(m[1]) // at most five digits
			return "write " + strconv.Itoa(n*u.times) + u.unit
		}
	}
	if digits.MatchString(compact) {
		return "write \"" + compact + "s\" for seconds"
	}
	if _, err := time.ParseDuration(compact); err == nil {
		return "write " + short(compact, 40)
	}
	return likeDuration
}

// timeHint says how to write a date or time that has the wrong kind.
func timeHint(n *node, s shape) string {
	switch s {
	case localDate:
		if d, ok := readTime(n); ok {
			return "write only the date: " + d.LocalDate.String()
		}
		return fromText(n, new(toml.LocalDate), "2026-11-27")
	case localTime:
		if d, ok := readTime(n); ok {
			return "write only the time: " + d.LocalTime.String()
		}
		return fromText(n, new(toml.LocalTime), "09:00:00")
	case localDateTime:
		switch d, ok := readTime(n); {
		case ok:
			return "leave the offset out: " + d.String()
		case n.kind == unstable.LocalDate:
			return "write the time too: " + n.text + "T09:00:00"
		}
		return fromText(n, new(toml.LocalDateTime), "2026-11-27T09:00:00")
	}
	return ""
}

// readTime reads a date with time, with or without offset, as the local one it
// would be without.
func readTime(n *node) (toml.LocalDateTime, bool) {
	var d toml.LocalDateTime
	if n.kind != unstable.DateTime && n.kind != unstable.LocalDateTime {
		return d, false
	}
	err := d.UnmarshalText([]byte(zone.ReplaceAllString(n.text, "")))
	return d, err == nil
}

// fromText handles dates and times in quotes, and anything else by an example.
func fromText(n *node, into interface {
	UnmarshalText([]byte) error
	String() string
}, example string) string {
	if n.kind != unstable.String {
		return "write it like this: " + example
	}
	bare := strings.TrimSpace(n.text)
	for _, s := range []string{bare, zone.ReplaceAllString(bare, "")} {
		if into.UnmarshalText([]byte(s)) == nil {
			return "write it without quotes: " + into.String()
		}
	}
	return "write it like this, without quotes: " + example
}
