package hooks

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/store"
)

func TestCheck(t *testing.T) {
	for _, good := range []Target{
		events("crm"),
		bot("bot"),
		{Name: "a", URL: "http://127.0.0.1:8080/x", Mode: Passthrough},
		{Name: "a", URL: "http://[::1]:8080", Mode: Passthrough},
		{Name: "a", URL: "http://10.1.2.3/", Mode: Passthrough},
		{Name: "a", URL: "http://[fd00::1]/", Mode: Passthrough},
		{Name: "a", URL: "http://chatwoot:3000/webhooks/whatsapp", Mode: Passthrough}, // seen with the connection
		{Name: "a", URL: "https://user:pw@example.com/p?token=1", Mode: Passthrough, Fields: []string{"message_template_*"}},
		{Name: "a-b_2", URL: "https://8.8.8.8/", Mode: Events, Events: []string{"*"}, Secrets: secrets(aSecret, aSecret)},
	} {
		if err := Check([]Target{good}); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	with := func(change func(*Target)) Target { return events("crm", change) }
	for says, bad := range map[string]Target{
		"a name has":          with(func(t *Target) { t.Name = "CRM" }),
		"at most 64":          with(func(t *Target) { t.Name = strings.Repeat("a", 65) }),
		"no https://host":     with(func(t *Target) { t.URL = "hunter2" }),
		"no https://host/":    with(func(t *Target) { t.URL = "https:hunter2" }),
		"no https://host/p":   with(func(t *Target) { t.URL = "https://hunter2 .example/" }),
		"begins with https":   with(func(t *Target) { t.URL = "ftp://hunter2.example/" }),
		"begins with https:":  with(func(t *Target) { t.URL = "file://hunter2/etc/passwd" }),
		"fragment":            with(func(t *Target) { t.URL = "https://a.example/#hunter2" }),
		"loopback":            with(func(t *Target) { t.URL = "http://8.8.8.8/hunter2" }),
		"loopback and":        with(func(t *Target) { t.URL = "http://169.254.169.254/hunter2" }),
		"loopback and pri":    with(func(t *Target) { t.URL = "http://[2001:db8::1]/hunter2" }),
		"mode is":             with(func(t *Target) { t.Mode = "hunter" }),
		"needs a secret":      with(func(t *Target) { t.Secrets = nil }),
		"needs a secret:":     with(func(t *Target) { t.Secrets = secrets() }),
		"24 to 64":            with(func(t *Target) { t.Secrets = secrets("whsec_hunter2") }),
		"fields are for":      with(func(t *Target) { t.Fields = []string{"messages"} }),
		"events are for":      bot("bot", func(t *Target) { t.Events = []string{"message.*"} }),
		"is no event or":      with(func(t *Target) { t.Events = []string{"message sent"} }),
		"is no event or fiel": with(func(t *Target) { t.Events = []string{""} }),
	} {
		err := Check([]Target{bad})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the address or the secret: %v", err)
		}
	}
	if err := Check([]Target{events("crm"), bot("crm")}); err == nil || !strings.Contains(err.Error(), "two of that name") {
		t.Errorf("two of a name: %v", err)
	}
	if err := Check([]Target{{}, {}}); strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("not every fault at once: %v", err)
	}
	if _, err := New(t.Context(), Config{Targets: []Target{{}}}); err == nil {
		t.Error("New took it")
	}
}

// No way of printing a target shows more of its address than the host.
func TestATargetMasksItself(t *testing.T) {
	target := bot("bot", func(t *Target) { t.URL = "https://user:hunter2@bot.example:8443/t/hunter2?key=hunter2" })
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "target", target, "pointer", &target)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "target", target)
	_, _ = fmt.Fprintf(&b, "%v %+v %#v %s %q %d", target, target, target, target, target, target)
	if strings.Contains(b.String(), "hunter2") || strings.Contains(b.String(), "user") || !strings.Contains(b.String(), "bot (https://bot.example:8443/…)") {
		t.Error(b.String())
	}
	equal(t, "of no address", fmt.Sprint(Target{Name: "a", URL: "::hunter2"}), "a (no address)")
}

// The whole way with the transport of the program: real sockets, real time.
func TestOverLoopback(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "janela.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := make(chan arrival, 10)
	receive := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		user, _, _ := r.BasicAuth()
		got <- arrival{At: time.Now(), ID: r.Header.Get("webhook-id"), Header: r.Header.Clone(), Body: b.Bytes(), Path: r.URL.RequestURI(), User: user}
	})
	server := httptest.NewServer(receive)
	defer server.Close()
	h, err := New(t.Context(), Config{DB: db, Targets: []Target{{Name: "crm", Mode: Events, Secrets: secrets(aSecret),
		URL: strings.Replace(server.URL, "://", "://eva:hunter2@", 1) + "/in?a=b"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = h.Run(ctx) })
	for range 3 {
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return h.Emit(tx, Event{Type: "a.b"}) }); err != nil {
			t.Fatal(err)
		}
		a := <-got
		if err := verify(a, aSecret, a.At); err != nil {
			t.Error(err)
		}
		equal(t, "path and user", a.Path+" "+a.User, "/in?a=b eva")
		equal(t, "encoding", a.Header.Get("Accept-Encoding"), "")
	}
	cancel()
	running.Wait()
}

// Plain http finds out with every connection where a name leads.
func TestPlainHTTPStaysNear(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "10.0.0.1:80": true, "192.168.1.1:80": true, "172.16.0.1:80": true, "[fd00::1]:80": true, "[::ffff:10.0.0.1]:80": true,
		"8.8.8.8:80": false, "169.254.169.254:80": false, "[2001:db8::1]:80": false, "[::ffff:8.8.8.8]:80": false, "172.32.0.1:80": false, "0.0.0.0:80": false, "": false,
	} {
		if err := nearOnly("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	transport := newTransport()
	if transport.plain.Proxy != nil {
		t.Error("plain http goes through a proxy, which would go anywhere")
	}
	client := &http.Client{Transport: transport}
	resp, err := client.Get("http://192.0.2.1:9/") // of the documentation: nobody has it
	if err == nil {
		resp.Body.Close()
	}
	if Failure(err) != plainFar {
		t.Errorf("%v", err)
	}
}
