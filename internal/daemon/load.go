package daemon

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/tomlfile"
)

// maxConfig bounds config.toml.
const maxConfig = 1 << 20

// Load reads a configuration file strictly, lays the environment over it, and
// checks the whole: every problem comes at once, as tomlfile.Problems with the
// place in the file. environ has the form of os.Environ.
func Load(path string, environ []string) (Config, error) {
	cfg := Defaults()
	info, err := os.Stat(path)
	if err != nil {
		return cfg, fmt.Errorf("read the configuration: %w; name the file with --config", err)
	}
	if info.Size() > maxConfig {
		return cfg, fmt.Errorf("%s is larger than 1 MiB: this is not a configuration", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return cfg, fmt.Errorf("read the configuration: %w", err)
	}
	doc, problems := tomlfile.Decode(path, data, &cfg)
	cfg.dir, cfg.doc = filepath.Dir(path), doc
	cfg.again = func() (Config, error) { return Load(path, environ) }
	unread := problems.HasErrors() && !slices.ContainsFunc(sections, doc.Has) // a fault of syntax: nothing else is known
	problems = append(problems, secretsInFile(doc)...)
	// What stands there is not used, so that it is not taken for the environment's.
	cfg.WhatsApp.Token, cfg.WhatsApp.AppSecret, cfg.WhatsApp.VerifyToken = "", "", ""
	problems = append(problems, overlay(&cfg, environ)...)
	if !unread {
		problems = append(problems, cfg.check(doc)...)
	}
	problems.Sort()
	if problems.HasErrors() {
		return cfg, problems
	}
	cfg.warnings = problems
	return cfg, nil
}

// sections of a configuration.
var sections = []string{"store", "whatsapp", "sandbox", "campaigns", "optin", "otp", "hooks", "retention", "http", "webhook", "backup", "log"}

// secretsInFile refuses secrets in the file: it is copied, mailed and committed.
func secretsInFile(doc *tomlfile.Document) (out tomlfile.Problems) {
	for _, key := range []string{"token", "app_secret", "verify_token"} {
		if path := "whatsapp." + key; doc.Has(path) {
			out = append(out, doc.Problem(path, key+" does not belong into this file",
				fmt.Sprintf("write it into a file of its own with mode 0600 and name that as %s_file, or set JANELA_WHATSAPP_%s", key, strings.ToUpper(key))))
		}
	}
	return out
}

// prefix of every variable that belongs to the configuration.
const prefix = "JANELA_"

// notConfig are variables with the prefix that are no setting.
var notConfig = []string{"JANELA_CONFIG", "JANELA_SOCKET"}

// overlay sets JANELA_SECTION_KEY over the file. A variable that is no setting
// is an error, as a misspelt key is.
func overlay(cfg *Config, environ []string) (out tomlfile.Problems) {
	known := settings(reflect.ValueOf(cfg).Elem(), prefix)
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, prefix) || slices.Contains(notConfig, name) {
			continue
		}
		problem := tomlfile.Problem{File: "environment", Line: 1, Column: 1, Path: name}
		field, ok := known[name]
		if !ok {
			problem.Message = name + " is no setting"
			if s := tomlfile.Suggest(name, names); s != "" {
				problem.Hint = "did you mean " + s + "?"
			}
			out = append(out, problem)
			continue
		}
		if err := setField(field, value); err != nil {
			problem.Message = name + " " + err.Error()
			out = append(out, problem)
		}
	}
	return out
}

// settings finds the scalar fields of the configuration by variable name.
func settings(v reflect.Value, name string) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("toml")
		if key == "" {
			continue
		}
		field, full := v.Field(i), name+strings.ToUpper(key)
		switch {
		case field.Kind() == reflect.Struct:
			for k, f := range settings(field, full+"_") {
				out[k] = f
			}
		case field.Kind() != reflect.Slice && field.Kind() != reflect.Map:
			out[full] = field
		}
	}
	return out
}

func setField(f reflect.Value, text string) error {
	switch f.Interface().(type) {
	case string:
		f.SetString(text)
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		f.SetBool(b)
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("must be a duration like 30s or 5m")
		}
		f.SetInt(int64(d))
	case int, int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("must be a whole number")
		}
		f.SetInt(n)
	case float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return errors.New("must be a number")
		}
		f.SetFloat(n)
	default:
		return errors.New("cannot be set by the environment; write it into the file")
	}
	return nil
}

// file makes a path of the configuration absolute: relative ones start at the
// folder of config.toml. $NAME is replaced, so that $CREDENTIALS_DIRECTORY works.
func (c *Config) file(path string) string {
	path = os.ExpandEnv(path)
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.dir, path)
}
