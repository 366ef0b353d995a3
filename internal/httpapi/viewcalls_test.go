package httpapi

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/dossier"
	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

type stateCount struct {
	state  outbox.State
	reason string
	n      int64
}

func (s *stateCount) Fields() []any { return []any{&s.state, &s.reason, &s.n} }

var countStates = store.SQL(`SELECT state, reason, COUNT(*) FROM messages WHERE created_at >= ?1 GROUP BY state, reason`)

// Today is what the rows say that were made in the last day, and says the same to
// a key.
func TestToday(t *testing.T) {
	h := newHouse(t)
	key := h.key(access.ScopeStatusRead)
	h.talk(ana) // too old, soon
	h.advance(26 * time.Hour)
	h.talk(bia)
	h.queue("+5511900000003")
	h.inbound("+5511900000003", loja)
	cancelled := h.queue("+5511900000004")
	h.write(func(tx *store.Tx) error {
		if _, err := outbox.CancelMessages(tx, []int64{cancelled}, string(optinStopped)); err != nil {
			return err
		}
		_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: reasonStopFile, Actor: "janela"})
		return err
	})
	got, err := h.client.Today(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want Funnel
	err = h.db.Read(t.Context(), func(q *store.Snap) error {
		return store.Each(q, countStates, func(s *stateCount) error { want.Add(s.state, s.n); return nil }, store.Millis(q.Now().Add(-24*time.Hour).Truncate(time.Hour)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Day.All); diff != "" || want != (Funnel{Messages: 3, Queued: 1, Sent: 1, Delivered: 1, Cancelled: 1}) {
		t.Errorf("%+v\n%s", want, diff)
	}
	var lanes Funnel
	for _, l := range got.Day.Lanes {
		if l.Lane == "marketing" {
			lanes = l.Funnel
		} else if l.Funnel != (Funnel{}) {
			t.Errorf("lane %s: %+v", l.Lane, l.Funnel)
		}
	}
	if lanes != want {
		t.Errorf("the lane has %+v", lanes)
	}
	if len(got.Reasons) != 1 || got.Reasons[0].Reason != string(optinStopped) || got.Reasons[0].Messages != 1 {
		t.Errorf("reasons: %+v", got.Reasons)
	}
	open := map[whatsapp.Category]int64{}
	for _, c := range got.Conversations {
		open[c.Category] = c.Open
	}
	if open[whatsapp.Marketing] != 1 || len(open) != 4 {
		t.Errorf("conversations: %v", open)
	}
	if len(got.Holds) != 1 || got.Holds[0].ByHand || !strings.Contains(got.Holds[0].Ends, "STOP") || len(got.Numbers) != 2 {
		t.Errorf("%+v %+v", got.Holds, got.Numbers)
	}
	told := read[Today](t, h.ask("GET", "/v1/today", key, ""))
	if diff := cmp.Diff(got, told); diff != "" {
		t.Errorf("- command, + key:\n%s", diff)
	}
}

// optinStopped is the reason with which a revocation cancels.
const optinStopped = "opted_out"

// A person by key: the same as by command, with nothing in full.
func TestContactByKey(t *testing.T) {
	h := newHouse(t)
	key := h.key(access.ScopeContactRead)
	for range 3 {
		h.talk(ana)
		h.advance(25 * time.Hour)
	}
	full, err := h.client.FindContact(t.Context(), "11 90000-0001")
	if err != nil {
		t.Fatal(err)
	}
	byID, err := h.client.Contact(t.Context(), full.ID)
	full.Repairs = nil
	if diff := cmp.Diff(full, byID); err != nil || diff != "" {
		t.Errorf("%v - by number, + by id:\n%s", err, diff)
	}
	if full.Phone != ana || len(full.Identities) == 0 || full.Identities[0].Value != ana || len(full.Events) != 3 || len(full.Conversations) != 3 || len(full.Messages) != 3 ||
		!full.Conversations[0].OpenedAt.After(full.Conversations[2].OpenedAt) || len(full.Gate) != 8 || full.Next != 0 {
		t.Errorf("%+v", full)
	}
	path := fmt.Sprintf("/v1/contacts/%d", full.ID)
	for _, a := range []told{h.ask("GET", path, key, ""), h.ask("POST", "/v1/contacts/lookup", key, `{"of":"`+ana+`"}`)} {
		got := read[Contact](t, a)
		if text := string(a.body); strings.Contains(text, ana[1:]) || strings.Contains(text, "wamid") {
			t.Errorf("in full: %s", text)
		}
		masked := full
		maskedContact(&masked)
		if diff := cmp.Diff(masked, got); diff != "" || got.ToMasked == "" || got.Identities[0].Masked == "" {
			t.Errorf("- command, + key:\n%s", diff)
		}
		// The slices are shared: what was masked comes back.
		if full, err = h.client.Contact(t.Context(), full.ID); err != nil {
			t.Fatal(err)
		}
	}
	var ids []int64
	for after := int64(0); ; {
		page := read[ContactMessages](t, h.ask("GET", fmt.Sprintf("%s/messages?limit=2&after=%d", path, after), key, ""))
		for _, m := range page.Messages {
			ids = append(ids, m.ID)
		}
		if after = page.Next; after == 0 {
			break
		}
	}
	if len(ids) != 3 || ids[0] != full.Messages[0].ID || ids[2] != full.Messages[2].ID {
		t.Errorf("%v, want those of %+v", ids, full.Messages)
	}
	stranger := read[Contact](t, h.ask("POST", "/v1/contacts/lookup", key, `{"of":"+12025550101"}`))
	if stranger.Known || stranger.ID != 0 || len(stranger.Gate) != 8 || stranger.Gate[0].Verdicts[0].Rule != "no_opt_in" {
		t.Errorf("%+v", stranger)
	}
	for _, a := range []told{h.ask("GET", "/v1/contacts/4711", key, ""), h.ask("GET", "/v1/contacts/4711/messages", key, ""), h.ask("GET", "/v1/contacts/x", key, "")} {
		if a.status != http.StatusNotFound {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := h.ask("GET", path, h.key(access.ScopeConversationRead, access.ScopeOptinRead, access.ScopeStatusRead), ""); a.status != http.StatusForbidden {
		t.Errorf("without the scope: %d", a.status)
	}
}

// Whole ledgers, and all of a person, by key: each with its own scope, each noted.
func TestLedgersByKey(t *testing.T) {
	h := newHouse(t)
	keys, err := optin.OpenKeys(filepath.Join(h.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	h.server.cfg.Ledger = optin.NewLedger(optin.LedgerConfig{DB: h.db, Keys: keys, Head: filepath.Join(h.dir, "head"), Log: h.server.cfg.Log})
	file := "telefone;data\n+5511900000001;2026-11-01\n+5511900000002;2026-11-02\n123;2026-11-02\n"
	const at = "/v1/optins/import?name=loja.csv&category=marketing&text=Sim&columns=phone%3Dtelefone,consented_at%3Ddata"
	csvType := []string{"Content-Type", "text/csv; charset=utf-8"}
	importer := h.key(access.ScopeOptinImport)
	first := read[optin.Report](t, h.ask("POST", at, importer, file, csvType...))
	if first.Granted != 2 || first.Rejected != 1 || len(first.Rejects) != 1 || first.Rejects[0].Line != 4 || len(first.Columns) != 0 || first.Name != "" {
		t.Errorf("%+v", first)
	}
	if again := read[optin.Report](t, h.ask("POST", at, importer, file, csvType...)); !again.Already || again.Granted > 0 {
		t.Errorf("%+v", again)
	}
	for path, want := range map[string]int{"/v1/optins/import?category=marketing": 400, "/v1/optins/import?name=x&scope=nobody": 400, "/v1/optins/import?name=x&columns=phone": 400, "/v1/optins/import?name=x": 400} {
		if a := h.ask("POST", path, importer, "nonsense "+ana, csvType...); a.status != want || strings.Contains(string(a.body), "nonsense") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := h.ask("POST", at, importer, file, "Content-Type", "application/json"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("%d", a.status)
	}
	a := h.ask("GET", "/v1/optins/export", h.key(access.ScopeOptinExport), "")
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil || a.status != http.StatusOK || len(rows) != 3 || rows[1][0] != ana {
		t.Errorf("%d %v %v", a.status, err, rows)
	}
	p, err := h.client.FindContact(t.Context(), ana)
	if err != nil {
		t.Fatal(err)
	}
	byID := fmt.Sprintf(`{"contact":%d}`, p.ID)
	f := read[dossier.File](t, h.ask("POST", "/v1/contacts/dossier", h.key(access.ScopeContactDossier), byID))
	if len(f.Identities) == 0 || f.Identities[0].Value != ana || len(f.Consents) != 1 {
		t.Errorf("%+v", f)
	}
	forgetter := h.key(access.ScopeContactForget)
	for _, body := range []string{`{}`, `{"contact":1,"of":"` + ana + `"}`} {
		if a := h.ask("POST", "/v1/contacts/forget", forgetter, body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if out := read[ForgetReply](t, h.ask("POST", "/v1/contacts/forget", forgetter, byID)); out.Names == 0 {
		t.Errorf("%+v", out)
	}
	if a := h.ask("POST", "/v1/contacts/forget", forgetter, byID); a.status != http.StatusNotFound {
		t.Errorf("forgotten twice: %d %s", a.status, a.body)
	}
	if gone, err := h.client.Contact(t.Context(), p.ID); err != nil || gone.Phone != "" || len(gone.Identities) != 0 {
		t.Errorf("%+v %v", gone, err)
	}
	all := h.key(access.ScopeOptinRead, access.ScopeOptinWrite, access.ScopeContactRead, access.ScopeConversationRead)
	for _, c := range [][2]string{{"POST", at}, {"GET", "/v1/optins/export"}, {"POST", "/v1/contacts/dossier"}, {"POST", "/v1/contacts/forget"}} {
		if a := h.ask(c[0], c[1], all, ""); a.status != http.StatusForbidden {
			t.Errorf("%s without its scope: %d", c[1], a.status)
		}
	}
	if m := read[MonthReport](t, h.ask("GET", "/v1/conversations/report?month=2026-11", all, "")); m.Month != "2026-11" || m.Zone != "America/Sao_Paulo" {
		t.Errorf("%+v", m)
	}
	noted, err := h.client.Audit(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]int{}
	for _, e := range noted {
		if e.Actor == "api:erp" {
			commands[e.Command]++
		}
	}
	if diff := cmp.Diff(map[string]int{"optin import": 2, "optin export": 1, "dossier": 1, "forget": 1}, commands); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(h.log.String(), ana[1:]) {
		t.Errorf("the log has a number:\n%s", h.log.String())
	}
}

// What Meta wrote of a template is shown in its parts; what it wrote otherwise than
// it says is left out.
func TestTemplateComponents(t *testing.T) {
	got := componentsOf([]byte(`[{"type":"HEADER","format":"IMAGE","example":{"header_handle":["https://x/1"]}},
		{"type":"BODY","text":"Oi {{nome}}","example":{"body_text_named_params":[{"param_name":"nome","example":"Ana"}]}},
		{"type":"BODY","text":"{{1}} {{2}}","example":{"body_text":[["a","b"]]}},
		{"type":"FOOTER","code_expiration_minutes":5},{"type":"BODY","add_security_recommendation":true},
		{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Acaba!","has_expiration":true}},
		{"type":"BUTTONS","buttons":[{"type":"URL","text":"Ver","url":"https://x/{{1}}","example":["https://x/1"]},{"type":"COPY_CODE","example":"25OFF"},{"type":"OTP","otp_type":"COPY_CODE","text":"Copiar"}]},
		{"type":"CAROUSEL","cards":[{"components":[{"type":"BODY","text":"um"}]}]},{"type":7},"strange"]`))
	want := []TemplateComponent{
		{Type: "HEADER", Format: "IMAGE", Examples: []TemplateExample{{Value: "https://x/1"}}},
		{Type: "BODY", Text: "Oi {{nome}}", Examples: []TemplateExample{{"nome", "Ana"}}},
		{Type: "BODY", Text: "{{1}} {{2}}", Examples: []TemplateExample{{Value: "a"}, {Value: "b"}}},
		{Type: "FOOTER", CodeExpirationMinutes: 5}, {Type: "BODY", AddSecurityRecommendation: true},
		{Type: "LIMITED_TIME_OFFER", Text: "Acaba!", HasExpiration: true},
		{Type: "BUTTONS", Buttons: []TemplateButton{{Type: "URL", Text: "Ver", URL: "https://x/{{1}}", Examples: []string{"https://x/1"}},
			{Type: "COPY_CODE", Examples: []string{"25OFF"}}, {Type: "OTP", Text: "Copiar", OTPType: "COPY_CODE"}}},
		{Type: "CAROUSEL", Cards: []TemplateCard{{Components: []TemplateComponent{{Type: "BODY", Text: "um"}}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "null", "{}", "x"} {
		if got := componentsOf([]byte(bad)); got == nil || len(got) != 0 {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// A hold says what ends it, and whether a release does.
func TestHoldEnds(t *testing.T) {
	until := began.Add(time.Hour)
	for _, tt := range []struct {
		hold   outbox.Hold
		want   string
		byHand bool
	}{
		{outbox.Hold{Scope: outbox.ScopeAll, Reason: "operator"}, "by janela release all", true},
		{outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: "operator", Until: store.Millis(until)}, "at 2026-11-23T13:00:00Z; or by janela release marketing", true},
		{outbox.Hold{Scope: outbox.ScopeNumber, Target: loja, Reason: "number_restricted", Until: store.Millis(until), Probe: true}, "one is tried at 2026-11-23T13:00:00Z; or by janela release number loja", true},
		{outbox.Hold{Scope: outbox.ScopeCampaign, Target: "natal", Reason: reasonPaused}, "janela campaigns resume natal", false},
		{outbox.Hold{Scope: outbox.ScopeCampaign, Target: "natal", Reason: campaigns.ReasonGuardFailed}, "janela campaigns resume natal", false},
		{outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: guard.ReasonRestored}, "janela recover", false},
		{outbox.Hold{Scope: outbox.ScopeAccount, Target: waba, Reason: account.ReasonBadToken, Until: store.Millis(until), Probe: true}, "token", true},
	} {
		l := holdLine(tt.hold, map[string]string{loja: "loja"}, began)
		if !strings.Contains(l.Ends, tt.want) || l.ByHand != tt.byHand {
			t.Errorf("%s: %q, by hand %v; want %q, %v", tt.hold.Reason, l.Ends, l.ByHand, tt.want, tt.byHand)
		}
	}
}
