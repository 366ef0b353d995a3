package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// exposed are the metrics that the daemon shows, with their labels: its own, and
// those of Go and the process.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	m := newMetrics(&Daemon{})
	out := map[string][]string{"up": {"job", "instance"}}
	descs := make(chan *prometheus.Desc, 1000)
	for _, c := range append(m.own(), m.usual()...) {
		c.Describe(descs)
	}
	close(descs)
	for d := range descs {
		found := described.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("not understood: %s", d)
		}
		labels := []string{"job", "instance"}
		if found[3] != "" {
			labels = append(labels, strings.Split(found[3], ",")...)
		}
		out[found[1]] = labels
	}
	for _, histogram := range []string{"janela_send_seconds", "janela_otp_stage_seconds"} {
		labels, ok := out[histogram]
		if !ok {
			t.Fatalf("there is no %s", histogram)
		}
		delete(out, histogram)
		out[histogram+"_bucket"] = append(slices.Clone(labels), "le")
		out[histogram+"_sum"], out[histogram+"_count"] = labels, labels
	}
	return out
}

var (
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	window = regexp.MustCompile(`\[[^\]]*\]`)
	// asks finds a metric, and what stands in braces after it.
	asks = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?`)
	// groups finds label lists.
	groups = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	legend = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// of PromQL: what is no metric.
var words = []string{"sum", "min", "max", "rate", "increase", "delta", "time", "topk", "histogram_quantile", "vector", "or", "and", "unless", "bool"}

// query is what an expression asks for.
type query struct {
	metrics map[string][]string // with the labels that are matched
	groups  []string
}

func parseQuery(t *testing.T, expr string) query {
	t.Helper()
	q := query{metrics: map[string][]string{}}
	expr = window.ReplaceAllString(quoted.ReplaceAllString(expr, `""`), "")
	for _, g := range groups.FindAllStringSubmatch(expr, -1) {
		for _, label := range strings.Split(g[2], ",") {
			q.groups = append(q.groups, strings.TrimSpace(label))
		}
	}
	expr = groups.ReplaceAllString(expr, "")
	for _, a := range asks.FindAllStringSubmatch(expr, -1) {
		if slices.Contains(words, a[1]) {
			continue
		}
		labels := q.metrics[a[1]]
		for _, matcher := range strings.Split(a[2], ",") {
			if matcher = strings.TrimSpace(matcher); matcher != "" {
				labels = append(labels, strings.TrimRight(matcher[:strings.IndexAny(matcher, "=!")], " "))
			}
		}
		q.metrics[a[1]] = labels
	}
	return q
}

// wrong says what an expression asks for that there is not; more are labels that
// a text beside it names.
func (q query) wrong(have map[string][]string, more []string) (out []string) {
	if len(q.metrics) == 0 {
		return []string{"it asks for no metric"}
	}
	all := map[string]bool{}
	for name, labels := range q.metrics {
		of, ok := have[name]
		if !ok {
			out = append(out, "there is no metric "+name)
		}
		for _, l := range labels {
			if !slices.Contains(of, l) {
				out = append(out, name+" has no label "+l)
			}
		}
		for _, l := range of {
			all[l] = true
		}
	}
	for _, l := range slices.Concat(q.groups, more) {
		if !all[l] {
			out = append(out, "no metric of it has the label "+l)
		}
	}
	return out
}

// The test's own eyes.
func TestQueriesAreRead(t *testing.T) {
	have := map[string][]string{"a_total": {"job", "x"}, "b_bucket": {"job", "le"}, "up": nil}
	for expr, want := range map[string]string{
		`sum by (job, x) (rate(a_total{x=~"y|z", job!="{q}"}[5m])) > 0 unless up == 0`: "",
		`histogram_quantile(0.95, sum by (le) (rate(b_bucket[5m]))) > 20`:              "",
		`rate(c_total[5m])`:              "there is no metric c_total",
		`a_total{y="1"}`:                 "a_total has no label y",
		`sum by (y) (a_total)`:           "no metric of it has the label y",
		`time() - 5`:                     "it asks for no metric",
		`a_total > on (job) a_missing{}`: "there is no metric a_missing",
	} {
		if got := strings.Join(parseQuery(t, expr).wrong(have, nil), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

var (
	alertLine   = regexp.MustCompile(`^ {2}- alert: (\w+)$`)
	exprLine    = regexp.MustCompile(`^ {4}expr: '(.*)'$`)
	textLine    = regexp.MustCompile(`^ {6}(summary|do): '(.*)'$`)
	runbookLine = regexp.MustCompile(`^ {6}runbook: '([a-z-]+\.md)(#[a-z-]+)'$`)
)

// Every alert asks for metrics and labels that there are, has a page that says
// more, and a test in which it fires.
func TestAlertsAskForWhatThereIs(t *testing.T) {
	have, tests, name, n := exposed(t), page(t, "contrib/prometheus/alerts_test.yml"), "", 0
	var asked query
	for line := range strings.Lines(page(t, "contrib/prometheus/alerts.yml")) {
		line = strings.TrimRight(line, "\n")
		if m := alertLine.FindStringSubmatch(line); m != nil {
			name = m[1]
			n++
			if !strings.Contains(tests, "    alertname: "+name+"\n    exp_alerts:\n") {
				t.Errorf("%s has no test in which it fires", name)
			}
		}
		if m := exprLine.FindStringSubmatch(line); m != nil {
			asked = parseQuery(t, strings.ReplaceAll(m[1], "''", "'"))
			for _, w := range asked.wrong(have, nil) {
				t.Errorf("%s: %s", name, w)
			}
		}
		if m := textLine.FindStringSubmatch(line); m != nil {
			for _, label := range legend.FindAllStringSubmatch(m[2], -1) {
				for _, w := range asked.wrong(have, label[1:]) {
					t.Errorf("%s: in its %s, %s", name, m[1], w)
				}
			}
		}
		if m := runbookLine.FindStringSubmatch(line); m != nil && !slices.Contains(anchors(t, m[1]), m[2]) {
			t.Errorf("%s: docs/%s has no heading %s", name, m[1], m[2])
		}
	}
	text := page(t, "contrib/prometheus/alerts.yml")
	for _, part := range []string{"    expr: ", "      severity: ", "      summary: ", "      do: ", "      runbook: "} {
		if strings.Count(text, part) != n || n < 25 {
			t.Errorf("%d alerts and %d of %q", n, strings.Count(text, part), part)
		}
	}
}

// anchors are the headings of a page of docs/, as links name them.
func anchors(t *testing.T, name string) (out []string) {
	t.Helper()
	drop := regexp.MustCompile(`[^a-z0-9 -]`)
	for line := range strings.Lines(page(t, filepath.Join("docs", name))) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			out = append(out, "#"+strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-"))
		}
	}
	return out
}

// The dashboard asks for metrics and labels that there are, and shows each of
// ours, but for those that say how something is built or was.
func TestDashboardAsksForWhatThereIs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "contrib", "grafana", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			FieldConfig struct{ Defaults struct{ Unit string } }
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	have, shows, ids := exposed(t), map[string]bool{}, map[int]bool{}
	for _, v := range d.Templating.List {
		if m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.Definition); m != nil {
			for _, w := range parseQuery(t, m[1]).wrong(have, m[2:]) {
				t.Errorf("variable %s: %s", v.Name, w)
			}
		}
	}
	for _, p := range d.Panels {
		if p.Title == "" || ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d (%s) has no title, the id of another, or no place", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && (len(p.Targets) == 0 || p.FieldConfig.Defaults.Unit == "") {
			t.Errorf("panel %s shows nothing, or without a unit", p.Title)
		}
		for _, target := range p.Targets {
			var more []string
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				more = append(more, l[1])
			}
			q := parseQuery(t, target.Expr)
			for _, w := range q.wrong(have, more) {
				t.Errorf("panel %s: %s", p.Title, w)
			}
			for name := range q.metrics {
				shows[name] = true
			}
		}
	}
	alerts := page(t, "contrib/prometheus/alerts.yml")
	for name := range have {
		hidden := strings.HasPrefix(name, "janela_retention_") || strings.HasPrefix(name, "janela_backup") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") ||
			slices.Contains([]string{"janela_build_info", "janela_messages_past", "janela_conversations_open", "janela_undeliverable", "janela_number_answer_seconds",
				"janela_resends_total", "janela_otp_sends_total", "janela_otp_identity_changed_total"}, name)
		if strings.HasPrefix(name, "janela_") && !shows[name] && !hidden && !strings.Contains(alerts, name) {
			t.Errorf("neither the dashboard nor an alert asks for %s", name)
		}
	}
}

// The names keep to Prometheus's conventions: base units, _total for counters
// and for nothing else, a help for each.
func TestMetricsKeepToConventions(t *testing.T) {
	bubbled(t, before, nil, func(d *Daemon, _ string) {
		d.metrics.sent(whatsapp.LaneUtility, "1", outbox.Accepted, "", 1)
		d.metrics.failed("recipient", "answer")
		s := d.metrics.codes.stats()
		s.Asked("login", "BR", "accepted")
		s.Limited("cooldown")
		s.Guessed("right")
		s.Typed(1)
		s.FellBack("asked", "sent")
		all, err := d.metrics.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(all).Lint()
		if err != nil || len(all) < 60 {
			t.Fatalf("%d metrics: %v", len(all), err)
		}
		for _, p := range problems {
			if strings.HasPrefix(p.Metric, "janela_") {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
	})
}
