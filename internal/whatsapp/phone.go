package whatsapp

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// ParsedPhone is a number read from what somebody wrote.
type ParsedPhone struct {
	Phone    Phone
	Region   string   // ISO 3166-1 alpha-2, "BR"; "" when the number belongs to no country
	Landline bool     // surely a fixed line; false where the plan does not tell (US, MX)
	Repairs  []string // what was changed, in plain words; nil when nothing was
}

// Kinds of PhoneError.
const (
	PhoneEmpty      = "empty"
	PhoneLetters    = "letters"
	PhoneScientific = "scientific"
	PhoneExtension  = "extension"
	PhoneNoRegion   = "no_region"
	PhoneInvalid    = "invalid"
	PhoneAmbiguous  = "ambiguous"
	PhoneShort      = "short"
)

// PhoneError says why a text is no usable number. Neither field ever repeats a
// digit of the text.
type PhoneError struct {
	Kind string // one of the constants above; stable
	Hint string // what to write instead
}

// Error returns kind and hint.
func (e *PhoneError) Error() string { return "phone number refused (" + e.Kind + "): " + e.Hint }

// Warnings of ParsedPhone.Repairs.
const (
	repairNinthDigit = "Brazil: the ninth digit was added to a mobile number of eight digits"
	repairMexicoOne  = "Mexico: the old 1 after 52 was taken out"
	repairArgentina9 = "Argentina: the 9 of a mobile number was added after 54"
)

// ParsePhone reads a number as people write it: with a plus, or without one
// when it belongs to defaultRegion (ISO 3166-1 alpha-2; "" means every number
// needs its plus). Spaces, dashes, dots and parentheses are fine; letters,
// links, extensions and anything else around the number are refused, because
// the message would go to a guess. The three documented repairs are reported
// in Repairs and never follow a dropped character. Errors are *PhoneError.
func ParsePhone(input, defaultRegion string) (ParsedPhone, error) {
	if len(input) > 1 && input[0] == '+' {
		if plan, ok := quickPlan(input[1:]); ok {
			return ParsedPhone{Phone: Phone(input), Region: plan.region, Landline: plan.landline}, nil
		}
	}
	w, err := readWritten(input)
	if err != nil {
		return ParsedPhone{}, err
	}
	region := strings.ToUpper(strings.TrimSpace(defaultRegion))
	if full := inFull(w, region); full != "" {
		if plan, ok := quickPlan(full); ok {
			return ParsedPhone{Phone: Phone("+" + full), Region: plan.region, Landline: plan.landline}, nil
		}
	}
	return parseWritten(w, region)
}

// parseWritten is the slow path: the numbering plans of the library.
func parseWritten(w written, region string) (ParsedPhone, error) {
	var (
		n    *phonenumbers.PhoneNumber
		err  error
		lead string // digits that may stand before the national number without meaning anything: the trunk prefix
	)
	if w.plus {
		n, err = phonenumbers.Parse("+"+w.digits, "")
	} else {
		switch {
		case region == "":
			return refuse(PhoneNoRegion, "write the number with its plus and country code, or set default_region")
		case !phonenumbers.GetSupportedRegions()[region]:
			return refuse(PhoneNoRegion, "the default region is not known; write a code of two letters such as BR")
		case strings.HasPrefix(w.digits, "00"):
			return refuse(PhoneInvalid, "write a plus in place of the leading 00")
		}
		n, err = phonenumbers.Parse(w.digits, region)
	}
	if err != nil {
		if len(w.digits) < 7 {
			return refuse(PhoneShort, "there are too few digits")
		}
		return refuse(PhoneInvalid, invalidHint(w))
	}

	e164 := phonenumbers.Format(n, phonenumbers.E164)
	nsn := phonenumbers.GetNationalSignificantNumber(n)
	cc := strings.TrimSuffix(e164[1:], nsn)
	lead = phonenumbers.GetNddPrefixForRegion(phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode())), true)
	switch {
	case w.digits == cc+nsn, !w.plus && w.digits == nsn:
	case lead != "" && (w.digits == cc+lead+nsn || !w.plus && w.digits == lead+nsn):
		w.dropped = true
	default: // the library took out a carrier code, or moved digits
		return refuse(PhoneInvalid, "the number carries a prefix for dialling; write it as +, country code, area code, number")
	}
	if !w.plus && w.digits == nsn && strings.HasPrefix(nsn, cc) && usable("+"+nsn) && phonenumbers.IsValidNumber(n) {
		return refuse(PhoneAmbiguous, "it can be read with and without a country code; write it with its plus")
	}

	e164, repair, refusal := repairPlan(cc, nsn, w.dropped)
	if refusal != nil {
		return ParsedPhone{}, refusal
	}
	if repair != "" {
		if n, err = phonenumbers.Parse(e164, ""); err != nil {
			return refuse(PhoneInvalid, invalidHint(w))
		}
	}
	if !phonenumbers.IsValidNumber(n) {
		if len(nsn) < usualLength(n) {
			return refuse(PhoneShort, "digits are missing; perhaps the area code")
		}
		return refuse(PhoneInvalid, invalidHint(w))
	}
	p := ParsedPhone{
		Phone:    Phone(e164),
		Region:   countryOnly(phonenumbers.GetRegionCodeForNumber(n)),
		Landline: phonenumbers.GetNumberType(n) == phonenumbers.FIXED_LINE,
	}
	if repair != "" {
		p.Repairs = []string{repair}
	}
	return p, nil
}

// repairPlan returns the number to use: as written, or with one documented
// repair. A repair after a dropped character would be a guess on a guess.
func repairPlan(cc, nsn string, dropped bool) (e164, repair string, err error) {
	asWritten := "+" + cc + nsn
	var with string
	switch {
	case cc == "55" && len(nsn) == 10 && nsn[2] >= '6':
		with, repair = "+55"+nsn[:2]+"9"+nsn[2:], repairNinthDigit
	case cc == "52" && len(nsn) == 11 && nsn[0] == '1':
		with, repair = "+52"+nsn[1:], repairMexicoOne
	case cc == "54" && len(nsn) == 10:
		with, repair = "+549"+nsn, repairArgentina9
	default:
		return asWritten, "", nil
	}
	if !usable(with) {
		return asWritten, "", nil
	}
	if cc == "54" && usable(asWritten) {
		// 54 11 … is a landline and 54 9 11 … a mobile of somebody else.
		_, err = refuse(PhoneAmbiguous, "Argentina: write a mobile as +54 9 and its area code; without the 9 it is also a valid landline")
		return "", "", err
	}
	if dropped {
		_, err = refuse(PhoneInvalid, "the number needs a correction and has extra characters; write it as +, country code, area code, number")
		return "", "", err
	}
	return with, repair, nil
}

func usable(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "")
	return err == nil && phonenumbers.IsValidNumber(n) && phonenumbers.Format(n, phonenumbers.E164) == e164
}

// usualLength is the length of an ordinary national number of n's country, 7
// where the library has no example.
func usualLength(n *phonenumbers.PhoneNumber) int {
	region := phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
	example := phonenumbers.GetExampleNumber(region)
	if example == nil {
		return 7
	}
	return len(phonenumbers.GetNationalSignificantNumber(example))
}

func refuse(kind, hint string) (ParsedPhone, error) {
	return ParsedPhone{}, &PhoneError{Kind: kind, Hint: hint}
}

func invalidHint(w written) string {
	if w.plus {
		return "no such number exists in its country's plan; check the digits"
	}
	return "it is not a number of the default region; a number of another country needs its plus"
}

// countryOnly drops the library's marks for "no country" (001, ZZ).
func countryOnly(region string) string {
	if len(region) != 2 || region == "ZZ" {
		return ""
	}
	return region
}

// Region returns the country of the number as ISO 3166-1 alpha-2, best effort:
// "" when it is not known, or when several countries share its code and the
// plan does not tell which. It also takes ids as Meta writes them, which may
// not be valid numbers.
func (p Phone) Region() string {
	if plan, ok := quickPlan(p.Digits()); ok {
		return plan.region
	}
	n, err := phonenumbers.Parse("+"+p.Digits(), "")
	if err != nil {
		return ""
	}
	return countryOnly(phonenumbers.GetRegionCodeForNumber(n))
}

// Zones returns the IANA time zones of the number's area code, nil if unknown.
// More than one means the area spans them. A mobile number says where it was
// bought, not where its owner is.
func (p Phone) Zones() []string {
	d := p.Digits()
	if d == "" || !onlyDigits(d) {
		return nil
	}
	if strings.HasPrefix(d, "55") {
		return brazilZones(d)
	}
	zones, err := phonenumbers.GetTimezonesForPrefix(d)
	if err != nil || len(zones) == 0 || zones[0] == phonenumbers.UNKNOWN_TIMEZONE {
		return nil
	}
	return slices.Clone(zones)
}
