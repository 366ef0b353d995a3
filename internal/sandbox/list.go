package sandbox

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"janela/internal/whatsapp"
)

var templateDefaults = []string{
	"name", "parameter_format", "components", "language", "status", "category", "sub_category", "id",
}

// templateKnown are fields that are absent while they are empty.
var templateKnown = []string{
	"sub_category", "correct_category", "previous_category", "message_send_ttl_seconds",
	"last_updated_time", "library_template_name", "cta_url_link_tracking_opted_out",
}

type page struct {
	Data    []map[string]any `json:"data"`
	Paging  *paging          `json:"paging,omitempty"`
	Summary map[string]int   `json:"summary,omitempty"`
}

type paging struct {
	Cursors  cursors `json:"cursors"`
	Next     string  `json:"next,omitempty"`
	Previous string  `json:"previous,omitempty"`
}

type cursors struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

func cursorOf(id string) string { return base64.RawURLEncoding.EncodeToString([]byte("QVFI" + id)) }

func idOfCursor(cursor string) string {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return ""
	}
	id, _ := strings.CutPrefix(string(raw), "QVFI")
	return id
}

// listTemplates is GET /{waba}/message_templates.
func (s *Sandbox) listTemplates(c *call, a *account) {
	q := c.r.URL.Query()
	statuses := strings.ToUpper(q.Get("status"))
	var nodes []map[string]any
	s.mu.Lock()
	total := len(a.templates)
	for _, t := range a.templates {
		if (statuses == "" || listed(statuses, t.Status)) &&
			(q.Get("name") == "" || q.Get("name") == t.Name) &&
			(q.Get("category") == "" || listed(strings.ToUpper(q.Get("category")), t.Category)) &&
			(q.Get("language") == "" || whatsapp.Language(q.Get("language")) == t.Language) {
			nodes = append(nodes, t.node())
		}
	}
	s.mu.Unlock()
	summary := map[string]int(nil)
	if q.Get("summary") != "" {
		summary = map[string]int{
			"total_count": len(nodes), "message_template_count": total, "message_template_limit": 6000,
		}
	}
	s.answerPage(c, nodes, summary, "WhatsAppMessageTemplate", templateDefaults, templateKnown)
}

// listed reports whether value stands in a comma separated list, which may
// also be written as a JSON list.
func listed(list, value string) bool {
	for _, one := range strings.Split(strings.Trim(list, "[]"), ",") {
		if strings.Trim(one, `" `) == value {
			return true
		}
	}
	return false
}

// listNumbers is GET /{waba}/phone_numbers.
func (s *Sandbox) listNumbers(c *call, a *account) {
	var nodes []map[string]any
	s.mu.Lock()
	for _, n := range a.numbers {
		nodes = append(nodes, n.node())
	}
	s.mu.Unlock()
	s.answerPage(c, nodes, nil, "WhatsAppBusinessPhoneNumber", numberDefaults, []string{"messaging_limit_tier", "quality_score"})
}

// answerPage cuts nodes into pages: limit (25), after, before.
func (s *Sandbox) answerPage(c *call, nodes []map[string]any, summary map[string]int, typ string, defaults, known []string) {
	q := c.r.URL.Query()
	limit := 25
	if raw := q.Get("limit"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			s.answerError(c.w, badParameter("Param limit must be an integer greater than or equal to 1."))
			return
		}
		limit = min(n, 1000)
	}
	from, to := 0, min(limit, len(nodes))
	find := func(cursor string) int {
		id := idOfCursor(cursor)
		for i, n := range nodes {
			if n["id"] == id {
				return i
			}
		}
		return -1
	}
	after, before := q.Get("after"), q.Get("before")
	if cursor := after + before; cursor != "" {
		at := find(cursor)
		if at < 0 || after != "" && before != "" {
			code := 131059 // from v24.0 on (Meta: Cloud API error codes)
			if c.version > 0 && c.version < 24 {
				code = 100
			}
			s.answerError(c.w, refuse(code, "Invalid cursor; begin the listing again without it"))
			return
		}
		if after != "" {
			from = at + 1
			to = min(from+limit, len(nodes))
		} else {
			from, to = max(0, at-limit), at
		}
	}
	p := page{Data: []map[string]any{}, Summary: summary}
	for _, n := range nodes[from:to] {
		out, e := selectFields(c.r, n, typ, defaults, known)
		if e != nil {
			s.answerError(c.w, e)
			return
		}
		p.Data = append(p.Data, out)
	}
	if from < to {
		p.Paging = &paging{Cursors: cursors{cursorOf(nodes[from]["id"].(string)), cursorOf(nodes[to-1]["id"].(string))}}
		if to < len(nodes) {
			p.Paging.Next = pageURL(c.r, "after", p.Paging.Cursors.After)
		}
		if from > 0 {
			p.Paging.Previous = pageURL(c.r, "before", p.Paging.Cursors.Before)
		}
	}
	s.answer(c.w, http.StatusOK, p)
}

// pageURL is the address of another page. Meta's carries the access token;
// this one does not, so that no client comes to rely on it.
func pageURL(r *http.Request, param, cursor string) string {
	u := *r.URL
	u.Scheme, u.Host = "http", r.Host
	if r.TLS != nil {
		u.Scheme = "https"
	}
	q := u.Query()
	q.Del("after")
	q.Del("before")
	q.Del("access_token")
	q.Set(param, cursor)
	u.RawQuery = q.Encode()
	return u.String()
}
