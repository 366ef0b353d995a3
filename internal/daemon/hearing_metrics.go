package daemon

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"janela/internal/intake"
	"janela/internal/store"
	"janela/optin"
)

var (
	descReviews     = prometheus.NewDesc("janela_optin_reviews_open", "Messages that may mean an opt-out and wait for a decision.", nil, nil)
	descHookWaiting = prometheus.NewDesc("janela_hooks_waiting", "Webhooks that have not arrived yet.", []string{"target"}, nil)
	descHookOldest  = prometheus.NewDesc("janela_hooks_oldest_seconds", "The age of the oldest of them.", []string{"target"}, nil)
	descHookDead    = prometheus.NewDesc("janela_hooks_dead", "Webhooks that were given up and are still kept.", []string{"target"}, nil)
	descHookDropped = prometheus.NewDesc("janela_hooks_dropped_total", "Webhooks that were not taken because the target's queue was full, ever.", []string{"target"}, nil)
	descHookSends   = prometheus.NewDesc("janela_hooks_requests_total", "Requests to webhook targets by what became of them.", []string{"target", "result"}, nil)
)

// hearingDescs are the metrics of this file.
var hearingDescs = []*prometheus.Desc{descReviews, descHookWaiting, descHookOldest, descHookDead, descHookDropped, descHookSends}

// hearing shows what people wait for, and who hears what happens.
func (m *metrics) hearing(q store.Querier, show func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string)) error {
	open, _, err := optin.ReviewQueue(q)
	if err != nil {
		return err
	}
	show(descReviews, prometheus.GaugeValue, float64(open))
	all, err := m.d.hooks.Reports(q)
	for _, t := range all {
		if t.Mode == "" {
			continue // no longer configured
		}
		show(descHookWaiting, prometheus.GaugeValue, float64(t.Waiting), t.Name)
		show(descHookOldest, prometheus.GaugeValue, t.Oldest.Seconds(), t.Name)
		show(descHookDead, prometheus.GaugeValue, float64(t.Dead), t.Name)
		show(descHookDropped, prometheus.CounterValue, float64(t.Dropped), t.Name)
		show(descHookSends, prometheus.CounterValue, float64(t.Delivered), t.Name, "arrived")
		show(descHookSends, prometheus.CounterValue, float64(t.Failed), t.Name, "failed")
	}
	return err
}

const (
	// reviewWaits is how long a review may wait before somebody is told.
	reviewWaits = 24 * time.Hour
	// hookWaits is how long a webhook may wait before somebody is told.
	hookWaits = 15 * time.Minute
	// dropTold is for how long it is told that webhooks were dropped.
	dropTold = 24 * time.Hour
)

// hearingAlerts tells of reviews that nobody decides, and of systems that do not
// hear.
func (d *Daemon) hearingAlerts(q store.Querier) (out []string, err error) {
	n, oldest, err := optin.ReviewQueue(q)
	if err != nil {
		return nil, err
	}
	if n > 0 && q.Now().Sub(oldest) >= reviewWaits {
		out = append(out, fmt.Sprintf("%d messages that may mean an opt-out wait for a decision, the oldest since %s; marketing to these people waits: janela optin review",
			n, oldest.Format(time.RFC3339)))
	}
	failed, err := intake.CountFailed(q)
	if err != nil {
		return nil, err
	}
	if failed > 0 {
		out = append(out, fmt.Sprintf("%d callbacks of Meta's could not be applied and are kept: janela callbacks list", failed))
	}
	all, err := d.hooks.Reports(q)
	for _, t := range all {
		switch {
		case t.Mode == "":
		case t.Paused && t.Reason == "gone":
			out = append(out, fmt.Sprintf("the webhook target %s answered 410 (gone) and gets nothing: correct its address, or janela hooks resume %s", t.Name, t.Name))
		case !t.Paused && t.Oldest >= hookWaits:
			out = append(out, fmt.Sprintf("the webhook target %s does not take what is sent: %d wait, the oldest for %s", t.Name, t.Waiting, t.Oldest.Round(time.Minute)))
		}
		if t.Mode != "" && !t.DroppedAt.IsZero() && q.Now().Sub(t.DroppedAt) < dropTold {
			out = append(out, fmt.Sprintf("webhooks for %s were dropped because its queue was full, the last at %s", t.Name, t.DroppedAt.Format(time.RFC3339)))
		}
	}
	return out, err
}
