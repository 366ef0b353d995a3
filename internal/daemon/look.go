package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"janela/internal/httpapi"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp/cloudapi"
)

// What others than the daemon may ask of a configuration: commands that look at
// it, set it up, and change it.

// File makes a path of the configuration absolute.
func (c *Config) File(path string) string { return c.file(path) }

// SecretFile is a file that holds a secret.
type SecretFile struct {
	Key  string // in config.toml: whatsapp.token_file
	Path string // absolute
	Made bool   // the first start makes it, where it is missing
}

// SecretFiles lists the files that hold secrets.
func (c *Config) SecretFiles() []SecretFile {
	var out []SecretFile
	add := func(key, path string, made bool) {
		if path != "" {
			out = append(out, SecretFile{key, c.file(path), made})
		}
	}
	if !c.Embedded() {
		add("whatsapp.token_file", c.WhatsApp.TokenFile, false)
		add("whatsapp.app_secret_file", c.WhatsApp.AppSecretFile, false)
		add("whatsapp.verify_token_file", c.WhatsApp.VerifyTokenFile, false)
		for i, a := range c.WhatsApp.Accounts {
			add(fmt.Sprintf("whatsapp.accounts.%d.token_file", i), a.TokenFile, false)
		}
	}
	add("optin.key_file", c.Optin.KeyFile, true)
	if len(c.OTP.Purposes) > 0 {
		add("otp.key_file", c.OTP.KeyFile, true)
		add("otp.fallback.secret_file", c.OTP.Fallback.SecretFile, false)
	}
	add("http.tls_key", c.HTTP.TLSKey, false)
	add("webhook.tls_key", c.Webhook.TLSKey, false)
	for i, h := range c.Hooks {
		add(fmt.Sprintf("hooks.%d.secret_file", i), h.SecretFile, false)
	}
	return out
}

// read returns the secret of a key, from the environment or its file.
func (c *Config) read(value, file string) (string, error) {
	if value == "" && file == "" {
		return "", fmt.Errorf("it is not configured")
	}
	b, err := secret(value, c.file(file))()
	return string(b), err
}

// Token reads the access token of an account as it is now. An error says
// nothing of what is in it.
func (c *Config) Token(waba string) (string, error) {
	if c.Embedded() {
		return sandboxToken, nil
	}
	for _, a := range c.WhatsApp.Accounts {
		if a.ID == waba && a.TokenFile != "" {
			return c.read("", a.TokenFile)
		}
	}
	return c.read(c.WhatsApp.Token, c.WhatsApp.TokenFile)
}

// AppSecrets reads the app secrets, the newest first.
func (c *Config) AppSecrets() ([]string, error) {
	if c.Embedded() {
		return []string{sandboxSecret}, nil
	}
	text, err := c.read(c.WhatsApp.AppSecret, c.WhatsApp.AppSecretFile)
	var out []string
	for _, l := range lines([]byte(text)) {
		out = append(out, string(l))
	}
	return out, err
}

// VerifyToken reads what Meta's handshake must bring.
func (c *Config) VerifyToken() (string, error) {
	if c.Embedded() {
		return sandboxVerify, nil
	}
	return c.read(c.WhatsApp.VerifyToken, c.WhatsApp.VerifyTokenFile)
}

// Graph returns a client of the Graph API that shows a token. Close it.
func (c *Config) Graph(token func() (string, error)) *cloudapi.Client {
	return cloudapi.New(cloudapi.Config{BaseURL: c.WhatsApp.GraphURL, Version: c.WhatsApp.GraphVersion, Token: token,
		SendTimeout: 30 * time.Second, ReadTimeout: 15 * time.Second, MaxIdlePerHost: 4})
}

// GraphEnds says when a Graph API version ends; ok is false where that is not
// known.
func GraphEnds(version string) (end time.Time, ok bool) {
	end, ok = graphEnds[version]
	return end, ok
}

// Fingerprint is the beginning of a token's hash: enough to tell two tokens
// apart, and nothing to find one by.
func Fingerprint(token string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return hex.EncodeToString(sum[:4])
}

// checkCallback wants the address that Meta is to call.
func checkCallback(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "callback_url is no address"
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "Meta calls https addresses only"
	default:
		return ""
	}
}

// self is what only the running daemon knows.
func (d *Daemon) self() httpapi.Self {
	out := httpapi.Self{PID: os.Getpid(), Version: d.opt.Version, Started: d.started, HTTP: d.addr, Console: d.console, WebhookURL: d.callbacks,
		GraphURL: d.cfg.WhatsApp.GraphURL, GraphVersion: d.now().WhatsApp.GraphVersion, Tokens: map[string]string{}}
	if d.sandbox != nil {
		out.Sandbox = d.sandboxAddr()
	}
	for _, a := range d.now().WhatsApp.Accounts {
		for _, n := range a.Numbers {
			out.Numbers = append(out.Numbers, httpapi.SelfNumber{Account: a.ID, ID: n.ID, Name: n.Name})
		}
		if b, err := d.tokenOf(a.ID); err == nil {
			out.Tokens[a.ID] = Fingerprint(string(b))
		}
	}
	return out
}

// tokenOf is the token that an account's requests show now.
func (d *Daemon) tokenOf(waba string) ([]byte, error) {
	if own, ok := d.secrets.Load().tokens[waba]; ok {
		return own()
	}
	return d.secrets.Load().token()
}

// Warnings are what Load found that a person should look at.
func (c *Config) Warnings() tomlfile.Problems { return c.warnings }
