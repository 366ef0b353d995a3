package doctor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"janela/internal/daemon"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// metaSeen is what was learnt of Meta on the way.
type metaSeen struct {
	reached cloudapi.Reached
	whole   time.Time // our clock in the middle of that
	err     error     // Meta was not reached
	tokens  []*tokenSeen
	skip    string // why Meta is not asked; "": it is
	done    bool
}

// tokenSeen is one token, with the accounts that use it.
type tokenSeen struct {
	accounts []string
	unread   error // its file
	client   *cloudapi.Client
	info     cloudapi.Token
	err      error // of Meta
}

func (m *metaSeen) close() {
	for _, t := range m.tokens {
		if t.client != nil {
			t.client.Close()
		}
	}
}

// asked says why Meta is not asked, "" where it can be.
func (l *look) asked(ctx context.Context) string {
	m := &l.meta
	if m.done {
		return m.skip
	}
	m.done = true
	switch {
	case l.Unread != nil:
		m.skip = "the configuration cannot be read"
		return m.skip
	case l.Config.Embedded():
		m.skip = "the embedded sandbox stands in for Meta"
		return m.skip
	case l.Offline:
		m.skip = "not asked: --offline"
		return m.skip
	}
	client := l.Config.Graph(nil)
	defer client.Close()
	begun := l.Now()
	m.reached, m.err = client.Reach(ctx)
	m.whole = begun.Add(l.Now().Sub(begun) / 2)
	if m.err != nil {
		m.skip = "Meta cannot be reached"
		return m.skip
	}
	l.meetTokens(ctx)
	return ""
}

// meetTokens asks Meta for every token once.
func (l *look) meetTokens(ctx context.Context) {
	seen := map[string]*tokenSeen{}
	for _, a := range l.Config.WhatsApp.Accounts {
		token, err := l.Config.Token(a.ID)
		key := token
		if err != nil {
			key = "error " + err.Error()
		}
		t := seen[key]
		if t == nil {
			t = &tokenSeen{unread: err}
			if err == nil {
				t.client = l.Config.Graph(func() (string, error) { return token, nil })
				t.info, t.err = t.client.DebugToken(ctx)
			}
			seen[key] = t
			l.meta.tokens = append(l.meta.tokens, t)
		}
		t.accounts = append(t.accounts, a.ID)
	}
}

// good are the tokens that Meta takes.
func (l *look) good() (out []*tokenSeen) {
	for _, t := range l.meta.tokens {
		if t.unread == nil && t.err == nil && t.info.Valid {
			out = append(out, t)
		}
	}
	return out
}

// reached are the accounts with a token that is good, each with that.
func (l *look) reached() iter.Seq2[daemon.AccountConfig, *tokenSeen] {
	return func(yield func(daemon.AccountConfig, *tokenSeen) bool) {
		for _, a := range l.Config.WhatsApp.Accounts {
			for _, t := range l.good() {
				if slices.Contains(t.accounts, a.ID) {
					if !yield(a, t) {
						return
					}
					break
				}
			}
		}
	}
}

var (
	graphUnreachable = declare("graph", "unreachable", FAIL, "{url} cannot be reached: {error}", "look at this machine's network, DNS, clock and proxy; curl {url} must answer")
	graphExpired     = declare("graph", "expired", FAIL, "Graph API {version} has expired: Meta answered by {got}", "write a newer one into [whatsapp] graph_version, {newest}, and restart janela")
	graphEnds        = declare("graph", "ends", WARN, "Graph API {version} ends on {end}", "write a newer one into [whatsapp] graph_version, {newest}, and restart janela")
)

// newestGraph is the version to write.
func newestGraph() string { return daemon.Defaults().WhatsApp.GraphVersion }

// endsSoon is how long before its end something is warned of.
const endsSoon = 90 * 24 * time.Hour

func (l *look) graph(ctx context.Context) outcome {
	version := l.Config.WhatsApp.GraphVersion
	at := []string{"version", version, "url", l.Config.WhatsApp.GraphURL, "newest", newestGraph()}
	skip := l.asked(ctx)
	if l.meta.err != nil {
		return outcome{found: []Finding{graphUnreachable.of(append(at, "error", l.meta.err.Error())...)}}
	}
	if skip != "" && !l.Offline || l.Unread != nil || l.Config.Embedded() {
		return outcome{skip: skip}
	}
	end, known := daemon.GraphEnds(version)
	got := l.meta.reached.Version
	switch {
	case skip == "" && got != "" && got != version:
		return outcome{found: []Finding{graphExpired.of(append(at, "got", got)...)}}
	case known && l.Now().After(end):
		return outcome{found: []Finding{graphExpired.of(append(at, "got", "an older one, or not at all")...)}}
	case known && l.Now().Add(endsSoon).After(end):
		return outcome{found: []Finding{graphEnds.of(append(at, "end", end.Format(time.DateOnly))...)}}
	}
	ok := version
	if known {
		ok += ", until " + end.Format(time.DateOnly)
	}
	if skip == "" {
		ok += fmt.Sprintf(", answers after %d ms", l.meta.reached.Took.Milliseconds())
	}
	return outcome{ok: ok}
}

var (
	clockOff   = declare("clock", "off", FAIL, "the clock of this machine is {by} {way} Meta's", "run NTP: timedatectl set-ntp true; then janela clock says whether the database is ahead of it")
	clockDrift = declare("clock", "drifts", WARN, "the clock of this machine is {by} {way} Meta's", "run NTP: timedatectl set-ntp true")
)

const (
	clockWarn = 5 * time.Second
	clockFail = 30 * time.Second
)

func (l *look) clock(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	if l.meta.reached.Date.IsZero() {
		return outcome{skip: "the answer has no date"}
	}
	// Meta tells whole seconds: on average it is half a second later.
	off := l.meta.whole.Sub(l.meta.reached.Date.Add(500 * time.Millisecond))
	by, way := off, "ahead of"
	if off < 0 {
		by, way = -off, "behind"
	}
	by = by.Round(time.Second)
	switch {
	case by >= clockFail:
		return outcome{found: []Finding{clockOff.of("by", by.String(), "way", way)}}
	case by >= clockWarn:
		return outcome{found: []Finding{clockDrift.of("by", by.String(), "way", way)}}
	}
	return outcome{ok: "within " + max(by, time.Second).String() + " of Meta's"}
}

// metaWords says what Meta answered, and Meta's way out where it is known.
func metaWords(err error) (words, fix string) {
	var e *cloudapi.Error
	if !errors.As(err, &e) {
		return err.Error(), ""
	}
	if e.Coded {
		fix = whatsapp.LookupCode(e.Code, e.HTTPStatus).Do
	}
	if e.Coded && e.Message != "" {
		return fmt.Sprintf("%s (code %d)", e.Message, e.Code), fix
	}
	text, _, _ := strings.Cut(e.Error(), " [trace ")
	return text, fix
}

// coded reports whether Meta answered with one of these codes.
func coded(err error, codes ...int) bool {
	var e *cloudapi.Error
	if !errors.As(err, &e) || !e.Coded {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}
