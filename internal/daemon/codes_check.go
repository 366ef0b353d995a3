package daemon

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"janela/otp"
)

// otp finds what is wrong with the codes. Without a purpose there are none, and
// hardly anything can be wrong.
func (k *checker) otp() {
	o := k.cfg.OTP
	if o.KeyFile == "" {
		k.fault("otp.key_file", "key_file is empty", `write where the keys of codes go, key_file = "var/otp.key"`)
	}
	k.noZeros("otp", reflect.ValueOf(o))
	k.fallback()
	if !k.cfg.Codes() {
		return
	}
	k.codeNumber("otp.number", o.Number, slices.ContainsFunc(slices.Collect(maps.Values(o.Purposes)), func(p otp.Purpose) bool { return p.Number == "" }))
	for name, p := range o.Purposes {
		if p.Number != "" {
			k.codeNumber("otp.purposes."+name+".number", p.Number, true)
		}
	}
}

func (k *checker) codeNumber(path, name string, needed bool) {
	switch {
	case k.cfg.numberID(name) != "":
	case name != "":
		k.fault(path, fmt.Sprintf("there is no number %q", name), "write the name of one of [[whatsapp.accounts.numbers]]")
	case needed:
		k.fault(path, "it is not said which number sends codes", "write the name of one of [[whatsapp.accounts.numbers]]")
	}
}

// fallback checks the hook, which gets codes and whole numbers.
func (k *checker) fallback() {
	f := k.cfg.OTP.Fallback
	k.oneOf("otp.fallback.mode", f.Mode, "off", "manual", "on_failed")
	if f.Mode == "off" {
		return
	}
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		k.fault("otp.fallback.url", "url is no address", "write the https address of your system that sends codes on")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		k.fault("otp.fallback.url", "codes would travel unencrypted", "write https://")
	}
	if f.SecretFile == "" {
		k.fault("otp.fallback.secret_file", "secret_file is empty", "name a file with mode 0600: its content signs the requests")
	} else if err := checkSecretFile(k.cfg.file(f.SecretFile)); err != nil {
		k.fault("otp.fallback.secret_file", err.Error(), "")
	}
}

// noZeros refuses a 0 that somebody wrote, here or in the environment: half of
// the world takes it for "no limit", and it would mean the default.
func (k *checker) noZeros(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("toml"); key != "" {
				k.noZeros(path+"."+key, v.Field(i))
			}
		}
	case reflect.Map:
		for _, key := range slices.Sorted(maps.Keys(v.Interface().(map[string]otp.Purpose))) {
			k.noZeros(path+"."+key, v.MapIndex(reflect.ValueOf(key)))
		}
	case reflect.Int, reflect.Int64, reflect.Float64:
		if !v.IsZero() || strings.HasPrefix(path, "otp.purposes.") && !k.doc.Has(path) {
			return // nothing but a purpose has a 0 by itself
		}
		hint := "write a value, or leave it out for the default"
		if strings.Contains(path, ".limits.") {
			if hint = "write -1 for no limit"; v.Type() == reflect.TypeFor[time.Duration]() {
				hint = `write "-1s" for no limit`
			}
		}
		k.fault(path, "0 could mean none or no limit", hint)
	}
}
