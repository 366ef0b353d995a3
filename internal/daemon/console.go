package daemon

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"janela/internal/access"
	"janela/internal/console"
)

// listenConsole opens the address of the operator's web pages, where there is one.
func (d *Daemon) listenConsole() (*server, error) {
	c := d.cfg.Console
	if c.Listen == "" {
		return nil, nil
	}
	lis, err := d.opt.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the console on %s: %w; is another program there? change console.listen", c.Listen, err)
	}
	var manage http.Handler
	if d.sandbox != nil {
		manage = d.sandbox.Manage()
	}
	pages := console.New(console.Config{DB: d.db, API: d.api, Logins: access.NewLogins(d.db, d.log), Zone: d.zone, Sandbox: manage, Secure: c.TLSCert != "", Version: d.opt.Version,
		FourEyes: func() bool { return d.now().Campaigns.FourEyes }, Log: d.log})
	s := newPublic(lis, pages)
	s.name = "console"
	s.http.RegisterOnShutdown(pages.End)
	d.onStop("console listener", s.http.Close)
	if _, err := d.secured(s, c.TLSCert, c.TLSKey); err != nil {
		return nil, err
	}
	d.console = s.near()
	d.log.Info("the web console is there; janela console logs in", "address", s.url())
	return s, nil
}

// zone is where people read the times that the pages show.
func (d *Daemon) zone() *time.Location {
	zone, err := time.LoadLocation(d.now().Campaigns.Timezone)
	if err != nil { // it was checked
		return time.UTC
	}
	return zone
}

// near is how somebody on this machine reaches the listener, also where it listens
// on every address.
func (s *server) near() string {
	host, port, err := net.SplitHostPort(s.lis.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsUnspecified() {
		return s.url()
	}
	if s.tls {
		return "https://localhost:" + port
	}
	return "http://localhost:" + port
}
