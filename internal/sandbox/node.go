package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// selectFields returns of a node what ?fields= asks for, or its default
// fields, and always its id. known are all the fields the node may have: some
// are absent when they are empty, others do not exist.
func selectFields(r *http.Request, node map[string]any, typ string, defaults, known []string) (map[string]any, *graphError) {
	asked := defaults
	if raw := r.URL.Query().Get("fields"); raw != "" {
		asked = splitFields(raw)
	}
	out := map[string]any{"id": node["id"]}
	for _, f := range asked {
		v, there := node[f]
		if there {
			out[f] = v
		} else if !slices.Contains(known, f) {
			e := badParameter("")
			e.message = "(#100) Tried accessing nonexisting field (" + f + ") on node type (" + typ + ")"
			return nil, e
		}
	}
	return out, nil
}

// splitFields cuts at the commas outside of braces and drops what is asked of
// a field's own fields.
func splitFields(raw string) []string {
	var list []string
	depth, from := 0, 0
	add := func(f string) {
		f, _, _ = strings.Cut(f, "{")
		f, _, _ = strings.Cut(f, ".")
		if f = strings.TrimSpace(f); f != "" {
			list = append(list, f)
		}
	}
	for i, r := range raw {
		switch r {
		case '{', '(':
			depth++
		case '}', ')':
			depth--
		case ',':
			if depth == 0 {
				add(raw[from:i])
				from = i + 1
			}
		}
	}
	add(raw[from:])
	return list
}

func health(typ, id string, available bool) map[string]any {
	state := "AVAILABLE"
	if !available {
		state = "BLOCKED"
	}
	return map[string]any{
		"can_send_message": state,
		"entities":         []any{map[string]any{"entity_type": typ, "id": id, "can_send_message": state}},
	}
}

var numberDefaults = []string{
	"id", "verified_name", "code_verification_status", "display_phone_number", "quality_rating", "platform_type", "throughput",
}

func (n *number) node() map[string]any {
	return map[string]any{
		"id": n.ID, "display_phone_number": n.Display, "verified_name": n.VerifiedName,
		"status": n.Status, "quality_rating": n.Quality,
		"throughput": map[string]any{"level": n.Throughput},
		"whatsapp_business_manager_messaging_limit": n.MessagingLimit,
		"name_status": n.NameStatus, "code_verification_status": "VERIFIED", "platform_type": "CLOUD_API",
		"account_mode": "SANDBOX", "is_on_biz_app": false, "is_official_business_account": false,
		"health_status": health("PHONE_NUMBER", n.ID, n.Status == "CONNECTED"),
	}
}

func (s *Sandbox) getNumber(c *call, n *number) {
	s.mu.Lock()
	node := n.node()
	s.mu.Unlock()
	s.answerNode(c, node, "WhatsAppBusinessPhoneNumber", numberDefaults, []string{"messaging_limit_tier", "quality_score"})
}

func (s *Sandbox) getAccount(c *call, a *account) {
	name := a.Name
	if name == "" {
		name = "Loja de Exemplo"
	}
	s.mu.Lock()
	limit, onboarding := a.limit(), a.onboarding()
	s.mu.Unlock()
	node := map[string]any{
		"id": a.ID, "name": name, "currency": "BRL", "timezone_id": "25", "country": "BR",
		"message_template_namespace": decimal(s.cfg.Seed, 18, "namespace", a.ID),
		"account_review_status":      "APPROVED", "business_verification_status": "verified",
		"whatsapp_business_manager_messaging_limit": limit,
		"marketing_messages_onboarding_status":      onboarding,
		"health_status":                             health("WABA", a.ID, true),
	}
	s.answerNode(c, node, "WhatsAppBusinessAccount",
		[]string{"id", "name", "currency", "timezone_id", "message_template_namespace"}, []string{"owner_business_info"})
}

// limit is the messaging limit of the portfolio, which all its numbers share.
func (a *account) limit() string {
	if len(a.numbers) == 0 {
		return "NOT_SET"
	}
	return a.numbers[0].MessagingLimit
}

func (s *Sandbox) answerNode(c *call, node map[string]any, typ string, defaults, known []string) {
	out, e := selectFields(c.r, node, typ, defaults, known)
	if e != nil {
		s.answerError(c.w, e)
		return
	}
	s.answer(c.w, http.StatusOK, out)
}

// getOther is a request for an id that is neither a number nor an account.
func (s *Sandbox) getOther(c *call) {
	s.mu.Lock()
	m, isMedia := s.media[c.id]
	var t *Template
	for _, one := range s.templates {
		if one.ID == c.id {
			copied := one.Template
			t = &copied
		}
	}
	s.mu.Unlock()
	switch {
	case isMedia:
		s.serveMedia(c, m)
	case t != nil && c.r.Method == http.MethodGet:
		s.answerNode(c, t.node(), "WhatsAppMessageTemplate", templateDefaults, templateKnown)
	default:
		s.answerError(c.w, noObject(c.r.Method, c.id))
	}
}

// subscribedApps is GET, POST and DELETE /{waba}/subscribed_apps. Without a
// subscription nothing is posted, and what would have been is lost.
func (s *Sandbox) subscribedApps(c *call, a *account) {
	switch c.r.Method {
	case http.MethodGet:
		s.mu.Lock()
		on, override := a.subscribed, a.override
		s.mu.Unlock()
		apps := []any{}
		if on {
			one := map[string]any{"whatsapp_business_api_data": map[string]any{
				"id": s.app.id, "link": "https://sandbox.example/", "name": "janela sandbox",
			}}
			if override != "" {
				one["override_callback_uri"] = override
			}
			apps = append(apps, one)
		}
		s.answer(c.w, http.StatusOK, map[string]any{"data": apps})
	case http.MethodPost, http.MethodDelete:
		in, e := formOf(c, "override_callback_uri", "verify_token")
		if override := in["override_callback_uri"]; e == nil && override != "" {
			e = s.handshake(c.r.Context(), override, in["verify_token"])
		}
		if e != nil {
			s.answerError(c.w, e)
			return
		}
		s.mu.Lock()
		on := c.r.Method == http.MethodPost
		err := s.note(line{Subscribed: &subscribedLine{a.ID, on}})
		if err == nil {
			a.subscribed, a.override = on, in["override_callback_uri"]
		}
		s.mu.Unlock()
		if err != nil {
			s.answerError(c.w, refuse(2, "the sandbox cannot write its journal"))
			return
		}
		s.answer(c.w, http.StatusOK, map[string]bool{"success": true})
	default:
		s.answerError(c.w, noObject(c.r.Method, c.id))
	}
}
