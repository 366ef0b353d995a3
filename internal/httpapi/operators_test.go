package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/access"
	"janela/internal/store"
)

const phrase = "correct horse battery"

func TestOperators(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	out, err := h.client.AddOperator(ctx, OperatorRequest{Name: "maria", Role: "operator", Password: phrase})
	want := OperatorLine{Name: "maria", Role: "operator", State: "enabled", CreatedAt: began, CreatedBy: "maria", ChangedAt: began}
	if diff := cmp.Diff(OperatorReply{want, true}, out); diff != "" || err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
	h.advance(time.Minute)
	out, err = h.client.SetRole(ctx, "maria", "viewer")
	want.Role, want.ChangedAt = "viewer", began.Add(time.Minute)
	if diff := cmp.Diff(OperatorReply{want, true}, out); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if out, err = h.client.SetRole(ctx, "maria", "viewer"); err != nil || out.Changed {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err = h.client.SetPassword(ctx, "maria", phrase+"!"); err != nil || !out.Changed {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err = h.client.DisableOperator(ctx, "maria"); err != nil || !out.Changed {
		t.Errorf("%+v, %v", out, err)
	}
	want.State, want.DisabledAt = "disabled", began.Add(time.Minute)
	all, err := h.client.Operators(ctx)
	if diff := cmp.Diff([]OperatorLine{want}, all); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if strings.Contains(h.log.String(), phrase) {
		t.Error("the log tells a password")
	}

	for _, c := range []struct {
		what         string
		err          error
		status       int
		code, detail string
	}{
		{"a bad name", whatWas(h.client.AddOperator(ctx, OperatorRequest{Name: "Maria", Role: "viewer", Password: phrase})), 400, CodeInvalid, "a name has"},
		{"a bad role", whatWas(h.client.AddOperator(ctx, OperatorRequest{Name: "bia", Role: "boss", Password: phrase})), 400, CodeInvalid, `role "boss"`},
		{"no password", whatWas(h.client.AddOperator(ctx, OperatorRequest{Name: "bia", Role: "viewer"})), 400, CodeInvalid, "has 0 characters"},
		{"not UTF-8", whatWas(h.client.AddOperator(ctx, OperatorRequest{Name: "bia", Role: "viewer", Password: phrase + "\xff"})), 400, CodeInvalid, "not UTF-8"},
		{"disabled", whatWas(h.client.SetPassword(ctx, "maria", phrase)), 409, CodeRefused, "the operator is disabled"},
		{"nobody", whatWas(h.client.SetPassword(ctx, "bia", phrase)), 404, CodeNotFound, "no operator"},
		{"nobody", whatWas(h.client.SetRole(ctx, "bia", "viewer")), 404, CodeNotFound, "no operator"},
		{"a path", whatWas(h.client.DisableOperator(ctx, "..")), 404, CodeNotFound, "no operator"},
		{"a path", whatWas(h.client.DisableOperator(ctx, "maria/../../keys")), 404, CodeNotFound, "no operator"},
		{"too much", whatWas(h.client.changeOperator(ctx, "maria", "role", OperatorRequest{Role: "viewer", Password: phrase})), 400, CodeInvalid, "only the role"},
		{"too much", whatWas(h.client.changeOperator(ctx, "maria", "password", OperatorRequest{Role: "viewer", Password: phrase})), 400, CodeInvalid, "only the password"},
	} {
		t.Run(c.what, func(t *testing.T) { wantProblem(t, c.err, c.status, c.code, c.detail) })
	}
	if again, err := h.client.Operators(ctx); err != nil || !cmp.Equal(all, again) {
		t.Errorf("what was refused changed something: %v\n%s", err, cmp.Diff(all, again))
	}
}

func whatWas[T any](_ T, err error) error { return err }

// Only a running daemon has a console, and the link that it gives opens it as
// whoever asked.
func TestConsoleLink(t *testing.T) {
	h := newHouse(t)
	ask := func() (ConsoleLink, error) {
		c := InProcess(h.server, "joana")
		defer c.Close()
		return c.ConsoleLink(t.Context())
	}
	_, err := ask()
	wantProblem(t, err, http.StatusConflict, CodeRefused, "no daemon runs")
	self := Self{}
	h.server.cfg.Self = func() Self { return self }
	_, err = ask()
	wantProblem(t, err, http.StatusConflict, CodeRefused, "no daemon runs")

	running := &Client{http: &http.Client{Transport: asActor{h.server, "joana"}}}
	_, err = running.ConsoleLink(t.Context())
	wantProblem(t, err, http.StatusConflict, CodeRefused, "switched off")
	self.Console = "http://127.0.0.1:8792"
	link, err := running.ConsoleLink(t.Context())
	if err != nil || !link.Expires.Equal(began.Add(5*time.Minute)) {
		t.Fatalf("%+v, %v", link, err)
	}
	u, err := url.Parse(link.URL)
	if err != nil || u.Host != "127.0.0.1:8792" || u.Path != "/login" {
		t.Fatalf("%v, %v", u, err)
	}
	logins := access.NewLogins(h.db, h.server.cfg.Log)
	_, s, err := logins.LoginByLink(t.Context(), u.Query().Get("once"), loopback)
	if err != nil || s.Actor() != "joana" || s.Role != access.RoleApprover {
		t.Errorf("%+v, %v", s, err)
	}
	var entries []access.Entry
	h.write(func(tx *store.Tx) (err error) { entries, err = access.Audit(tx, 0, 10); return err })
	if len(entries) != 2 || entries[1].Actor != "joana" || entries[1].Command != "console" {
		t.Errorf("the audit log has %+v", entries)
	}
}

var loopback = netip.MustParseAddr("127.0.0.1")

// asActor asks a server as somebody whom the kernel knows: what comes by the
// socket of a running daemon.
type asActor struct {
	h     http.Handler
	actor string
}

func (a asActor) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, r.WithContext(WithActor(r.Context(), a.actor)))
	return w.Result(), nil
}
