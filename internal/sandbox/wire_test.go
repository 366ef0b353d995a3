package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnswers holds every answer of the Graph side to a golden file.
func TestAnswers(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.BSUIDChance = 0 }, func(w *world) {
		for _, one := range []struct {
			name, method, path, body string
			status                   int
		}{
			{"send_template", "POST", sendPath, oferta(ana, "j1.db.1.1"), 200},
			{"send_text", "POST", sendPath, text(bob, "j1.db.2.1"), 200},
			{"send_bsuid", "POST", sendPath, strings.Replace(oferta("X", "j1.db.3.1"), `"to":"X"`, `"recipient":"BR.13491208655302741"`, 1), 200},
			{"mark_read", "POST", sendPath, `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.AAA","typing_indicator":{"type":"text"}}`, 200},
			{"error_count", "POST", sendPath, strings.Replace(oferta(ana, "k"), `,{"type":"text","text":"20%"}`, "", 1), 400},
			{"error_missing", "POST", sendPath, strings.Replace(oferta(ana, "k"), "oferta_natal", "outra", 1), 404},
			{"error_unknown_key", "POST", sendPath, strings.Replace(oferta(ana, "k"), `"type":"template"`, `"type":"template","colour":"red"`, 1), 400},
			{"error_no_object", "GET", "/v25.0/123", "", 400},
			{"error_field", "GET", "/v25.0/" + numA + "?fields=id,colour", "", 400},
			{"number", "GET", "/v25.0/" + numA, "", 200},
			{"number_fields", "GET", "/v25.0/" + numA + "?fields=status,throughput,health_status{entities},whatsapp_business_manager_messaging_limit", "", 200},
			{"numbers", "GET", "/v25.0/" + waba + "/phone_numbers", "", 200},
			{"account", "GET", "/v25.0/" + waba + "?fields=id,name,health_status,marketing_messages_onboarding_status", "", 200},
			{"templates", "GET", "/v25.0/" + waba + "/message_templates?limit=2&fields=id,name,language,status,category,components,parameter_format,quality_score,rejected_reason,correct_category,message_send_ttl_seconds", "", 200},
			{"subscribed", "GET", "/v25.0/" + waba + "/subscribed_apps", "", 200},
		} {
			status, body, err := w.do(one.method, one.path, one.body)
			if err != nil || status != one.status {
				t.Errorf("%s: status %d, want %d; %v\n%s", one.name, status, one.status, err, body)
				continue
			}
			golden(t, one.name, body)
		}
		if err := w.s.SetToken("another"); err != nil {
			t.Fatal(err)
		}
		status, body, _ := w.do("GET", "/v25.0/"+numA, "")
		if status != http.StatusUnauthorized {
			t.Errorf("old token: status %d", status)
		}
		golden(t, "error_token", body)
	})
}

// TestWebhookBodies holds the bodies posted to golden files.
func TestWebhookBodies(t *testing.T) {
	for _, v := range []struct {
		name string
		v23  bool
	}{{"v24", false}, {"v23", true}} {
		t.Run(v.name, func(t *testing.T) {
			inBubble(t, func(c *Config) { c.Profile.WithConversation = v.v23; c.Profile.BSUIDChance = 1 }, func(w *world) {
				w.must("POST", sendPath, oferta(ana, "j1.db.1.1"))
				time.Sleep(time.Minute)
				for i, p := range w.hook.all() {
					golden(t, fmt.Sprintf("status_%s_%d", v.name, i), string(p.Body))
				}
				if n := len(w.hook.all()); n != 3 {
					t.Errorf("%d webhooks, want sent, delivered, read", n)
				}
			})
		})
	}
	inBubble(t, func(c *Config) { c.Profile.BSUIDChance = 0 }, func(w *world) {
		w.must("POST", sendPath, text(ana, "j1.db.9.1")) // outside the window: fails
		time.Sleep(time.Minute)
		for _, one := range []func() error{
			func() error { _, err := w.s.Inbound(Inbound{From: ana, Text: "Olá, ação! 👍"}); return err },
			func() error {
				_, err := w.s.Inbound(Inbound{From: ana, ButtonPayload: "STOP:natal26", Text: "Parar promoções", ReplyTo: "wamid.AAA", NumberID: numB})
				return err
			},
			func() error {
				_, err := w.s.Inbound(Inbound{From: ana, Text: "oi", BSUIDOnly: true, Referral: true})
				return err
			},
			func() error {
				_, err := w.s.Inbound(Inbound{From: ana, Type: "system", Text: "5511900000002"})
				return err
			},
			func() error { _, err := w.s.Inbound(Inbound{From: ana, Type: "unsupported"}); return err },
			func() error { _, err := w.s.Inbound(Inbound{From: ana, Type: "image", Text: "foto"}); return err },
			func() error { return w.s.Preference(Preference{From: ana, Value: "stop"}) },
			func() error {
				return w.s.SetTemplate(TemplateChange{Name: "oferta_natal", Language: "pt_BR", Status: "PAUSED"})
			},
			func() error {
				return w.s.SetTemplate(TemplateChange{Name: "boleto_lembrete", Language: "pt-BR", Category: "MARKETING"})
			},
			func() error {
				return w.s.SetTemplate(TemplateChange{Name: "pedido_enviado", Language: "pt_BR", Category: "MARKETING", Announce: true})
			},
			func() error {
				return w.s.SetTemplate(TemplateChange{Name: "pedido_enviado", Language: "pt_BR", Quality: "RED"})
			},
		} {
			if err := one(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		names := []string{
			"status_failed", "inbound_text", "inbound_button", "inbound_bsuid", "inbound_system", "inbound_unsupported",
			"inbound_image", "preference", "template_paused", "template_category", "template_announced", "template_quality",
		}
		posts := w.hook.all()
		if len(posts) != len(names) {
			t.Fatalf("%d webhooks, want %d", len(posts), len(names))
		}
		for i, name := range names {
			golden(t, name, string(posts[i].Body))
		}
		if raw := string(posts[1].Body); !strings.Contains(raw, `Ol\u00e1, a\u00e7\u00e3o! \ud83d\udc4d`) {
			t.Errorf("not escaped as Meta does: %s", raw)
		}
	})
}

func TestVerify(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		if err := w.s.VerifyWebhook(w.t.Context()); err != nil {
			t.Error(err)
		}
	})
	inBubble(t, func(c *Config) { c.VerifyToken = "wrong" }, func(w *world) {
		if err := w.s.VerifyWebhook(w.t.Context()); err == nil {
			t.Error("a wrong token was not noticed")
		}
	})
}
