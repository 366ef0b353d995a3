package otp

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"janela/internal/store"
)

// Topic is woken when a challenge or the delivery of its code changed.
const Topic store.Topic = "otp.changed"

// OTP issues codes and verifies them. Its methods that take a transaction are
// called from the store's one writer; the others from any goroutine.
type OTP struct {
	current atomic.Pointer[current]
	deps    Deps
	trouble atomic.Pointer[trouble]
	roads   roads                // of the writer
	warned  map[string]time.Time // of the writer: when a country was last told to have used its share up

	courses atomic.Pointer[[]course] // how the latest messages went
	random  func() float64           // for decoys
	heard   heard
}

// New returns the room, or all that Check finds unsafe in the configuration.
func New(cfg Config, deps Deps) (*OTP, error) {
	if deps.DB == nil || deps.Keys == nil || deps.Log == nil {
		return nil, errors.New("otp: it needs a database, keys and a log")
	}
	if err := findUnsafe(cfg); err != nil {
		return nil, err
	}
	o := &OTP{deps: deps, random: rand.Float64}
	o.use(cfg)
	return o, nil
}

// current is the configuration that holds now, with the hook that is its own.
type current struct {
	cfg  Config
	hook *hook // nil: there is no fallback
}

func (o *OTP) use(cfg Config) {
	o.current.Store(&current{cfg, newHook(cfg.Fallback, o.deps.Transport)})
}

// cfg is the configuration that holds now. Nobody writes to it.
func (o *OTP) cfg() *Config { return &o.current.Load().cfg }

// hook carries codes to the fallback; nil: there is none.
func (o *OTP) hook() *hook { return o.current.Load().hook }

// Set changes the configuration from now on, or returns all that Check finds
// unsafe in it and changes nothing. Challenges that are open keep their codes;
// limits count what was before.
func (o *OTP) Set(cfg Config) error {
	if err := findUnsafe(cfg); err != nil {
		return err
	}
	o.use(cfg)
	return nil
}

func findUnsafe(cfg Config) error {
	var unsafe []error
	for _, f := range Check(cfg) {
		if f.Level == LevelError {
			unsafe = append(unsafe, errors.New(f.String()))
		}
	}
	return errors.Join(unsafe...)
}

// MAC returns the keyed hash of data, 16 bytes as hexadecimal digits: for what
// must be recognised and never read. Each use has a domain of its own.
func (o *OTP) MAC(domain string, data []byte) string { return o.deps.Keys.mac(domain, data) }

// limitsOf returns a purpose's limits: its own where it sets them, else the
// general ones.
func (c *Config) limitsOf(p Purpose) Limits {
	l := c.Limits
	over(&l.Attempts, p.Limits.Attempts)
	over(&l.Resends, p.Limits.Resends)
	over(&l.Life, p.Limits.Life)
	over(&l.Live, p.Limits.Live)
	over(&l.Cooldown, p.Limits.Cooldown)
	over(&l.Phone10m, p.Limits.Phone10m)
	over(&l.PhoneHour, p.Limits.PhoneHour)
	over(&l.PhoneDay, p.Limits.PhoneDay)
	over(&l.Unverified, p.Limits.Unverified)
	over(&l.Failures, p.Limits.Failures)
	over(&l.Lock, p.Limits.Lock)
	over(&l.IP10m, p.Limits.IP10m)
	over(&l.IPHour, p.Limits.IPHour)
	over(&l.IPDay, p.Limits.IPDay)
	over(&l.IPPhones, p.Limits.IPPhones)
	over(&l.IPCountries, p.Limits.IPCountries)
	over(&l.PrefixUnverified, p.Limits.PrefixUnverified)
	over(&l.CountryDay, p.Limits.CountryDay)
	over(&l.CountryHour, p.Limits.CountryHour)
	over(&l.ClientPerSecond, p.Limits.ClientPerSecond)
	over(&l.ClientBurst, p.Limits.ClientBurst)
	over(&l.PerSecond, p.Limits.PerSecond)
	over(&l.VerifyIPMinute, p.Limits.VerifyIPMinute)
	return l
}

func over[T int | float64 | time.Duration](general *T, own T) {
	if own != 0 {
		*general = own
	}
}
