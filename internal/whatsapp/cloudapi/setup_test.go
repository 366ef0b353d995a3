package cloudapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setupServer answers each path with a body, and keeps what was posted.
func setupServer(t *testing.T, answers map[string]string) (*Client, *[]string) {
	t.Helper()
	var posted []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			posted = append(posted, r.URL.Path+" "+string(body))
		}
		w.Header().Set("Facebook-Api-Version", "v25.0")
		w.Header().Set("Date", "Mon, 23 Nov 2026 12:00:00 GMT")
		answer, ok := answers[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v25.0")]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			answer = `{"error":{"message":"(#100) nothing for ` + testToken + `","type":"OAuthException","code":100,"fbtrace_id":"A"}}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return testClient(t, s.URL, s.Client().Transport), &posted
}

func TestSetupReads(t *testing.T) {
	c, _ := setupServer(t, map[string]string{
		"GET /debug_token": `{"data":{"app_id":"501","type":"SYSTEM_USER","application":"Loja","data_access_expires_at":0,"expires_at":1798761600,"is_valid":true,
			"scopes":["whatsapp_business_management"],"granular_scopes":[{"scope":"whatsapp_business_management","target_ids":["100000000000001","100000000000002"]},{"scope":"other","target_ids":["9"]}]}}`,
		"GET /100000000000001":                     `{"id":"100000000000001","name":"Loja","account_review_status":"approved","health_status":{"can_send_message":"AVAILABLE"}}`,
		"GET /me/businesses":                       `{"data":[{"id":"7"},{"id":"7"}]}`,
		"GET /7/owned_whatsapp_business_accounts":  `{"data":[{"id":"1"}]}`,
		"GET /7/client_whatsapp_business_accounts": `{"data":[{"id":2}]}`,
		"GET /100000000000001/subscribed_apps":     `{"data":[{"whatsapp_business_api_data":{"id":"501","name":"Loja"},"override_callback_uri":"https://hook.example/x"}]}`,
		"GET /501/subscriptions":                   `{"data":[{"object":"page","callback_url":"https://other.example"},{"object":"whatsapp_business_account","callback_url":"https://hook.example/w","active":true,"fields":[{"name":"messages","version":"v25.0"},"account_update"]}]}`,
		"GET /502/subscriptions":                   `{"data":[]}`,
	})
	ctx := context.Background()
	token, err := c.DebugToken(ctx)
	want := Token{Valid: true, AppID: "501", App: "Loja", Type: "SYSTEM_USER", Scopes: []string{ScopeManagement}, ExpiresAt: time.Unix(1798761600, 0).UTC(), Accounts: []string{"100000000000001", "100000000000002"}}
	if diff := cmp.Diff(want, token); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{ScopeMessaging}, token.Lacks(ScopeMessaging, ScopeManagement)); diff != "" {
		t.Error(diff)
	}
	account, err := c.Account(ctx, "100000000000001")
	if diff := cmp.Diff(Account{ID: "100000000000001", Name: "Loja", ReviewStatus: "APPROVED", Health: Health{CanSend: "AVAILABLE"}}, account); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	businesses, err := c.Businesses(ctx)
	if diff := cmp.Diff([]string{"7"}, businesses); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	accounts, err := c.Accounts(ctx, "7")
	if diff := cmp.Diff([]string{"1", "2"}, accounts); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	apps, err := c.SubscribedApps(ctx, "100000000000001")
	if diff := cmp.Diff([]SubscribedApp{{"501", "Loja", "https://hook.example/x"}}, apps); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	s, ok, err := c.Subscription(ctx, "501")
	if diff := cmp.Diff(Subscription{"https://hook.example/w", true, []string{"messages", "account_update"}}, s); err != nil || !ok || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, ok, err := c.Subscription(ctx, "502"); ok || err != nil {
		t.Errorf("nothing set up: %v %v", ok, err)
	}
	if _, err := c.Account(ctx, "3"); err == nil || strings.Contains(err.Error(), testToken) {
		t.Errorf("an error shows the token: %v", err)
	}
	at, err := c.Reach(ctx)
	if err != nil || at.Version != "v25.0" || !at.Date.Equal(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v %v", at, err)
	}
}

func TestSetupChanges(t *testing.T) {
	c, posted := setupServer(t, map[string]string{
		"POST /1/subscribed_apps": `{"success":true}`, "POST /501/subscriptions": `{"success":true}`, "POST /2/subscribed_apps": `{"success":false}`,
	})
	ctx := context.Background()
	for _, err := range []error{c.Subscribe(ctx, "1", "", ""), c.Subscribe(ctx, "1", "https://hook.example/w", "v"),
		c.SetSubscription(ctx, "501", "https://hook.example/w", "v", []string{"messages", "account_update"})} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := c.Subscribe(ctx, "2", "", ""); err == nil {
		t.Error("success false is taken as done")
	}
	if err := c.Subscribe(ctx, "3", "", ""); err == nil || strings.Contains(err.Error(), testToken) {
		t.Errorf("a refusal: %v", err)
	}
	want := []string{"/v25.0/1/subscribed_apps ", "/v25.0/1/subscribed_apps override_callback_uri=https%3A%2F%2Fhook.example%2Fw&verify_token=v",
		"/v25.0/501/subscriptions callback_url=https%3A%2F%2Fhook.example%2Fw&fields=messages%2Caccount_update&object=whatsapp_business_account&verify_token=v",
		"/v25.0/2/subscribed_apps ", "/v25.0/3/subscribed_apps "}
	if diff := cmp.Diff(want, *posted); diff != "" {
		t.Error(diff)
	}
}
