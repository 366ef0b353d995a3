package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"janela/internal/daemon"
	"janela/internal/httpapi"
	"janela/internal/whatsapp/cloudapi"
)

// MetaURL is the address of the Graph API.
const MetaURL = cloudapi.DefaultBaseURL

// Result is what a step came to.
type Result string

// A step found everything as it should be, changed something, was left out, or
// failed.
const (
	Kept    Result = "ok"
	Changed Result = "done"
	Skipped Result = "left out"
	Failed  Result = "FAILED"
)

// Step is one step as it is told.
type Step struct {
	Number int
	Of     int
	Name   string
	Result Result
	Text   string
	Fix    string // of one that failed, or was left out
}

// Error is a step that failed; it was told already.
type Error struct{ Step Step }

// Error implements error.
func (e *Error) Error() string { return e.Step.Name + ": " + e.Step.Text + "\n  " + e.Step.Fix }

// Options say what is wanted. Path, Environ, Tell and Secret are required.
type Options struct {
	Path    string // of config.toml, which must exist
	Environ []string

	GraphURL    string   // "": config.toml's, or Meta's
	Accounts    []string // "": those that the token sees
	Business    string   // portfolio whose accounts are asked for
	Numbers     []Wanted // none: all of the accounts
	CallbackURL string   // "": config.toml's
	Override    bool     // an address of the account's own, where the app's belongs to another program
	Replace     bool     // take the address from the other program
	TestTo      string   // own telephone; "": no test message
	Template    string   // NAME/LANGUAGE; "": hello_world/en_US
	Wait        time.Duration

	Tell func(Step)
	// Ask asks a person, with what an empty answer means; nil: nobody is there.
	Ask func(question, usual string) (string, error)
	// Secret reads a secret without showing it.
	Secret func(what string) (string, error)
	// Daemon returns a client of the running daemon, or of one that runs for the
	// moment.
	Daemon func(ctx context.Context, cfg daemon.Config) (c *httpapi.Client, momentary bool, stop func() error, err error)
}

// Wanted is a number that is to be used.
type Wanted struct {
	ID   string
	Name string // "": made of its verified name
}

// house is one run.
type house struct {
	Options
	cfg     daemon.Config
	steps   []string
	at      int
	changed int
	token   string
	graph   *cloudapi.Client
	info    cloudapi.Token
	found   []found // accounts with the numbers that are used
	secrets secretFiles
	client  *httpapi.Client
	moment  bool   // the daemon is one for the moment
	own     string // account whose own token is rotated; "": that of [whatsapp]
	moved   string // the database that the real account gets
	sandbox string // socket of a daemon with the embedded sandbox; "": config.toml had a real account already
	stop    func() error
}

// found is a business account with its numbers.
type found struct {
	account cloudapi.Account
	numbers []cloudapi.Number
	all     int
}

// steps of Run, in order.
var stepsOfRun = []struct {
	name string
	do   func(*house, context.Context) error
}{
	{"meta", (*house).reach},
	{"token", (*house).checkToken},
	{"permissions", (*house).permissions},
	{"accounts", (*house).accounts},
	{"numbers", (*house).numbers},
	{"secrets", (*house).writeSecrets},
	{"configuration", (*house).configure},
	{"daemon", (*house).daemon},
	{"subscription", (*house).subscribe},
	{"callback", (*house).callback},
	{"templates", (*house).templates},
	{"test message", (*house).test},
}

// Run connects. changed says whether anything was not as it should be before.
func Run(ctx context.Context, opt Options) (changed bool, err error) {
	h := &house{Options: opt}
	defer func() { err = errors.Join(err, h.close()) }()
	for _, s := range stepsOfRun {
		h.steps = append(h.steps, s.name)
	}
	if err := h.load(); err != nil {
		return false, err
	}
	for i, s := range stepsOfRun {
		h.at = i
		if err := s.do(h, ctx); err != nil {
			return h.changed > 0, err
		}
	}
	return h.changed > 0, nil
}

func (h *house) close() (err error) {
	if h.graph != nil {
		h.graph.Close()
	}
	if h.client != nil {
		h.client.Close()
	}
	if h.stop != nil {
		err = h.stop()
	}
	return err
}

func (h *house) step(r Result, fix, format string, args ...any) Step {
	s := Step{Number: h.at + 1, Of: len(h.steps), Name: h.steps[h.at], Result: r, Text: fmt.Sprintf(format, args...), Fix: fix}
	h.Tell(s)
	return s
}

// kept, done and left tell how a step went.
func (h *house) kept(format string, args ...any) error {
	h.step(Kept, "", format, args...)
	return nil
}

func (h *house) done(format string, args ...any) error {
	h.changed++
	h.step(Changed, "", format, args...)
	return nil
}

func (h *house) left(fix, format string, args ...any) error {
	h.step(Skipped, fix, format, args...)
	return nil
}

// fail tells that a step failed, and what to do.
func (h *house) fail(fix, format string, args ...any) error {
	return &Error{h.step(Failed, fix, format, args...)}
}

// reach looks whether Meta answers at all.
func (h *house) reach(ctx context.Context) error {
	if end, known := daemon.GraphEnds(h.cfg.WhatsApp.GraphVersion); known && time.Now().After(end) {
		return h.fail("write "+daemon.Defaults().WhatsApp.GraphVersion+" into [whatsapp] graph_version", "Graph API %s has expired on %s", h.cfg.WhatsApp.GraphVersion, end.Format(time.DateOnly))
	}
	client := h.cfg.Graph(nil)
	defer client.Close()
	at, err := client.Reach(ctx)
	if err != nil {
		return h.fail("look at this machine's network, DNS and proxy; is the address right?", "%s cannot be reached: %v", h.cfg.WhatsApp.GraphURL, err)
	}
	if at.Version != "" && at.Version != h.cfg.WhatsApp.GraphVersion {
		return h.fail("write "+daemon.Defaults().WhatsApp.GraphVersion+" into [whatsapp] graph_version", "Graph API %s has expired: Meta answered by %s", h.cfg.WhatsApp.GraphVersion, at.Version)
	}
	if off := time.Since(at.Date); !at.Date.IsZero() && max(off, -off) > 30*time.Second {
		return h.fail("run NTP: timedatectl set-ntp true", "the clock of this machine is %s away from Meta's", max(off, -off).Round(time.Second))
	}
	return h.kept("%s answers", h.cfg.WhatsApp.GraphURL)
}

const makeToken = "business.facebook.com, Settings, System users: choose or add one, assign it the app and the WhatsApp account with full control, Generate token, never expires, tick whatsapp_business_messaging and whatsapp_business_management"

// checkToken looks at the token: the one that is configured, or a new one.
func (h *house) checkToken(ctx context.Context) error {
	if bad := h.secrets.token.bad; bad != nil {
		return h.fail("chmod 600 "+h.secrets.token.path+", or whatever the error says; then run janela connect again", "the token cannot be used: %v", bad)
	}
	token, err := h.secrets.token.value(h.Secret)
	if err != nil {
		return h.fail(makeToken, "there is no token: %v", err)
	}
	h.token = token
	h.graph = h.cfg.Graph(func() (string, error) { return token, nil })
	info, why := debug(ctx, h.graph)
	if why != "" {
		fix := makeToken
		if !h.secrets.token.fresh {
			fix = "make a new one, and run janela connect --rotate-token; " + makeToken
		}
		return h.fail(fix, "Meta refuses the token: %s", why)
	}
	h.info = info
	ends := "never ends"
	if !info.ExpiresAt.IsZero() {
		ends = "ends on " + info.ExpiresAt.Format(time.DateOnly)
	}
	return h.kept("of %s, app %s %s; %s", strings.ToLower(strings.ReplaceAll(info.Type, "_", " ")), info.AppID, info.App, ends)
}

// debug asks what Meta knows of the client's token; why says why it is no good.
func debug(ctx context.Context, c *cloudapi.Client) (info cloudapi.Token, why string) {
	info, err := c.DebugToken(ctx)
	switch {
	case err != nil:
		return info, words(err)
	case !info.Valid:
		return info, info.Why
	default:
		return info, ""
	}
}

// words is an error of Meta's without the trace, which is another each time.
func words(err error) string {
	var e *cloudapi.Error
	if errors.As(err, &e) && e.Coded && e.Message != "" {
		return fmt.Sprintf("%s (code %d)", e.Message, e.Code)
	}
	text, _, _ := strings.Cut(err.Error(), " [trace ")
	return text
}

func (h *house) permissions(context.Context) error {
	if lacks := h.info.Lacks(cloudapi.ScopeMessaging, cloudapi.ScopeManagement); len(lacks) > 0 {
		return h.fail("generate the token again and tick "+strings.Join(lacks, " and ")+"; then janela connect --rotate-token", "the token lacks %s", strings.Join(lacks, " and "))
	}
	return h.kept("%s, %s", cloudapi.ScopeMessaging, cloudapi.ScopeManagement)
}
