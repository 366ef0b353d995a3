package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"janela/internal/whatsapp/cloudapi"
)

var (
	tokenUnread  = declare("token", "unreadable", FAIL, "the token of account {accounts} cannot be read: {why}", "janela connect --rotate-token writes one")
	tokenRefused = declare("token", "refused", FAIL, "Meta refuses the token of account {accounts}: {why}", "make one for a system user (business.facebook.com, Settings, System users, Generate token), then janela connect --rotate-token")
	tokenUser    = declare("token", "of_a_person", WARN, "the token of account {accounts} belongs to a person ({type}): such tokens end within hours or weeks", "make one for a system user, which need not end; then janela connect --rotate-token")
)

func (l *look) token(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	var o outcome
	for _, t := range l.meta.tokens {
		at := []string{"accounts", strings.Join(t.accounts, ", ")}
		switch {
		case t.unread != nil:
			o.found = append(o.found, tokenUnread.of(append(at, "why", t.unread.Error())...))
		case t.err != nil:
			words, _ := metaWords(t.err)
			o.found = append(o.found, tokenRefused.of(append(at, "why", words)...))
		case !t.info.Valid:
			o.found = append(o.found, tokenRefused.of(append(at, "why", t.info.Why)...))
		case t.info.Type == "USER":
			o.found = append(o.found, tokenUser.of(append(at, "type", t.info.Type)...))
		default:
			o.ok = fmt.Sprintf("%s, of app %s", strings.ToLower(t.info.Type), t.info.AppID)
		}
	}
	return o
}

var (
	scopeMessaging  = declare("scopes", "no_messaging", FAIL, "the token of account {accounts} lacks "+cloudapi.ScopeMessaging+": nothing can be sent", "generate the token again and tick {scope}; then janela connect --rotate-token")
	scopeManagement = declare("scopes", "no_management", FAIL, "the token of account {accounts} lacks "+cloudapi.ScopeManagement+": templates and numbers cannot be read", "generate the token again and tick {scope}; then janela connect --rotate-token")
)

func (l *look) scopes(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	good := l.good()
	if len(good) == 0 {
		return outcome{skip: "no token is good"}
	}
	var o outcome
	for _, t := range good {
		for _, lacks := range t.info.Lacks(cloudapi.ScopeMessaging, cloudapi.ScopeManagement) {
			f := scopeManagement
			if lacks == cloudapi.ScopeMessaging {
				f = scopeMessaging
			}
			o.found = append(o.found, f.of("accounts", strings.Join(t.accounts, ", "), "scope", lacks))
		}
	}
	o.ok = cloudapi.ScopeMessaging + ", " + cloudapi.ScopeManagement
	return o
}

var (
	expirySoon = declare("expiry", "soon", WARN, "{what} of account {accounts} ends on {end}", "make one for a system user that never expires, and janela connect --rotate-token before that day")
	expiryNow  = declare("expiry", "within_a_day", FAIL, "{what} of account {accounts} ends at {end}", "make one for a system user that never expires, and janela connect --rotate-token today")
)

// tokenSoon is how long before its end a token is warned of.
const tokenSoon = 14 * 24 * time.Hour

func (l *look) expiry(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	good := l.good()
	if len(good) == 0 {
		return outcome{skip: "no token is good"}
	}
	o := outcome{ok: "never"}
	for _, t := range good {
		for what, end := range map[string]time.Time{"the token": t.info.ExpiresAt, "the token's access to data": t.info.DataUntil} {
			at := []string{"what", what, "accounts", strings.Join(t.accounts, ", ")}
			switch left := end.Sub(l.Now()); {
			case end.IsZero():
			case left < 24*time.Hour:
				o.found = append(o.found, expiryNow.of(append(at, "end", end.Format(time.RFC3339))...))
			case left < tokenSoon:
				o.found = append(o.found, expirySoon.of(append(at, "end", end.Format(time.DateOnly))...))
			default:
				o.ok = "on " + end.Format(time.DateOnly)
			}
		}
	}
	return o
}
