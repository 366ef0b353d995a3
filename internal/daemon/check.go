package daemon

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"janela/internal/httpapi"
	"janela/internal/retention"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

var (
	versionForm = regexp.MustCompile(`^v\d+\.\d+$`)
	idForm      = regexp.MustCompile(`^\d{5,32}$`)
	nameForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	pathForm    = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)
)

// ownPaths are answered by the daemon itself.
var ownPaths = append([]string{"/healthz", "/readyz", "/metrics"}, httpapi.PublicPaths()...)

// checker gathers the problems of one configuration.
type checker struct {
	cfg *Config
	doc *tomlfile.Document
	out tomlfile.Problems
}

func (k *checker) fault(path, message, hint string) {
	k.out = append(k.out, k.doc.Problem(path, message, hint))
}

// check finds what is wrong beyond the types of single keys.
func (c *Config) check(doc *tomlfile.Document) tomlfile.Problems {
	k := &checker{cfg: c, doc: doc}
	k.store()
	k.whatsapp()
	k.accounts()
	k.campaigns()
	k.optin()
	k.otp()
	k.keywords()
	k.hooks()
	k.retention()
	k.http()
	k.backup()
	return k.out
}

func (k *checker) store() {
	if k.cfg.Store.Path == "" {
		k.fault("store.path", "path is empty", `write where the database goes, path = "var/janela.db"`)
	}
	if n := k.cfg.Store.ReserveMB; n < 0 || n > 1<<30 {
		k.fault("store.reserve_mb", fmt.Sprintf("%d MiB cannot be kept free", n), "leave it out: a twentieth of the disk, from 512 to 4096")
	}
	k.oneOf("log.level", k.cfg.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", k.cfg.Log.Format, "auto", "text", "json")
}

func (k *checker) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		k.fault(path, fmt.Sprintf("%q is not known", value), "write one of "+strings.Join(allowed, ", "))
	}
}

func (k *checker) whatsapp() {
	w := k.cfg.WhatsApp
	if !versionForm.MatchString(w.GraphVersion) {
		k.fault("whatsapp.graph_version", fmt.Sprintf("%q is no version", w.GraphVersion), "write v25.0")
	}
	if w.CallbackURL != "" {
		if fault := checkCallback(w.CallbackURL); fault != "" {
			k.fault("whatsapp.callback_url", fault, "write the public address of webhook_path, https://wa.example.com/webhooks/whatsapp")
		}
	}
	if w.GraphURL != "" {
		u, err := url.Parse(w.GraphURL)
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
			k.fault("whatsapp.graph_url", "graph_url is no address", `write https://graph.facebook.com, or leave it out for the sandbox`)
		case u.Scheme == "http" && !loopback(u.Hostname()):
			k.fault("whatsapp.graph_url", "the token would travel unencrypted", "write https://")
		}
		k.secret("token", w.Token, w.TokenFile, k.everyAccountHasToken())
		k.secret("app_secret", w.AppSecret, w.AppSecretFile, false)
		k.secret("verify_token", w.VerifyToken, w.VerifyTokenFile, false)
	}
	k.loopback("sandbox.listen", k.cfg.Sandbox.Listen, "127.0.0.1:0")
	k.atLeast("whatsapp.sync_every", w.SyncEvery, 10*time.Second)
	k.atLeast("whatsapp.send_timeout", w.SendTimeout, time.Second)
	k.atLeast("whatsapp.drain", w.Drain, time.Second)
	k.atLeast("whatsapp.webhook_silent", w.WebhookSilent, time.Minute)
	k.oneOf("whatsapp.marketing_endpoint", w.MarketingEndpoint, endpointMessages, endpointMarketing)
	k.oneOf("whatsapp.product_policy", w.ProductPolicy, policies...)
	k.oneOf("whatsapp.message_activity_sharing", w.ActivitySharing, sharingDefault, sharingOn, sharingOff)
	k.oneOf("whatsapp.on_unknown", w.OnUnknown, onPark, onResendAfter)
	k.oneOf("whatsapp.on_ttl_expired", w.OnTTLExpired, onPark, onResend)
	k.atLeast("whatsapp.resend_after", w.ResendAfter, time.Minute)
	if w.Senders < 1 || w.Senders > 1000 {
		k.fault("whatsapp.senders", "senders must be from 1 to 1000", "64 suits most")
	}
}

// retention wants nothing to go of which Meta may still tell.
func (k *checker) retention() {
	r := k.cfg.Retention
	for _, one := range []struct {
		key         string
		have, least int
		why         string
	}{{"messages_days", r.MessagesDays, int(retention.LeastMessages / days(1)), "Meta may tell of a message for so long"},
		{"callbacks_days", r.CallbacksDays, int(retention.LeastCallbacks / days(1)), "Meta may post a callback again"}} {
		if one.have != 0 && (one.have < one.least || one.have > 36500) {
			k.fault("retention."+one.key, fmt.Sprintf("%d days cannot be", one.have), fmt.Sprintf("write at least %d, because %s; or 0: for ever", one.least, one.why))
		}
	}
}

func (k *checker) everyAccountHasToken() bool {
	for _, a := range k.cfg.WhatsApp.Accounts {
		if a.TokenFile == "" {
			return false
		}
	}
	return len(k.cfg.WhatsApp.Accounts) > 0
}

func (k *checker) atLeast(path string, d, least time.Duration) {
	if d < least {
		k.fault(path, fmt.Sprintf("%v is too short", d), "write at least "+least.String())
	}
}

// secret wants exactly one source, and a file that others cannot read.
func (k *checker) secret(key, value, file string, optional bool) {
	path := "whatsapp." + key + "_file"
	switch {
	case value == "" && file == "" && !optional:
		k.fault(path, "with graph_url set, "+key+" is needed",
			fmt.Sprintf("name a file with mode 0600 as %s_file, or set JANELA_WHATSAPP_%s", key, strings.ToUpper(key)))
	case value != "" && file != "":
		k.fault(path, key+" is given twice, by the environment and by file", "keep one")
	case file != "":
		if err := checkSecretFile(k.cfg.file(file)); err != nil {
			k.fault(path, err.Error(), "")
		}
	}
}

// checkSecretFile refuses a secret that others on the machine can read.
func checkSecretFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("the secret cannot be read: %w", err)
	}
	others := os.FileMode(0o077)
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && filepath.Dir(path) == filepath.Clean(dir) {
		others = 0o037 // systemd lets the service read by an access list, which looks like the group's right
	}
	if info.Mode().Perm()&others != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o); run chmod 600 on it", path, info.Mode().Perm())
	}
	return nil
}

func (k *checker) accounts() {
	w := k.cfg.WhatsApp
	if len(w.Accounts) == 0 {
		k.fault("whatsapp", "no account is configured", "add [[whatsapp.accounts]] with id and [[whatsapp.accounts.numbers]]")
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for i, a := range w.Accounts {
		at := fmt.Sprintf("whatsapp.accounts.%d", i)
		if !idForm.MatchString(a.ID) {
			k.fault(at+".id", fmt.Sprintf("%q is no account id", a.ID), "it is the number Meta shows as WhatsApp Business Account ID")
		}
		if a.TokenFile != "" {
			if err := checkSecretFile(k.cfg.file(a.TokenFile)); err != nil {
				k.fault(at+".token_file", err.Error(), "")
			}
		}
		if len(a.Numbers) == 0 {
			k.fault(at, "the account has no number", "add [[whatsapp.accounts.numbers]] with id and name")
		}
		for j, n := range a.Numbers {
			at := fmt.Sprintf("%s.numbers.%d", at, j)
			if !idForm.MatchString(n.ID) {
				k.fault(at+".id", fmt.Sprintf("%q is no phone_number_id", n.ID), "it is Meta's id of the number, not the number itself")
			}
			if !nameForm.MatchString(n.Name) {
				k.fault(at+".name", fmt.Sprintf("%q is no name", n.Name), "use a to z, 0 to 9, - and _, at most 32")
			}
			if names[n.Name] {
				k.fault(at+".name", fmt.Sprintf("two numbers are called %q", n.Name), "campaigns name numbers by it: make it unique")
			}
			if ids[n.ID] {
				k.fault(at+".id", fmt.Sprintf("the number %s stands twice", n.ID), "remove one")
			}
			if n.PerSecond < 0 || n.PerSecond > 100_000 {
				k.fault(at+".per_second", "per_second must be from 0 to 100000", "leave it out for Meta's default of 80; Meta allows 1000 at most")
			}
			names[n.Name], ids[n.ID] = true, true
		}
	}
}

func (k *checker) campaigns() {
	c := k.cfg.Campaigns
	if c.Folder == "" {
		k.fault("campaigns.folder", "folder is empty", `write folder = "campaigns.d"`)
	}
	if c.Timezone != "" {
		if _, err := time.LoadLocation(c.Timezone); err != nil || c.Timezone == "Local" {
			k.fault("campaigns.timezone", fmt.Sprintf("%q is no time zone", c.Timezone), "write an IANA name like America/Sao_Paulo")
		}
	}
	if c.Approval != "" {
		k.oneOf("campaigns.approval", c.Approval, "off", "marketing", "all")
	}
	k.atLeast("campaigns.poll", c.Poll, 50*time.Millisecond)
	k.atLeast("campaigns.stable", c.Stable, 100*time.Millisecond)
	for i, n := range c.TestNumbers {
		if _, err := whatsapp.ParsePhone(n, c.Region); err != nil {
			k.fault(fmt.Sprintf("campaigns.test_numbers.%d", i), err.Error(), "write it with its plus, +5511900000001")
		}
	}
}

func (k *checker) http() {
	h := k.cfg.HTTP
	k.address("http", h.Listen, h.TLSCert, h.TLSKey, "127.0.0.1:8790")
	if w := k.cfg.Webhook; w.Listen != "" {
		k.address("webhook", w.Listen, w.TLSCert, w.TLSKey, "0.0.0.0:8443")
	} else if w.TLSCert != "" || w.TLSKey != "" {
		k.fault("webhook.tls_cert", "without listen, callbacks come at [http] listen", "give webhook.listen, or take it out")
	}
	if c := k.cfg.Console; c.Listen != "" {
		k.address("console", c.Listen, c.TLSCert, c.TLSKey, "127.0.0.1:8792")
	} else if c.TLSCert != "" || c.TLSKey != "" {
		k.fault("console.tls_cert", "without listen, there is no console", "give console.listen, or take it out")
	}
	if n := h.KeyPerSecond; n != -1 && (n < 1 || n > 100_000) {
		k.fault("http.key_per_second", fmt.Sprintf("%v requests a second cannot be allowed", n), "write 1 to 100000, or -1 for no bound")
	}
	switch {
	case !pathForm.MatchString(h.WebhookPath) || path.Clean(h.WebhookPath) != h.WebhookPath:
		k.fault("http.webhook_path", fmt.Sprintf("%q is no path", h.WebhookPath), "it starts with a slash, of letters, digits and - . _ ~: /webhooks/whatsapp")
	case slices.ContainsFunc(ownPaths, func(own string) bool { return h.WebhookPath == own || strings.HasPrefix(h.WebhookPath, own+"/") }):
		k.fault("http.webhook_path", h.WebhookPath+" is janela's own", "write /webhooks/whatsapp")
	}
}

func (k *checker) optin() {
	if k.cfg.Optin.KeyFile == "" {
		k.fault("optin.key_file", "the key of the consent ledger has no place", "write var/optin.key")
	}
}

// loopback wants an address of this machine only.
func (k *checker) loopback(path, address, example string) {
	if host, _, err := net.SplitHostPort(address); err != nil || !loopback(host) {
		k.fault(path, fmt.Sprintf("%q is no loopback address", address), "write host:port, "+example)
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
