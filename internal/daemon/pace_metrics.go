package daemon

import "github.com/prometheus/client_golang/prometheus"

var (
	descPace        = prometheus.NewDesc("janela_number_per_second", "Messages a second that a number may send now.", []string{"number"}, nil)
	descPaceAllowed = prometheus.NewDesc("janela_number_per_second_allowed", "Messages a second that Meta and the configuration allow a number.", []string{"number"}, nil)
	descInFlight    = prometheus.NewDesc("janela_number_requests", "Requests of a number that are under way now.", []string{"number"}, nil)
	descWindow      = prometheus.NewDesc("janela_number_requests_allowed", "Requests of a number that may be under way, by its rate and Meta's answers.", []string{"number"}, nil)
	descAnswer      = prometheus.NewDesc("janela_number_answer_seconds", "How long Meta takes to answer a number, on average of late.", []string{"number"}, nil)
)

var paceDescs = []*prometheus.Desc{descPace, descPaceAllowed, descInFlight, descWindow, descAnswer}

// paces tells of the numbers that have sent since the start.
func (m *metrics) paces(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	for _, p := range m.d.dispatch.Paces() {
		gauge(descPace, p.PerSecond(), p.Number)
		gauge(descPaceAllowed, p.Allowed, p.Number)
		gauge(descInFlight, float64(p.InFlight), p.Number)
		gauge(descWindow, float64(p.Window), p.Number)
		gauge(descAnswer, p.Took.Seconds(), p.Number)
	}
}
