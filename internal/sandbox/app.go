package sandbox

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The permissions that a token of a business has (Meta: Permissions).
const (
	scopeMessaging  = "whatsapp_business_messaging"
	scopeManagement = "whatsapp_business_management"
	scopeBusiness   = "business_management"
)

// app is Meta's side of what a business sets up once: the app, what its token
// may, where its callbacks go, and how this Graph API itself is doing.
type app struct {
	id, business string
	scopes       []string
	tokenType    string
	expires      time.Time     // zero: never
	skew         time.Duration // of the Date header
	oldest       int           // versions before it are answered as it; 0: none
	fields       []string      // webhook fields that are subscribed; nil: all
	registered   bool          // a callback address is registered
	recipients   []string      // digits: a test number sends to these alone; nil: to everybody
}

func (s *Sandbox) newApp() app {
	return app{id: decimal(s.cfg.Seed, 15, "app"), business: decimal(s.cfg.Seed, 15, "business"), tokenType: "SYSTEM_USER",
		scopes: []string{scopeManagement, scopeMessaging, scopeBusiness}, registered: s.cfg.WebhookURL != ""}
}

// AppChange is how the app, its token and the Graph API are set. Nil fields stay
// as they are. A restart forgets it.
type AppChange struct {
	Scopes        *[]string `json:"scopes,omitempty"`         // what the token may
	TokenType     *string   `json:"token_type,omitempty"`     // SYSTEM_USER, USER
	ExpiresAt     *string   `json:"expires_at,omitempty"`     // RFC 3339; "": never
	DateOffset    *string   `json:"date_offset,omitempty"`    // "-5m": how far the Date header is off
	OldestVersion *string   `json:"oldest_version,omitempty"` // "v24.0": versions before it have expired; "": none
	Fields        *[]string `json:"fields,omitempty"`         // webhook fields that are subscribed
	Recipients    *[]string `json:"recipients,omitempty"`     // to whom a test number may send; empty: to everybody
	CallbackURL   *string   `json:"callback_url,omitempty"`   // where callbacks go, without a handshake; "": nowhere
}

// App is the app as it stands.
type App struct {
	ID            string    `json:"id"`
	Business      string    `json:"business"`
	Scopes        []string  `json:"scopes"`
	TokenType     string    `json:"token_type"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	DateOffset    string    `json:"date_offset"`
	OldestVersion string    `json:"oldest_version,omitempty"`
	Fields        []string  `json:"fields,omitempty"` // none: all
	CallbackURL   string    `json:"callback_url,omitempty"`
}

// App returns the app as it stands.
func (s *Sandbox) App() App {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := App{ID: s.app.id, Business: s.app.business, Scopes: s.app.scopes, TokenType: s.app.tokenType, ExpiresAt: s.app.expires,
		DateOffset: s.app.skew.String(), Fields: s.app.fields, CallbackURL: s.url}
	if s.app.oldest > 0 {
		a.OldestVersion = fmt.Sprintf("v%d.0", s.app.oldest)
	}
	return a
}

// SetApp changes the app; all of the change or nothing of it.
func (s *Sandbox) SetApp(c AppChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, to := s.app, s.url
	if c.Scopes != nil {
		next.scopes = slices.Clone(*c.Scopes)
	}
	if c.TokenType != nil {
		next.tokenType = strings.ToUpper(*c.TokenType)
	}
	if c.ExpiresAt != nil {
		next.expires = time.Time{}
		if *c.ExpiresAt != "" {
			at, err := time.Parse(time.RFC3339, *c.ExpiresAt)
			if err != nil {
				return errors.New("sandbox: expires_at is a time like 2026-12-31T00:00:00Z, or empty for never")
			}
			next.expires = at
		}
	}
	if c.DateOffset != nil {
		d, err := time.ParseDuration(*c.DateOffset)
		if err != nil {
			return errors.New("sandbox: date_offset is a duration like 5m or -30s")
		}
		next.skew = d
	}
	if c.OldestVersion != nil {
		next.oldest = 0
		if *c.OldestVersion != "" {
			m := versionPrefix.FindStringSubmatch(*c.OldestVersion)
			if m == nil {
				return errors.New("sandbox: oldest_version is a version like v24.0, or empty")
			}
			next.oldest, _ = strconv.Atoi(m[1])
		}
	}
	if c.Fields != nil {
		next.fields = append([]string{}, *c.Fields...)
	}
	if c.Recipients != nil {
		next.recipients = nil
		for _, r := range *c.Recipients {
			next.recipients = append(next.recipients, digitsOf(r))
		}
	}
	if c.CallbackURL != nil {
		if err := checkURL(*c.CallbackURL); err != nil {
			return err
		}
		to, next.registered = *c.CallbackURL, *c.CallbackURL != ""
	}
	s.app, s.url = next, to
	s.kick()
	return nil
}

// posts reports whether callbacks of a webhook field are posted. The caller
// holds the lock.
func (a *app) posts(field string) bool { return a.fields == nil || slices.Contains(a.fields, field) }

// fieldsOf are the webhook fields of a callback.
func fieldsOf(body []byte) (out []string) {
	var callback struct {
		Entry []struct {
			Changes []struct {
				Field string `json:"field"`
			} `json:"changes"`
		} `json:"entry"`
	}
	if json.Unmarshal(body, &callback) != nil {
		return nil
	}
	for _, e := range callback.Entry {
		for _, c := range e.Changes {
			out = append(out, c.Field)
		}
	}
	return out
}

// bearer says who asks: with the business's token, or with the app's own
// ("id|secret", Meta: App access tokens). Both false: nobody known.
func (s *Sandbox) bearer(r *http.Request) (token, ofApp bool) {
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	same := func(want string) bool { return ok && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 }
	live := s.app.expires.IsZero() || time.Now().Before(s.app.expires)
	return same(s.token) && live, same(s.app.id + "|" + s.cfg.AppSecret)
}

// permitted says whether the token's permissions suffice.
func (s *Sandbox) permitted(c *call) *graphError {
	needs, code := scopeManagement, 200
	switch {
	case c.edge == "messages" || c.edge == "marketing_messages" || c.edge == "media":
		needs, code = scopeMessaging, 10
	case c.id == "debug_token" || c.id == s.app.id:
		return nil
	case c.edge == "businesses":
		needs = scopeBusiness
	}
	s.mu.Lock()
	ok := slices.Contains(s.app.scopes, needs)
	s.mu.Unlock()
	if ok {
		return nil
	}
	if code == 10 {
		return &graphError{status: 403, typ: "OAuthException", code: 10, message: "(#10) Application does not have permission for this action"}
	}
	return &graphError{status: 403, typ: "OAuthException", code: 200, message: "(#200) Requires " + needs + " permission to manage the object"}
}

// ofApp answers what is about the app, its token and its business, and reports
// whether it was.
func (s *Sandbox) ofApp(c *call, withAppToken bool) bool {
	verb := c.r.Method + " " + c.edge
	switch {
	case c.id == "debug_token" && verb == "GET ":
		s.debugToken(c)
	case c.id == s.app.id && c.edge == "subscriptions":
		if !withAppToken {
			s.answerError(c.w, &graphError{status: 400, typ: "OAuthException", code: 15, message: "(#15) This method must be called with an app access_token."})
			return true
		}
		s.subscriptions(c)
	case c.id == "me" && verb == "GET businesses":
		s.answer(c.w, http.StatusOK, map[string]any{"data": []any{map[string]any{"id": s.app.business, "name": "Loja de Exemplo"}}})
	case c.id == s.app.business && verb == "GET owned_whatsapp_business_accounts":
		data := []any{}
		for _, w := range s.cfg.WABAs {
			data = append(data, map[string]any{"id": w.ID, "name": w.Name})
		}
		s.answer(c.w, http.StatusOK, map[string]any{"data": data})
	case c.id == s.app.business && verb == "GET client_whatsapp_business_accounts":
		s.answer(c.w, http.StatusOK, map[string]any{"data": []any{}})
	default:
		return false
	}
	return true
}

// debugToken is GET /debug_token: what Meta knows of a token.
func (s *Sandbox) debugToken(c *call) {
	input := c.r.URL.Query().Get("input_token")
	s.mu.Lock()
	a, good := s.app, subtle.ConstantTimeCompare([]byte(input), []byte(s.token)) == 1
	s.mu.Unlock()
	if !good {
		s.answer(c.w, http.StatusOK, map[string]any{"data": map[string]any{"is_valid": false, "scopes": []string{},
			"error": map[string]any{"code": 190, "message": "Invalid OAuth access token.", "subcode": 463}}})
		return
	}
	expires := int64(0)
	if !a.expires.IsZero() {
		expires = a.expires.Unix()
	}
	granular := []any{}
	for _, scope := range a.scopes {
		one := map[string]any{"scope": scope}
		if scope != scopeBusiness {
			var ids []string
			for _, w := range s.cfg.WABAs {
				ids = append(ids, w.ID)
			}
			one["target_ids"] = ids
		}
		granular = append(granular, one)
	}
	s.answer(c.w, http.StatusOK, map[string]any{"data": map[string]any{
		"app_id": a.id, "type": a.tokenType, "application": "janela sandbox", "data_access_expires_at": 0, "expires_at": expires,
		"is_valid": true, "issued_at": time.Now().Add(-24 * time.Hour).Unix(), "scopes": a.scopes, "granular_scopes": granular,
		"user_id": decimal(s.cfg.Seed, 15, "user"),
	}})
}

const whatsappObject = "whatsapp_business_account"

// subscriptions is GET, POST and DELETE /{app}/subscriptions: the address that
// callbacks go to, and the fields of which (Meta: App subscriptions).
func (s *Sandbox) subscriptions(c *call) {
	switch c.r.Method {
	case http.MethodGet:
		s.mu.Lock()
		a, to := s.app, s.url
		s.mu.Unlock()
		data := []any{}
		if a.registered {
			fields := []any{}
			names := a.fields
			if names == nil {
				names = allFields
			}
			for _, f := range names {
				fields = append(fields, map[string]any{"name": f, "version": "v25.0"})
			}
			data = append(data, map[string]any{"object": whatsappObject, "callback_url": to, "active": true, "fields": fields})
		}
		s.answer(c.w, http.StatusOK, map[string]any{"data": data})
	case http.MethodPost:
		in, e := formOf(c, "object", "callback_url", "verify_token", "fields")
		if e != nil {
			s.answerError(c.w, e)
			return
		}
		if in["object"] != whatsappObject || in["callback_url"] == "" || in["fields"] == "" {
			s.answerError(c.w, badParameter("object, callback_url and fields are required"))
			return
		}
		fields := strings.Split(in["fields"], ",")
		for _, f := range fields {
			if !slices.Contains(allFields, f) {
				s.answerError(c.w, badParameter("%s is not a field of %s", f, whatsappObject))
				return
			}
		}
		if e := s.handshake(c.r.Context(), in["callback_url"], in["verify_token"]); e != nil {
			s.answerError(c.w, e)
			return
		}
		s.mu.Lock()
		s.url, s.app.registered, s.app.fields = in["callback_url"], true, fields
		s.mu.Unlock()
		s.kick()
		s.answer(c.w, http.StatusOK, map[string]bool{"success": true})
	default:
		s.answerError(c.w, noObject(c.r.Method, c.id))
	}
}

// allFields are the webhook fields of a business account that the sandbox knows.
var allFields = []string{"account_alerts", "account_review_update", "account_update", "business_capability_update", "message_template_components_update",
	"message_template_quality_update", "message_template_status_update", "messages", "phone_number_name_update", "phone_number_quality_update",
	"security", "template_category_update", "user_preferences"}

// handshake is what Meta does before it takes an address.
func (s *Sandbox) handshake(ctx context.Context, to, verifyToken string) *graphError {
	err := checkURL(to)
	if err == nil {
		err = s.challenge(ctx, to, verifyToken)
	}
	if err == nil {
		return nil
	}
	return &graphError{status: 400, typ: "OAuthException", code: 2200,
		message: "(#2200) Callback verification failed with the following errors: " + strings.TrimPrefix(err.Error(), "sandbox: ")}
}

// formOf reads parameters as the Graph API takes them: a form, or JSON.
func formOf(c *call, known ...string) (map[string]string, *graphError) {
	out := map[string]string{}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxBody)
	if strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(c.r.Body).Decode(&out); err != nil && c.r.ContentLength != 0 {
			return nil, badParameter("the body is no JSON object of texts")
		}
	} else if err := c.r.ParseForm(); err != nil {
		return nil, badParameter("the parameters cannot be read")
	}
	for name, values := range c.r.Form {
		if len(values) > 0 {
			out[name] = values[0]
		}
	}
	for name := range out {
		if !slices.Contains(known, name) {
			return nil, badParameter("Unexpected parameter %s", name)
		}
	}
	return out, nil
}
