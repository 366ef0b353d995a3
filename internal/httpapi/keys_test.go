package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/access"
	"janela/internal/store"
)

func (h *house) addKey(in KeyRequest) KeyReply {
	h.t.Helper()
	out, err := h.client.AddKey(h.t.Context(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) authenticate(plain string) (k access.Key, err error) {
	h.t.Helper()
	if failed := h.db.Read(h.t.Context(), func(q *store.Snap) error { k, err = access.Authenticate(q, plain); return nil }); failed != nil {
		h.t.Fatal(failed)
	}
	return k, err
}

func TestKeys(t *testing.T) {
	h := newHouse(t)
	app := h.addKey(KeyRequest{Client: "app", Scopes: DefaultKeyScopes(), Purposes: []string{"login"}, Countries: []string{"BR"}, Expires: "90d"})
	h.advance(time.Second)
	crm := h.addKey(KeyRequest{Client: "crm", Scopes: []string{access.ScopeOTPRead}})
	k, err := h.authenticate(app.Key)
	if err != nil || k.ID != app.ID || k.CreatedBy != "maria" || !k.ExpiresAt.Equal(began.AddDate(0, 0, 90)) {
		t.Fatalf("%+v, %v", k, err)
	}
	list := func() (out []string) {
		all, err := h.client.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			out = append(out, fmt.Sprint(k.ID, " ", k.Client, " ", k.State, " ", k.Scopes, k.Purposes, k.Countries))
		}
		return out
	}
	appLine := app.ID + " app %s [otp:send otp:verify otp:read] [login] [BR]"
	crmLine := crm.ID + " crm %s [otp:read] [] []"
	if diff := cmp.Diff([]string{fmt.Sprintf(crmLine, "valid"), fmt.Sprintf(appLine, "valid")}, list()); diff != "" {
		t.Error(diff)
	}
	h.advance(90*24*time.Hour - time.Second)
	if diff := cmp.Diff([]string{fmt.Sprintf(crmLine, "valid"), fmt.Sprintf(appLine, "expired")}, list()); diff != "" {
		t.Error(diff)
	}
	if _, err := h.authenticate(app.Key); !errors.Is(err, access.ErrUnauthorized) {
		t.Errorf("expired: %v", err)
	}
	for i, id := range []string{crm.ID, crm.Key, crm.ID} {
		out, err := h.client.RevokeKey(t.Context(), id)
		if err != nil || out.Changed != (i == 0) || out.State != "revoked" || out.ID != crm.ID {
			t.Errorf("%+v, %v", out, err)
		}
	}
	if _, err := h.authenticate(crm.Key); !errors.Is(err, access.ErrUnauthorized) {
		t.Errorf("revoked: %v", err)
	}
	audit, err := h.client.Audit(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, e := range audit {
		commands = append(commands, e.Actor+" "+e.Command+" "+e.Object)
		for _, plain := range []string{app.Key, crm.Key} {
			if strings.Contains(fmt.Sprint(e), plain[17:]) {
				t.Errorf("the audit log has a key: %s", e.Command)
			}
		}
	}
	if diff := cmp.Diff([]string{"maria keys revoke key " + crm.ID, "maria keys add key " + crm.ID, "maria keys add key " + app.ID}, commands); diff != "" {
		t.Error(diff)
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		in   KeyRequest
		want string
	}{
		{KeyRequest{Client: "My App", Scopes: KeyScopes()}, "1 to 32"},
		{KeyRequest{Client: "app"}, "needs a scope"},
		{KeyRequest{Client: "app", Scopes: []string{"admin"}}, "otp:send, otp:verify, otp:read"},
		{KeyRequest{Client: "app", Scopes: KeyScopes(), Countries: []string{"BR", "UK"}}, "GB"},
		{KeyRequest{Client: "app", Scopes: KeyScopes(), Countries: []string{""}}, "ISO 3166-1"},
		{KeyRequest{Client: "app", Scopes: KeyScopes(), Countries: []string{"br"}}, "two capital letters"},
		{KeyRequest{Client: "app", Scopes: KeyScopes(), Expires: "soon"}, "90d, 12h"},
		{KeyRequest{Client: "app", Scopes: KeyScopes(), Expires: "0d"}, "expired already"},
		{KeyRequest{Client: "app", Scopes: KeyScopes(), Expires: "-1h"}, "expired already"},
		{KeyRequest{Client: "app", Scopes: KeyScopes(), Expires: "2026-11-23"}, "expired already"},
	} {
		_, err := h.client.AddKey(t.Context(), c.in)
		wantProblem(t, err, http.StatusBadRequest, CodeInvalid, c.want)
	}
	for _, body := range []string{"", "nothing", `{"client":"app","scope":["otp:send"]}`, `[]`} {
		_, err := h.client.do(t.Context(), "POST", "/v1/keys", nil, strings.NewReader(body))
		wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "")
	}
	key := h.addKey(KeyRequest{Client: "app", Scopes: KeyScopes()}).Key
	for _, id := range []string{"", "x/y", "..", "aaaaaaaaaaaa", key[:len(key)-1], key + "x", strings.ToUpper(key)} {
		_, err := h.client.RevokeKey(t.Context(), id)
		wantProblem(t, err, http.StatusNotFound, CodeNotFound, "no API key with this id")
		if id != "" && id != ".." && strings.Contains(err.Error(), id) {
			t.Errorf("the problem repeats what was asked for: %v", err)
		}
	}
	if _, err := h.authenticate(key); err != nil {
		t.Errorf("the key does not open any more: %v", err)
	}
}

// The one answer with a key is nobody's to keep, and no log has it.
func TestKeyIsNotCachedAndNotLogged(t *testing.T) {
	h := newHouse(t)
	resp, err := h.client.do(t.Context(), "POST", "/v1/keys", nil, strings.NewReader(`{"client":"app","scopes":["otp:send"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `"key":"jnl_`) {
		t.Errorf("the answer has no key (%v)", err)
	}
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.client.AddKey(t.Context(), KeyRequest{Client: "app", Scopes: KeyScopes()}); err == nil {
		t.Error("a closed database made a key")
	}
	if strings.Contains(h.log.String(), "jnl_") || !strings.Contains(h.log.String(), "POST /v1/keys") {
		t.Errorf("the log is\n%s", h.log.String())
	}
}

func TestUntil(t *testing.T) {
	s := New(Config{Zone: "America/Sao_Paulo"})
	for text, want := range map[string]time.Time{
		"":                     {},
		"90d":                  began.AddDate(0, 0, 90),
		"1d":                   began.Add(24 * time.Hour),
		"12h":                  began.Add(12 * time.Hour),
		"1h30m":                began.Add(90 * time.Minute),
		"2027-01-02":           time.Date(2027, 1, 2, 3, 0, 0, 0, time.UTC),
		"2027-01-02T09:00":     time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC),
		"2027-01-02T09:00:00Z": time.Date(2027, 1, 2, 9, 0, 0, 0, time.UTC),
	} {
		if got, err := s.until(text, began); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"90", "d", "-90d", "1.5d", "999999d", "90 d", "tomorrow", "9999999999h"} {
		if got, err := s.until(text, began); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}
