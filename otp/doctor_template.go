package otp

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"janela/internal/account"
	"janela/internal/whatsapp"
)

// Meta: Authentication templates, One-tap autofill, Zero-tap.
const (
	oldTTL         = 30 * 24 * 60 * 60 // seconds: of templates from before 23 October 2024 that set none
	usualTTL       = 600               // seconds: of later ones
	maxPackageName = 224
	defaultExpiry  = 10 * time.Minute // of the button, where the footer says nothing
)

var (
	signatureHash = regexp.MustCompile(`^[A-Za-z0-9+/=]{11}$`)
	packageName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)
)

// linted is what a code's template says of itself. It is created with a button
// of type OTP and reads back as URL, with everything in its address.
type linted struct {
	expiry time.Duration // 0: it says nothing
	button bool
	kind   string // COPY_CODE, ONE_TAP, ZERO_TAP; "" unknown
	apps   []supportedApp
	terms  bool // zero_tap_terms_accepted, or the listing is of the form that has it not
}

type supportedApp struct {
	Package string `json:"package_name"`
	Hash    string `json:"signature_hash"`
}

// readAuth reads the components of an authentication template.
func readAuth(components string) (out linted, err error) {
	var parts []struct {
		Type    string      `json:"type"`
		Minutes json.Number `json:"code_expiration_minutes"`
		Buttons []struct {
			Type    string         `json:"type"`
			Kind    string         `json:"otp_type"`
			URL     string         `json:"url"`
			Apps    []supportedApp `json:"supported_apps"`
			Package string         `json:"package_name"` // the old form, of one app
			Hash    string         `json:"signature_hash"`
			Terms   bool           `json:"zero_tap_terms_accepted"`
		} `json:"buttons"`
	}
	if err := json.Unmarshal([]byte(components), &parts); err != nil {
		return linted{}, fmt.Errorf("otp: the template's components cannot be read: %w", err)
	}
	for _, part := range parts {
		if n, err := part.Minutes.Float64(); err == nil && strings.EqualFold(part.Type, "FOOTER") {
			out.expiry = time.Duration(n * float64(time.Minute))
		}
		for _, b := range part.Buttons {
			isOTP, isURL := strings.EqualFold(b.Type, "OTP"), strings.EqualFold(b.Type, "URL")
			if !isOTP && !isURL || out.button {
				continue
			}
			out.button, out.kind, out.apps, out.terms = true, strings.ToUpper(b.Kind), b.Apps, b.Terms || isURL
			if b.Package != "" || b.Hash != "" {
				out.apps = append(out.apps, supportedApp{b.Package, b.Hash})
			}
			out.address(b.URL)
		}
	}
	return out, nil
}

// address reads what the button's address says: otp_type, and package_name and
// signature_hash of each app, separated by commas.
func (l *linted) address(link string) {
	_, query, _ := strings.Cut(link, "?")
	said := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if text, err := url.PathUnescape(value); err == nil { // a hash may hold a bare +
			value = text
		}
		said[key] = value
	}
	if l.kind == "" {
		l.kind = strings.ToUpper(said["otp_type"])
	}
	if n, err := strconv.Atoi(said["code_expiration_minutes"]); err == nil && l.expiry == 0 {
		l.expiry = time.Duration(n) * time.Minute
	}
	if len(l.apps) > 0 || said["package_name"] == "" && said["signature_hash"] == "" {
		return
	}
	packages, hashes := strings.Split(said["package_name"], ","), strings.Split(said["signature_hash"], ",")
	for i := range max(len(packages), len(hashes)) {
		var app supportedApp
		if i < len(packages) {
			app.Package = packages[i]
		}
		if i < len(hashes) {
			app.Hash = hashes[i]
		}
		l.apps = append(l.apps, app)
	}
}

// lintTemplate judges one template for codes that live for ttl.
func lintTemplate(where string, t account.Template, ttl time.Duration, android bool) (out []Finding) {
	name := t.Ref.String()
	fault := func(level, code, text, fix string) {
		out = append(out, Finding{level, code, where, "template " + name + " " + text, fix})
	}
	if t.Status != whatsapp.TemplateApproved {
		fault(LevelError, "template_status", fmt.Sprintf("is %s: no code is sent with it", t.Status), "have it approved in WhatsApp Manager")
	}
	if t.Category != whatsapp.Authentication {
		category := string(t.Category)
		if category == "" {
			category = "of an old category"
		}
		fault(LevelError, "template_category", fmt.Sprintf("is %s: codes may be sent with authentication templates only, and cost more with others", category), "create one with the category Authentication")
	}
	out = append(out, lintTTL(where, name, t.TTLSeconds, ttl)...)
	l, err := readAuth(t.Components)
	if err != nil {
		fault(LevelWarning, "template_components", "has components that cannot be read here", "look at it in WhatsApp Manager")
		return out
	}
	switch {
	case l.expiry > ttl:
		fault(LevelError, "template_footer", fmt.Sprintf("says that a code is good for %s, and it is for %s", l.expiry, ttl), fmt.Sprintf("set code_expiration_minutes to %d or less, or make ttl longer", int(ttl/time.Minute)))
	case l.expiry == 0 && ttl < defaultExpiry:
		fault(LevelWarning, "template_footer", fmt.Sprintf("does not say how long a code is good: its button works for %s, the code for %s", defaultExpiry, ttl), fmt.Sprintf("set code_expiration_minutes to %d or less", int(ttl/time.Minute)))
	}
	if !l.button {
		fault(LevelError, "template_button", "has no one-time code button: Meta sends none without since April 2024", "create it with a copy-code button")
		return out
	}
	return append(out, lintApps(where, name, l, android)...)
}

// lintTTL judges how long Meta tries to deliver: a message that comes after its
// code has died helps nobody, and looks like one that works.
func lintTTL(where, name string, seconds int64, ttl time.Duration) []Finding {
	longest := min(int64(ttl/time.Second), 300)
	fix := fmt.Sprintf("set message_send_ttl_seconds to %d", longest)
	say := func(level, code, text string) []Finding {
		return []Finding{{level, code, where, "template " + name + " " + text, fix}}
	}
	switch {
	case seconds == -1 || seconds >= oldTTL:
		return say(LevelError, "template_ttl", "lets Meta deliver a code for 30 days")
	case seconds == 0 && ttl < usualTTL*time.Second:
		return say(LevelWarning, "template_ttl_unset", fmt.Sprintf("does not say for how long Meta may deliver: 10 minutes, longer than a code is good (%s), and 30 days if it was created before 23 October 2024", ttl))
	case seconds == 0:
		return say(LevelWarning, "template_ttl_unset", "does not say for how long Meta may deliver: 10 minutes, and 30 days if it was created before 23 October 2024")
	case seconds > int64(ttl/time.Second):
		return say(LevelError, "template_ttl", fmt.Sprintf("lets Meta deliver for %s a code that is good for %s", time.Duration(seconds)*time.Second, ttl))
	default:
		return nil
	}
}

// lintApps judges what one-tap and zero-tap need. Whatever is wrong there makes
// the message a copy-code one, silently.
func lintApps(where, name string, l linted, android bool) (out []Finding) {
	fault := func(level, code, text, fix string) {
		out = append(out, Finding{level, code, where, "template " + name + " " + text, fix})
	}
	tap := l.kind == "ONE_TAP" || l.kind == "ZERO_TAP"
	switch {
	case !tap && android:
		fault(LevelWarning, "template_kind", "has a copy-code button: devices that say android get nothing more by it", "create it with one-tap or zero-tap, or take android_template out")
		return out
	case !tap:
		return out
	case len(l.apps) == 0:
		fault(LevelError, "template_app", "names no app, and needs one for one-tap", "set supported_apps")
	case len(l.apps) > 5:
		fault(LevelError, "template_app", fmt.Sprintf("names %d apps", len(l.apps)), "name at most 5")
	}
	for _, app := range l.apps {
		if !signatureHash.MatchString(app.Hash) {
			fault(LevelError, "template_signature", fmt.Sprintf("has a signature_hash of %d characters, which no app has", len(app.Hash)), "take the 11 characters that Meta's script prints of your signing key")
		}
		if len(app.Package) > maxPackageName || !packageName.MatchString(app.Package) {
			fault(LevelError, "template_package", fmt.Sprintf("names an app %q, which is no package name", app.Package), "write it as com.example.app")
		}
	}
	if l.kind == "ZERO_TAP" && !l.terms {
		fault(LevelError, "template_terms", "is zero-tap, and its terms were not accepted", "set zero_tap_terms_accepted to true")
	}
	return out
}
