package otp

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// unsafeChance is the probability per phone and day above which a configuration
// is refused, unless allow_unsafe says otherwise.
const (
	unsafeOdds   = 10_000
	unsafeChance = 1.0 / unsafeOdds
)

// GuessBound is how likely somebody without the phone guesses a code of it,
// whatever they ask for and from wherever. Guesses are those that are looked at
// in any 24 hours: -1 means that nothing bounds them, and both chances are 1.
type GuessBound struct {
	Guesses int     `json:"guesses_per_day"`
	Day     float64 `json:"probability_per_day"`
	Year    float64 `json:"probability_per_year"` // if nothing ever locks the phone, because its owner logs in meanwhile
	Lock    int     `json:"locked_after"`         // wrong guesses in a row; -1 never
}

// guessBound computes it: failures in 24 h ÷ 10^digits. Attempts per challenge
// and resends do not come into it, because failures count over all challenges; a
// trusted device has as many guesses again.
func guessBound(l Limits, digits int) GuessBound {
	b := GuessBound{Guesses: l.Failures, Lock: l.Lock, Day: 1, Year: 1}
	if l.Failures < 0 || digits < 1 {
		b.Guesses = -1
		return b
	}
	codes := math.Pow10(digits)
	b.Day = math.Min(1, float64(l.Failures)/codes)
	b.Year = -math.Expm1(365 * float64(l.Failures) * math.Log1p(-1/codes))
	return b
}

// SendBound is how many codes somebody can have sent in 24 hours who verifies
// none of them, and the limit that ends it. Sends -1: nothing does.
type SendBound struct {
	Attack string `json:"attack"`
	First  string `json:"met_first"`
	Rule   string `json:"ends_it"`
	Sends  int    `json:"sends_per_day"`
	Text   string `json:"text"`
}

// limitOver is a limit as it bounds 24 hours.
type limitOver struct {
	rule  string
	sends int // -1: off
}

// perDay is what n in each window come to in a day.
func perDay(n int, window time.Duration) int {
	if n < 0 {
		return -1
	}
	return n * int(day/window)
}

// least returns the limit that bounds most, -1 when all are off.
func least(limits ...limitOver) limitOver {
	out := limitOver{sends: -1}
	for _, l := range limits {
		if l.sends >= 0 && (out.sends < 0 || l.sends < out.sends) {
			out = l
		}
	}
	return out
}

// first returns the first limit that is on.
func first(limits ...limitOver) string {
	for _, l := range limits {
		if l.sends >= 0 {
			return l.rule
		}
	}
	return ""
}

// phoneBound is what one phone can be sent in 24 h, in one of its two buckets.
func phoneBound(l Limits) limitOver {
	return least(limitOver{rulePhoneDay, l.PhoneDay}, limitOver{rulePhoneHour, perDay(l.PhoneHour, time.Hour)}, limitOver{rulePhone10m, perDay(l.Phone10m, tenMinutes)})
}

// countryBound is what a country can be sent in 24 h without a right code: most
// is its best day.
func countryBound(l Limits, most int64) limitOver {
	limits := []limitOver{{ruleCountryDay, l.CountryDay}, {ruleCountryHour, perDay(l.CountryHour, time.Hour)}}
	for i, share := range []float64{countryShare * float64(most), 24 * countryShare * float64(most) / 6} {
		if limits[i].sends >= 0 {
			limits[i].sends = max(limits[i].sends, int(share))
		}
	}
	return least(limits...)
}

// sendBounds goes through the ways to have many codes sent, from the poorest
// attacker to the richest. best is each country's best day of the last 14.
func sendBounds(cfg Config, l Limits, best map[string]int64) []SendBound {
	cooldown := limitOver{ruleCooldown, -1}
	if l.Cooldown >= 0 {
		cooldown.sends = 1
	}
	limit := limitOver{ruleCap, cfg.MaxSends}
	phone := phoneBound(l)
	address := least(limitOver{ruleIPDay, l.IPDay}, limitOver{ruleIPHour, perDay(l.IPHour, time.Hour)}, limitOver{ruleIP10m, perDay(l.IP10m, tenMinutes)})
	ranges := limitOver{rulePrefix, perDay(l.PrefixUnverified, time.Hour)}
	most, country := "", limitOver{sends: -1}
	everywhere := limitOver{ruleCountryDay, 0}
	for _, c := range slices.Sorted(slices.Values(cfg.Countries)) {
		b := countryBound(l, best[c])
		if b.sends < 0 {
			country, everywhere.sends, most = b, -1, c
			break
		}
		if b.sends >= country.sends {
			most, country = c, b
		}
		everywhere.sends += b.sends
	}
	each := limitOver{ruleIPPhones, l.IPPhones}
	unused := limitOver{ruleCountryHour, l.CountryHour}
	bounds := []SendBound{
		bound1("codes to one phone, from many addresses", least(phone, ranges, country, limit), cooldown, limitOver{rulePhone10m, l.Phone10m}, phone, limit),
		bound1("many phones, from one address", least(address, everywhere, limit), each, limitOver{ruleIP10m, l.IP10m}, address, unused, limit),
		bound1("one range of ten thousand numbers, from many addresses", least(ranges, country, limit), ranges, unused, country, limit),
		bound1("many ranges of one country ("+most+"), from many addresses", least(country, limit), unused, country, limit),
		bound1("every country, from many addresses", least(everywhere, limit), unused, everywhere, limit),
	}
	return bounds
}

// bound1 names one way, the limit that ends it, and the first that is met.
func bound1(attack string, end limitOver, met ...limitOver) SendBound {
	b := SendBound{Attack: attack, First: first(met...), Rule: end.rule, Sends: end.sends}
	b.Text = fmt.Sprintf("%s: met first by %s, ended by %s after %d in 24 h", attack, b.First, b.Rule, b.Sends)
	return b
}

// fallbackBound is how many codes fall back in 24 h at most, to all countries: a
// share of what goes by WhatsApp, or the few that always may in any hour and
// country, and both together are bounded by the service's cap.
func fallbackBound(cfg Config) int {
	f := cfg.Fallback
	switch {
	case !f.on() || f.Share == 0 || f.PerDay == 0:
		return 0
	case f.Share < 0:
		return cfg.MaxSends
	}
	few := float64(fewFallbacks * 24 * len(cfg.Countries))
	return min(int((few+f.Share*float64(cfg.MaxSends))/(1+f.Share)), cfg.MaxSends)
}

// weakest says in words what stands between an attacker with everything (numbers
// and addresses in any country) and the bill.
func weakest(cfg Config, bounds []SendBound, guess GuessBound) string {
	last := bounds[len(bounds)-1]
	text := fmt.Sprintf("Bill: an attacker with many numbers and addresses meets %s first and is ended by %s, after %d unused codes in 24 h", last.First, last.Rule, last.Sends)
	if last.Rule == ruleCap {
		text += "; no other limit would end it, so nobody else would get a code that day"
	} else {
		text += fmt.Sprintf("; who verifies codes on phones of their own is ended by %s, after %d", ruleCap, cfg.MaxSends)
	}
	if guess.Guesses < 0 {
		return text + ". Guessing: nothing ends it, because failures_day is off."
	}
	text += fmt.Sprintf(". Guessing: failures_day ends it after %d in 24 h", guess.Guesses)
	if guess.Lock < 0 {
		return text + ", day after day: lock is off."
	}
	return text + fmt.Sprintf(", lock after %d in a row.", guess.Lock)
}

// purposeNames are the names in order.
func purposeNames(cfg Config) []string { return slices.Sorted(maps.Keys(cfg.Purposes)) }
