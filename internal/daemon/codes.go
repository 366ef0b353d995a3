package daemon

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// What a purpose says that says nothing.
const (
	defaultDigits = 6
	defaultTTL    = 10 * time.Minute
)

// Codes reports whether one-time codes are configured.
func (c *Config) Codes() bool { return len(c.OTP.Purposes) > 0 }

// otpConfig is the configuration as the room wants it: numbers by id, defaults
// in their place.
func (c *Config) otpConfig() otp.Config {
	o := c.OTP
	out := otp.Config{Number: c.numberID(o.Number), Countries: o.Countries, RequireClientIP: o.RequireClientIP, MaxSends: o.MaxSends,
		Limits: o.Limits, MuteFor: o.MuteFor, AllowUnsafe: o.AllowUnsafe, Purposes: map[string]otp.Purpose{},
		Fallback: otp.Fallback{Mode: o.Fallback.mode(), URL: o.Fallback.URL, Share: o.Fallback.Share, PerDay: o.Fallback.PerDay}}
	if o.Fallback.SecretFile != "" {
		out.Fallback.Secret = secret("", c.file(o.Fallback.SecretFile))
	}
	for name, p := range o.Purposes {
		if p.Digits == 0 {
			p.Digits = defaultDigits
		}
		if p.TTL == 0 {
			p.TTL = defaultTTL
		}
		if p.Number != "" {
			p.Number = c.numberID(p.Number)
		}
		out.Purposes[name] = p
	}
	return out
}

// mode is the mode that is written; else manual where there is an address.
func (f FallbackConfig) mode() string {
	switch {
	case f.Mode != "":
		return f.Mode
	case f.URL != "":
		return "manual"
	default:
		return "off"
	}
}

// numberID returns the phone_number_id of a number given by name or id; of ""
// the only one. "" when there is no such number.
func (c *Config) numberID(name string) string {
	var all []string
	for _, a := range c.WhatsApp.Accounts {
		for _, n := range a.Numbers {
			if n.Name == name || n.ID == name {
				return n.ID
			}
			all = append(all, n.ID)
		}
	}
	if name == "" && len(all) == 1 {
		return all[0]
	}
	return ""
}

// codeHooks are what other rooms call where codes are configured.
type codeHooks struct {
	reveal       func(ctx context.Context, m outbox.Message) (params, identityKeyHash string, err error)
	identityKey  func(tx *store.Tx, message int64, hash string) error
	notRequested func(tx *store.Tx, message int64) error
}

// openCodes makes the room of one-time codes and its key file, where a purpose
// is configured.
func (d *Daemon) openCodes() (codeHooks, error) {
	if !d.cfg.Codes() {
		return codeHooks{}, nil
	}
	keys, err := otp.OpenKeyring(d.cfg.file(d.cfg.OTP.KeyFile))
	if err != nil {
		return codeHooks{}, err
	}
	d.otp, err = otp.New(d.cfg.otpConfig(), otp.Deps{DB: d.db, Keys: keys, Outcomes: d.outcomes, Transport: d.hookTransport(), Stats: d.metrics.codes.stats(), Log: d.log})
	if err != nil {
		return codeHooks{}, err
	}
	return codeHooks{d.otp.Reveal, d.otp.IdentityKey, d.otp.NotRequested}, nil
}

// codeAlerts tells of purposes whose codes cannot be sent in one of their
// languages, because Meta does not have the template, or not as it should be; and
// of a fallback that does not take codes.
func (d *Daemon) codeAlerts(q store.Querier) ([]string, error) {
	if d.otp == nil {
		return nil, nil
	}
	cfg, out := d.now().otpConfig(), []string(nil)
	if why := d.otp.FallbackTrouble(q.Now()); why != "" {
		out = append(out, "codes do not reach the fallback: "+why)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Purposes)) {
		p := cfg.Purposes[name]
		waba := d.accountOf(cmp.Or(p.Number, cfg.Number))
		for _, t := range []string{p.Template, p.AndroidTemplate} {
			for _, language := range p.Languages {
				if t == "" {
					continue
				}
				have, known, err := account.Lookup(q, whatsapp.TemplateRef{WABA: waba, Name: t, Language: language})
				if err != nil {
					return nil, err
				}
				var fault string
				switch {
				case !known, have.Missing:
					fault = "Meta does not list it"
				case !have.Sendable():
					fault = "it is " + string(have.Status)
				case have.Category != whatsapp.Authentication:
					fault = "its category is " + string(have.Category)
				default:
					continue
				}
				out = append(out, fmt.Sprintf("codes for %s cannot be sent with template %s in %s: %s", name, t, language, fault))
			}
		}
	}
	return out, nil
}

// accountOf returns the account of a number, "" for none.
func (d *Daemon) accountOf(number string) string {
	for _, a := range d.now().WhatsApp.Accounts {
		for _, n := range a.Numbers {
			if n.ID == number {
				return a.ID
			}
		}
	}
	return ""
}
