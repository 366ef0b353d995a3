package otp

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"janela/internal/whatsapp"
)

// Bounds of what a caller may send along.
const (
	maxBinding    = 256  // bytes
	maxMetadata   = 10   // keys
	maxMetaKey    = 64   // bytes
	maxMetaValue  = 256  // bytes
	maxConsent    = 2000 // bytes of the text that the person was shown
	maxConsentSrc = 64   // bytes
)

// asked is a request that was understood.
type asked struct {
	purpose  Purpose
	name     string // of the purpose
	limits   Limits
	phone    whatsapp.Phone
	exact    string // the number's keyed hash
	ask      sendAsk
	binding  string // keyed hash
	language string
	device   string
	metadata string // JSON
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// understand reads a request: what can be said of it without the database.
func (o *OTP) understand(c Caller, r Request) (a asked, err error) {
	if a.purpose, err = o.purpose(c, r.Purpose); err != nil {
		return a, err
	}
	a.name, a.limits = r.Purpose, o.cfg().limitsOf(a.purpose)
	if !e164.MatchString(r.To) {
		return a, denied(CodeInvalidPhone, "\"to\" is a phone number in E.164: a plus, the country code, the number, and nothing else; Meta delivers codes to phone numbers only (131062)")
	}
	p, err := whatsapp.ParsePhone(r.To, "")
	if err != nil {
		return a, denied(CodeInvalidPhone, "\"to\": "+err.Error()) // repeats no digit
	}
	a.phone, a.ask.country = p.Phone, p.Region
	if p.Region == "" || !slices.Contains(o.cfg().Countries, p.Region) || (len(c.Countries) > 0 && !slices.Contains(c.Countries, p.Region)) {
		return a, denied(CodeCountry, "codes are not sent to the country of this number; see countries in config.toml, and the key's")
	}
	if r.ClientIP == "" && o.cfg().RequireClientIP {
		return a, denied(CodeMalformed, "\"client_ip\" is missing: the address of the person, as your server saw it")
	}
	ip, err := o.ipKey(r.ClientIP)
	if err != nil {
		return a, err
	}
	if a.device = r.Device; !slices.Contains([]string{"", "android", "ios", "web"}, r.Device) {
		return a, denied(CodeMalformed, "\"device\" is android, ios or web")
	}
	if a.binding, err = o.bindingKey(r.Binding); err != nil {
		return a, err
	}
	if a.metadata, err = packMetadata(r.Metadata); err != nil {
		return a, err
	}
	if r.Consent != nil && (r.Consent.Source == "" || len(r.Consent.Source) > maxConsentSrc || len(r.Consent.Text) > maxConsent) {
		return a, denied(CodeMalformed, fmt.Sprintf("\"consent\" names its source in at most %d bytes, and what the person was shown in at most %d", maxConsentSrc, maxConsent))
	}
	a.language = a.purpose.language(r.Locale)
	a.exact = o.exact(a.phone.E164())
	a.ask = sendAsk{phoneKey: o.phoneKey(a.phone), ipKey: ip, prefixKey: o.prefixKey(a.phone), country: p.Region, client: c.Client,
		trusted: r.Trusted, decoy: r.Decoy, limits: a.limits}
	return a, nil
}

// purpose returns a purpose that the caller may use.
func (o *OTP) purpose(c Caller, name string) (Purpose, error) {
	p, ok := o.cfg().Purposes[name]
	if !ok || !c.may(name) || (len(p.Clients) > 0 && !slices.Contains(p.Clients, c.Client)) {
		return p, denied(CodePurpose, "there is no such purpose for this key; see [otp.purposes] in config.toml")
	}
	return p, nil
}

// may says whether the caller's key may use a purpose.
func (c Caller) may(purpose string) bool {
	return len(c.Purposes) == 0 || slices.Contains(c.Purposes, purpose)
}

// language picks the purpose's language for a locale: the first where it has
// not that one.
func (p *Purpose) language(locale string) string {
	if want := whatsapp.Language(locale); want != "" && slices.Contains(p.Languages, want) {
		return want
	}
	if len(p.Languages) == 0 {
		return ""
	}
	return p.Languages[0]
}

// template picks the purpose's template for a device.
func (p *Purpose) template(device string) string {
	if device == "android" && p.AndroidTemplate != "" {
		return p.AndroidTemplate
	}
	return p.Template
}

// ipKey is the keyed hash of a client's address; of IPv6 its /64, because a home
// has all of that. "" has none.
func (o *OTP) ipKey(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return "", denied(CodeMalformed, "\"client_ip\" is an IPv4 or IPv6 address without port")
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		net, err := addr.Prefix(64)
		if err != nil {
			return "", denied(CodeMalformed, "\"client_ip\" is an IPv4 or IPv6 address without port")
		}
		addr = net.Addr()
	}
	return o.MAC("ip", addr.AsSlice()), nil
}

// bindingKey is the keyed hash of the caller's session; "" of none.
func (o *OTP) bindingKey(binding string) (string, error) {
	switch {
	case binding == "":
		return "", nil
	case len(binding) > maxBinding:
		return "", denied(CodeMalformed, fmt.Sprintf("\"binding\" has at most %d bytes", maxBinding))
	default:
		return o.MAC("binding", []byte(binding)), nil
	}
}

func packMetadata(m map[string]string) (string, error) {
	if len(m) == 0 {
		return "", nil
	}
	fits := len(m) <= maxMetadata
	for k, v := range m {
		fits = fits && k != "" && len(k) <= maxMetaKey && len(v) <= maxMetaValue
	}
	if !fits {
		return "", denied(CodeMalformed, fmt.Sprintf("\"metadata\" has at most %d texts, names of at most %d bytes and values of %d", maxMetadata, maxMetaKey, maxMetaValue))
	}
	b, err := json.Marshal(m)
	return string(b), err
}

func unpackMetadata(text string) map[string]string {
	var m map[string]string
	if strings.HasPrefix(text, "{") {
		_ = json.Unmarshal([]byte(text), &m) // ours; a broken one shows nothing
	}
	return m
}
