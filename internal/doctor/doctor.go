package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"janela/internal/daemon"
	"janela/internal/guard"
	"janela/internal/httpapi"
	"janela/internal/tomlfile"
)

// Level says how bad a finding is.
type Level string

// A FAIL keeps something from working; a WARN should be looked at; a SKIP could
// not be looked at.
const (
	OK   Level = "OK"
	WARN Level = "WARN"
	FAIL Level = "FAIL"
	SKIP Level = "SKIP"
)

// World is what is looked at.
type World struct {
	Config daemon.Config
	// Faults are what is wrong with the configuration, and Unread why there is none:
	// then little else can be looked at.
	Faults tomlfile.Problems
	Unread error
	// Client speaks to the running daemon; nil: none answers.
	Client  *httpapi.Client
	Version string // this program's
	Offline bool   // nothing is asked of the network

	// What tests put in the place of the machine; nil for the machine.
	Now        func() time.Time
	Space      func(dir string) (guard.Space, error)
	FileSystem func(dir string) (guard.FileSystem, error)
	Zone       func(name string) (*time.Location, error)
	HTTP       *http.Client // calls our own address as Meta does
}

// Finding is one thing that is wrong.
type Finding struct {
	Code  string `json:"code"` // check/fault: stable
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix"`
}

// Result is what one check came to.
type Result struct {
	Number   int       `json:"number"`
	Check    string    `json:"check"`
	Level    Level     `json:"level"`
	Text     string    `json:"text,omitempty"` // what is fine, or why it was skipped
	Findings []Finding `json:"findings,omitempty"`
	Docs     string    `json:"docs"`
}

// Report is what all checks came to.
type Report struct {
	Results []Result `json:"checks"`
	OK      int      `json:"ok"` // checks by level
	Warn    int      `json:"warn"`
	Fail    int      `json:"fail"`
	Skip    int      `json:"skip"`
}

// outcome is what a check found: nothing, then ok says what is fine; or why it
// could not look.
type outcome struct {
	ok, skip string
	found    []Finding
}

// check is one of the checks.
type check struct {
	name string
	what string // for people, in docs/doctor.md
	run  func(l *look, ctx context.Context) outcome
}

// checks stand in the order in which one would mend what they find.
var checks = []check{
	{"config", "the configuration can be read and has no fault", (*look).config},
	{"secrets", "files of secrets are there, whole, and nobody else's to read", (*look).secrets},
	{"timezones", "the rules of time zones are not old", (*look).timezones},
	{"filesystem", "the database lies on a local disk that lasts", (*look).filesystem},
	{"database", "the database is whole, in WAL mode, of this program's schema", (*look).database},
	{"disk", "there is room on its disk", (*look).disk},
	{"daemon", "one daemon runs, and is well", (*look).daemon},
	{"ports", "the addresses are free, or the daemon's own", (*look).ports},
	{"folder", "the campaigns folder can be read and watched", (*look).folder},
	{"graph", "Meta can be reached, and the Graph version has not expired", (*look).graph},
	{"clock", "the clock is right, by Meta's", (*look).clock},
	{"token", "Meta takes the access tokens", (*look).token},
	{"scopes", "the tokens have the two permissions", (*look).scopes},
	{"expiry", "the tokens do not end soon", (*look).expiry},
	{"accounts", "the business accounts can be seen and may send", (*look).accounts},
	{"numbers", "the numbers are connected, their names approved, their quality good", (*look).numbers},
	{"callback", "our address passes Meta's handshake and takes a signed callback", (*look).callback},
	{"subscription", "Meta posts callbacks to us, of every field that is needed", (*look).subscription},
	{"templates", "templates of campaigns and codes exist, are approved, and fit", (*look).templates},
	{"guards", "nothing stands still", (*look).guards},
}

// look is one run over a World, with what was learnt on the way.
type look struct {
	World
	self   *httpapi.Self // nil: no daemon
	status *httpapi.Status
	meta   metaSeen
}

// Run makes every check. An error of ctx ends it early: what is left is skipped.
func Run(ctx context.Context, w World) Report {
	l := &look{World: w}
	l.fill()
	if w.Client != nil {
		if self, err := w.Client.Self(ctx); err == nil {
			l.self = &self
		}
		if st, err := w.Client.Status(ctx); err == nil {
			l.status = &st
		}
	}
	defer l.meta.close()
	var out Report
	for i, c := range checks {
		o := outcome{skip: "interrupted"}
		if ctx.Err() == nil {
			o = c.run(l, ctx)
		}
		r := Result{Number: i + 1, Check: c.name, Level: OK, Text: o.ok, Findings: o.found, Docs: "docs/doctor.md#" + c.name}
		if o.skip != "" && len(o.found) == 0 {
			r.Level, r.Text = SKIP, o.skip
		}
		for _, f := range o.found {
			if f.Level == FAIL || r.Level == OK {
				r.Level = f.Level
			}
		}
		switch r.Level {
		case FAIL:
			out.Fail++
		case WARN:
			out.Warn++
		case SKIP:
			out.Skip++
		default:
			out.OK++
		}
		out.Results = append(out.Results, r)
	}
	return out
}

func (l *look) fill() {
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Space == nil {
		l.Space = guard.SpaceOf
	}
	if l.FileSystem == nil {
		l.FileSystem = guard.FileSystemOf
	}
	if l.Zone == nil {
		l.Zone = time.LoadLocation
	}
	if l.HTTP == nil {
		l.HTTP = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
}

// unread is the outcome of a check that needs a configuration where none could
// be read.
func (l *look) unread() (outcome, bool) {
	return outcome{skip: "the configuration cannot be read"}, l.Unread != nil
}

// fault is a row of the table of what can be wrong. In its text and its fix
// {name} stands for what is put there.
type fault struct {
	check, name string
	level       Level
	text, fix   string
}

// faults is the table, in the order of the source.
var faults []*fault

func declare(check, name string, level Level, text, fix string) *fault {
	f := &fault{check, name, level, text, fix}
	faults = append(faults, f)
	return f
}

// of makes a finding: pairs of names and values.
func (f *fault) of(pairs ...string) Finding {
	var in []string
	for i := 0; i+1 < len(pairs); i += 2 {
		in = append(in, "{"+pairs[i]+"}", pairs[i+1])
	}
	r := strings.NewReplacer(in...)
	return Finding{Code: f.check + "/" + f.name, Level: f.level, Text: r.Replace(f.text), Fix: r.Replace(f.fix)}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
