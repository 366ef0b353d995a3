package daemon

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"janela/internal/account"
	"janela/internal/httpapi"
	"janela/internal/store"
)

// Every key either holds from a reload on or is said to take a restart.
func TestEveryKeyIsLiveOrTakesARestart(t *testing.T) {
	tables := map[string][]string{}
	keysOf("", reflect.TypeFor[Config](), tables)
	n := 0
	for table, keys := range tables {
		for _, key := range keys {
			n++
			key := strings.TrimPrefix(table+"."+key, ".")
			covers := func(by string) bool { return key == by || strings.HasPrefix(key, by+".") }
			restart := slices.ContainsFunc(restarts, func(r [2]string) bool { return covers(r[0]) })
			if live := slices.ContainsFunc(lives, covers); !live && !restart {
				t.Errorf("%s is in neither lives nor restarts of reload.go", key)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d keys were found", n)
	}
	docs := map[string]bool{}
	for _, row := range rowsOf(t, "docs/operations.md", "| takes a restart | because |") {
		for _, m := range ticked.FindAllStringSubmatch(row[0], -1) {
			docs[m[1]] = true
		}
	}
	code := map[string]bool{keyAccounts: true, keyPurposes: true}
	for _, r := range restarts {
		code[r[0]] = true
	}
	for k := range code {
		if !docs[k] {
			t.Errorf("docs/operations.md does not say that %s takes a restart", k)
		}
	}
	for k := range docs {
		if !code[k] {
			t.Errorf("docs/operations.md says that %s takes a restart", k)
		}
	}
}

const before = `
[whatsapp]
drain = "20s"
[[whatsapp.accounts]]
id = "100000000000001"
  [[whatsapp.accounts.numbers]]
  id = "200000000000001"
  name = "loja"
  per_second = 10
[optin]
double_opt_in = false
[otp.limits]
cooldown = "30s"
[otp.purposes.login]
template = "codigo"
languages = ["pt_BR"]
[[hooks]]
name = "bot"
url = "https://bot.example/first-secret"
mode = "passthrough"
[campaigns]
test_numbers = ["+5511900000001"]
timezone = "America/Sao_Paulo"
`

const after = `
[store]
reserve_mb = 77
[whatsapp]
drain = "25s"
senders = 65
[[whatsapp.accounts]]
id = "100000000000001"
  [[whatsapp.accounts.numbers]]
  id = "200000000000001"
  name = "loja"
  per_second = 20
[optin]
double_opt_in = true
[otp]
max_sends_24h = 77
[otp.limits]
cooldown = "40s"
[otp.purposes.login]
template = "codigo"
languages = ["pt_BR"]
[[hooks]]
name = "bot"
url = "https://bot.example/second-secret"
mode = "passthrough"
[[hooks]]
name = "crm"
url = "https://crm.example/third-secret"
mode = "passthrough"
[campaigns]
test_numbers = ["+5511900000002"]
timezone = "America/Manaus"
[backup]
dir = "backups"
keep = 3
[http]
listen = "127.0.0.1:9999"
`

// What may change holds from a reload on, what takes a restart does not and is
// told, and nothing secret is said.
func TestReload(t *testing.T) {
	bubbled(t, before, nil, func(d *Daemon, path string) {
		number := d.number(t)
		if got := d.perSecond(number); got != 10 {
			t.Fatalf("the number may send %v a second", got)
		}
		if out, err := d.Reload(context.Background(), "test"); err != nil || len(out.Changes) != 0 {
			t.Errorf("a reload of the same: %v %v", out, err)
		}
		write(t, path, after)
		out, err := d.Reload(context.Background(), "test")
		if err != nil {
			t.Fatal(err)
		}
		want := []httpapi.ReloadChange{
			{Key: "backup.dir", Before: "", After: "backups"},
			{Key: "backup.keep", Before: "14", After: "3"},
			{Key: "campaigns.test_numbers", Before: "…", After: "…"},
			{Key: "campaigns.timezone", Before: "America/Sao_Paulo", After: "America/Manaus"},
			{Key: "hooks.bot.url", Before: "…", After: "…"},
			{Key: "hooks.crm.mode", Before: "", After: "passthrough"},
			{Key: "hooks.crm.name", Before: "", After: "crm"},
			{Key: "hooks.crm.url", Before: "", After: "…"},
			{Key: "http.listen", Before: "127.0.0.1:8790", After: "127.0.0.1:9999", Restart: true},
			{Key: "optin.double_opt_in", Before: "false", After: "true"},
			{Key: "otp.limits.cooldown", Before: "30s", After: "40s"},
			{Key: "otp.max_sends_24h", Before: "1000", After: "77"},
			{Key: "store.reserve_mb", Before: "0", After: "77"},
			{Key: "whatsapp.accounts.100000000000001.numbers.200000000000001.per_second", Before: "10", After: "20"},
			{Key: "whatsapp.drain", Before: "20s", After: "25s"},
			{Key: "whatsapp.senders", Before: "64", After: "65", Restart: true},
		}
		if !reflect.DeepEqual(out.Changes, want) {
			t.Errorf("the changes are\n%+v, want\n%+v", out.Changes, want)
		}
		if got := d.perSecond(number); got != 20 {
			t.Errorf("the number may send %v a second", got)
		}
		if _, reserve, ok := d.guard.Disk(); !ok || reserve == 77<<20 {
			time.Sleep(2 * time.Second)
		}
		if _, reserve, _ := d.guard.Disk(); reserve != 77<<20 {
			t.Errorf("%d bytes are kept free", reserve)
		}
		if _, budget, err := d.budget(t); err != nil || budget != 77 {
			t.Errorf("%d codes may be sent: %v", budget, err)
		}
		if !d.backups.State().On {
			t.Error("no backups are made")
		}
		if d.now().HTTP.Listen != d.cfg.HTTP.Listen || d.now().WhatsApp.Senders != 64 {
			t.Error("what takes a restart holds already")
		}
		if h := d.health(context.Background()); !slices.ContainsFunc(h.Alerts, func(a string) bool { return strings.Contains(a, "whatsapp.senders, http") }) {
			t.Errorf("the alerts are %q", h.Alerts)
		}
		targets := 0
		if err := d.db.Read(context.Background(), func(q *store.Snap) error {
			all, err := d.hooks.Reports(q)
			targets = len(all)
			return err
		}); err != nil || targets != 2 {
			t.Errorf("%d targets: %v", targets, err)
		}

		// Back to what it began with: nothing waits any more.
		write(t, path, before)
		if _, err := d.Reload(context.Background(), "test"); err != nil {
			t.Fatal(err)
		}
		if w := d.waiting(); w != nil {
			t.Errorf("still %q", w)
		}
	})
}

// Anything wrong, and nothing changes.
func TestReloadOfWhatIsWrongChangesNothing(t *testing.T) {
	bubbled(t, before, nil, func(d *Daemon, path string) {
		was := d.now()
		for name, text := range map[string]string{
			"two faults":           strings.Replace(strings.Replace(after, "per_second = 20", "per_second = -1", 1), "Manaus", "Atlantis", 1),
			"no TOML":              "[[[",
			"a key nobody knows":   after + "\n[log]\nlevle = \"debug\"\n",
			"a secret that is not": strings.Replace(after, `mode = "passthrough"`, "mode = \"events\"\nsecret_file = \"nowhere\"", 1),
			"codes from no number": strings.Replace(after, "[otp]", "[otp]\nnumber = \"filial\"", 1),
			"a limit that is none": strings.Replace(after, `cooldown = "40s"`, `cooldown = "0s"`, 1),
		} {
			write(t, path, text)
			if out, err := d.Reload(context.Background(), "test"); err == nil {
				t.Errorf("%s: taken, with %v", name, out)
			}
			if d.now() != was || d.perSecond(d.number(t)) != 10 || d.backups.State().On || len(d.waiting()) > 0 {
				t.Errorf("%s: something has changed", name)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Reload(context.Background(), "test"); err == nil || d.now() != was {
			t.Errorf("no file: %v", err)
		}

		// The disk is full: it cannot be written down, and does not hold.
		write(t, path, after)
		d.db.Break(true)
		if _, err := d.Reload(context.Background(), "test"); err == nil || d.now() != was || d.backups.State().On {
			t.Errorf("on a full disk: %v", err)
		}
		d.db.Break(false)
		time.Sleep(10 * time.Second)
	})
}

// The sandbox keeps the numbers it began with, and codes are not switched on or
// off while it runs.
func TestReloadOfWhatTakesARestartAtTimes(t *testing.T) {
	more := strings.Replace(before, `  per_second = 10`, "  per_second = 30\n  [[whatsapp.accounts.numbers]]\n  id = \"200000000000002\"\n  name = \"filial\"", 1)
	none := before[:strings.Index(before, "[otp.limits]")] + before[strings.Index(before, "[[hooks]]"):]
	for name, c := range map[string]struct{ text, want string }{
		"another number": {strings.Replace(more, "[otp.limits]", "[otp]\nnumber = \"loja\"\n[otp.limits]", 1), keyAccounts},
		"no codes":       {none, keyPurposes},
	} {
		t.Run(name, func(t *testing.T) {
			bubbled(t, before, nil, func(d *Daemon, path string) {
				write(t, path, c.text)
				if _, err := d.Reload(context.Background(), "test"); err != nil {
					t.Fatal(err)
				}
				if w := strings.Join(d.waiting(), ""); !strings.Contains(w, c.want) || d.perSecond(d.number(t)) != 10 || !d.now().Codes() {
					t.Errorf("waiting: %q; the number may send %v; codes: %v", w, d.perSecond(d.number(t)), d.now().Codes())
				}
			})
		})
	}
}

// What is said of a change never has a secret, an address or a number in it.
func TestDiffSaysNothingSecret(t *testing.T) {
	a, b := Defaults(), Defaults()
	a.WhatsApp.Token, b.WhatsApp.Token = "token-of-before", "token-of-after"
	a.WhatsApp.AppSecret, b.WhatsApp.AppSecret = "secret-of-before", "secret-of-after"
	b.Campaigns.TestNumbers = []string{"+5511900000001"}
	b.OTP.Fallback.URL = "https://user:password@sms.example/token"
	b.Hooks = []HookConfig{{Name: "crm", URL: "https://crm.example/token"}}
	b.Optin.Confirm.EN = "a text for people"
	b.WhatsApp.GraphURL = "https://user:password@graph.example"
	all := diff(&a, &b)
	if len(all) < 8 {
		t.Fatalf("only %d changes: %v", len(all), all)
	}
	for _, c := range all {
		for _, secret := range []string{"token-of", "secret-of", "55119", "password", "example", "text for"} {
			if strings.Contains(c.Before+c.After, secret) {
				t.Errorf("%s: %q → %q", c.Key, c.Before, c.After)
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d *Daemon) number(t *testing.T) (n account.Number) {
	t.Helper()
	for _, a := range d.cfg.WhatsApp.Accounts {
		for _, c := range a.Numbers {
			n.ID, n.Name, n.WABA = c.ID, c.Name, a.ID
		}
	}
	return n
}

func (d *Daemon) budget(t *testing.T) (live, budget int64, err error) {
	t.Helper()
	err = d.db.Read(context.Background(), func(q *store.Snap) error {
		var err error
		live, budget, err = d.otp.Gauges(q)
		return err
	})
	return live, budget, err
}
