package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// key makes an API key with some scopes.
func (h *house) key(scopes ...string) (plain string) {
	h.t.Helper()
	h.write(func(tx *store.Tx) (err error) {
		plain, _, err = access.NewKey(tx, access.KeyRequest{Client: "erp", Scopes: scopes, Actor: "maria"})
		return err
	})
	return plain
}

// ask is a request of one of the business's own systems; header is name, value,
// name, value.
func (h *house) ask(method, path, key, body string, header ...string) told {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.server.Public().ServeHTTP(w, r)
	a := told{w.Code, w.Header(), w.Body.Bytes()}
	asDescribed(h.t, method, path, r.Header, body, a)
	return a
}

// read decodes a success.
func read[T any](t *testing.T, a told) (out T) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestConversationsByKey(t *testing.T) {
	h := newHouse(t)
	key := h.key(access.ScopeConversationRead)
	for i := range 5 {
		h.talk(fmt.Sprintf("+551190000000%d", i))
		h.advance(time.Hour)
	}
	h.inbound(ana, loja)

	// Page by page, everybody once.
	seen := map[int64]bool{}
	pages, after := 0, ""
	for {
		page := read[conversationPage](t, h.ask("GET", "/v1/conversations?limit=2"+after, key, ""))
		for _, c := range page.Conversations {
			if seen[c.ID] || c.Phone != "" || c.ToMasked == "" || c.Number != "loja" || !c.ExpiresAt.Equal(c.OpenedAt.Add(24*time.Hour)) {
				t.Errorf("%+v", c)
			}
			seen[c.ID] = true
		}
		pages++
		if page.Next == "" {
			break
		}
		after = "&after=" + page.Next
	}
	if len(seen) != 5 || pages != 3 {
		t.Errorf("%d conversations on %d pages", len(seen), pages)
	}

	// Filters.
	all := read[conversationPage](t, h.ask("GET", "/v1/conversations", key, "")).Conversations
	for query, want := range map[string]int{
		"open=true": 5, "origin=user": 0, "origin=business": 5, "category=marketing": 5, "category=service": 0, "number=loja": 5, "number=filial": 0,
		"opened_from=" + all[2].OpenedAt.Format(time.RFC3339): 3, "opened_to=" + all[2].OpenedAt.Format(time.RFC3339): 2,
		"opened_from=2026-11-23T10:00:00-03:00&opened_to=2026-11-23T12:00:00-03:00": 2,
		fmt.Sprint("contact=", all[1].Contact):                                      1,
	} {
		if got := read[conversationPage](t, h.ask("GET", "/v1/conversations?"+strings.ReplaceAll(query, "+", "%2B"), key, "")).Conversations; len(got) != want {
			t.Errorf("%s: %d conversations, want %d", query, len(got), want)
		}
	}

	// What counts in one, with Meta's words as they came.
	first := all[1]
	h.write(func(tx *store.Tx) error {
		return conversations.RecordPricing(tx, conversations.Pricing{Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", first.OpenedBy)), Message: first.OpenedBy,
			Model: "PMP", Type: "regular", Category: "marketing_lite", Billable: "true", ConversationID: "8f84", At: tx.Now()})
	})
	out := read[ConversationContents](t, h.ask("GET", fmt.Sprintf("/v1/conversations/%d/messages", first.ID), key, ""))
	if out.Conversation.Phone != "" || len(out.Messages) != 2 {
		t.Fatalf("%+v", out)
	}
	m, reply := out.Messages[0], out.Messages[1]
	if m.ID != first.OpenedBy || m.Direction != "out" || m.Source != "janela" || m.State != "delivered" || m.Template != "oferta/pt_BR" ||
		m.Meta == nil || *m.Meta != (MetasWords{PricingModel: "PMP", PricingType: "regular", PricingCategory: "marketing_lite", Billable: "true", ConversationID: "8f84"}) {
		t.Errorf("%+v %+v", m, m.Meta)
	}
	if reply.Direction != "in" || reply.Source != "person" || reply.Meta != nil {
		t.Errorf("%+v", reply)
	}

	// What is wrong, and who may not.
	for _, query := range []string{"open=yes", "limit=0", "limit=501", "limit=x", "after=1", "after=1.2.3", "category=SERVICE", "origin=me", "number=nobody",
		"contact=-1", "opened_from=yesterday", "opened_to=", "phone=1", "open=true&open=true", "%zz"} {
		p := h.ask("GET", "/v1/conversations?"+query, key, "").wantCode(t, http.StatusBadRequest, "malformed")
		if strings.Contains(p.Detail, "yesterday") || strings.Contains(p.Detail, "nobody") {
			t.Errorf("%s is repeated: %s", query, p.Detail)
		}
	}
	for _, path := range []string{"/v1/conversations/7/messages", "/v1/conversations/x/messages", "/v1/conversations/+7/messages", "/v1/conversations/7", "/v1/conversations/7/", "/v1/conversations/7/messages/8"} {
		h.ask("GET", path, key, "").wantCode(t, http.StatusNotFound, "not-found")
	}
	h.ask("GET", "/v1/conversations", "", "").wantCode(t, http.StatusUnauthorized, "unauthorized")
	h.ask("GET", "/v1/conversations", h.key(access.ScopeOTPRead), "").wantCode(t, http.StatusForbidden, "scope")
	h.ask("GET", "/v1/conversations/7/messages", h.key(access.ScopeMessageRead), "").wantCode(t, http.StatusForbidden, "scope")
	h.ask("POST", "/v1/conversations", key, "{}").wantCode(t, http.StatusMethodNotAllowed, "method-not-allowed")
	if strings.Contains(h.log.String(), "0000000") {
		t.Errorf("the log names a number: %s", h.log.String())
	}
}

func TestWindowsByKey(t *testing.T) {
	h := newHouse(t)
	key := h.key(access.ScopeConversationRead)
	h.inbound(ana, loja)
	var contact int64
	h.write(func(tx *store.Tx) error {
		c, err := contacts.Learn(tx, whatsapp.Phone(ana).Identity(), whatsapp.BSUID("BR.13").Identity())
		contact = c.ID
		return err
	})
	path := fmt.Sprintf("/v1/contacts/%d/window", contact)
	for _, c := range []struct {
		after time.Duration
		open  bool
	}{{0, true}, {24*time.Hour - time.Millisecond, true}, {time.Millisecond, false}} {
		h.advance(c.after)
		want := []windowLine{{"filial", false, time.Time{}, time.Time{}}, {"loja", c.open, began, began.Add(24 * time.Hour)}}
		for _, a := range []told{h.ask("GET", path, key, ""), h.ask("POST", "/v1/contacts/window", key, `{"to":"`+ana+`"}`),
			h.ask("POST", "/v1/contacts/window", key, `{"to":"BR.13"}`)} {
			got := read[windowReply](t, a)
			if !got.Known || got.Contact != contact || len(got.Windows) != 2 || got.Windows[0] != want[0] || got.Windows[1] != want[1] {
				t.Errorf("after %v: %s, want %+v", c.after, a.body, want)
			}
		}
	}
	if got := read[windowReply](t, h.ask("POST", "/v1/contacts/window", key, `{"to":"`+bia+`"}`)); got.Known || len(got.Windows) != 0 {
		t.Errorf("somebody nobody knows: %+v", got)
	}
	for _, body := range []string{`{"to":"abc"}`, `{"to":""}`, `{}`} {
		h.ask("POST", "/v1/contacts/window", key, body).wantCode(t, http.StatusBadRequest, "invalid-recipient")
	}
	h.ask("POST", "/v1/contacts/window", key, `{"to":"x","who":1}`).wantCode(t, http.StatusBadRequest, "malformed")
	h.ask("GET", "/v1/contacts/7/window", key, "").wantCode(t, http.StatusNotFound, "not-found")
	h.ask("GET", "/v1/contacts/x/window", key, "").wantCode(t, http.StatusNotFound, "not-found")
	h.ask("GET", "/v1/contacts", key, "").wantCode(t, http.StatusNotFound, "not-found")
	h.ask("GET", path, h.key(access.ScopeMessageSend), "").wantCode(t, http.StatusForbidden, "scope")
	h.ask("GET", path, "", "").wantCode(t, http.StatusUnauthorized, "unauthorized")
}

// The month is the business's: 23 November 2026 12:00 UTC, and the 1st of
// November at 02:59 UTC is still October in São Paulo.
func TestMonth(t *testing.T) {
	h := newHouse(t)
	h.talk(ana)
	h.inbound("+12025550123", loja)
	h.talk("+12025550123") // a template inside the window
	out, err := h.client.Month(t.Context(), "2026-11")
	if err != nil {
		t.Fatal(err)
	}
	if !out.From.Equal(time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)) || !out.To.Equal(time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)) || out.AsOf.IsZero() {
		t.Errorf("%+v", out)
	}
	want := []MonthShare{
		{"meta", "marketing", "BR", "business", 1, 1, 0, 0, 1},
		{"meta", "marketing", "US", "business", 1, 1, 0, 0, 1},
		{"window", "marketing", "BR", "business", 1, 1, 0, 0, 1},
		{"window", "marketing", "US", "user", 1, 1, 0, 0, 1},
	}
	if !slices.Equal(out.Rows, want) {
		t.Errorf("got %+v, want %+v", out.Rows, want)
	}
	if out, err = h.client.Month(t.Context(), "2026-10"); err != nil || len(out.Rows) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	for _, month := range []string{"", "2026", "2026-13", "2026-11-01"} {
		_, err := h.client.Month(t.Context(), month)
		wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "2026-11")
	}
}
