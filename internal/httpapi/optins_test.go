package httpapi

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/dossier"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

const grantText = `"source":"web_form","text":"Aceito receber ofertas","text_version":"v3","at":"2026-11-20T10:00:00-03:00"`

func grantFor(to, categories string) string {
	return fmt.Sprintf(`{"to":%q,"categories":%s,%s,"url":"https://loja.example/f","ip":"203.0.113.9","user_agent":"Mozilla/5.0","purpose":"promoções"}`, to, categories, grantText)
}

func decodeAs[T any](t testing.TB, a told, status int) (v T) {
	t.Helper()
	if a.status != status {
		t.Fatalf("got %d %s, want %d", a.status, a.body, status)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// A grant with its proof, seen, taken back, and what it cancels.
func TestOptinsThereAndBack(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	to := d.phone()
	key := unique()
	first := d.ask("POST", "/v1/optins", "app", grantFor(to, `["marketing","utility"]`), "Idempotency-Key", key)
	out := decodeAs[optinReply](t, first, 201)
	if len(out.Results) != 2 || out.Results[0].State != "granted" || !out.Results[0].Changed || out.Results[1].Category != whatsapp.Utility || strings.Contains(string(first.body), to[4:]) {
		t.Fatalf("%s", first.body)
	}
	again := d.ask("POST", "/v1/optins", "app", grantFor(to, `["marketing","utility"]`), "Idempotency-Key", key)
	if again.status != 201 || string(again.body) != string(first.body) || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	d.ask("POST", "/v1/optins", "app", grantFor(to, `["marketing"]`), "Idempotency-Key", key).wantCode(t, 422, "idempotency-key-reused")

	view := decodeAs[optinView](t, d.ask("POST", "/v1/optins/lookup", "app", fmt.Sprintf(`{"to":%q}`, to)), 200)
	if !view.Known || len(view.Events) != 2 || len(view.Standing) != 3 || view.Standing[0].State != "granted" || view.Next != 0 {
		t.Fatalf("%+v", view)
	}
	e := view.Events[0]
	if e.Evidence.Text != "Aceito receber ofertas" || e.Evidence.Version != "v3" || e.Evidence.Origin != "web_form" || e.Evidence.IP != "203.0.113.9" ||
		e.Evidence.URL != "https://loja.example/f" || e.Evidence.UserAgent != "Mozilla/5.0" || e.Actor != "api:app" || e.Source != "api" ||
		!e.At.Equal(time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	page := decodeAs[optinView](t, d.ask("GET", fmt.Sprintf("/v1/optins?contact=%d&limit=1", view.Contact), "app", ""), 200)
	if len(page.Events) != 1 || page.Next != page.Events[0].ID || page.ToMasked != "" {
		t.Fatalf("%+v", page)
	}
	page = decodeAs[optinView](t, d.ask("GET", fmt.Sprintf("/v1/optins?contact=%d&limit=1&after=%d", view.Contact, page.Next), "app", ""), 200)
	if len(page.Events) != 1 || page.Events[0].ID != view.Events[1].ID || page.Next != 0 {
		t.Errorf("the second page: %+v", page)
	}

	d.write(func(tx *store.Tx) error {
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Marketing, Template: "t", Language: "pt_BR"})
		if err != nil {
			return err
		}
		_, _, err = outbox.Enqueue(tx, s, []outbox.New{{Contact: view.Contact, To: whatsapp.Phone(to).Identity()}})
		return err
	})
	gone := decodeAs[optinReply](t, d.ask("DELETE", "/v1/optins", "app", fmt.Sprintf(`{"to":%q,"reason":"pediu por telefone"}`, to)), 200)
	if gone.Cancelled != 1 || len(gone.Results) != 1 || gone.Results[0].Category != whatsapp.Marketing || gone.Results[0].State != "revoked" {
		t.Errorf("%+v", gone)
	}
	states := func() (got string) {
		for _, s := range decodeAs[optinView](t, d.ask("POST", "/v1/optins/lookup", "app", fmt.Sprintf(`{"to":%q}`, to)), 200).Standing {
			got += string(s.Category) + " " + s.State + "; "
		}
		return got
	}
	if got := states(); got != "marketing opted_out; utility granted; authentication no_opt_in; " {
		t.Error(got)
	}
	d.ask("DELETE", "/v1/optins", "app", fmt.Sprintf(`{"to":%q,"all":true}`, to), "Idempotency-Key", unique())
	if got := states(); got != "marketing opted_out; utility opted_out; authentication no_opt_in; " {
		t.Error(got)
	}
	d.ask("DELETE", "/v1/optins", "app", fmt.Sprintf(`{"to":%q,"categories":["authentication"]}`, to))
	if got := states(); got != "marketing opted_out; utility opted_out; authentication opted_out; " {
		t.Error(got)
	}
	var entries []access.Entry
	if err := d.db.Read(t.Context(), func(q *store.Snap) (err error) { entries, err = access.Audit(q, 0, 20); return err }); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if e.Actor == "api:app" && strings.HasPrefix(e.Command, "optins ") {
			n++
		}
		if strings.Contains(fmt.Sprint(e), to[4:]) {
			t.Errorf("the audit log names a number: %+v", e)
		}
	}
	if n != 5 {
		t.Errorf("%d audit entries", n)
	}
}

// Nothing that is wrong is recorded, and nothing of it is repeated.
func TestOptinsRefused(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	to := d.phone()
	full := grantFor(to, `["marketing"]`)
	for body, detail := range map[string]string{
		strings.Replace(full, `["marketing"]`, `["service"]`, 1):                      "one of marketing",
		strings.Replace(full, `["marketing"]`, `[]`, 1):                               "categories is missing",
		strings.Replace(full, `["marketing"]`, `"marketing"`, 1):                      "must be a list",
		strings.Replace(full, to, "11 90000-0001", 1):                                 "E.164",
		strings.Replace(full, to, "5511900000001", 1):                                 "E.164",
		strings.Replace(full, `"text":"Aceito receber ofertas",`, "", 1):              "text is missing",
		strings.Replace(full, `"text_version":"v3",`, "", 1):                          "text_version is missing",
		strings.Replace(full, `"source":"web_form",`, "", 1):                          "source is missing",
		strings.Replace(full, "2026-11-20T10:00:00-03:00", "20/11/2026", 1):           "RFC 3339",
		strings.Replace(full, "2026-11-20T10:00:00-03:00", "2026-11-24T00:00:00Z", 1): "still to come",
		strings.Replace(full, "2026-11-20T10:00:00-03:00", "1999-11-24T00:00:00Z", 1): "before WhatsApp",
		strings.Replace(full, "203.0.113.9", "secreto", 1):                            "IPv4",
		strings.Replace(full, "https://loja.example/f", "secreto", 1):                 "https://",
		strings.Replace(full, `"purpose"`, `"scope":"secreto","purpose"`, 1):          "scope must be",
		strings.Replace(full, `"purpose"`, `"secreto":1,"purpose"`, 1):                "not known",
		strings.Replace(full, `"purpose"`, `"to":"x","purpose"`, 1):                   "twice",
	} {
		p := d.ask("POST", "/v1/optins", "app", body, "Idempotency-Key", unique()).wantCode(t, 400, "malformed")
		if !strings.Contains(p.Detail, detail) || strings.Contains(fmt.Sprintf("%+v", p), "secreto") {
			t.Errorf("%s: %+v", body, p)
		}
	}
	d.ask("POST", "/v1/optins", "app", full).wantCode(t, 400, "idempotency-key-missing")
	d.ask("DELETE", "/v1/optins", "app", fmt.Sprintf(`{"to":%q,"all":true,"categories":["utility"]}`, to)).wantCode(t, 400, "malformed")
	d.ask("GET", "/v1/optins?to="+to[1:], "app", "").wantCode(t, 400, "malformed")
	d.ask("GET", "/v1/optins", "app", "").wantCode(t, 400, "malformed")
	d.ask("GET", "/v1/optins?contact=12", "app", "").wantCode(t, 404, "not-found")
	d.ask("GET", "/v1/optins/12", "app", "").wantCode(t, 404, "not-found")
	if a := d.ask("PUT", "/v1/optins", "app", full); a.status != 405 || a.header.Get("Allow") != "POST, DELETE, GET" {
		t.Errorf("%d %v", a.status, a.header)
	}
	for call, needs := range map[string]string{"POST /v1/optins": "optin:write", "DELETE /v1/optins": "optin:write", "GET /v1/optins": "optin:read", "POST /v1/optins/lookup": "optin:read"} {
		method, path, _ := strings.Cut(call, " ")
		for _, scope := range access.Scopes {
			if d.keys[scope] == "" {
				d.keys[scope] = d.key(access.KeyRequest{Client: "app", Scopes: []string{scope}})
			}
			if a := d.ask(method, path, scope, ""); (a.status == 403) == (scope == needs) {
				t.Errorf("%s with %s: %d %s", call, scope, a.status, a.body)
			}
		}
	}
	err := d.db.Read(t.Context(), func(q *store.Snap) error {
		_, ok, err := contacts.Find(q, whatsapp.Phone(to).Identity())
		if ok {
			t.Error("a refused request made a contact")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	view := decodeAs[optinView](t, d.ask("POST", "/v1/optins/lookup", "app", fmt.Sprintf(`{"to":%q}`, to)), 200)
	if view.Known || len(view.Events) != 0 || view.Standing[0].State != "no_opt_in" {
		t.Errorf("%+v", view)
	}
}

// Who was forgotten comes back only by their own word, later.
func TestOptinOfTheForgotten(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	keys, err := optin.OpenKeys(filepath.Join(t.TempDir(), "optin.key"))
	if err != nil {
		t.Fatal(err)
	}
	ledger := optin.NewLedger(optin.LedgerConfig{DB: d.db, Keys: keys, Head: filepath.Join(t.TempDir(), "head")})
	to := d.phone()
	post := func(body string) told { return d.ask("POST", "/v1/optins", "app", body, "Idempotency-Key", unique()) }
	post(grantFor(to, `["marketing"]`))
	view := decodeAs[optinView](t, d.ask("POST", "/v1/optins/lookup", "app", fmt.Sprintf(`{"to":%q}`, to)), 200)
	_, err = dossier.Forget(t.Context(), dossier.Config{DB: d.db, Ledger: ledger, Outcomes: func(*store.Tx, []outbox.Outcome) error { return nil }},
		view.Contact, nil, "maria")
	if err != nil {
		t.Fatal(err)
	}
	d.advance(time.Hour)
	now := d.wall().Format(time.RFC3339)
	again := strings.Replace(grantFor(to, `["marketing"]`), "2026-11-20T10:00:00-03:00", now, 1)
	post(again).wantCode(t, 403, "forgotten")
	post(strings.Replace(grantFor(to, `["marketing"]`), `"purpose"`, `"after_forgetting":true,"purpose"`, 1)).wantCode(t, 403, "forgotten")
	out := decodeAs[optinReply](t, post(strings.Replace(again, `"purpose"`, `"after_forgetting":true,"purpose"`, 1)), 201)
	if out.Results[0].State != "granted" {
		t.Errorf("%+v", out)
	}
}

// A grant that has to be confirmed permits nothing until it is.
func TestDoubleOptIn(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	to := d.phone()
	key := unique()
	ask := strings.Replace(grantFor(to, `["marketing","utility"]`), `"purpose"`, `"confirm":true,"purpose"`, 1)
	first := d.ask("POST", "/v1/optins", "app", ask, "Idempotency-Key", key)
	out := decodeAs[optinReply](t, first, 202)
	if out.Status != "pending" || !strings.HasPrefix(out.ID, "opt_") || out.ExpiresAt == "" || len(out.Results) != 0 {
		t.Fatalf("%s", first.body)
	}
	if again := d.ask("POST", "/v1/optins", "app", ask, "Idempotency-Key", key); again.status != 202 || string(again.body) != string(first.body) {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	state := func() string {
		return decodeAs[optinView](t, d.ask("POST", "/v1/optins/lookup", "app", fmt.Sprintf(`{"to":%q}`, to)), 200).Standing[0].State
	}
	if got := state(); got != "no_opt_in" {
		t.Error(got)
	}
	path := "/v1/optins/" + out.ID + "/confirm"
	at := `{"at":"2026-11-23T11:00:00Z","ip":"203.0.113.10"}`
	d.ask("POST", path, "shop", at).wantCode(t, 404, "not-found")
	d.ask("POST", "/v1/optins/opt_x/confirm", "app", at).wantCode(t, 404, "not-found")
	d.ask("POST", "/v1/optins/"+out.ID+"/other", "app", at).wantCode(t, 404, "not-found")
	d.ask("POST", path, "app", `{}`).wantCode(t, 400, "malformed")
	d.ask("POST", path, "app", `{"at":"2026-11-25T11:00:00Z"}`).wantCode(t, 400, "malformed")
	done := decodeAs[optinReply](t, d.ask("POST", path, "app", at, "Idempotency-Key", key), 200)
	if len(done.Results) != 2 || done.Results[0].State != "granted" || done.Results[0].Event == 0 || state() != "granted" {
		t.Errorf("%+v", done)
	}
	if again := d.ask("POST", path, "app", at, "Idempotency-Key", key); again.status != 200 || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	d.ask("POST", path, "app", at).wantCode(t, 404, "not-found")
}
