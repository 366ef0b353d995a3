package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/campaigns"
	"janela/internal/store"
	"janela/optin"
)

// A request of nobody known is refused by every operation, also over TCP.
func TestNobodyIsRefused(t *testing.T) {
	h := newHouse(t)
	tcp := httptest.NewUnstartedServer(h.server)
	tcp.Config.ConnContext = WithConn
	tcp.Start()
	defer tcp.Close()
	for pattern := range h.server.operations() {
		method, path, _ := strings.Cut(pattern, " ")
		req, err := http.NewRequest(method, tcp.URL+strings.ReplaceAll(path, "{id}", "1"), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var p Problem
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || p.Code != CodeDenied || p.Status != resp.StatusCode {
			t.Errorf("%s: %s %+v", pattern, resp.Status, p)
		}
	}
}

// The socket's other end is who the kernel says it is, whatever it claims.
func TestPeerIsTheActor(t *testing.T) {
	h := newHouse(t)
	socket := filepath.Join(h.dir, "s")
	lis, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h.server, ConnContext: WithConn}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(lis) })
	defer wg.Wait()
	defer func() { _ = srv.Close() }()
	c, err := Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.InMemory() {
		t.Error("a client of a socket says it has no daemon")
	}
	if _, err := c.Hold(WithActor(t.Context(), "somebody else"), HoldRequest{Scope: "all"}); err != nil {
		t.Fatal(err)
	}
	audit, err := c.Audit(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := UserName(os.Getuid()); len(audit) != 1 || audit[0].Actor != want || audit[0].Command != "hold" {
		t.Errorf("got %+v, want a hold by %s", audit, want)
	}
	if _, err := Dial(t.Context(), socket+"x"); err == nil {
		t.Error("a client of no socket was made")
	}
}

func TestBodiesAreStrict(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/v1/plan", "/v1/check", "/v1/consents/grant", "/v1/consents/revoke", "/v1/replies", "/v1/holds", "/v1/holds/release",
		"/v1/campaigns/x/pause", "/v1/campaigns/x/draft"} {
		for _, body := range []string{"", "nothing", `{"nonsense": 1}`, `[]`} {
			_, err := h.client.do(t.Context(), "POST", path, nil, strings.NewReader(body))
			wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "")
		}
	}
	for _, path := range []string{"/v1/audit?n=-1", "/v1/audit?n=x", "/v1/messages/x", "/v1/why", "/v1/campaigns/x/report?format=xls", "/v1/campaigns/x/report?run=y"} {
		p, q, _ := strings.Cut(path, "?")
		k, v, _ := strings.Cut(q, "=")
		_, err := h.client.do(t.Context(), "GET", p, map[string][]string{k: {v}}, nil)
		wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "")
	}
}

func TestProblemOf(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("x: %w", optin.ErrInvalid), 400, CodeInvalid},
		{fmt.Errorf("x: %w", campaigns.ErrNotFound), 404, CodeNotFound},
		{fmt.Errorf("x: %w", campaigns.ErrRefused), 409, CodeRefused},
		{fmt.Errorf("x: %w", store.ErrLost), 409, CodeBusy},
		{fmt.Errorf("x: %w", context.Canceled), 503, CodeBusy},
		{store.ErrClosed, 503, CodeBusy},
		{errors.New("disk"), 500, CodeInternal},
		{errors.Join(errors.New("also"), refused("held", "x")), 409, "held"},
	} {
		if p := problemOf(c.err); p.Status != c.status || p.Code != c.code {
			t.Errorf("%v: %d %s, want %d %s", c.err, p.Status, p.Code, c.status, c.code)
		}
	}
}

// Long answers are read while they are written, and one that breaks off is not
// taken for a whole one.
func TestMemoryStreams(t *testing.T) {
	read := make(chan struct{})
	s := &Server{}
	op := s.answer("GET /x", func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.WriteString(w, "first\n"); err != nil {
			return err
		}
		<-read // the handler has not ended, and yet the reader has this
		if r.URL.Query().Get("break") != "" {
			return refused("x", "broken")
		}
		_, err := io.WriteString(w, "second\n")
		return err
	})
	c := InProcess(op, "maria")
	defer c.Close()
	for _, breaks := range []string{"", "yes"} {
		resp, err := c.do(t.Context(), "GET", "/x", map[string][]string{"break": {breaks}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 6)
		if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first\n" {
			t.Fatalf("%q, %v", first, err)
		}
		read <- struct{}{}
		var rest strings.Builder
		err = copyAnswer(&rest, resp.Body)
		if breaks == "" && (err != nil || rest.String() != "second\n") {
			t.Errorf("%q, %v", rest.String(), err)
		}
		if breaks != "" {
			wantProblem(t, err, http.StatusBadGateway, CodeGone, "broke off")
		}
		_ = resp.Body.Close()
	}
}

// A reader who goes away ends the handler: Close does not wait for ever.
func TestMemoryReaderGoesAway(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	})
	c := InProcess(h, "maria")
	resp, err := c.do(t.Context(), "GET", "/", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	c.Close()
}

// What breaks is logged by operation and code, never with what was asked.
func TestLogsNameNobody(t *testing.T) {
	h := newHouse(t)
	const text = "estritamente confidencial"
	h.inbound(ana, loja)
	if _, err := h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: text}); err != nil {
		t.Fatal(err)
	}
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		second(h.client.Grant(t.Context(), GrantRequest{Phone: bia, Category: "marketing", Text: text})),
		second(h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: text})),
		second(h.client.Why(t.Context(), ana)),
		second(h.client.Import(t.Context(), ImportRequest{Name: "x.csv", Text: text}, strings.NewReader("telefone\n"+ana+"\n"), nil)),
	} {
		var p *Problem
		if !errors.As(err, &p) || p.Status < 500 {
			t.Errorf("a closed database answered %v", err)
		}
	}
	log := h.log.String()
	if !strings.Contains(log, "POST /v1/replies") {
		t.Errorf("the log does not say what failed:\n%s", log)
	}
	for _, secret := range []string{ana, ana[1:], bia, bia[1:], text} {
		if strings.Contains(log, secret) {
			t.Errorf("the log names %q:\n%s", secret, log)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhen(t *testing.T) {
	s := New(Config{Zone: "America/Sao_Paulo"})
	for text, want := range map[string]string{
		"":                          "0001-01-01T00:00:00Z",
		"2026-11-27":                "2026-11-27T03:00:00Z",
		"2026-11-27T09:00":          "2026-11-27T12:00:00Z",
		"2026-11-27 09:00":          "2026-11-27T12:00:00Z",
		"2026-11-27T09:00:00":       "2026-11-27T12:00:00Z",
		"2026-11-27T09:00:00+01:00": "2026-11-27T08:00:00Z",
		"2026-11-27T09:00:00Z":      "2026-11-27T09:00:00Z",
	} {
		got, err := s.when(text)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"ontem", "27/11", "2026-13-01", "2026-11-27T25:00"} {
		if _, err := s.when(text); err == nil {
			t.Errorf("%q was taken for a date", text)
		}
	}
}

func TestStatus(t *testing.T) {
	h := newHouse(t)
	h.queue(ana)
	h.server.cfg.Health = func(context.Context) Health { return Health{Ready: true} }
	st, err := h.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Status{Version: "test", Messages: map[string]int64{"queued": 1}, Reasons: map[string]int64{}, Now: st.Now}
	if diff := cmp.Diff(want, st); diff != "" {
		t.Errorf("in process there is no daemon to be healthy (-want +got):\n%s", diff)
	}
}
