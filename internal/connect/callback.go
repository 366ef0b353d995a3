package connect

import (
	"context"
	"errors"
	"slices"
	"strings"

	"janela/internal/whatsapp/cloudapi"
)

// refused reports whether Meta does not take a token: an app's own is its id and
// its secret.
func refused(err error) bool {
	var e *cloudapi.Error
	return errors.As(err, &e) && e.Coded && (e.Code == 190 || e.Code == 101 || e.Code == 1)
}

// subscribe lets the app hear of every account.
func (h *house) subscribe(ctx context.Context) error {
	var fresh []string
	for _, f := range h.found {
		apps, err := h.graph.SubscribedApps(ctx, f.account.ID)
		if err == nil && slices.ContainsFunc(apps, func(a cloudapi.SubscribedApp) bool { return a.ID == h.info.AppID }) {
			continue
		}
		if err == nil {
			err = h.graph.Subscribe(ctx, f.account.ID, "", "")
		}
		if err != nil {
			return h.fail("the token needs "+cloudapi.ScopeManagement+" on the account; "+assign, "account %s cannot be subscribed: %s", f.account.ID, words(err))
		}
		fresh = append(fresh, f.account.ID)
	}
	if len(fresh) == 0 {
		return h.kept("app %s hears of every account", h.info.AppID)
	}
	return h.done("app %s hears of %s from now on", h.info.AppID, strings.Join(fresh, ", "))
}

const proxy = "the daemon must be reachable there, through a proxy with a certificate that browsers trust, which forwards the path to [http] listen; try it from elsewhere with curl"

// callback has Meta post to us: it tries the address itself before it takes it.
func (h *house) callback(ctx context.Context) error {
	secret, verify := h.secrets.app.text, h.secrets.verify.text
	own := h.cfg.Graph(func() (string, error) { return h.info.AppID + "|" + secret, nil })
	defer own.Close()
	now, set, err := own.Subscription(ctx, h.info.AppID)
	if err != nil {
		return h.fail("try again; App Dashboard, WhatsApp, Configuration shows it too", "what the app hears cannot be read: %s", words(err))
	}
	fields := union(now.Fields)
	whole := set && len(fields) == len(now.Fields)
	switch {
	case h.CallbackURL == "" && !set:
		return h.left("run it again with --callback-url https://YOUR.HOST"+h.cfg.HTTP.WebhookPath+"; until then no status comes, and no STOP", "nobody said where Meta reaches us")
	case h.CallbackURL == "" || now.CallbackURL == h.CallbackURL:
		if err := own.SetSubscription(ctx, h.info.AppID, now.CallbackURL, verify, fields); err != nil {
			return h.fail(proxy, "Meta tried %s: %s", now.CallbackURL, words(err))
		}
		if whole {
			return h.kept("Meta has tried %s just now, and posts all %d fields", now.CallbackURL, len(fields))
		}
		return h.done("Meta posts %s to %s from now on", strings.Join(fields, ", "), now.CallbackURL)
	case set && h.Override:
		return h.override(ctx, now, verify)
	case set && !h.Replace:
		return h.fail("--replace-callback takes it from the other program; --override leaves it there, and brings this account's messages here; or let the other program hear through janela: docs/hooks.md",
			"app %s posts to %s, which is another program's perhaps", h.info.AppID, now.CallbackURL)
	}
	if err := own.SetSubscription(ctx, h.info.AppID, h.CallbackURL, verify, fields); err != nil {
		return h.fail(proxy, "Meta tried %s: %s", h.CallbackURL, words(err))
	}
	return h.done("Meta has tried %s, and posts %s there", h.CallbackURL, strings.Join(fields, ", "))
}

// override gives accounts an address of their own.
func (h *house) override(ctx context.Context, now cloudapi.Subscription, verify string) error {
	changed := false
	for _, f := range h.found {
		apps, err := h.graph.SubscribedApps(ctx, f.account.ID)
		if err == nil && slices.ContainsFunc(apps, func(a cloudapi.SubscribedApp) bool { return a.ID == h.info.AppID && a.Override == h.CallbackURL }) {
			continue
		}
		changed = true
		if err := h.graph.Subscribe(ctx, f.account.ID, h.CallbackURL, verify); err != nil {
			return h.fail(proxy, "Meta tried %s: %s", h.CallbackURL, words(err))
		}
	}
	if !changed {
		return h.kept("messages of the account go to %s, everything else to %s", h.CallbackURL, now.CallbackURL)
	}
	return h.done("messages of the account go to %s from now on; news of templates and of the account go on to %s", h.CallbackURL, now.CallbackURL)
}

// union adds the fields that are needed to those that are there.
func union(have []string) []string {
	out := slices.Clone(have)
	for _, f := range cloudapi.WebhookFields {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}
