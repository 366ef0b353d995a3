package otp

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// Levels of a Finding.
const (
	LevelError   = "error"   // New refuses the configuration
	LevelWarning = "warning" // it starts
)

// Finding is something unsafe or senseless in the configuration or, of Doctor,
// in what Meta says of a template.
type Finding struct {
	Level string `json:"level"`
	Code  string `json:"code"`  // stable
	Where string `json:"where"` // as config.toml names it: otp.purposes.login.digits
	Text  string `json:"text"`
	Fix   string `json:"fix"`
}

// String is one line.
func (f Finding) String() string {
	text := f.Level + ": " + f.Where + ": " + f.Text
	if f.Fix != "" {
		text += "; " + f.Fix
	}
	return text
}

// Bounds of the values that are not for the business to choose.
const (
	minTTL     = time.Minute
	maxLife    = 20 * time.Minute
	maxLock    = 100 // NIST SP 800-63B: consecutive failures of an account
	maxMute    = 7 * day
	maxCap     = 100_000_000
	maxPerHour = 1_000_000 // a limit that is larger is a slip of the pen
)

var (
	purposeName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	templateName = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)                                            // Meta: Message templates, name
	languageCode = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2}|_[0-9]{3}|_[A-Z][a-z]{3}(_[A-Z]{2})?)?$`) // Meta: Supported languages
	countryCode  = regexp.MustCompile(`^[A-Z]{2}$`)
)

// inspection gathers findings.
type inspection struct {
	cfg Config
	out []Finding
}

func (k *inspection) fault(code, where, text, fix string) {
	k.out = append(k.out, Finding{LevelError, code, where, text, fix})
}

func (k *inspection) warn(code, where, text, fix string) {
	k.out = append(k.out, Finding{LevelWarning, code, where, text, fix})
}

// Check returns everything that is unsafe or senseless in a configuration, errors
// first. It looks at nothing else: what Meta says of the templates is Doctor's.
func Check(cfg Config) []Finding {
	k := &inspection{cfg: cfg}
	k.general()
	k.countries()
	k.limits("otp.limits", cfg.Limits, false)
	k.ordered("otp.limits", cfg.Limits)
	if len(cfg.Purposes) == 0 {
		k.fault("no_purpose", "otp.purposes", "there is no purpose", "add [otp.purposes.login] with its template and languages")
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Purposes)) {
		k.purpose(name, cfg.Purposes[name])
	}
	k.fallback()
	slices.SortStableFunc(k.out, func(a, b Finding) int { return cmp.Compare(a.Level, b.Level) })
	return k.out
}

func (k *inspection) general() {
	switch n := k.cfg.MaxSends; {
	case n < 1:
		k.fault("max_sends", "otp.max_sends_24h", "the most that a day may cost is not said", "write how many codes are sent in 24 h at most, max_sends_24h = 1000; it has no off")
	case n > maxCap:
		k.fault("max_sends", "otp.max_sends_24h", fmt.Sprintf("%d codes a day are no limit", n), "write what a day may cost at most")
	}
	if !k.cfg.RequireClientIP {
		k.warn("client_ip", "otp.require_client_ip", "requests without client_ip pass, and no limit of client addresses holds for them", "write require_client_ip = true")
	}
	switch d := k.cfg.MuteFor; {
	case d == 0:
		k.fault("mute_for", "otp.mute_for", "0 could mean none or no limit", `write how long a phone gets no codes after "I didn't request a code", mute_for = "1h"`)
	case d < 0:
		k.warn("mute_for", "otp.mute_for", `a phone goes on getting codes after "I didn't request a code"`, `write mute_for = "1h"`)
	case d > maxMute:
		k.fault("mute_for", "otp.mute_for", "whoever taps the button once is locked out for more than a week", `write at most "168h"`)
	}
	if k.cfg.AllowUnsafe {
		k.warn("allow_unsafe", "otp.allow_unsafe", "codes that are too easy to guess are not refused", "take allow_unsafe out")
	}
}

func (k *inspection) countries() {
	if len(k.cfg.Countries) == 0 {
		k.fault("no_country", "otp.countries", "there is no country that codes may be sent to", `write countries = ["BR"]`)
	}
	seen := map[string]bool{}
	for _, c := range k.cfg.Countries {
		switch {
		case !countryCode.MatchString(c):
			fix := "write codes of two capital letters, BR"
			if up := strings.ToUpper(strings.TrimSpace(c)); countryCode.MatchString(up) {
				fix = "write " + up
			}
			k.fault("country", "otp.countries", fmt.Sprintf("%q is no country code", c), fix)
		case !knownCountry(c):
			k.fault("country", "otp.countries", fmt.Sprintf("no country with telephone numbers has the code %s", c), "write ISO 3166-1 codes: BR, US, GB")
		case seen[c]:
			k.warn("twice", "otp.countries", c+" stands there twice", "take one out")
		}
		seen[c] = true
	}
}

// knownCountry asks the numbering plans: a number without a plus can be of no
// unknown region.
func knownCountry(code string) bool {
	_, err := whatsapp.ParsePhone("1", code)
	return phoneErrorKind(err) != whatsapp.PhoneNoRegion
}

func (k *inspection) purpose(name string, p Purpose) {
	at := "otp.purposes." + name
	if !purposeName.MatchString(name) {
		k.fault("purpose", at, fmt.Sprintf("%q is no name of a purpose", name), "use small letters, digits and _, and begin with a letter")
	}
	k.template(at+".template", p.Template, true)
	k.template(at+".android_template", p.AndroidTemplate, false)
	k.languages(at+".languages", p.Languages)
	if p.Digits < minDigits || p.Digits > maxDigits {
		k.fault("digits", at+".digits", fmt.Sprintf("a code of %d digits is not possible", p.Digits), "write 6, 7 or 8: fewer are guessed, more are not evenly spread")
	}
	switch {
	case p.TTL > maxTTL:
		k.fault("ttl", at+".ttl", fmt.Sprintf("a code that is good for %s can be stolen at leisure", p.TTL), `write at most "10m"`)
	case p.TTL < minTTL:
		k.fault("ttl", at+".ttl", fmt.Sprintf("nobody types a code within %s of its message", p.TTL), `write at least "1m"`)
	}
	k.limits(at+".limits", p.Limits, true)
	l := k.cfg.limitsOf(p)
	if p.Limits != (Limits{}) {
		k.ordered(at+".limits", l)
	}
	if own := p.Limits.Life; p.TTL >= minTTL && p.TTL <= maxTTL && l.Life > 0 && l.Life < p.TTL {
		where := "otp.limits.life"
		if own != 0 {
			where = at + ".limits.life"
		}
		k.fault("life", where, fmt.Sprintf("a challenge ends after %s and its first code (otp.purposes.%s.ttl) only after %s", l.Life, name, p.TTL), "make life longer or ttl shorter")
	}
	k.guess(at, p, l)
}

// guess refuses codes that are too easy to guess.
func (k *inspection) guess(at string, p Purpose, l Limits) {
	if p.Digits < minDigits || p.Digits > maxDigits || l.Failures == 0 {
		return
	}
	b := guessBound(l, p.Digits)
	if b.Day <= unsafeChance*(1+1e-9) {
		return
	}
	where := "otp.limits.failures_day"
	if p.Limits.Failures != 0 {
		where = at + ".limits.failures_day"
	}
	text := fmt.Sprintf("somebody who guesses codes of %d digits of one phone is right with probability %.2g a day (%d guesses in 24 h), more than 0.0001", p.Digits, b.Day, b.Guesses)
	fix := fmt.Sprintf("write failures_day = %d or less", pow10(p.Digits)/unsafeOdds)
	if p.Digits < maxDigits {
		fix += ", or more digits"
	}
	if b.Guesses < 0 {
		text = fmt.Sprintf("nothing bounds how often the codes of one phone are guessed, %d for each challenge: failures_day is off", l.Attempts)
	}
	if k.cfg.AllowUnsafe {
		k.warn("guess_bound", where, text, fix)
		return
	}
	k.fault("guess_bound", where, text, fix+"; or allow_unsafe = true")
}

func pow10(n int) int64 {
	out := int64(1)
	for range n {
		out *= 10
	}
	return out
}

func (k *inspection) template(where, name string, required bool) {
	switch {
	case name == "" && required:
		k.fault("template", where, "it is not said which template carries the code", "name an approved template of category AUTHENTICATION")
	case name != "" && !templateName.MatchString(name):
		k.fault("template", where, fmt.Sprintf("%q is no name of a template", name), "use small letters, digits and _, as Meta lists it")
	}
}

func (k *inspection) languages(where string, codes []string) {
	if len(codes) == 0 {
		k.fault("language", where, "it is not said in which languages the template exists", `write languages = ["pt_BR"]; the first stands in for others`)
	}
	seen := map[string]bool{}
	for _, c := range codes {
		switch {
		case !languageCode.MatchString(c):
			fix := "write it as Meta does, pt_BR"
			if better := whatsapp.Language(c); languageCode.MatchString(better) {
				fix = "write " + better
			}
			k.fault("language", where, fmt.Sprintf("%q is no language of templates", c), fix)
		case seen[c]:
			k.fault("twice", where, c+" stands there twice", "take one out")
		}
		seen[c] = true
	}
}

// fallback checks the hook, which gets codes and whole numbers.
func (k *inspection) fallback() {
	f, at := k.cfg.Fallback, "otp.fallback"
	switch f.Mode {
	case modeOff, "":
		return
	case modeManual, modeFailed:
	default:
		k.fault("fallback", at+".mode", fmt.Sprintf("%q is not known", f.Mode), "write off, manual or on_failed")
		return
	}
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		k.fault("fallback", at+".url", "url is no address", "write the https address of your system that sends codes on")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.fault("fallback", at+".url", "codes would travel unencrypted", "write https://")
	case u.User != nil:
		k.fault("fallback", at+".url", "it holds a password", "take it out: requests are signed with the secret")
	}
	if f.Secret == nil {
		k.fault("fallback", at+".secret_file", "requests could not be signed: there is no secret", "name a file with mode 0600: its content signs them")
	} else if _, err := f.sign("", time.Time{}, nil); err != nil {
		k.fault("fallback", at+".secret_file", "it holds nothing that signs requests", `write "whsec_" and the base64 of 32 random bytes, each secret on a line: two while one is replaced`)
	}
	switch {
	case f.Share == 0:
		k.fault("zero", at+".share", "0 could mean none or no limit", `write 0.2, or mode = "off"`)
	case f.Share < 0:
		k.warn("no_limit", at+".share", "any number of codes may fall back, each at the price of an SMS", "write 0.2")
	case f.Share > 1:
		k.fault("fallback", at+".share", "more codes cannot fall back than are sent", "write at most 1; 0.2 is a fifth")
	}
	switch {
	case f.PerDay == 0:
		k.fault("zero", at+".per_day", "0 could mean none or no limit", `write 2, or mode = "off"`)
	case f.PerDay < 0:
		k.warn("no_limit", at+".per_day", "a phone may fall back any number of times a day", "write 2")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
