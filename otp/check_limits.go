package otp

import (
	"errors"
	"fmt"
	"time"

	"janela/internal/whatsapp"
)

// limitValue is one limit, as its check sees it. Durations are in nanoseconds.
type limitValue struct {
	key      string
	value    float64
	duration bool
	most     float64 // a larger one is refused; 0: maxPerHour
	needed   bool    // it has no off
}

// values lists every limit, by its key in config.toml.
func (l Limits) values() []limitValue {
	n := func(key string, v int) limitValue { return limitValue{key: key, value: float64(v)} }
	rows := func(key string, v int) limitValue { return limitValue{key: key, value: float64(v), most: mostRows} }
	d := func(key string, v, most time.Duration) limitValue {
		return limitValue{key: key, value: float64(v), most: float64(most), duration: true}
	}
	attempts, life, lock := n("attempts", l.Attempts), d("life", l.Life, maxLife), n(ruleLock, l.Lock)
	attempts.needed, life.needed, lock.most = true, true, maxLock
	return []limitValue{
		attempts, n("resends", l.Resends), life, n("live", l.Live),
		d(ruleCooldown, l.Cooldown, quiet), rows(rulePhone10m, l.Phone10m), rows(rulePhoneHour, l.PhoneHour), rows(rulePhoneDay, l.PhoneDay),
		n(ruleUnverified, l.Unverified), n(ruleFailures, l.Failures), lock,
		rows(ruleIP10m, l.IP10m), rows(ruleIPHour, l.IPHour), rows(ruleIPDay, l.IPDay), rows(ruleIPPhones, l.IPPhones), n(ruleIPCountries, l.IPCountries),
		n(rulePrefix, l.PrefixUnverified), n(ruleCountryDay, l.CountryDay), n(ruleCountryHour, l.CountryHour),
		{key: ruleClient, value: l.ClientPerSecond}, n("client_burst", l.ClientBurst), {key: ruleService, value: l.PerSecond}, n(ruleVerifyIP, l.VerifyIPMinute),
	}
}

// limits checks each by itself. own says that they are a purpose's, whose zeros
// stand for the general ones.
func (k *inspection) limits(at string, l Limits, own bool) {
	for _, v := range l.values() {
		where := at + "." + v.key
		off, most := "-1", v.most
		if v.duration {
			off = `"-1s"`
		}
		if most == 0 {
			most = maxPerHour
		}
		switch {
		case v.value == 0 && own:
		case v.value == 0 && v.needed:
			k.fault("zero", where, "0 could mean none or no limit", "write a value")
		case v.value == 0:
			k.fault("zero", where, "0 could mean none or no limit", "write "+off+" for no limit")
		case v.value < 0 && v.needed:
			k.fault("no_limit", where, "it has no off", "write a value")
		case v.value < 0 && !v.duration && v.value != -1:
			k.fault("limit", where, fmt.Sprintf("%g is no limit", v.value), "write -1 for no limit")
		case v.value < 0:
			k.warn("no_limit", where, "this limit is off", "write a value")
		case v.value > most:
			text := fmt.Sprintf("%g is too much", v.value)
			if v.duration {
				text = fmt.Sprintf("%s is too long", time.Duration(v.value))
			}
			k.fault("limit", where, text, "write at most "+v.write(most)+k.offFix(v, off))
		}
	}
}

func (v limitValue) write(n float64) string {
	if v.duration {
		return `"` + time.Duration(n).String() + `"`
	}
	return fmt.Sprintf("%.0f", n)
}

func (k *inspection) offFix(v limitValue, off string) string {
	if v.needed || v.key == ruleLock {
		return ""
	}
	return ", or " + off + " for no limit"
}

// ordered finds limits that another one makes idle: more in an hour than in a
// day.
func (k *inspection) ordered(at string, l Limits) {
	for _, pair := range [][2]limitOver{
		{{rulePhone10m, l.Phone10m}, {rulePhoneHour, l.PhoneHour}},
		{{rulePhoneHour, l.PhoneHour}, {rulePhoneDay, l.PhoneDay}},
		{{ruleIP10m, l.IP10m}, {ruleIPHour, l.IPHour}},
		{{ruleIPHour, l.IPHour}, {ruleIPDay, l.IPDay}},
		{{ruleCountryHour, l.CountryHour}, {ruleCountryDay, l.CountryDay}},
		{{"attempts", l.Attempts}, {ruleFailures, l.Failures}},
	} {
		if short, long := pair[0], pair[1]; short.sends > 0 && long.sends > 0 && short.sends > long.sends {
			k.warn("idle", at+"."+short.rule, fmt.Sprintf("%d is never reached: %s is %d", short.sends, long.rule, long.sends), "make one of them smaller or larger")
		}
	}
}

// phoneErrorKind is the kind of a PhoneError, "" of any other.
func phoneErrorKind(err error) string {
	var e *whatsapp.PhoneError
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
