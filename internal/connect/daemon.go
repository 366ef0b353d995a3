package connect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"janela/internal/httpapi"
)

// daemon finds the running daemon and lets it read what was written, or runs one
// for the moment: so that Meta's callbacks are taken, and the test message
// leaves.
func (h *house) daemon(ctx context.Context) error {
	if h.sandbox != "" && h.sandbox != h.cfg.SocketPath() {
		if old, err := httpapi.Dial(ctx, h.sandbox); err == nil {
			old.Close()
			return h.fail("restart the service (systemctl restart janela), or stop it with Ctrl-C; then run janela connect again: it goes on here", "the daemon with the sandbox still runs")
		}
	}
	c, moment, stop, err := h.Daemon(ctx, h.cfg)
	if err != nil {
		return h.fail("janela doctor says what is wrong; a daemon that runs, or janela serve, will do as well: start it, and run janela connect again", "no daemon runs, and none can be run for the moment: %v", err)
	}
	h.client, h.moment, h.stop = c, moment, stop
	if moment {
		return h.kept("none runs; for the moment one without campaigns listens on %s", h.cfg.HTTP.Listen)
	}
	self, err := c.Self(ctx)
	if err != nil {
		return h.fail("restart the daemon: it is of another version than this program", "the daemon does not say what it is: %v", err)
	}
	if h.fits(self) {
		return h.kept("it runs, process %d, and knows these numbers", self.PID)
	}
	if _, err := c.Reload(ctx); err != nil {
		return h.fail("correct config.toml, and run janela connect again", "the daemon does not take the configuration: %v", err)
	}
	if self, err = c.Self(ctx); err == nil && h.fits(self) {
		return h.done("process %d has read the configuration again", self.PID)
	}
	for h.Ask != nil {
		if _, err := h.Ask("The daemon must be started again to leave the sandbox: systemctl restart janela, or stop it and janela serve. Then press Enter", ""); err != nil {
			return err
		}
		h.client.Close()
		if h.client, h.moment, h.stop, err = h.Daemon(ctx, h.cfg); err != nil || h.moment {
			return h.fail("start the daemon, and run janela connect again: it goes on where it stopped", "no daemon runs: %v", err)
		}
		if self, err = h.client.Self(ctx); err == nil && h.fits(self) {
			return h.done("process %d has the configuration", self.PID)
		}
	}
	return h.fail("systemctl restart janela, or stop it and janela serve; then run janela connect again: it goes on where it stopped", "the daemon runs with another Meta, or other numbers, and takes these only when it starts")
}

// fits reports whether a daemon sends from the numbers that were found, by the
// same Meta.
func (h *house) fits(self httpapi.Self) bool {
	if strings.TrimRight(self.GraphURL, "/") != strings.TrimRight(h.cfg.WhatsApp.GraphURL, "/") {
		return false
	}
	for _, f := range h.found {
		for _, n := range f.numbers {
			if !slices.ContainsFunc(self.Numbers, func(s httpapi.SelfNumber) bool { return s.ID == n.ID && s.Account == f.account.ID }) {
				return false
			}
		}
	}
	return true
}

// templates reads what Meta lists.
func (h *house) templates(ctx context.Context) error {
	all, err := h.client.Templates(ctx, true)
	if err != nil {
		return h.fail("try again; janela doctor says what is wrong", "templates cannot be read: %v", err)
	}
	ready := 0
	for _, t := range all {
		if t.Sendable {
			ready++
		}
	}
	text := fmt.Sprintf("%d, of which %d can be sent", len(all), ready)
	if ready == 0 {
		return h.left("create one in WhatsApp Manager, Message templates", "%s", text)
	}
	return h.kept("%s", text)
}
