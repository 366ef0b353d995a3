package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

var (
	descCodesLive   = prometheus.NewDesc("janela_otp_live", "Challenges that are open now.", nil, nil)
	descCodesBudget = prometheus.NewDesc("janela_otp_budget_remaining", "Codes that may still be sent before max_sends_24h is reached.", nil, nil)
)

// codeMetrics count one-time codes. The country is the finest label: ranges and
// phones are in the database only.
type codeMetrics struct {
	asked, limited, guessed, sends, fellBack *prometheus.CounterVec
	reported, identityChanged                prometheus.Counter
	stages                                   *prometheus.HistogramVec
}

func newCodeMetrics() codeMetrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "janela_otp_" + name, Help: help}, labels)
	}
	one := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "janela_otp_" + name, Help: help})
	}
	return codeMetrics{
		asked:           vec("requests_total", "Requests for a code by what they were answered.", "purpose", "country", "result"),
		limited:         vec("limited_total", "Requests and guesses that a limit refused, by its key in config.toml.", "rule"),
		guessed:         vec("verify_total", "Guesses by what they were answered.", "result"),
		sends:           vec("sends_total", "Messages with codes by what became of them, each time they got there.", "channel", "outcome"),
		fellBack:        vec("fallback_total", "Codes that went by the fallback hook, by why they did and what became of them.", "reason", "result"),
		reported:        one("reported_total", "People who said that they did not ask for a code."),
		identityChanged: one("identity_changed_total", "Codes not delivered because the number passed to another device or person."),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "janela_otp_stage_seconds", Help: "How long a code took from one stage to the next.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}}, []string{"stage"}),
	}
}

func (m *codeMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.asked, m.limited, m.guessed, m.sends, m.fellBack, m.reported, m.identityChanged, m.stages}
}

// stats are the room's ears.
func (m *codeMetrics) stats() otp.Stats {
	return otp.Stats{
		Asked:   func(purpose, country, result string) { m.asked.WithLabelValues(purpose, country, result).Inc() },
		Limited: func(rule string) { m.limited.WithLabelValues(rule).Inc() },
		Guessed: func(result string) { m.guessed.WithLabelValues(result).Inc() },
		Typed:   func(took time.Duration) { m.took("delivered_verified", took) },
		FellBack: func(reason, result string) {
			m.fellBack.WithLabelValues(reason, result).Inc()
			m.sends.WithLabelValues("sms", result).Inc()
		},
		Reported:        m.reported.Inc,
		IdentityChanged: m.identityChanged.Inc,
	}
}

func (m *codeMetrics) took(stage string, d time.Duration) {
	m.stages.WithLabelValues(stage).Observe(max(d, 0).Seconds())
}

// codeOutcomes counts what becomes of messages with codes, and how long Meta
// took. Campaigns send none of that category.
func (m *metrics) codeOutcomes(tx *store.Tx, out []outbox.Outcome) {
	if m.d.otp == nil {
		return
	}
	for _, o := range out {
		if o.Category != whatsapp.Authentication || o.Campaign != "" || o.From == o.To || o.To == outbox.Queued || o.To == outbox.Sending {
			continue
		}
		m.codes.sends.WithLabelValues("whatsapp", string(o.To)).Inc()
		if o.To == outbox.Accepted && o.From == outbox.Sending { // all of it is known: its row need not be read
			m.codes.took("queued_accepted", tx.Now().Sub(store.IDTime(o.Message)))
			continue
		}
		if o.To != outbox.Accepted && o.To != outbox.Delivered && o.To != outbox.Read {
			continue
		}
		msg, ok, err := outbox.ByID(tx, o.Message)
		if err != nil || !ok {
			continue // a figure less; what is wrong with the database others will say
		}
		switch {
		case o.To == outbox.Accepted:
			m.codes.took("queued_accepted", store.Time(msg.AcceptedAt).Sub(store.Time(msg.CreatedAt)))
		case o.From != outbox.Delivered && msg.AcceptedAt > 0:
			m.codes.took("accepted_delivered", store.Time(max(msg.DeliveredAt, msg.AcceptedAt)).Sub(store.Time(msg.AcceptedAt)))
		}
	}
}
