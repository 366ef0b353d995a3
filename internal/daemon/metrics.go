package daemon

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"janela/internal/conversations"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// metrics are what /metrics shows. Labels are closed sets: states, reasons,
// lanes, numbers of the configuration; never a person.
type metrics struct {
	d        *Daemon
	registry *prometheus.Registry
	sends    *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	errors   *prometheus.CounterVec
	codes    codeMetrics
	minutes  minutes
}

var (
	descMessages      = prometheus.NewDesc("janela_messages", "Messages by state and reason.", []string{"state", "reason"}, nil)
	descResends       = prometheus.NewDesc("janela_resends_total", "Messages that went out a second time because nobody knew what became of them, ever.", nil, nil)
	descTwice         = prometheus.NewDesc("janela_resends_twice_total", "Of these the ones that Meta took both times, as far as it told.", nil, nil)
	descUndeliverable = prometheus.NewDesc("janela_undeliverable", "People to whom nothing but codes and answers is sent, because messages could not be delivered on several days.", nil, nil)
	descHolds         = prometheus.NewDesc("janela_holds", "Holds that stand, by scope and reason.", []string{"scope", "reason"}, nil)
	descConversations = prometheus.NewDesc("janela_conversations_open", "24 h conversations that are open now.", nil, nil)
	descCallbacks     = prometheus.NewDesc("janela_callbacks_total", "Callbacks of Meta by what became of them.", []string{"result"}, nil)
	descCommits       = prometheus.NewDesc("janela_store_commits_total", "Transactions committed.", nil, nil)
	descReady         = prometheus.NewDesc("janela_ready", "Whether the daemon takes work, as /readyz says: 1, or 0.", nil, nil)
	descBuild         = prometheus.NewDesc("janela_build_info", "Which janela this is, and which SQLite is in it; always 1.", []string{"version", "sqlite"}, nil)
	descAlerts        = prometheus.NewDesc("janela_alerts", "Things a person should look at.", nil, nil)
	descReached       = prometheus.NewDesc("janela_portfolio_recipients", "Different people reached within 24 hours, as Meta's messaging limit counts them.", nil, nil)
	descReachLimit    = prometheus.NewDesc("janela_portfolio_recipients_limit", "Different people whom Meta's messaging limit allows within 24 hours.", nil, nil)
	descReachLeft     = prometheus.NewDesc("janela_portfolio_recipients_left", "Different people whom a lane may still reach now.", []string{"lane"}, nil)
	descReachReserve  = prometheus.NewDesc("janela_portfolio_recipients_reserve", "People of the messaging limit who are kept for codes.", nil, nil)
)

func newMetrics(d *Daemon) *metrics {
	m := &metrics{d: d, registry: prometheus.NewRegistry(),
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "janela_sends_total", Help: "Requests to Meta by what became of their message."},
			[]string{"lane", "number", "result", "reason"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "janela_send_seconds", Help: "How long Meta took to answer a send.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"lane"}),
	}
	m.errors = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "janela_errors_total", Help: "Meta's errors by class, and whether an answer or a status brought them."}, []string{"class", "by"})
	m.codes = newCodeMetrics()
	m.minutes.since = time.Now().UTC()
	m.registry.MustRegister(m.own()...)
	m.registry.MustRegister(m.usual()...)
	return m
}

// own are the house's own; docs/operations.md lists each.
func (m *metrics) own() []prometheus.Collector {
	return append(m.codes.all(), m, m.sends, m.latency, m.errors)
}

// usual are those of Go and the process.
func (m *metrics) usual() []prometheus.Collector {
	return []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
}

// sent counts one request.
func (m *metrics) sent(lane whatsapp.Lane, number string, to outbox.State, reason string, took time.Duration) {
	m.sends.WithLabelValues(lane.String(), number, string(to), reason).Inc()
	m.minutes.count(lane, to)
	if took > 0 {
		m.latency.WithLabelValues(lane.String()).Observe(took.Seconds())
	}
}

// failed counts one error of Meta's.
func (m *metrics) failed(class whatsapp.Class, by string) {
	m.errors.WithLabelValues(string(class), by).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descMessages, descResends, descTwice, descUndeliverable, descHolds, descConversations, descCallbacks, descCommits, descAlerts, descReady, descBuild, descReached, descReachLimit,
		descReachReserve, descReachLeft, descCodesLive, descCodesBudget} {
		ch <- d
	}
	for _, d := range slices.Concat(machineDescs, hearingDescs, paceDescs, backupDescs, retentionDescs) {
		ch <- d
	}
}

// Collect implements prometheus.Collector: it reads the tallies, never the
// messages.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	health := m.d.health(ctx)
	ready := 0.0
	if health.Ready {
		ready = 1
	}
	gauge(descReady, ready)
	gauge(descAlerts, float64(len(health.Alerts)))
	gauge(descBuild, 1, m.d.opt.Version, store.EngineVersion())
	_ = m.d.db.Read(ctx, func(q *store.Snap) error {
		tallies, err := outbox.Tallies(q)
		if err != nil {
			return err
		}
		for _, t := range tallies {
			gauge(descMessages, float64(t.N), string(t.State), t.Reason)
		}
		again, twice, err := outbox.Resends(q)
		if err != nil {
			return err
		}
		ch <- prometheus.MustNewConstMetric(descResends, prometheus.CounterValue, float64(again))
		ch <- prometheus.MustNewConstMetric(descTwice, prometheus.CounterValue, float64(twice))
		unreachable, err := gate.CountUndeliverable(q)
		if err != nil {
			return err
		}
		gauge(descUndeliverable, float64(unreachable))
		holds, err := outbox.Holds(q)
		if err != nil {
			return err
		}
		type key struct{ scope, reason string }
		byKey := map[key]int{}
		for _, h := range holds {
			byKey[key{string(h.Scope), h.Reason}]++
		}
		for k, n := range byKey {
			gauge(descHolds, float64(n), k.scope, k.reason)
		}
		open, err := conversations.OpenNow(q)
		if err != nil {
			return err
		}
		var sum int64
		for _, n := range open {
			sum += n
		}
		gauge(descConversations, float64(sum))
		err = m.hearing(q, func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
		})
		if err != nil {
			return err
		}
		if err != nil {
			return err
		}
		if err := m.past(q, gauge); err != nil {
			return err
		}
		if r := m.d.dispatch.Reach(q.Now()); r.Limit > 0 {
			gauge(descReached, float64(r.People))
			gauge(descReachLimit, float64(r.Limit))
			gauge(descReachReserve, float64(r.Reserve))
			gauge(descReachLeft, float64(r.Marketing), whatsapp.LaneMarketing.String())
			gauge(descReachLeft, float64(r.Utility), whatsapp.LaneUtility.String())
		}
		if m.d.otp == nil {
			return nil
		}
		live, budget, err := m.d.otp.Gauges(q)
		gauge(descCodesLive, float64(live))
		gauge(descCodesBudget, float64(budget))
		return err
	})
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := &m.d.intake.Stats
	counter(descCallbacks, s.Stored.Load(), "stored")
	counter(descCallbacks, s.Again.Load(), "again")
	counter(descCallbacks, s.Forged.Load(), "forged")
	counter(descCallbacks, s.Applied.Load(), "applied")
	counter(descCallbacks, s.Failed.Load(), "failed")
	counter(descCommits, m.d.db.Commits())
	counter(descMoved, m.d.retention.Moved.Load())
	counter(descRemoved, m.d.retention.Callbacks.Load())
	m.machine(gauge)
	m.paces(gauge)
	m.backups(gauge, counter)
}
