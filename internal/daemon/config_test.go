package daemon

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/tomlfile"
)

var update = flag.Bool("update", false, "write the golden files anew")

const shipped = "../../config.toml"

func want[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// golden compares with testdata/name.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want(t, path, got, string(data))
}

// file writes a file into a folder of the test's own.
func file(t testing.TB, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// keys walks the configuration: every scalar by its path, list indexes left out,
// * for the keys of a map, of which it shows an empty one.
func keys(v reflect.Value, path string, visit func(path string, v reflect.Value, secret bool)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("toml")
		if name == "" {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case f.Type.Kind() == reflect.Struct:
			keys(v.Field(i), at, visit)
		case f.Type.Kind() == reflect.Map:
			keys(reflect.New(f.Type.Elem()).Elem(), at+".*", visit)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			element := reflect.New(f.Type.Elem()).Elem()
			if v.Field(i).Len() > 0 {
				element = v.Field(i).Index(0)
			}
			keys(element, at, visit)
		default:
			visit(at, v.Field(i), f.Tag.Get("secret") != "")
		}
	}
}

// The file says that it lists every key: so it does, commented or not, and no
// other.
func TestShippedFileListsEveryKey(t *testing.T) {
	cfg := Defaults()
	var inCode, inFile []string
	keys(reflect.ValueOf(&cfg).Elem(), "", func(path string, _ reflect.Value, secret bool) {
		if !secret && !strings.HasPrefix(path, "otp.purposes.*.limits.") { // refused in the file; the same as [otp.limits]
			inCode = append(inCode, path)
		}
	})
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	head, key := regexp.MustCompile(`^\s*(?:# )?\[+([a-z_.]+)\]+`), regexp.MustCompile(`^\s*#?\s*([A-Za-z0-9_]+) = `)
	purpose := regexp.MustCompile(`^otp\.purposes\.[a-z_]+`)
	for _, line := range strings.Split(string(data), "\n") {
		if m := head.FindStringSubmatch(line); m != nil {
			section = purpose.ReplaceAllString(m[1], "otp.purposes.*")
		} else if m := key.FindStringSubmatch(line); m != nil {
			inFile = append(inFile, section+"."+m[1])
		}
	}
	slices.Sort(inCode)
	slices.Sort(inFile)
	want(t, "keys of config.toml against those of Config", slices.Compact(inFile), inCode)
}

// The shipped file loads, and says the defaults where it repeats them.
func TestShippedFileRepeatsTheDefaults(t *testing.T) {
	cfg, err := Load(shipped, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]string{ // where it says more than the defaults, on purpose
		"whatsapp.accounts.id": "100000000000001", "whatsapp.accounts.numbers.id": "200000000000001", "whatsapp.accounts.numbers.name": "loja",
		"sandbox.consents": "campaigns.d/examples/consents.csv", "sandbox.journal": "var/sandbox.jsonl", "sandbox.listen": "127.0.0.1:8791", "console.listen": "127.0.0.1:8792", "campaigns.timezone": "America/Sao_Paulo", "campaigns.test_numbers": "[+5511900000001]",
	}
	defaults := Defaults()
	expected := map[string]string{}
	keys(reflect.ValueOf(&defaults).Elem(), "", func(path string, v reflect.Value, _ bool) { expected[path] = fmt.Sprint(v.Interface()) })
	for path, v := range own {
		if expected[path] == v {
			t.Errorf("%s is a default: take it out of the exceptions", path)
		}
		expected[path] = v
	}
	got := map[string]string{}
	keys(reflect.ValueOf(&cfg).Elem(), "", func(path string, v reflect.Value, _ bool) { got[path] = fmt.Sprint(v.Interface()) })
	want(t, "settings", got, expected)
	want(t, "embedded", cfg.Embedded(), true)
	want(t, "approval", cfg.Approval(), "off")
	want(t, "socket", filepath.Base(cfg.SocketPath()), "janela.db.sock")
}

// Every fault comes at once, with its place and what to write instead.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults-*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			dir := t.TempDir()
			file(t, dir, "readable", "x", 0o644)
			file(t, dir, "private", "x", 0o600)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(file(t, dir, "config.toml", string(data), 0o644), []string{"JANELA_WHATSAPP_APP_SECRET=from-the-environment"})
			var problems tomlfile.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v", err)
			}
			golden(t, strings.TrimSuffix(filepath.Base(path), ".toml")+".golden", strings.ReplaceAll(problems.Error(), dir+"/", "")+"\n")
		})
	}
}

func TestLoadOfNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.toml"), nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %v", err)
	}
	large := file(t, dir, "large.toml", strings.Repeat("# nothing\n", 120_000), 0o644)
	if _, err := Load(large, nil); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

// small is the least configuration that is right.
const small = `[[whatsapp.accounts]]
id = "100000000000001"
[[whatsapp.accounts.numbers]]
id = "200000000000001"
name = "loja"
`

func TestEnvironmentLiesOverTheFile(t *testing.T) {
	path := file(t, t.TempDir(), "config.toml", small+"[http]\nlisten = \"127.0.0.1:1\"\n", 0o644)
	cfg, err := Load(path, []string{"HOME=/x", "JANELA_CONFIG=/etc/janela.toml", "JANELA_HTTP_LISTEN=127.0.0.1:9000", "JANELA_WHATSAPP_SENDERS=7", "JANELA_WHATSAPP_SYNC_EVERY=1m",
		"JANELA_SANDBOX_SEED=-4", "JANELA_SANDBOX_QUIET=true", "JANELA_CAMPAIGNS_FOUR_EYES=1", "JANELA_LOG_LEVEL=debug", "JANELA_WHATSAPP_TOKEN=abc=def", "JANELA_WHATSAPP_APP_SECRET="})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "settings", []any{cfg.HTTP.Listen, cfg.WhatsApp.Senders, cfg.WhatsApp.SyncEvery, cfg.Sandbox.Seed, cfg.Sandbox.Quiet, cfg.Campaigns.FourEyes, cfg.Log.Level, cfg.WhatsApp.Token},
		[]any{"127.0.0.1:9000", 7, time.Minute, int64(-4), true, true, "debug", "abc=def"})
}

// Every scalar key can be set by the environment, by the name that its path
// makes.
func TestEverySettingHasAVariable(t *testing.T) {
	cfg := Defaults()
	var environ []string
	keys(reflect.ValueOf(&cfg).Elem(), "", func(path string, v reflect.Value, _ bool) {
		if strings.Contains(path, "accounts") || strings.Contains(path, "*") || strings.HasPrefix(path, "hooks.") || strings.HasPrefix(path, "optin.keywords.") || v.Kind() == reflect.Slice {
			return
		}
		environ = append(environ, "JANELA_"+strings.ToUpper(strings.ReplaceAll(path, ".", "_"))+"="+fmt.Sprint(v.Interface()))
	})
	before := Defaults()
	if problems := overlay(&cfg, environ); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
	if !reflect.DeepEqual(cfg, before) {
		t.Errorf("the defaults, laid over themselves, are %+v", cfg)
	}
}

func TestEnvironmentFaults(t *testing.T) {
	path := file(t, t.TempDir(), "config.toml", small, 0o644)
	_, err := Load(path, []string{"JANELA_HTTP_LISTN=secret-1", "JANELA_WHATSAPP_SENDERS=secret-2", "JANELA_WHATSAPP_DRAIN=secret-3", "JANELA_SANDBOX_QUIET=secret-4",
		"JANELA_POETRY_ABOUT_THE_SEA=secret-5", "JANELA_WHATSAPP_TOKN=secret-6", "JANELA_SANDBOX_SEED=9999999999999999999", "JANELA_WHATSAPP_ACCOUNTS=secret-7"})
	if err == nil {
		t.Fatal("it loaded")
	}
	if strings.Contains(err.Error(), "secret-") {
		t.Errorf("a value is repeated: %v", err)
	}
	golden(t, "environment.golden", err.Error()+"\n")
}

// A secret in the file is refused, and stands in no error, whatever is wrong
// with it.
func TestSecretsInTheFile(t *testing.T) {
	dir := t.TempDir() // a subtest's own would hold the secret in its name
	for _, line := range []string{`token = "EAAsecret"`, `app_secret = "EAAsecret"`, `verify_token = "EAAsecret"`, `token = ["EAAsecret"]`, `token = {a = "EAAsecret"}`,
		`token = "EAAsecret`, `tokn = "EAAsecret"`, `Token = "EAAsecret"`, `token_file = "EAAsecret`, `token = EAAsecret`} {
		t.Run(line, func(t *testing.T) {
			path := file(t, dir, "config.toml", "[whatsapp]\n"+line+"\n"+small, 0o644)
			_, err := Load(path, nil)
			if err == nil {
				t.Fatal("it loaded")
			}
			if strings.Contains(err.Error(), "EAAsecret") {
				t.Errorf("the error repeats the secret: %v", err)
			}
			if !strings.Contains(err.Error(), "config.toml:2:") {
				t.Errorf("the error does not say where: %v", err)
			}
		})
	}
	own := file(t, t.TempDir(), "config.toml", strings.Replace(small, "[[whatsapp.accounts.n", "token = \"EAAsecret\"\n[[whatsapp.accounts.n", 1), 0o644)
	if _, err := Load(own, nil); err == nil || strings.Contains(err.Error(), "EAAsecret") {
		t.Errorf("an account's own: %v", err)
	}
}

func TestSecretFileModes(t *testing.T) {
	dir := t.TempDir()
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o644: false, 0o660: false, 0o601: false} {
		err := checkSecretFile(file(t, dir, fmt.Sprintf("m%o", mode), "x", mode))
		if (err == nil) != ok {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("mode %04o", mode)) {
			t.Errorf("mode %04o: the error says %v", mode, err)
		}
	}
	if err := checkSecretFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A token is read again when its file changed, and not looked at more than once
// a second.
func TestSecretFileIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		path := file(t, dir, "token", " one\n", 0o600)
		read := secret("", path)
		get := func() string {
			t.Helper()
			b, err := read()
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		want(t, "first", get(), "one")
		file(t, dir, "token", "another\n", 0o600)
		want(t, "at once", get(), "one")
		time.Sleep(lookEvery)
		want(t, "after a second", get(), "another")

		time.Sleep(lookEvery)
		file(t, dir, "token", "more readable", 0o644)
		if _, err := read(); err == nil || !strings.Contains(err.Error(), "can be read by others") || strings.Contains(err.Error(), "more readable") {
			t.Errorf("readable by others: %v", err)
		}
		file(t, dir, "token", " \n", 0o600)
		time.Sleep(lookEvery)
		if b, err := read(); err == nil || !strings.Contains(err.Error(), "is empty") {
			t.Errorf("an empty file gave %q, %v", b, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		if _, err := read(); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("no file: %v", err)
		}
		file(t, dir, "token", "back", 0o600)
		want(t, "back", get(), "back")
	})
	fixed, err := secret(" value ", "")()
	if err != nil || string(fixed) != "value" {
		t.Errorf("from the environment: %q %v", fixed, err)
	}
}

func TestLines(t *testing.T) {
	var got []string
	for _, l := range lines([]byte(" one\r\n\n\ttwo \n")) {
		got = append(got, string(l))
	}
	want(t, "secrets", got, []string{"one", "two"})
}

func FuzzLoad(f *testing.F) {
	if data, err := os.ReadFile(shipped); err == nil {
		f.Add(string(data))
	}
	files, _ := filepath.Glob("testdata/faults-*.toml")
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(string(data))
		}
	}
	for _, path := range []string{"/x y", "/{", "/a/{b...}/c", "//", "/healthz", "/metrics", "/a/../b", "/%zz", "/\u00e9"} {
		f.Add(small + "[http]\nwebhook_path = \"" + path + "\"\n")
	}
	f.Add(small)
	f.Add("[whatsapp]\ntoken = 'EAAsecret'")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := Load(file(t, dir, "config.toml", text, 0o600), nil)
		if err != nil {
			var problems tomlfile.Problems
			if !errors.As(err, &problems) && len(text) <= maxConfig {
				t.Fatalf("an error without places: %v", err)
			}
			for _, p := range problems {
				if p.Message == "" || p.Line < 1 || p.Column < 1 {
					t.Fatalf("a problem without place or words: %+v", p)
				}
			}
			return
		}
		if cfg.WhatsApp.Token+cfg.WhatsApp.AppSecret+cfg.WhatsApp.VerifyToken != "" {
			t.Fatal("a secret came from the file")
		}
		// What is right can be served.
		mux := http.NewServeMux()
		routes(mux, http.NotFoundHandler(), http.NotFoundHandler(), func(http.ResponseWriter, *http.Request) {})
		mux.Handle(cfg.HTTP.WebhookPath, http.NotFoundHandler())
	})
}

// A Graph version that ends is warned of, with a real account only.
func TestGraphVersionThatEnds(t *testing.T) {
	end := graphEnds[Defaults().WhatsApp.GraphVersion]
	if end.IsZero() {
		t.Fatal("nobody knows when the default Graph version ends: add it to graphEnds")
	}
	for _, tt := range []struct {
		url, version string
		now          time.Time
		warns        bool
	}{
		{"https://graph.facebook.com", "v25.0", end.Add(-graphWarning - time.Hour), false},
		{"https://graph.facebook.com", "v25.0", end.Add(-graphWarning + time.Hour), true},
		{"https://graph.facebook.com", "v25.0", end.Add(time.Hour), true},
		{"", "v25.0", end.Add(time.Hour), false},
		{"https://graph.facebook.com", "v99.0", end.Add(time.Hour), false},
	} {
		var log bytes.Buffer
		d := &Daemon{cfg: Config{WhatsApp: WhatsAppConfig{GraphURL: tt.url, GraphVersion: tt.version}}, log: slog.New(slog.NewTextHandler(&log, nil))}
		d.warnGraph(tt.now)
		if got := log.Len() > 0; got != tt.warns {
			t.Errorf("%s %s at %v: warned %v", tt.url, tt.version, tt.now, got)
		}
	}
}
