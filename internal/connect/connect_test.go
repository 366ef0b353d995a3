package connect

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"janela/internal/daemon"
	"janela/internal/httpapi"
	"janela/internal/sandbox"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp/cloudapi"
)

const (
	token  = "sandbox-token"
	secret = "sandbox-app-secret"
	waba   = "300000000000001"
	first1 = "400000000000001"
	second = "400000000000002"
)

// meta is a sandbox with an account of two numbers.
func meta(t *testing.T) (*sandbox.Sandbox, string) {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{Token: token, AppSecret: secret, VerifyToken: "v", Profile: sandbox.Quiet(), Seed: 1,
		WABAs: []sandbox.WABA{{ID: waba, Name: "Loja", Unsubscribed: true, Numbers: []sandbox.Number{
			{ID: first1, Display: "+1 202-555-0100", VerifiedName: "Loja do Zé"}, {ID: second, Display: "+1 202-555-0101", VerifiedName: "Loja do Zé"}}}},
		Templates: sandbox.DefaultTemplates(waba)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(func() {
		srv.Close()
		_ = s.Close()
	})
	return s, srv.URL
}

var errNoDaemon = errors.New("none in this test")

// runs connects as far as the daemon, and returns what was told.
func runs(t *testing.T, config, url string, numbers ...Wanted) (steps []Step, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(config), 0o640); err != nil {
		t.Fatal(err)
	}
	again(t, path, url, &steps, numbers...)
	return steps, path
}

func again(t *testing.T, path, url string, steps *[]Step, numbers ...Wanted) {
	t.Helper()
	given := []string{token, secret}
	*steps = nil
	_, err := Run(context.Background(), Options{Path: path, GraphURL: url, CallbackURL: "https://wa.example.com/webhooks/whatsapp", Numbers: numbers,
		Tell: func(s Step) {
			*steps = append(*steps, s)
			for _, hidden := range []string{token, secret} {
				if strings.Contains(s.Text+s.Fix, hidden) {
					t.Errorf("a step shows a secret: %+v", s)
				}
			}
		},
		Secret: func(string) (string, error) {
			if len(given) == 0 {
				return "", errors.New("asked too often")
			}
			s := given[0]
			given = given[1:]
			return s, nil
		},
		Daemon: func(context.Context, daemon.Config) (*httpapi.Client, bool, func() error, error) {
			return nil, false, nil, errNoDaemon
		}})
	var failed *Error
	if !errors.As(err, &failed) || failed.Step.Name != "daemon" || failed.Step.Fix == "" {
		t.Fatalf("it went on, or failed elsewhere: %v", err)
	}
}

// lines that are new, and lines that have gone.
func differences(before, after string) (added, gone []string) {
	count := map[string]int{}
	for _, l := range strings.Split(before, "\n") {
		count[l]++
	}
	for _, l := range strings.Split(after, "\n") {
		if count[l]--; count[l] < 0 && l != "" {
			added = append(added, l)
			count[l] = 0
		}
	}
	for _, l := range strings.Split(before, "\n") {
		if count[l] > 0 && l != "" {
			gone = append(gone, l)
			count[l]--
		}
	}
	return added, gone
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The repository's own config.toml: the example gives way, every comment and
// every other key stays, the file as it was is kept, and a second run changes
// nothing.
func TestShippedConfig(t *testing.T) {
	_, url := meta(t)
	shipped := read(t, filepath.Join("..", "..", "config.toml"))
	steps, path := runs(t, shipped, url)
	added, gone := differences(shipped, read(t, path))
	wantAdded := []string{`graph_url = "` + url + `"`, `callback_url = "https://wa.example.com/webhooks/whatsapp"`, `token_file = "secrets/token"`, `app_secret_file = "secrets/app-secret"`,
		`verify_token_file = "secrets/verify-token"`, `id = "` + waba + `"            # WhatsApp Business Account ID`,
		`  id = "` + first1 + `"          # phone_number_id`, `  [[whatsapp.accounts.numbers]]`, `  id = "` + second + `"`, `  name = "loja-do-ze"`, `number = "loja"                       # name of the number that sends them; "" where there is only one`}
	if diff := cmp.Diff(wantAdded, added); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	wantGone := []string{`id = "100000000000001"            # WhatsApp Business Account ID`, `  id = "200000000000001"          # phone_number_id`,
		`number = ""                       # name of the number that sends them; "" where there is only one`}
	if diff := cmp.Diff(wantGone, gone); diff != "" {
		t.Errorf("gone (-want +got):\n%s", diff)
	}
	kept, err := filepath.Glob(path + ".before-*")
	if err != nil || len(kept) != 1 || read(t, kept[0]) != shipped {
		t.Errorf("the file as it was: %v %v", kept, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode: %v %v", info.Mode(), err)
	}
	for name, want := range map[string]string{"token": token, "app-secret": secret} {
		file := filepath.Join(filepath.Dir(path), "secrets", name)
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || strings.TrimSpace(read(t, file)) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if steps[6].Result != Changed {
		t.Errorf("%+v", steps[6])
	}
	before := read(t, path)
	again(t, path, url, &steps)
	if steps[5].Result != Kept || steps[6].Result != Kept || read(t, path) != before {
		t.Errorf("a second run changed something: %+v", steps)
	}
	if more, _ := filepath.Glob(path + ".before-*"); len(more) != 1 {
		t.Errorf("a second run kept the file again: %v", more)
	}
}

// One number first, another later: the first stays as it is, under the name that
// it was given.
func TestAddNumber(t *testing.T) {
	_, url := meta(t)
	steps, path := runs(t, "[store]\npath = \"janela.db\"\n", url, Wanted{ID: first1, Name: "vendas"})
	before := read(t, path)
	if !strings.Contains(before, `name = "vendas"`) || strings.Contains(before, second) {
		t.Fatal(before)
	}
	again(t, path, url, &steps, Wanted{ID: second, Name: "sac"})
	added, gone := differences(before, read(t, path))
	if diff := cmp.Diff([]string{"  [[whatsapp.accounts.numbers]]", `  id = "` + second + `"`, `  name = "sac"`}, added); diff != "" || len(gone) > 0 {
		t.Errorf("%s %v", diff, gone)
	}
	cfg, err := daemon.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []daemon.AccountConfig{{ID: waba, Numbers: []daemon.NumberConfig{{ID: first1, Name: "vendas"}, {ID: second, Name: "sac"}}}}
	if diff := cmp.Diff(want, cfg.WhatsApp.Accounts); diff != "" {
		t.Error(diff)
	}
}

// A file that only its writer should change is left as it is, and what to write
// is said.
func TestByHand(t *testing.T) {
	_, url := meta(t)
	const inline = "whatsapp = {senders = 8}\n"
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(inline), 0o600); err != nil {
		t.Fatal(err)
	}
	given := []string{token, secret}
	_, err := Run(context.Background(), Options{Path: path, GraphURL: url, Tell: func(Step) {}, Secret: func(string) (string, error) {
		s := given[0]
		given = given[1:]
		return s, nil
	}})
	var failed *Error
	if !errors.As(err, &failed) || failed.Step.Name != "configuration" || !strings.Contains(failed.Step.Fix, `id = "`+second+`"`) || read(t, path) != inline {
		t.Errorf("%v\n%s", err, read(t, path))
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{"Loja do Zé": "loja-do-ze", "  ACME, Inc. ": "acme-inc", "日本": "", "São João & Cia Ltda de Comércio": "sao-joao-cia-ltda-de-com", "": ""} {
		if got := slug(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	h := &house{}
	taken := map[string]bool{"loja": true, "loja-2": true}
	if got := h.nameOf(cloudapi.Number{ID: "1", VerifiedName: "Loja"}, taken); got != "loja-3" {
		t.Error(got)
	}
	if got := h.nameOf(cloudapi.Number{ID: "1", VerifiedName: "日本"}, taken); got != "number" {
		t.Error(got)
	}
}

// A configuration that would have faults is not written: the file stays, and so
// does everything beside it.
func TestFaultsAreNotWritten(t *testing.T) {
	_, url := meta(t)
	const before = "[store]\npath = \"janela.db\"\n"
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	given := []string{token, secret}
	_, err := Run(context.Background(), Options{Path: path, GraphURL: url, Numbers: []Wanted{{ID: first1, Name: "Not A Name"}}, Tell: func(Step) {}, Secret: func(string) (string, error) {
		s := given[0]
		given = given[1:]
		return s, nil
	}})
	var failed *Error
	if !errors.As(err, &failed) || failed.Step.Name != "configuration" || !strings.Contains(failed.Step.Text, "is no name") {
		t.Errorf("%v", err)
	}
	if others, _ := filepath.Glob(path + ".*"); read(t, path) != before || len(others) > 0 {
		t.Errorf("%v\n%s", others, read(t, path))
	}
}

// The sandbox's database is not the real account's.
func TestDatabaseOfItsOwn(t *testing.T) {
	_, url := meta(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	for name, text := range map[string]string{"config.toml": "[store]\npath = \"sub/janela.db\" # here\n", "sub/janela.db": "the sandbox's"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var steps []Step
	again(t, path, url, &steps)
	if got := read(t, path); !strings.Contains(got, "path = \"sub/live.db\" # here") || !strings.Contains(steps[6].Text, "sub/live.db") {
		t.Errorf("%s\n%+v", got, steps[6])
	}
	before := read(t, path)
	if again(t, path, url, &steps); read(t, path) != before {
		t.Errorf("it moved again: %s", read(t, path))
	}
}

// Without accounts on the token they are found by the portfolio, that is named or
// that the token belongs to.
func TestAccountsOfTheBusiness(t *testing.T) {
	s, url := meta(t)
	for _, business := range []string{"", s.App().Business} {
		h := &house{Options: Options{Business: business}}
		h.graph = cloudapi.New(cloudapi.Config{BaseURL: url, Token: func() (string, error) { return token, nil }})
		if diff := cmp.Diff([]string{waba}, h.known(t.Context())); diff != "" {
			t.Errorf("%q: %s", business, diff)
		}
		h.graph.Close()
	}
	h := &house{info: cloudapi.Token{Accounts: []string{"1", "2"}}}
	if diff := cmp.Diff([]string{"1", "2"}, h.known(t.Context())); diff != "" {
		t.Error(diff)
	}
}

// An account's own token is rotated alone; Meta is asked first.
func TestRotateOwnToken(t *testing.T) {
	s, url := meta(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	config := "[whatsapp]\ngraph_url = \"" + url + "\"\ntoken_file = \"shared\"\napp_secret_file = \"app\"\nverify_token_file = \"verify\"\n[[whatsapp.accounts]]\nid = \"" + waba +
		"\"\ntoken_file = \"own\"\n  [[whatsapp.accounts.numbers]]\n  id = \"" + first1 + "\"\n  name = \"loja\"\n"
	for name, text := range map[string]string{"config.toml": config, "shared": "old", "own": "old", "app": secret, "verify": "v"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rotate := func(give string, accounts ...string) error {
		_, err := Rotate(context.Background(), Options{Path: path, Accounts: accounts, Tell: func(Step) {}, Secret: func(string) (string, error) { return give, nil },
			Daemon: func(context.Context, daemon.Config) (*httpapi.Client, bool, func() error, error) {
				return nil, false, nil, errNoDaemon
			}})
		return err
	}
	var failed *Error
	if err := rotate("wrong", waba); !errors.As(err, &failed) || failed.Step.Name != "new token" || read(t, filepath.Join(dir, "own")) != "old" {
		t.Errorf("a token that Meta refuses: %v", err)
	}
	if err := rotate(token, "99999"); !errors.As(err, &failed) || !strings.Contains(failed.Step.Text, "no token of its own") {
		t.Errorf("another account: %v", err)
	}
	if err := rotate(token, waba); err != nil || strings.TrimSpace(read(t, filepath.Join(dir, "own"))) != token || read(t, filepath.Join(dir, "shared")) != "old" {
		t.Errorf("its own: %v", err)
	}
	if err := s.SetApp(sandbox.AppChange{Scopes: &[]string{"whatsapp_business_management"}}); err != nil {
		t.Fatal(err)
	}
	if err := rotate(token, waba); !errors.As(err, &failed) || failed.Step.Name != "permissions" {
		t.Errorf("a token without a permission: %v", err)
	}
}

// A change by which the file would say anything else than is meant is not taken,
// however little it is; and the file itself, as it was, is.
func TestAnEditSaysWhatIsMeant(t *testing.T) {
	text, err := os.ReadFile("../../config.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := daemon.Defaults()
	if _, problems := tomlfile.Decode("config.toml", text, &want); problems.HasErrors() {
		t.Fatal(problems)
	}
	if err := says("config.toml", string(text), want); err != nil {
		t.Errorf("the file itself: %v", err)
	}
	for before, after := range map[string]string{`name = "loja"`: `name = "loja2"`, `senders = 64`: `senders = 63`, `latency = "40ms"`: `latency = "41ms"`} {
		changed := strings.Replace(string(text), before, after, 1)
		if changed == string(text) {
			t.Fatalf("config.toml does not say %s", before)
		}
		if err := says("config.toml", changed, want); err == nil || !strings.Contains(err.Error(), "something else than is meant") {
			t.Errorf("%s is taken for %s: %v", after, before, err)
		}
	}
	var problems tomlfile.Problems
	if err := says("config.toml", string(text)+"\n[http\n", want); !errors.As(err, &problems) {
		t.Errorf("what cannot be read: %v", err)
	}
}
