package daemon

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"janela/internal/sandbox"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// secrets are read when they are needed: files may change.
type secrets struct {
	token, appSecret, verify func() ([]byte, error)
	tokens                   map[string]func() ([]byte, error) // by account, where it has its own
}

// The embedded sandbox's own; they protect nothing.
const (
	sandboxToken  = "sandbox-token"
	sandboxSecret = "sandbox-app-secret"
	sandboxVerify = "sandbox-verify-token"
)

func (d *Daemon) openSecrets(c *Config) (*secrets, error) {
	w := c.WhatsApp
	if c.Embedded() {
		return &secrets{token: secret(sandboxToken, ""), appSecret: secret(sandboxSecret, ""), verify: secret(sandboxVerify, "")}, nil
	}
	s := &secrets{token: secret(w.Token, c.file(w.TokenFile)), appSecret: secret(w.AppSecret, c.file(w.AppSecretFile)),
		verify: secret(w.VerifyToken, c.file(w.VerifyTokenFile)), tokens: map[string]func() ([]byte, error){}}
	for _, a := range w.Accounts {
		if a.TokenFile != "" {
			s.tokens[a.ID] = secret("", c.file(a.TokenFile))
		}
	}
	for name, read := range map[string]func() ([]byte, error){"app secret": s.appSecret, "verify token": s.verify} {
		if _, err := read(); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// appSecrets returns the secrets that may have signed a callback; none when
// they cannot be read, so that nothing unsigned gets in.
func (d *Daemon) appSecrets() [][]byte {
	b, err := d.secrets.Load().appSecret()
	if err != nil {
		d.log.Error("the app secret cannot be read; callbacks are refused", "error", err)
		return nil
	}
	return lines(b)
}

func (d *Daemon) verifyToken() string {
	b, err := d.secrets.Load().verify()
	if err != nil {
		d.log.Error("the verify token cannot be read; the handshake is refused", "error", err)
		return ""
	}
	return string(b)
}

// clients speak to Meta: for each account one for everything, and one for codes
// alone, so that no code waits for a connection, or for its turn on one, that a
// campaign has.
type clients struct{ byAccount, codes map[string]*cloudapi.Client }

func newClients(d *Daemon, c *Config, from *secrets) *clients {
	out := &clients{byAccount: map[string]*cloudapi.Client{}, codes: map[string]*cloudapi.Client{}}
	transport := func() http.RoundTripper {
		if d.opt.Dial == nil {
			return nil // the client makes its own
		}
		return &http.Transport{DialContext: d.opt.Dial, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second}
	}
	shared := transport()
	base := c.WhatsApp.GraphURL
	if d.sandbox != nil {
		base = "http://" + d.sandboxAddr()
	}
	for _, a := range c.WhatsApp.Accounts {
		read := from.token
		if own, ok := from.tokens[a.ID]; ok {
			read = own
		}
		cfg := cloudapi.Config{BaseURL: base, Version: c.WhatsApp.GraphVersion, Transport: shared,
			SendTimeout: c.WhatsApp.SendTimeout, MaxIdlePerHost: 3 * c.WhatsApp.Senders,
			Token: func() (string, error) {
				b, err := read()
				return string(b), err
			}}
		out.byAccount[a.ID] = cloudapi.New(cfg)
		cfg.Transport, cfg.MaxIdlePerHost = transport(), c.WhatsApp.Senders
		out.codes[a.ID] = cloudapi.New(cfg)
	}
	return out
}

// hookTransport carries the requests of the codes' fallback; nil: the room makes
// its own.
func (d *Daemon) hookTransport() http.RoundTripper {
	if d.opt.Dial == nil {
		return nil
	}
	return &http.Transport{DialContext: d.opt.Dial, DisableKeepAlives: true}
}

// sender is the door of a lane.
func (d *Daemon) sender(waba string, lane whatsapp.Lane) (cloudapi.Sender, bool) {
	from := d.clients.Load().byAccount
	if lane == whatsapp.LaneAuthentication {
		from = d.clients.Load().codes
	}
	s, ok := from[waba]
	return s, ok
}

func (d *Daemon) reader(waba string) (cloudapi.Reader, bool) {
	r, ok := d.clients.Load().byAccount[waba]
	return r, ok
}

// openSandbox makes the embedded stand-in for Meta with the accounts and
// numbers of the configuration.
func (d *Daemon) openSandbox() error {
	s := d.cfg.Sandbox
	cfg := sandbox.Config{Token: sandboxToken, AppSecret: sandboxSecret, VerifyToken: sandboxVerify, Seed: s.Seed, Profile: sandbox.Default(),
		Journal: d.cfg.file(s.Journal), PairRate: true, Logger: d.log.With("part", "sandbox")}
	if s.Quiet {
		cfg.Profile = sandbox.Quiet()
	}
	cfg.Profile.AnswerLatency = sandbox.Span{Min: s.Latency, Max: s.Latency}
	for i, a := range d.cfg.WhatsApp.Accounts {
		w := sandbox.WABA{ID: a.ID, Name: "Sandbox"}
		for j, n := range a.Numbers {
			level := "STANDARD"
			if n.PerSecond > 80 {
				level = "HIGH" // as is configured
			}
			w.Numbers = append(w.Numbers, sandbox.Number{ID: n.ID, Display: fmt.Sprintf("+1 202-555-01%02d", (10*i+j)%100), VerifiedName: n.Name,
				Throughput: level, MessagingLimit: "TIER_UNLIMITED"}) // it counts nobody, so that no campaign should wait
		}
		cfg.WABAs = append(cfg.WABAs, w)
		cfg.Templates = append(cfg.Templates, sandbox.DefaultTemplates(a.ID)...)
	}
	if d.opt.Dial != nil {
		cfg.Transport = &http.Transport{DialContext: d.opt.Dial, IdleConnTimeout: 30 * time.Second}
	}
	if cfg.Journal != "" {
		if err := os.MkdirAll(dirOf(cfg.Journal), 0o700); err != nil {
			return err
		}
	}
	var err error
	if d.sandbox, err = sandbox.New(cfg); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	d.onStop("sandbox", d.sandbox.Close)
	return d.listenSandbox()
}
