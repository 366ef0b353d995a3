package connect

import (
	"context"
	"errors"
	"strings"
	"time"

	"janela/internal/daemon"
	"janela/internal/httpapi"
)

// Rotate puts a new token in the place of the one that is used: after Meta has
// shown that it may do all that is needed, in one step, and until the daemon has
// taken it.
func Rotate(ctx context.Context, opt Options) (changed bool, err error) {
	h := &house{Options: opt, steps: []string{"new token", "permissions", "accounts", "token file", "daemon"}}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.load(); err != nil {
		return false, err
	}
	s := &h.secrets.token
	if err := h.ownToken(); err != nil {
		return false, err
	}
	switch {
	case h.own != "":
	case s.env != "":
		return false, h.fail("set the variable to the new token where the daemon is started, and restart it", "the token comes from JANELA_WHATSAPP_TOKEN, not from a file")
	case !s.named:
		return false, h.fail("janela connect writes the first one", "config.toml names no token_file")
	}
	old := s.have
	s.have, s.bad = "", nil
	for i, do := range []func(context.Context) error{h.checkToken, h.permissions, h.sees, func(context.Context) error { return h.swapToken(old) }, h.taken} {
		h.at = i
		if err := do(ctx); err != nil {
			return h.changed > 0, err
		}
	}
	return h.changed > 0, nil
}

// ownToken rotates the token of one account alone, where it is named and has one
// of its own.
func (h *house) ownToken() error {
	if len(h.Accounts) == 0 {
		return nil
	}
	for _, a := range h.cfg.WhatsApp.Accounts {
		if a.ID == h.Accounts[0] && len(h.Accounts) == 1 && a.TokenFile != "" {
			h.own = a.ID
			h.secrets.token = h.openSecret("the access token of account "+a.ID, "whatsapp.accounts.token_file", "", a.TokenFile, "")
			return nil
		}
	}
	return h.fail("leave --account out: the token of [whatsapp] token_file serves every account without one of its own", "config.toml gives %s no token of its own", strings.Join(h.Accounts, ", "))
}

// rotated reports whether an account uses the token that is replaced.
func (h *house) rotated(a daemon.AccountConfig) bool {
	if h.own != "" {
		return a.ID == h.own
	}
	return a.TokenFile == ""
}

// sees looks whether the new token may read every account that uses the file.
func (h *house) sees(ctx context.Context) error {
	var ids []string
	for _, a := range h.cfg.WhatsApp.Accounts {
		if !h.rotated(a) {
			continue
		}
		if _, err := h.graph.Account(ctx, a.ID); err != nil {
			return h.fail(assign, "the new token cannot read account %s: %s", a.ID, words(err))
		}
		ids = append(ids, a.ID)
	}
	if secrets, err := h.cfg.AppSecrets(); err == nil && len(secrets) > 0 {
		own := h.cfg.Graph(func() (string, error) { return h.info.AppID + "|" + secrets[0], nil })
		defer own.Close()
		if _, _, err := own.Subscription(ctx, h.info.AppID); refused(err) {
			return h.fail("make the token for the app whose secret is in "+h.secrets.app.path+", or replace that too", "the new token is of app %s, and the app secret is not", h.info.AppID)
		}
	}
	return h.kept("it reads %s", strings.Join(ids, ", "))
}

// swapToken writes the file, unless it has this token already.
func (h *house) swapToken(old string) error {
	s := &h.secrets.token
	if old == s.text {
		return h.kept("%s has this token already", s.path)
	}
	if err := h.write(s.path, s.text); err != nil {
		return h.fail("make its folder writable; the old token is still there", "%s cannot be written: %v", s.path, err)
	}
	return h.done("wrote %s, in one step", s.path)
}

// takenIn is how long a daemon may take to look at the file again.
const takenIn = 20 * time.Second

// taken waits until the daemon shows Meta the new token, and Meta answers it.
func (h *house) taken(ctx context.Context) error {
	c, err := httpapi.Dial(ctx, h.cfg.SocketPath())
	if err != nil {
		return h.left("it reads the file when it starts", "no daemon runs")
	}
	h.client = c
	ctx, cancel := context.WithTimeout(ctx, takenIn)
	defer cancel()
	want := daemon.Fingerprint(h.secrets.token.text)
	for {
		self, err := c.Self(ctx)
		if err == nil && h.uses(self, want) {
			break
		}
		select {
		case <-ctx.Done():
			return h.fail("look at its log; a restart reads the file in any case", "the daemon does not use the new token after %s", takenIn)
		case <-time.After(200 * time.Millisecond):
		}
	}
	if _, err := c.Templates(ctx, true); err != nil {
		return h.fail("janela doctor says more", "the daemon uses the new token, and Meta does not answer it: %v", err)
	}
	return h.kept("it uses the new token, and Meta answers")
}

// uses reports whether the accounts that use the file show the new token.
func (h *house) uses(self httpapi.Self, want string) bool {
	for _, a := range h.cfg.WhatsApp.Accounts {
		if h.rotated(a) && self.Tokens[a.ID] != want {
			return false
		}
	}
	return true
}
