package daemon

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// certificate is a pair of files, read again when they change: whoever renews a
// certificate need not restart anything.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu   sync.Mutex
	mark string // of the files that are in force
	bad  string // of files that could not be used: said once
	pair *tls.Certificate
	seen time.Time
}

// openCertificate reads a pair for the first time.
func openCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	mark, err := c.look()
	if err == nil {
		err = c.read(mark)
	}
	return c, err
}

// look sums up what the files are now.
func (c *certificate) look() (mark string, err error) {
	for _, path := range []string{c.cert, c.key} {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("the certificate cannot be read: %w", err)
		}
		mark += fmt.Sprintf("%d/%d ", info.Size(), info.ModTime().UnixNano())
	}
	return mark, nil
}

func (c *certificate) read(mark string) error {
	if err := checkSecretFile(c.key); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("%s and %s are no certificate with its key: %w", c.cert, c.key, err)
	}
	c.pair, c.mark, c.seen = &pair, mark, time.Now()
	return nil
}

// get returns the certificate in force. Files that cannot be used, or are half
// written, change nothing.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.seen) < lookEvery {
		return c.pair, nil
	}
	c.seen = time.Now()
	mark, err := c.look()
	if err == nil && mark == c.mark {
		return c.pair, nil
	}
	if err == nil {
		err = c.read(mark)
	}
	switch {
	case err == nil:
		c.bad = ""
		c.log.Info("the certificate was read again", "file", c.cert, "until", c.pair.Leaf.NotAfter.Format(time.RFC3339))
	case mark != c.bad || mark == "":
		c.bad = mark
		c.log.Error("the certificate has changed and cannot be used; the one before stays", "error", err)
	}
	return c.pair, nil
}

// secured serves TLS with a pair of files; without them it serves as it is.
func (d *Daemon) secured(s *server, cert, key string) (*server, error) {
	if cert == "" {
		return s, nil
	}
	pair, err := openCertificate(d.cfg.file(cert), d.cfg.file(key), d.log)
	if err != nil {
		return nil, err
	}
	s.http.TLSConfig = &tls.Config{GetCertificate: pair.get, MinVersion: tls.VersionTLS12}
	s.tls = true
	return s, nil
}

// listenWebhook opens the address at which Meta's callbacks come, where it is one
// of its own: then nothing else is served there, and they come nowhere else.
func (d *Daemon) listenWebhook() (*server, error) {
	w := d.cfg.Webhook
	if w.Listen == "" {
		return nil, nil
	}
	lis, err := d.opt.Listen("tcp", w.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for callbacks on %s: %w; is another program there? change webhook.listen", w.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle(d.cfg.HTTP.WebhookPath, d.intake)
	s := newPublic(lis, mux)
	s.name = "webhook"
	d.onStop("webhook listener", s.http.Close)
	return d.secured(s, w.TLSCert, w.TLSKey)
}

// listenSandboxCallbacks gives the embedded sandbox a way in that needs no
// certificate, where Meta's own has one.
func (d *Daemon) listenSandboxCallbacks() (*server, error) {
	lis, err := d.opt.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(d.cfg.HTTP.WebhookPath, d.intake)
	s := newPublic(lis, mux)
	s.name = "sandbox callbacks"
	d.onStop("sandbox callbacks", s.http.Close)
	return s, nil
}

// reachedFromElsewhere reports whether others than this machine reach an address.
func reachedFromElsewhere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && !loopback(host)
}

// address checks where a listener is, and that whoever comes from elsewhere comes
// by TLS.
func (k *checker) address(section, listen, cert, key, example string) {
	if _, _, err := net.SplitHostPort(listen); err != nil {
		k.fault(section+".listen", fmt.Sprintf("%q is no address", listen), "write host:port, "+example)
		return
	}
	if (cert == "") != (key == "") {
		k.fault(section+".tls_cert", "a certificate and its key belong together", "give tls_cert and tls_key, or neither")
		return
	}
	if cert == "" {
		if reachedFromElsewhere(listen) {
			k.fault(section+".listen", listen+" is reached from other machines, and keys and callbacks would travel unencrypted",
				"give tls_cert and tls_key, or listen on 127.0.0.1 with a TLS proxy before it")
		}
		return
	}
	if _, err := openCertificate(k.cfg.file(cert), k.cfg.file(key), slog.New(slog.DiscardHandler)); err != nil {
		k.fault(section+".tls_cert", err.Error(), "PEM files: the certificate with its chain, and the key with mode 0600")
	}
}
