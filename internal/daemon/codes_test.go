package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"janela/internal/tomlfile"
	"janela/otp"
)

// load reads a configuration of these lines.
func load(t testing.TB, text string, environ ...string) (Config, error) {
	t.Helper()
	return Load(file(t, t.TempDir(), "config.toml", text, 0o600), environ)
}

func TestNoCodesWithoutAPurpose(t *testing.T) {
	cfg, err := load(t, small)
	if err != nil || cfg.Codes() {
		t.Errorf("codes %v, %v", cfg.Codes(), err)
	}
	cfg, err = load(t, small+"[otp]\ncountries = [\"US\"]\n")
	if err != nil || cfg.Codes() {
		t.Errorf("with a setting: codes %v, %v", cfg.Codes(), err)
	}
}

// The shipped file sends codes for four purposes, to Brazil.
func TestShippedCodes(t *testing.T) {
	cfg, err := Load(shipped, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.otpConfig()
	got.Fallback.Secret = nil
	all := []string{"pt_BR", "en_US", "es"}
	expected := otp.Config{Number: "200000000000001", Countries: []string{"BR"}, RequireClientIP: true, MaxSends: 1000, MuteFor: time.Hour,
		Limits: otp.DefaultLimits(), Fallback: otp.Fallback{Mode: "off", Share: 0.2, PerDay: 2},
		Purposes: map[string]otp.Purpose{
			"login":    {Template: "codigo_acesso", AndroidTemplate: "codigo_app", Languages: all, Digits: 6, TTL: 10 * time.Minute},
			"signup":   {Template: "codigo_acesso", Languages: all, Digits: 6, TTL: 10 * time.Minute},
			"recovery": {Template: "codigo_seguro", Languages: all[:1], Digits: 8, TTL: 10 * time.Minute, StepUpRequired: true},
			"step_up":  {Template: "codigo_seguro", Languages: all[:1], Digits: 6, TTL: 10 * time.Minute},
		}}
	want(t, "codes", got, expected)
}

// Every limit that the file can set reaches the room, for all purposes and for
// one; none is lost on the way.
func TestEveryLimitArrives(t *testing.T) {
	var general, own strings.Builder
	expected := otp.Limits{}
	v := reflect.ValueOf(&expected).Elem()
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("toml")
		n := i + 2
		switch v.Field(i).Interface().(type) {
		case time.Duration:
			v.Field(i).SetInt(int64(time.Duration(n) * time.Minute))
			fmt.Fprintf(&general, "%s = \"%dm\"\n", key, n)
		case float64:
			v.Field(i).SetFloat(float64(n) + 0.5)
			fmt.Fprintf(&general, "%s = %d.5\n", key, n)
		default:
			v.Field(i).SetInt(int64(n))
			fmt.Fprintf(&general, "%s = %d\n", key, n)
		}
	}
	own.WriteString(general.String())
	cfg := Defaults()
	_, problems := tomlfile.Decode("config.toml", []byte("[otp.limits]\n"+general.String()+"[otp.purposes.login.limits]\n"+own.String()), &cfg)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want(t, "general", cfg.otpConfig().Limits, expected)
	want(t, "of a purpose", cfg.otpConfig().Purposes["login"].Limits, expected)
}

func TestNumberOfCodes(t *testing.T) {
	const two = small + "[[whatsapp.accounts.numbers]]\nid = \"200000000000002\"\nname = \"suporte\"\n"
	const login = "[otp.purposes.login]\ntemplate = \"codigo_acesso\"\nlanguages = [\"pt_BR\"]\n"
	for _, tt := range []struct{ text, general, own, fault string }{
		{small + login, "200000000000001", "", ""},
		{two + "[otp]\nnumber = \"suporte\"\n" + login, "200000000000002", "", ""},
		{two + "[otp]\nnumber = \"200000000000001\"\n" + login, "200000000000001", "", ""},
		{two + login + "number = \"suporte\"\n", "", "200000000000002", ""},
		{two + login, "", "", "not said which number"},
		{two + "[otp]\nnumber = \"vendas\"\n" + login, "", "", `no number "vendas"`},
		{small + login + "number = \"vendas\"\n", "", "", `no number "vendas"`},
	} {
		cfg, err := load(t, tt.text)
		if tt.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%q: %v", tt.text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		c := cfg.otpConfig()
		want(t, "number", []string{c.Number, c.Purposes["login"].Number}, []string{tt.general, tt.own})
	}
}

func TestFallbackOfCodes(t *testing.T) {
	dir := t.TempDir()
	file(t, dir, "private", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0o600)
	file(t, dir, "weak", "x", 0o600)
	file(t, dir, "readable", "x", 0o644)
	for text, fault := range map[string]string{
		"mode = \"off\"\nurl = \"nowhere\"":                                                          "",
		"mode = \"manual\"\nurl = \"https://sms.example/\"\nsecret_file = \"private\"":               "",
		"mode = \"on_failed\"\nurl = \"http://127.0.0.1:9/codes\"\nsecret_file = \"private\"":        "",
		"mode = \"manual\"\nurl = \"http://sms.example/\"\nsecret_file = \"private\"":                "unencrypted",
		"mode = \"manual\"\nurl = \"sms.example\"\nsecret_file = \"private\"":                        "no address",
		"mode = \"manual\"\nurl = \"https://sms.example/\"":                                          "there is no secret",
		"url = \"https://sms.example/\"":                                                             "there is no secret",
		"url = \"https://sms.example/\"\nsecret_file = \"private\"":                                  "",
		"mode = \"manual\"\nurl = \"https://sms.example/\"\nsecret_file = \"readable\"":              "read by others",
		"mode = \"manual\"\nurl = \"https://sms.example/\"\nsecret_file = \"none\"":                  "cannot be read",
		"mode = \"manual\"\nurl = \"https://sms.example/\"\nsecret_file = \"weak\"":                  "nothing that signs",
		"mode = \"on_delay\"\nurl = \"https://sms.example/\"\nsecret_file = \"private\"":             "not known",
		"mode = \"on_failed\"\nurl = \"https://sms.example/\"\nsecret_file = \"private\"\nshare = 0": "0 could mean",
	} {
		cfg, err := Load(file(t, dir, "config.toml", small+"[otp.purposes.login]\ntemplate = \"codigo_acesso\"\nlanguages = [\"pt_BR\"]\n[otp.fallback]\n"+text+"\n", 0o600), nil)
		if fault == "" && err != nil || fault != "" && (err == nil || !strings.Contains(err.Error(), fault)) {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && cfg.OTP.Fallback.SecretFile != "" {
			if f := cfg.otpConfig().Fallback; f.Mode == "off" {
				t.Errorf("%q: it is off", text)
			}
			b, err := cfg.otpConfig().Fallback.Secret()
			if err != nil || !strings.HasPrefix(string(b), "whsec_") {
				t.Errorf("%q: the secret is %q, %v", text, b, err)
			}
		}
	}
}

// A number with a fraction can be set by the environment, and what is none is
// refused.
func TestFractionsInTheEnvironment(t *testing.T) {
	cfg, err := load(t, small, "JANELA_OTP_LIMITS_PER_SECOND=12.5", "JANELA_OTP_FALLBACK_SHARE=0.1", "JANELA_OTP_LIMITS_ATTEMPTS=4", "JANELA_OTP_LIMITS_LIFE=15m")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "settings", []any{cfg.OTP.Limits.PerSecond, cfg.OTP.Fallback.Share, cfg.OTP.Limits.Attempts, cfg.OTP.Limits.Life}, []any{12.5, 0.1, 4, 15 * time.Minute})
	for _, bad := range []string{"secret-1", "NaN", "+Inf", ""} {
		var problems tomlfile.Problems
		if _, err := load(t, small, "JANELA_OTP_LIMITS_PER_SECOND="+bad); !errors.As(err, &problems) || strings.Contains(err.Error(), "secret-1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A 0 in the environment is refused as one in the file.
func TestNoZeroInTheEnvironment(t *testing.T) {
	cfg := Defaults()
	keys(reflect.ValueOf(&cfg).Elem(), "", func(path string, v reflect.Value, _ bool) {
		zero := "0"
		switch {
		case !strings.HasPrefix(path, "otp.") || strings.Contains(path, "*"):
			return
		case v.Type() == reflect.TypeFor[time.Duration]():
			zero = "0s"
		case v.Kind() != reflect.Int && v.Kind() != reflect.Float64:
			return
		}
		name := "JANELA_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
		if _, err := load(t, small, name+"="+zero); err == nil || !strings.Contains(err.Error(), "no limit") {
			t.Errorf("%s=%s: %v", name, zero, err)
		}
	})
}

// What the room calls unsafe keeps the daemon from starting, at its place in the
// file; of what it only warns, the log tells at the start.
func TestUnsafeCodes(t *testing.T) {
	const login = "[otp.purposes.login]\ntemplate = \"codigo_acesso\"\nlanguages = [\"pt_BR\"]\n"
	_, err := load(t, small+login+"[otp.limits]\nfailures_day = 500\n")
	var problems tomlfile.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Line != 10 || !strings.Contains(err.Error(), "probability") {
		t.Errorf("easy to guess: %v", err)
	}
	if _, err := load(t, small+login+"digits = 5\n"); err == nil || !strings.Contains(err.Error(), "config.toml:9:1") {
		t.Errorf("five digits: %v", err)
	}
	if _, err := load(t, small+login, "JANELA_OTP_LIMITS_FAILURES_DAY=500"); err == nil || !strings.Contains(err.Error(), "probability") {
		t.Errorf("by the environment: %v", err)
	}
	cfg, err := load(t, small+login+"[otp]\nallow_unsafe = true\n[otp.limits]\nfailures_day = 500\nphone_day = -1\n")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d, err := New(t.Context(), Options{Config: cfg, Space: roomy, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for _, key := range []string{"otp.allow_unsafe", "otp.limits.failures_day", "otp.limits.phone_day"} {
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "key="+key) {
			t.Errorf("the log does not warn of %s:\n%s", key, log.String())
		}
	}
	cfg, err = Load(shipped, nil)
	if err != nil || len(cfg.warnings) > 0 {
		t.Errorf("the shipped file: %v %v", cfg.warnings, err)
	}
}
