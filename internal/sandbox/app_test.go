package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// as asks with another token than the business's own.
func (w *world) as(token, method, path, form string) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequest(method, "http://graph.example"+path, strings.NewReader(form))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var raw json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&raw); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(raw), resp.Header
}

func list(items ...string) *[]string { return &items }

func word(s string) *string { return &s }

// What Meta says of a token, and what a token may, follows from how the app is
// set.
func TestToken(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		const debug = "/v25.0/debug_token?input_token="
		for _, want := range []string{`"is_valid":true`, `"type":"SYSTEM_USER"`, `"expires_at":0`, `"scopes":["whatsapp_business_management","whatsapp_business_messaging","business_management"]`, `"target_ids":["` + waba + `"]`} {
			if got := w.must("GET", debug+"sandbox-token", ""); !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		if got := w.must("GET", debug+"another", ""); !strings.Contains(got, `"is_valid":false`) {
			t.Errorf("another token: %s", got)
		}
		if err := w.s.SetApp(AppChange{Scopes: list("whatsapp_business_management")}); err != nil {
			t.Fatal(err)
		}
		if _, body, _ := w.do("POST", sendPath, oferta(ana, "k")); codeOf(body) != 10 {
			t.Errorf("a send without its permission: %s", body)
		}
		if _, body, _ := w.do("GET", "/v25.0/me/businesses", ""); codeOf(body) != 200 {
			t.Errorf("businesses without their permission: %s", body)
		}
		w.must("GET", "/v25.0/"+waba+"/phone_numbers", "")
		if err := w.s.SetApp(AppChange{Scopes: list("whatsapp_business_messaging")}); err != nil {
			t.Fatal(err)
		}
		if _, body, _ := w.do("GET", "/v25.0/"+waba+"/message_templates", ""); codeOf(body) != 200 {
			t.Errorf("templates without their permission: %s", body)
		}
		if err := w.s.SetApp(AppChange{ExpiresAt: word(time.Now().Add(time.Hour).Format(time.RFC3339))}); err != nil {
			t.Fatal(err)
		}
		w.must("POST", sendPath, oferta(ana, "k"))
		time.Sleep(2 * time.Hour)
		if _, body, _ := w.do("POST", sendPath, oferta(ana, "l")); codeOf(body) != 190 {
			t.Errorf("after its end: %s", body)
		}
	})
}

// An expired version is answered as the oldest there is, and the clock of the
// answers can be off.
func TestVersionAndClock(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		_, _, h := w.as("sandbox-token", "GET", "/v23.0/"+waba, "")
		if h.Get("Facebook-Api-Version") != "v23.0" || h.Get("Date") != time.Now().UTC().Format(http.TimeFormat) {
			t.Errorf("as it is: %v", h)
		}
		if err := w.s.SetApp(AppChange{OldestVersion: word("v24.0"), DateOffset: word("-5m")}); err != nil {
			t.Fatal(err)
		}
		_, _, h = w.as("sandbox-token", "GET", "/v23.0/"+waba, "")
		if h.Get("Facebook-Api-Version") != "v24.0" || h.Get("Date") != time.Now().Add(-5*time.Minute).UTC().Format(http.TimeFormat) {
			t.Errorf("v23.0 has expired: %v", h)
		}
		for _, bad := range []AppChange{{OldestVersion: word("24")}, {DateOffset: word("soon")}, {ExpiresAt: word("tomorrow")}, {CallbackURL: word("ftp://x")}} {
			if err := w.s.SetApp(bad); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	})
}

// The app's own token registers an address, after a handshake; only fields that
// are subscribed are posted, and an account may have an address of its own.
func TestSubscriptions(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		own := w.s.App().ID + "|" + secret
		path := "/v25.0/" + w.s.App().ID + "/subscriptions"
		if _, body, _ := w.as("sandbox-token", "GET", path, ""); codeOf(body) != 15 {
			t.Errorf("without the app's token: %s", body)
		}
		if _, body, _ := w.as(w.s.App().ID+"|wrong", "GET", path, ""); codeOf(body) != 190 {
			t.Errorf("with a wrong secret: %s", body)
		}
		form := func(to, token, fields string) string {
			return url.Values{"object": {whatsappObject}, "callback_url": {to}, "verify_token": {token}, "fields": {fields}}.Encode()
		}
		if _, body, _ := w.as(own, "POST", path, form("http://hook.example/webhook", "wrong", "messages")); codeOf(body) != 2200 {
			t.Errorf("a handshake with a wrong token: %s", body)
		}
		if _, body, _ := w.as(own, "POST", path, form("http://hook.example/webhook", "verify-me", "messages,colours")); codeOf(body) != 100 {
			t.Errorf("an unknown field: %s", body)
		}
		if status, body, _ := w.as(own, "POST", path, form("http://hook.example/webhook", "verify-me", "message_template_status_update")); status != 200 {
			t.Errorf("registering: %s", body)
		}
		if _, body, _ := w.as(own, "GET", path, ""); !strings.Contains(body, `"fields":[{"name":"message_template_status_update","version":"v25.0"}]`) {
			t.Errorf("what is registered: %s", body)
		}
		w.must("POST", sendPath, oferta(ana, "not heard"))
		time.Sleep(time.Minute)
		if got := w.hook.statuses("not heard"); got != nil {
			t.Errorf("statuses of a field that is not subscribed: %v", got)
		}
		if err := w.s.SetApp(AppChange{CallbackURL: word("")}); err != nil {
			t.Fatal(err)
		}
		apps := "/v25.0/" + waba + "/subscribed_apps"
		if _, body, _ := w.as("sandbox-token", "POST", apps, url.Values{"override_callback_uri": {"http://hook.example/webhook"}, "verify_token": {"wrong"}}.Encode()); codeOf(body) != 2200 {
			t.Errorf("an account's own address with a wrong token: %s", body)
		}
		if status, body, _ := w.as("sandbox-token", "POST", apps, url.Values{"override_callback_uri": {"http://hook.example/webhook"}, "verify_token": {"verify-me"}}.Encode()); status != 200 {
			t.Errorf("an account's own address: %s", body)
		}
		if err := w.s.SetApp(AppChange{Fields: list("messages")}); err != nil {
			t.Fatal(err)
		}
		w.must("POST", sendPath, oferta(ana, "heard"))
		time.Sleep(time.Minute)
		if got := w.hook.statuses("heard"); len(got) == 0 {
			t.Error("no statuses by the account's own address")
		}
		if got := w.must("GET", apps, ""); !strings.Contains(got, `"override_callback_uri":"http://hook.example/webhook"`) {
			t.Errorf("subscribed apps: %s", got)
		}
	})
}

// A test number sends to the people on its list alone.
func TestRecipientList(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		if err := w.s.SetApp(AppChange{Recipients: list(bob)}); err != nil {
			t.Fatal(err)
		}
		if _, body, _ := w.do("POST", sendPath, oferta(ana, "k")); codeOf(body) != 131030 {
			t.Errorf("to somebody else: %s", body)
		}
		w.must("POST", sendPath, oferta(bob, "k"))
	})
}
