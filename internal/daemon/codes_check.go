package daemon

import (
	"fmt"
	"maps"
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
	if !k.cfg.Codes() {
		return
	}
	k.codeNumber("otp.number", o.Number, slices.ContainsFunc(slices.Collect(maps.Values(o.Purposes)), func(p otp.Purpose) bool { return p.Number == "" }))
	for name, p := range o.Purposes {
		if p.Number != "" {
			k.codeNumber("otp.purposes."+name+".number", p.Number, true)
		}
	}
	if file := o.Fallback.SecretFile; file != "" && o.Fallback.mode() != "off" {
		if err := checkSecretFile(k.cfg.file(file)); err != nil {
			k.fault("otp.fallback.secret_file", err.Error(), "")
		}
	}
	k.unsafe()
}

// unsafe asks the room itself. What was said of a place already is not said
// twice.
func (k *checker) unsafe() {
	said := map[string]bool{}
	for _, p := range k.out {
		said[p.Path] = true
	}
	for _, f := range otp.Check(k.cfg.otpConfig()) {
		switch {
		case said[f.Where]:
		case f.Level == otp.LevelWarning:
			k.out = append(k.out, k.doc.Warning(f.Where, f.Text, f.Fix))
		default:
			k.fault(f.Where, f.Text, f.Fix)
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
