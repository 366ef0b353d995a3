package cloudapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// What is set up once, with the app and its token (Meta: Access tokens, App
// subscriptions, Get started). Errors are *Error.

// The permissions that a token needs (Meta: Permissions).
const (
	ScopeMessaging  = "whatsapp_business_messaging"  // sends, and the field messages
	ScopeManagement = "whatsapp_business_management" // templates, numbers, all other fields
)

// WebhookFields are the webhook fields that janela works with; without messages
// it is deaf.
var WebhookFields = []string{"messages", "message_template_status_update", "template_category_update", "message_template_quality_update",
	"message_template_components_update", "phone_number_quality_update", "account_update", "account_alerts", "user_preferences"}

// Reached is what any answer of the Graph API tells, also one that refuses.
type Reached struct {
	Date    time.Time     // its clock, in whole seconds; zero: it told none
	Version string        // by which it answered; another than was asked for when that has expired. "": not told
	Took    time.Duration // how long the answer took
}

// Reach asks for nothing, and shows no token.
func (c *Client) Reach(ctx context.Context) (Reached, error) {
	const op = "reach the Graph API"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/me", nil)
	if err != nil {
		return Reached{}, &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: withoutURL(err)}
	}
	begun := time.Now()
	resp, err := c.reads.HTTPClient.Do(req)
	if err != nil {
		return Reached{}, &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: withoutURL(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	out := Reached{Took: time.Since(begun), Version: resp.Header.Get("Facebook-Api-Version")}
	out.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if _, graph := parseGraph(body); !graph && (resp.StatusCode < 200 || resp.StatusCode > 299) {
		return out, &Error{Op: op, HTTPStatus: resp.StatusCode, Class: whatsapp.ClassUnknown, NotSent: true, Err: errors.New("the answer is not in Meta's form")}
	}
	return out, nil
}

// Token is what Meta knows of an access token.
type Token struct {
	Valid     bool
	Why       string // Meta's words, when it is not valid
	AppID     string
	App       string    // the app's name
	Type      string    // SYSTEM_USER, USER, …
	Scopes    []string  // permissions
	ExpiresAt time.Time // zero: never
	DataUntil time.Time // when access to data ends; zero: never
	Accounts  []string  // business accounts that it may manage, where that is told
}

// Lacks returns the permissions of a list that the token does not have.
func (t Token) Lacks(scopes ...string) (out []string) {
	for _, s := range scopes {
		if !slices.Contains(t.Scopes, s) {
			out = append(out, s)
		}
	}
	return out
}

// DebugToken asks what Meta knows of the client's own token (Meta: Debug-Token).
// The token stands in the query, because that call has it as its parameter; no
// error and no log of ours shows a query.
func (c *Client) DebugToken(ctx context.Context) (t Token, err error) {
	_, token, err := c.bearer()
	if err != nil {
		return t, &Error{Op: "look at the token", Class: whatsapp.ClassHaltAuth, NotSent: true, Err: err}
	}
	err = c.get(ctx, "look at the token", "/debug_token", url.Values{"input_token": {token}}, func(body []byte) error {
		var b struct {
			Data struct {
				Valid     bool   `json:"is_valid"`
				AppID     text   `json:"app_id"`
				App       text   `json:"application"`
				Type      text   `json:"type"`
				Scopes    []text `json:"scopes"`
				ExpiresAt number `json:"expires_at"`
				DataUntil number `json:"data_access_expires_at"`
				Granular  []struct {
					Scope   text   `json:"scope"`
					Targets []text `json:"target_ids"`
				} `json:"granular_scopes"`
				Error struct {
					Message text `json:"message"`
				} `json:"error"`
			} `json:"data"`
		}
		if err := decodeLoosely(body, &b); err != nil {
			return err
		}
		d := b.Data
		t = Token{Valid: d.Valid, Why: scrub(string(d.Error.Message), token), AppID: string(d.AppID), App: string(d.App), Type: upper(d.Type)}
		for _, s := range d.Scopes {
			t.Scopes = append(t.Scopes, string(s))
		}
		if d.ExpiresAt.value > 0 {
			t.ExpiresAt = time.Unix(d.ExpiresAt.value, 0).UTC()
		}
		if d.DataUntil.value > 0 {
			t.DataUntil = time.Unix(d.DataUntil.value, 0).UTC()
		}
		for _, g := range d.Granular {
			if g.Scope != ScopeManagement {
				continue
			}
			for _, id := range g.Targets {
				t.Accounts = append(t.Accounts, string(id))
			}
		}
		return nil
	})
	return t, err
}

// Account is what Meta says of a business account (WABA).
type Account struct {
	ID           string
	Name         string
	ReviewStatus string // APPROVED, PENDING, REJECTED
	Health       Health
}

// Account reads a business account.
func (c *Client) Account(ctx context.Context, waba string) (a Account, err error) {
	query := url.Values{"fields": {"id,name,account_review_status,health_status"}}
	err = c.get(ctx, "read account", "/"+url.PathEscape(waba), query, func(body []byte) error {
		var b struct {
			ID     text       `json:"id"`
			Name   text       `json:"name"`
			Review text       `json:"account_review_status"`
			Health healthBody `json:"health_status"`
		}
		if err := decodeLoosely(body, &b); err != nil {
			return err
		}
		if b.ID == "" {
			return errors.New("the answer names no account")
		}
		a = Account{ID: string(b.ID), Name: string(b.Name), ReviewStatus: upper(b.Review), Health: b.Health.health()}
		return nil
	})
	return a, err
}

// Businesses lists the business portfolios that the token belongs to. It needs
// the permission business_management.
func (c *Client) Businesses(ctx context.Context) ([]string, error) {
	return c.ids(ctx, "list businesses", "/me/businesses")
}

// Accounts lists the business accounts of a portfolio: its own, and those of
// clients that share theirs with it.
func (c *Client) Accounts(ctx context.Context, business string) ([]string, error) {
	var all []string
	for _, edge := range []string{"owned_whatsapp_business_accounts", "client_whatsapp_business_accounts"} {
		ids, err := c.ids(ctx, "list accounts", "/"+url.PathEscape(business)+"/"+edge)
		if err != nil {
			return nil, err
		}
		all = append(all, ids...)
	}
	return all, nil
}

func (c *Client) ids(ctx context.Context, op, path string) (out []string, err error) {
	err = c.list(ctx, op, path, url.Values{"fields": {"id"}, "limit": {"100"}}, func(raw json.RawMessage) error {
		var b struct {
			ID text `json:"id"`
		}
		if err := decodeLoosely(raw, &b); err != nil || b.ID == "" {
			return elementFault(op, len(out))
		}
		if id := string(b.ID); !slices.Contains(out, id) {
			out = append(out, id)
		}
		return nil
	})
	return out, err
}

// SubscribedApp is an app that hears of a business account.
type SubscribedApp struct {
	ID       string
	Name     string
	Override string // the account's own callback address at this app; "": the app's
}

// SubscribedApps lists the apps that hear of a business account.
func (c *Client) SubscribedApps(ctx context.Context, waba string) (out []SubscribedApp, err error) {
	const op = "list subscribed apps"
	err = c.list(ctx, op, "/"+url.PathEscape(waba)+"/subscribed_apps", url.Values{}, func(raw json.RawMessage) error {
		var b struct {
			App struct {
				ID   text `json:"id"`
				Name text `json:"name"`
			} `json:"whatsapp_business_api_data"`
			Override text `json:"override_callback_uri"`
		}
		if err := decodeLoosely(raw, &b); err != nil || b.App.ID == "" {
			return elementFault(op, len(out))
		}
		out = append(out, SubscribedApp{string(b.App.ID), string(b.App.Name), string(b.Override)})
		return nil
	})
	return out, err
}

// Subscribe lets the token's app hear of a business account. With an override,
// news of messages go to that address instead of the app's; Meta tries it before
// it answers. It may be repeated.
func (c *Client) Subscribe(ctx context.Context, waba, override, verifyToken string) error {
	form := url.Values{}
	if override != "" {
		form.Set("override_callback_uri", override)
		form.Set("verify_token", verifyToken)
	}
	return c.change(ctx, "subscribe the app", "/"+url.PathEscape(waba)+"/subscribed_apps", form)
}

// Subscription is where an app's callbacks about WhatsApp go, and which.
type Subscription struct {
	CallbackURL string
	Active      bool
	Fields      []string
}

const whatsappObject = "whatsapp_business_account"

// Subscription reads where the app's callbacks go; ok is false when nothing was
// set up. The client's token must be the app's own: "id|secret".
func (c *Client) Subscription(ctx context.Context, app string) (s Subscription, ok bool, err error) {
	const op = "read the app's callbacks"
	err = c.list(ctx, op, "/"+url.PathEscape(app)+"/subscriptions", url.Values{}, func(raw json.RawMessage) error {
		var b struct {
			Object      text              `json:"object"`
			CallbackURL text              `json:"callback_url"`
			Active      bool              `json:"active"`
			Fields      []json.RawMessage `json:"fields"`
		}
		if err := decodeLoosely(raw, &b); err != nil {
			return elementFault(op, 0)
		}
		if b.Object != whatsappObject {
			return nil
		}
		s, ok = Subscription{CallbackURL: string(b.CallbackURL), Active: b.Active}, true
		for _, raw := range b.Fields { // an object with a name, or the name alone in older versions
			var field struct {
				Name text `json:"name"`
			}
			if json.Unmarshal(raw, &field) != nil || field.Name == "" {
				_ = json.Unmarshal(raw, &field.Name)
			}
			if field.Name != "" {
				s.Fields = append(s.Fields, string(field.Name))
			}
		}
		return nil
	})
	return s, ok, err
}

// SetSubscription sends the app's callbacks about WhatsApp to an address, in the
// place of what was set. Meta tries the address before it answers. The client's
// token must be the app's own.
func (c *Client) SetSubscription(ctx context.Context, app, address, verifyToken string, fields []string) error {
	return c.change(ctx, "set the app's callback address", "/"+url.PathEscape(app)+"/subscriptions", url.Values{
		"object": {whatsappObject}, "callback_url": {address}, "verify_token": {verifyToken}, "fields": {strings.Join(fields, ",")}})
}

// change posts a form whose effect is the same however often it is asked for.
func (c *Client) change(ctx context.Context, op, path string, form url.Values) error {
	ctx, cancel := context.WithTimeout(ctx, c.sendTimeout)
	defer cancel()
	body := []byte(form.Encode())
	return c.post(ctx, op, c.base+path, "application/x-www-form-urlencoded", int64(len(body)), body, func(b []byte) error {
		var done struct {
			Success bool `json:"success"`
		}
		if err := decodeLoosely(b, &done); err != nil || !done.Success {
			return errors.New("Meta does not say that it was done")
		}
		return nil
	})
}
