package daemon

import "time"

// graphEnds lists when Graph API versions end (Meta: Graph API changelog).
// Versions that are not here are taken as fine.
var graphEnds = map[string]time.Time{
	"v20.0": time.Date(2026, 9, 24, 0, 0, 0, 0, time.UTC),
	"v21.0": time.Date(2027, 1, 21, 0, 0, 0, 0, time.UTC),
	"v22.0": time.Date(2027, 5, 20, 0, 0, 0, 0, time.UTC),
	"v23.0": time.Date(2027, 10, 8, 0, 0, 0, 0, time.UTC),
	"v24.0": time.Date(2028, 2, 18, 0, 0, 0, 0, time.UTC),
	"v25.0": time.Date(2028, 7, 29, 0, 0, 0, 0, time.UTC),
}

// graphWarning is how long before its end a version is warned of.
const graphWarning = 90 * 24 * time.Hour

// warnGraph says so when the configured Graph version ends soon, or has ended.
func (d *Daemon) warnGraph(now time.Time) {
	if end, known := graphEnds[d.cfg.WhatsApp.GraphVersion]; known && !d.cfg.Embedded() && now.Add(graphWarning).After(end) {
		d.log.Warn("the Graph API version ends; set whatsapp.graph_version to a newer one", "version", d.cfg.WhatsApp.GraphVersion, "ends", end.Format(time.DateOnly))
	}
}
