package hooks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Mode is what a target is sent.
type Mode string

// The modes; doc.go says what they are.
const (
	Events      Mode = "events"
	Passthrough Mode = "passthrough"
	Stream      Mode = "stream"
)

// Target is one of the business's own systems. Printing it names it and its
// host: an address may carry a password or a token.
type Target struct {
	Name string // lower case letters, digits, - and _
	URL  string // https; or http, to a loopback or private address
	Mode Mode

	// Events says which events: exact types, or patterns in which * stands for
	// any characters ("message.*"). Empty: all. Not of mode passthrough.
	Events []string
	// Fields says which callbacks, by Meta's webhook fields, with * as above.
	// Empty: all. Mode passthrough only.
	Fields []string
	// Numbers says which numbers (Meta's phone_number_id). Empty: all. What
	// concerns no number passes.
	Numbers []string
	// Secrets returns what signs events, "whsec_" and base64: the one in force
	// first, and one more while it is being replaced. Mode events only.
	Secrets func() [][]byte

	Timeout  time.Duration // of one request; default 15 s
	MaxAge   time.Duration // how long a delivery is tried, and a stream kept; default 3 days
	MaxBytes int64         // what its rows may take on disk; default 1 GiB
	AtOnce   int           // requests at a time; default 16
}

func (t *Target) fill() {
	if t.Timeout <= 0 {
		t.Timeout = 15 * time.Second
	}
	if t.MaxAge <= 0 {
		t.MaxAge = 3 * 24 * time.Hour
	}
	if t.MaxBytes <= 0 {
		t.MaxBytes = 1 << 30
	}
	if t.AtOnce <= 0 {
		t.AtOnce = 16
	}
}

// String names the target and its host, no more.
func (t Target) String() string { return t.Name + " (" + t.host() + ")" }

// Format makes every fmt verb print the masked form.
func (t Target) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// LogValue makes slog print the masked form.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

// host is scheme and host. A path may be a token as well (Slack, Make), so only
// that there is one is shown.
func (t Target) host() string {
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" {
		return "no address"
	}
	s := u.Scheme + "://" + u.Host
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		s += "/…"
	}
	return s
}

func (t Target) urlHash() string {
	sum := sha256.Sum256([]byte(t.URL))
	return hex.EncodeToString(sum[:])
}

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	patternForm = regexp.MustCompile(`^[A-Za-z0-9_.*]{1,128}$`)
)

// Fault is what is wrong with a target, without its address.
type Fault struct {
	Target int    // its place in the list
	Key    string // of the configuration: name, url, mode, events, fields, secret_file
	Text   string
}

// Check returns every fault of the targets as one error.
func Check(targets []Target) error {
	var faults []error
	for _, f := range Faults(targets) {
		faults = append(faults, fmt.Errorf("hooks: target %q: %s", targets[f.Target].Name, f.Text))
	}
	return errors.Join(faults...)
}

// Faults returns every fault of the targets.
func Faults(targets []Target) (out []Fault) {
	for i, t := range targets {
		fault := func(key, format string, args ...any) {
			out = append(out, Fault{i, key, fmt.Sprintf(format, args...)})
		}
		if !nameForm.MatchString(t.Name) {
			fault("name", "a name has lower case letters, digits, - and _, at most 64")
		}
		if slices.ContainsFunc(targets[:i], func(o Target) bool { return o.Name == t.Name }) {
			fault("name", "there are two of that name")
		}
		if err := checkURL(t.URL); err != nil && t.Mode != Stream {
			fault("url", "%v", err)
		}
		for key, patterns := range map[string][]string{"events": t.Events, "fields": t.Fields} {
			for _, p := range patterns {
				if !patternForm.MatchString(p) {
					fault(key, "%q is no event or field: write letters, digits, _ and dots, with * for any characters", p)
				}
			}
		}
		switch t.Mode {
		case Events:
			if t.Secrets == nil || len(t.Secrets()) == 0 {
				fault("secret_file", "mode events needs a secret: its receiver could not tell who writes")
			} else if _, err := Sign(t.Secrets(), "", time.Time{}, nil); err != nil {
				fault("secret_file", "%v", err)
			}
			if len(t.Fields) > 0 {
				fault("fields", "fields are for mode passthrough; mode events has events")
			}
		case Passthrough:
			if len(t.Events) > 0 {
				fault("events", "events are for mode events; mode passthrough has fields")
			}
		case Stream:
			if t.URL != "" {
				fault("url", "a stream has no address: it is read at /v1/events")
			}
			if len(t.Fields) > 0 {
				fault("fields", "fields are for mode passthrough; a stream has events")
			}
		default:
			fault("mode", "mode is events, passthrough or stream")
		}
	}
	return out
}

// checkURL never shows the address: its errors end in logs.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return errors.New("its address is no https://host/path")
	case u.Fragment != "":
		return errors.New("its address has a fragment (#), which is never sent")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("its address begins with https://, or http:// in your own network")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !near(ip) {
		return errors.New(plainFar)
	}
	return nil // where a name leads is seen with every connection
}

const plainFar = "plain http goes to loopback and private addresses only; use https"

// near reports whether plain http may go there.
func near(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate()
}

var errPlainFar = errors.New(plainFar)

// nearOnly refuses a connection of plain http to a public address. It sees the
// address that is dialled, so no name can lead around it.
func nearOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !near(at.Addr()) {
		return errPlainFar
	}
	return nil
}
