package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/store"
)

// pair writes a certificate and its key; name tells one from the next.
func pair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// An address that others reach needs TLS, or the start is refused with the
// reason.
func TestOtherAddressesNeedTLS(t *testing.T) {
	dir := t.TempDir()
	pair(t, dir, "one")
	open := filepath.Join(dir, "open.pem")
	if err := os.WriteFile(open, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	const files = "tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n"
	for text, want := range map[string]string{
		"[http]\nlisten = \"0.0.0.0:8443\"\n":                          "is reached from other machines",
		"[http]\nlisten = \":8443\"\n":                                 "is reached from other machines",
		"[http]\nlisten = \"[::]:8443\"\n":                             "is reached from other machines",
		"[http]\nlisten = \"janela.example:8443\"\n":                   "is reached from other machines",
		"[http]\nlisten = \"0.0.0.0:8443\"\n" + files:                  "",
		"[http]\nlisten = \"127.0.0.1:8443\"\n":                        "",
		"[http]\nlisten = \"0.0.0.0:8443\"\ntls_cert = \"cert.pem\"\n": "belong together",
		"[http]\ntls_cert = \"cert.pem\"\ntls_key = \"open.pem\"\n":    "can be read by others",
		"[http]\ntls_cert = \"none.pem\"\ntls_key = \"key.pem\"\n":     "cannot be read",
		"[http]\ntls_cert = \"key.pem\"\ntls_key = \"key.pem\"\n":      "no certificate with its key",
		"[webhook]\nlisten = \"0.0.0.0:8443\"\n":                       "is reached from other machines",
		"[webhook]\nlisten = \"0.0.0.0:8443\"\n" + files:               "",
		"[webhook]\nlisten = \"8443\"\n":                               "is no address",
		"[webhook]\n" + files:                                          "without listen",
		"[http]\nkey_per_second = 0\n":                                 "cannot be allowed",
		"[http]\nkey_per_second = -1\n":                                "",
	} {
		_, err := Load(file(t, dir, "config.toml", small+text, 0o644), nil)
		if want == "" && err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// exposedDaemon runs one whose API is reached from elsewhere, and whose callbacks
// come at an address of their own.
func exposedDaemon(t *testing.T, dir string) *Daemon {
	t.Helper()
	cfg, err := Load(file(t, dir, "config.toml", small+"[sandbox]\nquiet = true\n[http]\nlisten = \"0.0.0.0:0\"\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n[webhook]\nlisten = \"127.0.0.1:0\"\n", 0o644), nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(t.Context(), Options{Config: cfg, Space: roomy, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- d.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	for until := time.Now().Add(10 * time.Second); !d.ready.Load(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not start")
		}
	}
	return d
}

// The API is served by TLS, metrics and readiness by key only, callbacks at their
// own address and nowhere else; a renewed certificate is taken, a broken one not.
func TestServedByTLS(t *testing.T) {
	dir := t.TempDir()
	pair(t, dir, "one")
	d := exposedDaemon(t, dir)
	_, port, _ := net.SplitHostPort(d.addr)
	base := "https://127.0.0.1:" + port
	get := func(url, key string) (int, string) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // our own
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		name := ""
		if resp.TLS != nil {
			name = resp.TLS.PeerCertificates[0].Subject.CommonName
		}
		return resp.StatusCode, name
	}
	var key, other string
	err := d.db.Write(t.Context(), func(tx *store.Tx) (err error) {
		if key, _, err = access.NewKey(tx, access.KeyRequest{Client: "prometheus", Scopes: []string{"status:read"}, Actor: "test"}); err == nil {
			other, _, err = access.NewKey(tx, access.KeyRequest{Client: "erp", Scopes: []string{"message:read"}, Actor: "test"})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	callbacks := strings.TrimSuffix(d.callbacks, d.cfg.HTTP.WebhookPath)
	for _, c := range []struct {
		url, key string
		want     int
	}{
		{base + "/healthz", "", 200}, {base + "/metrics", "", 401}, {base + "/metrics", other, 403}, {base + "/metrics", key, 200},
		{base + "/readyz", "", 401}, {base + "/readyz", key, 200}, {base + "/v1/status", "", 401}, {base + "/v1/status", key, 200},
		{base + d.cfg.HTTP.WebhookPath, "", 404}, {d.callbacks, "", 403}, {callbacks + "/healthz", "", 404}, {callbacks + "/metrics", key, 404}, {callbacks + "/v1/status", key, 404},
	} {
		if got, _ := get(c.url, c.key); got != c.want {
			t.Errorf("%s: %d, want %d", c.url, got, c.want)
		}
	}
	if _, name := get(base+"/healthz", ""); name != "one" {
		t.Errorf("the certificate is %q", name)
	}
	pair(t, dir, "two")
	renewed := func(want string) {
		t.Helper()
		for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			_, name := get(base+"/healthz", "")
			if name == want {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("the certificate is %q, want %q", name, want)
			}
		}
	}
	renewed("two")
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lookEvery + 100*time.Millisecond)
	renewed("two")
	pair(t, dir, "three")
	renewed("three")
}
