package sandbox

import (
	"strings"
	"testing"
	"time"
)

const marketingPath = "/v25.0/" + numA + "/marketing_messages"

func withPolicy(key, policy string) string {
	return strings.Replace(oferta(ana, key), `"type":"template"`, `"type":"template","product_policy":"`+policy+`","message_activity_sharing":true`, 1)
}

func TestMarketingEndpoint(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.WithConversation = true }, func(w *world) {
		change := func(c AccountChange) {
			if err := w.s.SetAccount(c); err != nil {
				t.Fatal(err)
			}
		}
		yes, no := true, false
		refused := func(path, body string, code int) {
			t.Helper()
			if status, got, _ := w.do("POST", path, body); codeOf(got) != code || status != infoOf(code).status {
				t.Errorf("want %d, got %d: %s", code, status, got)
			}
		}
		w.must("POST", marketingPath, withPolicy("strict", "STRICT"))
		refused(marketingPath, text(ana, "k"), 100)
		refused(marketingPath, withPolicy("k", "strict"), 100)
		refused(marketingPath, `{"messaging_product":"whatsapp","to":"`+ana+`","type":"template","template":{"name":"boleto_lembrete","language":{"code":"pt_BR"}}}`, 131055)

		change(AccountChange{Onboarded: &no})
		refused(marketingPath, withPolicy("k", "STRICT"), 134102)
		w.must("POST", marketingPath, withPolicy("fallback", "CLOUD_API_FALLBACK"))
		w.must("POST", marketingPath, oferta(ana, "default"))
		if got := w.must("GET", "/v25.0/"+waba+"?fields=marketing_messages_onboarding_status", ""); !strings.Contains(got, `"ELIGIBLE"`) {
			t.Errorf("account: %s", got)
		}
		change(AccountChange{ID: waba, Onboarded: &yes, OnCloud: &no})
		refused(sendPath, oferta(ana, "k"), 131063)
		w.must("POST", sendPath, text(ana, "text")) // nothing else is switched off
		w.must("POST", marketingPath, oferta(ana, "only"))

		time.Sleep(time.Minute)
		for key, want := range map[string]string{"strict": "marketing_lite", "only": "marketing_lite", "fallback": "marketing", "default": "marketing"} {
			found := 0
			for _, p := range w.hook.all() {
				if body := string(p.Body); strings.Contains(body, `"biz_opaque_callback_data":"`+key+`"`) && strings.Contains(body, `"status":"sent"`) {
					found++
					if !strings.Contains(body, `"category":"`+want+`"`) || !strings.Contains(body, `"origin":{"type":"`+want+`"}`) {
						t.Errorf("%s: %s", key, body)
					}
				}
			}
			if found != 1 {
				t.Errorf("%s: %d sent statuses", key, found)
			}
		}
		for _, s := range w.s.Sends() {
			if by := s.Endpoint == "marketing_messages"; by != (s.Key != "text") || s.Lite != (s.Key == "strict" || s.Key == "only") {
				t.Errorf("%+v", s)
			}
		}
		if err := w.s.SetAccount(AccountChange{ID: "1"}); err == nil {
			t.Error("an account that is not there")
		}
	})
}

// A template that is new to the endpoint, or was not asked for during a week, is
// not ready for a while.
func TestMarketingSync(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.MarketingSync = 4 * time.Minute }, func(w *world) {
		send := func(want int) {
			t.Helper()
			if _, body, _ := w.do("POST", marketingPath, oferta(ana, "k")); codeOf(body) != want {
				t.Errorf("want %d: %s", want, body)
			}
		}
		w.must("POST", sendPath, oferta(ana, "as usual"))
		send(134101)
		time.Sleep(4*time.Minute - time.Second)
		send(134101)
		time.Sleep(time.Second)
		send(0)
		time.Sleep(7 * 24 * time.Hour)
		send(0)
		time.Sleep(7*24*time.Hour + time.Second)
		send(134101)
		time.Sleep(4 * time.Minute)
		send(0)
	})
}
