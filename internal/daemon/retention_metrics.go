package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"janela/internal/outbox"
	"janela/internal/store"
)

var (
	descPast      = prometheus.NewDesc("janela_messages_past", "Messages that ended long ago and were moved to past_messages.", nil, nil)
	descRetention = prometheus.NewDesc("janela_retention_last_run_timestamp_seconds", "When everything that is old enough had last been put away; 0 for never.", nil, nil)
	descMoved     = prometheus.NewDesc("janela_retention_moved_total", "Messages moved to past_messages since the start.", nil, nil)
	descRemoved   = prometheus.NewDesc("janela_retention_callbacks_removed_total", "Callbacks removed since the start.", nil, nil)
)

var retentionDescs = []*prometheus.Desc{descPast, descRetention, descMoved, descRemoved}

// past tells how many messages were put away, and when.
func (m *metrics) past(q store.Querier, gauge func(d *prometheus.Desc, v float64, labels ...string)) error {
	p, err := outbox.PastOf(q)
	gauge(descPast, float64(p.Messages))
	gauge(descRetention, float64(p.RanAt)/1000)
	return err
}
