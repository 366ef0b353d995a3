package campaigns

import (
	"slices"
	"time"

	toml "github.com/pelletier/go-toml/v2"

	"janela/internal/outbox"
)

// Windows is when a run may send; outbox keeps it with the stream.
type Windows = outbox.Windows

// weekdays are the names of days in a definition, from Sunday on.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// foreignDays are the names that Portuguese and Spanish speakers write first.
var foreignDays = map[string]string{
	"dom": "sun", "seg": "mon", "ter": "tue", "qua": "wed", "qui": "thu", "sex": "fri", "sab": "sat", "sáb": "sat",
	"lun": "mon", "mar": "tue", "mié": "wed", "mie": "wed", "jue": "thu", "vie": "fri",
}

// Windows returns the definition's windows in its zone; fallback is the zone of
// config.toml. No window means always.
func (d *Definition) Windows(fallback string) Windows {
	if len(d.Schedule.Windows) == 0 {
		return Windows{}
	}
	w := Windows{Zone: d.Zone(fallback)}
	for _, win := range d.Schedule.Windows {
		w.List = append(w.List, outbox.Window{Days: win.weekdays(), From: minutes(win.From, 0), To: minutes(win.To, endOfDay)})
	}
	return w
}

const endOfDay = 24 * 60

// minutes returns the minutes after midnight.
func minutes(t *toml.LocalTime, missing int) int {
	if t == nil {
		return missing
	}
	return t.Hour*60 + t.Minute
}

// weekdays returns the days of a window; names that are not known are left out.
func (w Window) weekdays() []time.Weekday {
	var out []time.Weekday
	for day, name := range weekdays {
		if len(w.Days) == 0 || slices.Contains(w.Days, name) {
			out = append(out, time.Weekday(day))
		}
	}
	return out
}
