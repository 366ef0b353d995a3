package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Config says how to measure.
type Config struct {
	// Self is the command, with its arguments, that runs Child with a role that
	// is appended; SelfEnv is added to its environment.
	Self    []string
	SelfEnv []string
	Dir     string    // where databases go; "" for the system's folder of temporary files
	Runs    int       // how often; the median counts
	Senders int       // requests in flight of the daemon; 0 for its default
	Notes   io.Writer // what is being done; nil: nowhere

	quick  bool // for tests: nothing waits as long as it does with an operator
	keep   bool // worlds, for the next measurement
	worlds map[int]*world
}

func (c *Config) say(format string, args ...any) {
	if c.Notes != nil {
		_, _ = fmt.Fprintf(c.Notes, format+"\n", args...)
	}
}

// Figure is one result. A goal is a ratio or a count, where one was set.
type Figure struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Value   float64   `json:"value"` // the median of Samples
	Goal    string    `json:"goal,omitempty"`
	Met     *bool     `json:"met,omitempty"`
	Samples []float64 `json:"samples"`
}

// Report is what one measurement found.
type Report struct {
	Measures string            `json:"measures"` // send, size, …
	At       time.Time         `json:"at"`
	Machine  Machine           `json:"machine"`
	Settings map[string]string `json:"settings"`
	Figures  []Figure          `json:"figures"`
	Faults   []string          `json:"faults"` // what must never be: sent twice, or not at all
}

// Machine is where it was measured.
type Machine struct {
	CPUs  int    `json:"cpus"`
	Model string `json:"model"`
	OS    string `json:"os"`
	Go    string `json:"go"`
	Load  string `json:"load"` // of the last minute when the measurement began
}

func newReport(what string, settings map[string]string) *Report {
	return &Report{Measures: what, At: time.Now().UTC().Truncate(time.Second), Machine: machine(), Settings: settings, Faults: []string{}}
}

func machine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.Model = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}

// bound is a goal: a value at least, or at most, that much.
type bound struct {
	atLeast bool
	value   float64
}

func atLeast(v float64) *bound { return &bound{true, v} }
func atMost(v float64) *bound  { return &bound{false, v} }

// add appends a figure; goal is nil where none was set.
func (r *Report) add(name, unit string, goal *bound, samples ...float64) {
	f := Figure{Name: name, Unit: unit, Value: median(samples), Samples: samples}
	if goal != nil {
		met, sign := f.Value <= goal.value, "≤"
		if goal.atLeast {
			met, sign = f.Value >= goal.value, "≥"
		}
		f.Goal, f.Met = fmt.Sprintf("%s %g", sign, goal.value), &met
	}
	r.Figures = append(r.Figures, f)
}

func median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(samples))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// Rows are the figures for a table under Header.
func (r *Report) Rows() (rows [][]string) {
	for _, f := range r.Figures {
		met := ""
		if f.Met != nil && *f.Met {
			met = "met"
		} else if f.Met != nil {
			met = "missed"
		}
		spread := ""
		if len(f.Samples) > 1 {
			spread = digits(slices.Min(f.Samples)) + " – " + digits(slices.Max(f.Samples))
		}
		rows = append(rows, []string{f.Name, digits(f.Value), f.Unit, spread, f.Goal, met})
	}
	return rows
}

// Err is what must make the command fail: counts that are wrong.
func (r *Report) Err() error {
	if len(r.Faults) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", r.Measures, strings.Join(r.Faults, "; "))
}

// Settled are the settings in words, in order.
func (r *Report) Settled() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		out = append(out, name+" "+r.Settings[name])
	}
	return strings.Join(out, ", ")
}

// Header names the columns of Rows.
var Header = []string{"what", "median", "unit", "range", "goal", "result"}

// digits writes three significant digits, and whole numbers whole.
func digits(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 1000 || v <= -1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.4f", v)
	}
}

// each calls fn for every run.
func (c *Config) each(ctx context.Context, fn func(run int) error) error {
	for run := range c.Runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(run); err != nil {
			return err
		}
	}
	return nil
}
