package otp

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// safe is a configuration of which Check finds nothing.
func safe() Config {
	return Config{
		Countries: []string{"BR"}, RequireClientIP: true, MaxSends: 1000, MuteFor: time.Hour, Limits: DefaultLimits(),
		Fallback: Fallback{Mode: "off"},
		Purposes: map[string]Purpose{"login": {Template: "codigo_acesso", Languages: []string{"pt_BR"}, Digits: 6, TTL: 10 * time.Minute}},
	}
}

// hookSecret and newSecret sign the requests of the fallback, while the first is
// replaced by the second.
const (
	hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func withHook() Fallback {
	return Fallback{Mode: "manual", URL: "https://sms.example/codes", Secret: func() ([]byte, error) { return []byte(hookSecret), nil }, Share: 0.2, PerDay: 2}
}

func secretly(secrets string) Fallback {
	f := withHook()
	f.Secret = func() ([]byte, error) { return []byte(secrets), nil }
	return f
}

// login changes the purpose of a configuration.
func login(change func(*Purpose)) func(*Config) {
	return func(c *Config) {
		p := c.Purposes["login"]
		change(&p)
		c.Purposes["login"] = p
	}
}

func limits(change func(*Limits)) func(*Config) { return func(c *Config) { change(&c.Limits) } }

func own(change func(*Limits)) func(*Config) {
	return login(func(p *Purpose) { change(&p.Limits) })
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // level code where, of each finding
	}{
		{"as it should be", func(*Config) {}, ""},
		{"every country and language there is", func(c *Config) {
			c.Countries = []string{"BR", "US", "PT", "GB", "MX"}
			login(func(p *Purpose) { p.Languages = []string{"pt_BR", "en", "fil", "es_419", "zh_Hant_TW"} })(c)
		}, ""},

		{"no cap", func(c *Config) { c.MaxSends = 0 }, "error max_sends otp.max_sends_24h"},
		{"a cap that is off", func(c *Config) { c.MaxSends = -1 }, "error max_sends otp.max_sends_24h"},
		{"a cap of everything", func(c *Config) { c.MaxSends = 1 << 40 }, "error max_sends otp.max_sends_24h"},
		{"no addresses", func(c *Config) { c.RequireClientIP = false }, "warning client_ip otp.require_client_ip"},
		{"no mute", func(c *Config) { c.MuteFor = 0 }, "error mute_for otp.mute_for"},
		{"mute that is off", func(c *Config) { c.MuteFor = -1 }, "warning mute_for otp.mute_for"},
		{"mute for a month", func(c *Config) { c.MuteFor = 30 * day }, "error mute_for otp.mute_for"},
		{"unsafe and safe", func(c *Config) { c.AllowUnsafe = true }, "warning allow_unsafe otp.allow_unsafe"},

		{"no country", func(c *Config) { c.Countries = nil }, "error no_country otp.countries"},
		{"a small country", func(c *Config) { c.Countries = []string{"br"} }, "error country otp.countries"},
		{"no such country", func(c *Config) { c.Countries = []string{"BR", "XX"} }, "error country otp.countries"},
		{"not a code", func(c *Config) { c.Countries = []string{"Brasil", "*", ""} }, "error country otp.countries, error country otp.countries, error country otp.countries"},
		{"a country twice", func(c *Config) { c.Countries = []string{"BR", "BR"} }, "warning twice otp.countries"},

		{"no purpose", func(c *Config) { c.Purposes = nil }, "error no_purpose otp.purposes"},
		{"a purpose of no name", func(c *Config) { c.Purposes["Log in"] = c.Purposes["login"] }, "error purpose otp.purposes.Log in"},
		{"no template", login(func(p *Purpose) { p.Template = "" }), "error template otp.purposes.login.template"},
		{"template in capitals", login(func(p *Purpose) { p.Template = "Codigo" }), "error template otp.purposes.login.template"},
		{"android template with a space", login(func(p *Purpose) { p.AndroidTemplate = "um toque" }), "error template otp.purposes.login.android_template"},
		{"no language", login(func(p *Purpose) { p.Languages = nil }), "error language otp.purposes.login.languages"},
		{"a language with a hyphen", login(func(p *Purpose) { p.Languages = []string{"pt-BR"} }), "error language otp.purposes.login.languages"},
		{"a language twice", login(func(p *Purpose) { p.Languages = []string{"pt_BR", "en", "pt_BR"} }), "error twice otp.purposes.login.languages"},
		{"five digits", login(func(p *Purpose) { p.Digits = 5 }), "error digits otp.purposes.login.digits"},
		{"nine digits", login(func(p *Purpose) { p.Digits = 9 }), "error digits otp.purposes.login.digits"},
		{"no digits", login(func(p *Purpose) { p.Digits = 0 }), "error digits otp.purposes.login.digits"},
		{"a long life", login(func(p *Purpose) { p.TTL = 11 * time.Minute }), "error ttl otp.purposes.login.ttl"},
		{"no life", login(func(p *Purpose) { p.TTL = 0 }), "error ttl otp.purposes.login.ttl"},
		{"a life of a breath", login(func(p *Purpose) { p.TTL = 59 * time.Second }), "error ttl otp.purposes.login.ttl"},

		{"challenges that never end", limits(func(l *Limits) { l.Life = 21 * time.Minute }), "error limit otp.limits.life"},
		{"challenges that end before their codes", limits(func(l *Limits) { l.Life = 5 * time.Minute }), "error life otp.limits.life"},
		{"of one purpose", own(func(l *Limits) { l.Life = 5 * time.Minute }), "error life otp.purposes.login.limits.life"},
		{"life that is off", limits(func(l *Limits) { l.Life = -1 }), "error no_limit otp.limits.life"},
		{"attempts that are off", limits(func(l *Limits) { l.Attempts = -1 }), "error no_limit otp.limits.attempts"},
		{"a cooldown of two hours", limits(func(l *Limits) { l.Cooldown = 2 * time.Hour }), "error limit otp.limits.cooldown"},
		{"a lock of many", limits(func(l *Limits) { l.Lock = 101 }), "error limit otp.limits.lock"},
		{"no lock", limits(func(l *Limits) { l.Lock = -1 }), "warning no_limit otp.limits.lock"},
		{"a negative that is no off", limits(func(l *Limits) { l.PhoneDay = -5 }), "error limit otp.limits.phone_day"},
		{"a limit of a purpose that is off", own(func(l *Limits) { l.PhoneDay = -1 }), "warning no_limit otp.purposes.login.limits.phone_day"},
		{"more rows than are looked at", limits(func(l *Limits) { l.IPDay = 1001 }), "error limit otp.limits.ip_day"},
		{"more in an hour than in a day", limits(func(l *Limits) { l.PhoneHour = 20 }), "warning idle otp.limits.phone_hour"},
		{"by a purpose", own(func(l *Limits) { l.IPDay = 20 }), "warning idle otp.purposes.login.limits.ip_hour"},

		{"a hundred guesses a day", limits(func(l *Limits) { l.Failures = 100 }), ""},
		{"a hundred and one", limits(func(l *Limits) { l.Failures = 101 }), "error guess_bound otp.limits.failures_day"},
		{"with eight digits", func(c *Config) {
			limits(func(l *Limits) { l.Failures = 10_000 })(c)
			login(func(p *Purpose) { p.Digits = 8 })(c)
		}, ""},
		{"a purpose of its own", own(func(l *Limits) { l.Failures = 1000 }), "error guess_bound otp.purposes.login.limits.failures_day"},
		{"allowed", func(c *Config) {
			c.AllowUnsafe = true
			limits(func(l *Limits) { l.Failures = 1000 })(c)
		}, "warning allow_unsafe otp.allow_unsafe, warning guess_bound otp.limits.failures_day"},
		{"no bound at all", limits(func(l *Limits) { l.Failures = -1 }), "error guess_bound otp.limits.failures_day, warning no_limit otp.limits.failures_day"},

		{"a fallback", func(c *Config) { c.Fallback = withHook() }, ""},
		{"on this machine", func(c *Config) { c.Fallback = withHook(); c.Fallback.URL = "http://127.0.0.1:9000/codes" }, ""},
		{"of no kind", func(c *Config) { c.Fallback.Mode = "sometimes" }, "error fallback otp.fallback.mode"},
		{"unencrypted", func(c *Config) { c.Fallback = withHook(); c.Fallback.URL = "http://sms.example" }, "error fallback otp.fallback.url"},
		{"with a password", func(c *Config) { c.Fallback = withHook(); c.Fallback.URL = "https://a:b@sms.example" }, "error fallback otp.fallback.url"},
		{"to nowhere", func(c *Config) { c.Fallback = withHook(); c.Fallback.URL = "" }, "error fallback otp.fallback.url"},
		{"not signed", func(c *Config) { c.Fallback = withHook(); c.Fallback.Secret = nil }, "error fallback otp.fallback.secret_file"},
		{"with two secrets", func(c *Config) { c.Fallback = secretly("\n  " + newSecret + " \n" + hookSecret + "\n\n") }, ""},
		{"with a short secret", func(c *Config) { c.Fallback = secretly("whsec_YWJj") }, "error fallback otp.fallback.secret_file"},
		{"with a second secret that is none", func(c *Config) { c.Fallback = secretly(hookSecret + "\nwhatever") }, "error fallback otp.fallback.secret_file"},
		{"with an empty secret", func(c *Config) { c.Fallback = secretly("") }, "error fallback otp.fallback.secret_file"},
		{"of zeros", func(c *Config) { c.Fallback = withHook(); c.Fallback.Share, c.Fallback.PerDay = 0, 0 }, "error zero otp.fallback.share, error zero otp.fallback.per_day"},
		{"without limits", func(c *Config) { c.Fallback = withHook(); c.Fallback.Share, c.Fallback.PerDay = -1, -1 }, "warning no_limit otp.fallback.share, warning no_limit otp.fallback.per_day"},
		{"of more than all", func(c *Config) { c.Fallback = withHook(); c.Fallback.Share = 1.5 }, "error fallback otp.fallback.share"},

		{"everything at once", func(c *Config) {
			*c = Config{MaxSends: -1, Countries: []string{"zz"}, MuteFor: time.Hour, RequireClientIP: true, Limits: DefaultLimits(),
				Purposes: map[string]Purpose{"b": {Digits: 4}, "a": {Template: "x", Languages: []string{"pt"}, Digits: 6, TTL: time.Hour}}}
		}, "error max_sends otp.max_sends_24h, error country otp.countries, error ttl otp.purposes.a.ttl, error template otp.purposes.b.template, " +
			"error language otp.purposes.b.languages, error digits otp.purposes.b.digits, error ttl otp.purposes.b.ttl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := safe()
			c.change(&cfg)
			var got []string
			for _, f := range Check(cfg) {
				got = append(got, f.Level+" "+f.Code+" "+f.Where)
				if f.Text == "" || f.Fix == "" {
					t.Errorf("%s: text %q, fix %q", f.Where, f.Text, f.Fix)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The message says the number that decides, and what to write.
func TestGuessBoundIsComputed(t *testing.T) {
	cfg := safe()
	cfg.Limits.Failures = 1500
	f := Check(cfg)
	if len(f) != 1 || !strings.Contains(f[0].Text, "0.0015 a day (1500 guesses in 24 h)") || !strings.Contains(f[0].Fix, "failures_day = 100 or less") {
		t.Error(f)
	}
}

// every limit of Limits, by its key.
func limitFields(l *Limits) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	v := reflect.ValueOf(l).Elem()
	for i := range v.NumField() {
		out[v.Type().Field(i).Tag.Get("toml")] = v.Field(i)
	}
	return out
}

func set(v reflect.Value, n int64) {
	if v.Kind() == reflect.Float64 {
		v.SetFloat(float64(n))
	} else {
		v.SetInt(n)
	}
}

// 0 is refused for every limit, with the way to say "no limit"; in a purpose it
// stands for the general one. -1 is a warning, or refused where there must be one.
func TestZeroIsRefusedAndMinusOneWarned(t *testing.T) {
	l := DefaultLimits()
	for key := range limitFields(&l) {
		var codes []string
		for _, n := range []int64{0, -1} {
			cfg := safe()
			set(limitFields(&cfg.Limits)[key], n)
			for _, f := range Check(cfg) {
				if f.Where == "otp.limits."+key {
					codes = append(codes, f.Level+" "+f.Code)
				}
				if n == 0 && f.Level == LevelError && key != "attempts" && key != "life" && !strings.Contains(f.Fix, "-1") {
					t.Errorf("%s = 0: %q does not say how to write none", key, f.Fix)
				}
			}
		}
		want := []string{"error zero", "warning no_limit"}
		switch key {
		case "attempts", "life":
			want = []string{"error zero", "error no_limit"}
		case ruleFailures:
			want = []string{"error zero", "error guess_bound", "warning no_limit"}
		}
		if !cmp.Equal(codes, want) {
			t.Errorf("%s: %v, want %v", key, codes, want)
		}
		cfg := safe() // a purpose without limits of its own says nothing
		if f := Check(cfg); len(f) > 0 {
			t.Error(f)
		}
	}
}

// The list that is checked is the list there is.
func TestEveryLimitIsChecked(t *testing.T) {
	l := Limits{}
	want := limitFields(&l)
	i := int64(0)
	values := map[string]int64{}
	for key, f := range want {
		i++
		set(f, i)
		values[key] = i
	}
	got := map[string]int64{}
	for _, v := range l.values() {
		got[v.key] = int64(v.value)
	}
	if diff := cmp.Diff(values, got); diff != "" {
		t.Error(diff)
	}
}

func TestFindingAsText(t *testing.T) {
	f := Finding{LevelError, "digits", "otp.purposes.login.digits", "a code of 4 digits is not possible", "write 6"}
	if got := fmt.Sprint(f); got != "error: otp.purposes.login.digits: a code of 4 digits is not possible; write 6" {
		t.Error(got)
	}
	if findings := Check(Config{}); !slices.IsSortedFunc(findings, func(a, b Finding) int { return strings.Compare(a.Level, b.Level) }) || len(findings) < 20 {
		t.Errorf("%d findings of nothing, errors first?", len(findings))
	}
}
