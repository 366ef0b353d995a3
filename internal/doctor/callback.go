package doctor

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"janela/internal/whatsapp/cloudapi"
	"janela/internal/whatsapp/webhook"
)

var (
	callbackUnreached   = declare("callback", "unreachable", FAIL, "{address} cannot be reached: {why}", "the proxy must forward {path} to {listen}, with a certificate that browsers trust; and [whatsapp] callback_url must be the address that Meta has")
	callbackHandshake   = declare("callback", "handshake", FAIL, "{address} does not pass Meta's handshake: {why}", "the verify token here and there must be the same; a proxy must pass the query on, and the answer unchanged")
	callbackOpen        = declare("callback", "handshake_open", FAIL, "{address} answers a handshake with a wrong verify token", "another program answers there: let the proxy forward {path} to {listen}")
	callbackSignature   = declare("callback", "signature", FAIL, "{address} does not take a callback that is signed with the app secret: {why}", "a proxy must pass body and headers on unchanged; if the secret was replaced, restart janela")
	callbackCertificate = declare("callback", "certificate", WARN, "the certificate of {address} ends on {end}", "renew it; Meta posts nothing to an address whose certificate has ended")
	callbackNone        = declare("callback", "no_address", WARN, "nobody told where Meta reaches us, so the way through the proxy is not tried", "write the public address into [whatsapp] callback_url: https://wa.example.com{path}; janela connect registers it")
)

// probe is a callback without content. It is the same every time, so that the
// daemon keeps it once.
var probe = []byte(`{"object":"whatsapp_business_account","entry":[]}`)

func (l *look) callback(ctx context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	if l.self == nil {
		return outcome{skip: "no daemon runs"}
	}
	verify, err := l.Config.VerifyToken()
	secrets, err2 := l.Config.AppSecrets()
	if err != nil || err2 != nil || len(secrets) == 0 {
		return outcome{skip: "the verify token or the app secret cannot be read"}
	}
	var o outcome
	own, public := l.self.WebhookURL, l.Config.WhatsApp.CallbackURL
	usual := l.HTTP
	l.HTTP = l.itself() // the certificate is for the name that Meta calls
	o.found = l.call(ctx, own, verify, secrets[0])
	l.HTTP = usual
	o.ok = own
	switch {
	case l.Offline || l.Config.Embedded() || public == own:
	case public == "":
		o.found = append(o.found, callbackNone.of("path", l.Config.HTTP.WebhookPath))
	default:
		o.found = append(o.found, l.call(ctx, public, verify, secrets[0])...)
		o.ok += ", " + public
	}
	return o
}

// itself calls this very machine, whose certificate has another name.
func (l *look) itself() *http.Client {
	c := *l.HTTP
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
		t.DisableKeepAlives = true
		c.Transport = t
	}
	return &c
}

// call does with an address what Meta does with it.
func (l *look) call(ctx context.Context, address, verify, secret string) (out []Finding) {
	at := []string{"address", address, "path", l.Config.HTTP.WebhookPath, "listen", l.Config.HTTP.Listen}
	challenge := rand.Text()
	status, body, end, err := l.shake(ctx, address, verify, challenge)
	switch {
	case err != nil:
		return append(out, callbackUnreached.of(append(at, "why", err.Error())...))
	case status == http.StatusNotFound || status >= 500:
		return append(out, callbackUnreached.of(append(at, "why", fmt.Sprintf("it answers %d", status))...))
	case status != http.StatusOK || body != challenge:
		return append(out, callbackHandshake.of(append(at, "why", fmt.Sprintf("it answers %d, and not with the challenge", status))...))
	}
	if !end.IsZero() && end.Before(l.Now().Add(tokenSoon)) {
		out = append(out, callbackCertificate.of(append(at, "end", end.Format(time.DateOnly))...))
	}
	if status, _, _, err := l.shake(ctx, address, "wrong "+challenge, challenge); err == nil && status == http.StatusOK {
		return append(out, callbackOpen.of(at...))
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(probe)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(probe))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(webhook.SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
		status, _, _, err = l.ask(req)
	}
	switch {
	case err != nil:
		out = append(out, callbackSignature.of(append(at, "why", err.Error())...))
	case status != http.StatusOK:
		out = append(out, callbackSignature.of(append(at, "why", fmt.Sprintf("it answers %d", status))...))
	}
	return out
}

// shake is Meta's handshake.
func (l *look) shake(ctx context.Context, address, verify, challenge string) (status int, body string, end time.Time, err error) {
	q := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {challenge}, "hub.verify_token": {verify}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+q.Encode(), nil)
	if err != nil {
		return 0, "", end, err
	}
	return l.ask(req)
}

// ask returns an answer, and the end of the certificate that it came with. No
// error shows the query.
func (l *look) ask(req *http.Request) (status int, body string, end time.Time, err error) {
	resp, err := l.HTTP.Do(req)
	if err != nil {
		if broken, ok := err.(*url.Error); ok { //nolint:errorlint // its text would repeat the verify token
			err = broken.Err
		}
		return 0, "", end, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		end = resp.TLS.PeerCertificates[0].NotAfter
	}
	return resp.StatusCode, string(b), end, err
}

var (
	subscriptionMissing = declare("subscription", "account_not_subscribed", FAIL, "the app does not hear of account {account}: no callback ever comes", "janela connect subscribes it (POST /{account}/subscribed_apps)")
	subscriptionUnread  = declare("subscription", "unreadable", WARN, "what the app hears cannot be read: {why}", "look in the App Dashboard, WhatsApp, Configuration")
	subscriptionSecret  = declare("subscription", "app_secret", FAIL, "Meta does not take the app secret for app {app}: the signature of every callback will be refused", "App Dashboard, App settings, Basic: copy the secret of this app into the app secret file")
	subscriptionNone    = declare("subscription", "no_callback_address", FAIL, "app {app} has no callback address", "write [whatsapp] callback_url and run janela connect; or App Dashboard, WhatsApp, Configuration")
	subscriptionOther   = declare("subscription", "other_address", FAIL, "app {app} posts to {there}, and [whatsapp] callback_url is {here}", "correct the one that is wrong; janela connect --replace-callback takes the address away from the other program, --override leaves it there but for this account's messages")
	subscriptionDeaf    = declare("subscription", "messages_missing", FAIL, "the field messages is not subscribed: no status comes, and no STOP would be heard", "janela connect, or App Dashboard, WhatsApp, Configuration, Webhook fields")
	subscriptionFields  = declare("subscription", "fields_missing", WARN, "these fields are not subscribed: {fields}", "janela connect, or App Dashboard, WhatsApp, Configuration, Webhook fields")
)

func (l *look) subscription(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	var o outcome
	apps := map[string]bool{} // by id: an account has an address of its own there
	for a, t := range l.reached() {
		override := ""
		subscribed, err := t.client.SubscribedApps(ctx, a.ID)
		if err != nil {
			words, _ := metaWords(err)
			o.found = append(o.found, subscriptionUnread.of("why", words))
			continue
		}
		i := slices.IndexFunc(subscribed, func(s cloudapi.SubscribedApp) bool { return s.ID == t.info.AppID })
		if i < 0 {
			o.found = append(o.found, subscriptionMissing.of("account", a.ID))
		} else {
			override = subscribed[i].Override
		}
		apps[t.info.AppID] = apps[t.info.AppID] || override != "" && override == l.Config.WhatsApp.CallbackURL
	}
	if len(apps) == 0 && len(o.found) == 0 {
		return outcome{skip: "no token is good"}
	}
	for app, overridden := range apps {
		o.found = append(o.found, l.app(ctx, app, overridden)...)
	}
	o.ok = "every field that is needed"
	return o
}

// app looks where the callbacks of an app go, and which.
func (l *look) app(ctx context.Context, app string, overridden bool) []Finding {
	secrets, err := l.Config.AppSecrets()
	if err != nil || len(secrets) == 0 {
		return nil // another check says it
	}
	client := l.Config.Graph(func() (string, error) { return app + "|" + secrets[0], nil })
	defer client.Close()
	s, ok, err := client.Subscription(ctx, app)
	here := l.Config.WhatsApp.CallbackURL
	switch {
	case coded(err, 190, 101, 1):
		return []Finding{subscriptionSecret.of("app", app)}
	case err != nil:
		words, _ := metaWords(err)
		return []Finding{subscriptionUnread.of("why", words)}
	case !ok:
		return []Finding{subscriptionNone.of("app", app)}
	case here != "" && s.CallbackURL != here && !overridden:
		return []Finding{subscriptionOther.of("app", app, "there", s.CallbackURL, "here", here)}
	case !slices.Contains(s.Fields, "messages"):
		return []Finding{subscriptionDeaf.of()}
	}
	var missing []string
	for _, f := range cloudapi.WebhookFields {
		if !slices.Contains(s.Fields, f) {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		return []Finding{subscriptionFields.of("fields", strings.Join(missing, ", "))}
	}
	return nil
}
