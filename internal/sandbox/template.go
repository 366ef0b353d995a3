package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// put adds a template or replaces the one of the same identity. It notes and
// posts nothing.
func (s *Sandbox) put(t Template) error {
	a := s.accounts[t.WABA]
	if a == nil {
		return fmt.Errorf("sandbox: template %s: business account %q is not configured", t.Name, t.WABA)
	}
	t.Language = whatsapp.Language(t.Language)
	if t.Name == "" || t.Language == "" {
		return fmt.Errorf("sandbox: template %q: name and language are needed", t.Name)
	}
	for _, f := range []struct {
		field *string
		value string
		known []string // nil: any
	}{
		{&t.Category, "", []string{"MARKETING", "UTILITY", "AUTHENTICATION"}},
		{&t.ParameterFormat, "POSITIONAL", []string{"POSITIONAL", "NAMED"}},
		{&t.Status, "APPROVED", nil},
		{&t.Quality, "UNKNOWN", []string{"GREEN", "YELLOW", "RED", "UNKNOWN"}},
		{&t.RejectedReason, "NONE", nil},
	} {
		*f.field = strings.ToUpper(*f.field)
		if *f.field == "" {
			*f.field = f.value
		}
		if f.known != nil && !slices.Contains(f.known, *f.field) {
			return fmt.Errorf("sandbox: template %s: %q is none of %s", t.Name, *f.field, strings.Join(f.known, ", "))
		}
	}
	if t.ID == "" {
		t.ID = decimal(s.cfg.Seed, 15, "template", t.WABA, t.Name, t.Language)
	}
	sh, err := shapeOf(t.Components)
	if err != nil {
		return fmt.Errorf("sandbox: template %s: %w", t.Name, err)
	}
	if old := s.templates[t.ref()]; old != nil {
		old.Template, old.shape = t, sh
		return nil
	}
	made := &template{Template: t, shape: sh}
	s.templates[t.ref()] = made
	a.templates = append(a.templates, made)
	return nil
}

// AddTemplate adds a template or replaces the one of the same identity. It
// posts no webhook.
func (s *Sandbox) AddTemplate(t Template) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.put(t); err != nil {
		return err
	}
	return s.note(line{Template: &t})
}

// TemplateChange is what Meta, or the business in Meta's manager, does to a
// template. Empty fields stay as they are.
type TemplateChange struct {
	WABA     string `json:"waba"` // empty: the first business account
	Name     string `json:"name"`
	Language string `json:"language"`
	Status   string `json:"status,omitempty"`   // APPROVED, PAUSED, …; DELETED takes it off the list
	Reason   string `json:"reason,omitempty"`   // of a rejection
	Category string `json:"category,omitempty"` // of the message
	Announce bool   `json:"announce,omitempty"` // the category is announced, not yet changed
	Quality  string `json:"quality,omitempty"`
	Silent   bool   `json:"silent,omitempty"` // no webhook: they do get lost
}

func (c *TemplateChange) ref() whatsapp.TemplateRef {
	return whatsapp.TemplateRef{WABA: c.WABA, Name: c.Name, Language: whatsapp.Language(c.Language)}
}

// SetTemplate changes a template and posts the webhooks Meta posts for it.
func (s *Sandbox) SetTemplate(c TemplateChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.WABA == "" {
		c.WABA = s.byIndex[0].account.ID
	}
	t := s.templates[c.ref()]
	if t == nil {
		return fmt.Errorf("sandbox: there is no template %s of business account %s", c.ref(), c.WABA)
	}
	c.Status, c.Category, c.Quality = strings.ToUpper(c.Status), strings.ToUpper(c.Category), strings.ToUpper(c.Quality)
	if c.Category != "" {
		if _, err := whatsapp.ParseCategory(c.Category); err != nil {
			return fmt.Errorf("sandbox: template %s: %w", c.Name, err)
		}
	}
	if err := s.note(line{Change: &c}); err != nil {
		return err
	}
	before := t.Template
	s.alter(t, c)
	if c.Silent {
		return nil
	}
	return s.tellTemplate(t, before, c)
}

// alter applies a change.
func (s *Sandbox) alter(t *template, c TemplateChange) {
	switch {
	case c.Category == "":
	case c.Announce:
		t.CorrectCategory = c.Category
	default:
		t.PreviousCategory, t.Category, t.CorrectCategory = t.Category, c.Category, ""
	}
	if c.Quality != "" {
		t.Quality = c.Quality
	}
	if c.Status == "" {
		return
	}
	t.Status = c.Status
	t.RejectedReason = "NONE"
	if c.Status == "REJECTED" && c.Reason != "" {
		t.RejectedReason = c.Reason
	}
	if c.Status == "DELETED" {
		delete(s.templates, t.ref())
		a := s.accounts[t.WABA]
		a.templates = slices.DeleteFunc(a.templates, func(o *template) bool { return o == t })
	}
}

// tellTemplate queues the webhooks of a change (Meta: Webhooks,
// message_template_status_update, template_category_update and
// message_template_quality_update). Ids are numbers here and the language is
// written with a hyphen.
func (s *Sandbox) tellTemplate(t *template, before Template, c TemplateChange) error {
	now := time.Now()
	value := func() map[string]any {
		id, err := strconv.ParseInt(t.ID, 10, 64)
		if err != nil {
			id = 0
		}
		return map[string]any{
			"message_template_id":       id,
			"message_template_name":     t.Name,
			"message_template_language": strings.ReplaceAll(t.Language, "_", "-"),
		}
	}
	a := s.accounts[t.WABA]
	if c.Status != "" {
		v := value()
		v["event"], v["message_template_category"], v["reason"] = c.Status, t.Category, t.RejectedReason
		switch c.Status {
		case "PAUSED":
			v["other_info"] = map[string]any{"title": "FIRST_PAUSE", "description": "Your WhatsApp message template has been paused for 3 hours until its quality improves."}
		case "APPROVED":
			if before.Status == "PAUSED" {
				v["other_info"] = map[string]any{"title": "UNPAUSE", "description": "Your WhatsApp message template has been unpaused."}
			}
		case "DISABLED":
			v["other_info"] = map[string]any{"title": "DISABLED", "description": "Your WhatsApp message template has been disabled."}
			v["disable_info"] = map[string]any{"disable_date": now.Unix()}
		case "REJECTED":
			v["rejection_info"] = map[string]any{"reason": t.RejectedReason, "recommendation": "Change the template and submit it again."}
		}
		if err := s.queueChange(a, "message_template_status_update", v, now); err != nil {
			return err
		}
	}
	if c.Category != "" {
		v := value()
		if c.Announce {
			v["new_category"], v["correct_category"] = t.Category, t.CorrectCategory
			v["category_update_timestamp"] = now.Add(24 * time.Hour).Unix()
		} else {
			v["previous_category"], v["new_category"] = before.Category, t.Category
		}
		if err := s.queueChange(a, "template_category_update", v, now); err != nil {
			return err
		}
	}
	if c.Quality != "" {
		v := value()
		v["previous_quality_score"], v["new_quality_score"] = before.Quality, t.Quality
		return s.queueChange(a, "message_template_quality_update", v, now)
	}
	return nil
}

// SetToken changes the token that is accepted; requests with the old one are
// answered with error 190.
func (s *Sandbox) SetToken(token string) error {
	if err := checkToken(token); err != nil {
		return err
	}
	s.mu.Lock()
	s.token = token
	s.mu.Unlock()
	return nil
}

// SetNumber changes what is read of a number: the fields that are not empty.
// It posts no webhook, and a restart forgets it.
func (s *Sandbox) SetNumber(n Number) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	num := s.numbers[n.ID]
	if num == nil {
		return fmt.Errorf("sandbox: number %s is not configured", n.ID)
	}
	for _, f := range []struct{ field, value *string }{
		{&num.Display, &n.Display},
		{&num.VerifiedName, &n.VerifiedName},
		{&num.Status, &n.Status},
		{&num.Quality, &n.Quality},
		{&num.Throughput, &n.Throughput},
		{&num.MessagingLimit, &n.MessagingLimit},
		{&num.NameStatus, &n.NameStatus},
	} {
		if *f.value != "" {
			*f.field = *f.value
		}
	}
	return nil
}

// node is the template as the Graph API shows it.
func (t *Template) node() map[string]any {
	n := map[string]any{
		"id": t.ID, "name": t.Name, "language": t.Language, "status": t.Status, "category": t.Category,
		"parameter_format": t.ParameterFormat, "components": t.Components,
		"rejected_reason": t.RejectedReason, "quality_score": map[string]any{"score": t.Quality, "date": 0},
		"health_status": health("MESSAGE_TEMPLATE", t.ID, t.Status == "APPROVED"),
	}
	for name, v := range map[string]string{
		"sub_category": t.SubCategory, "correct_category": t.CorrectCategory, "previous_category": t.PreviousCategory,
	} {
		if v != "" {
			n[name] = v
		}
	}
	if t.TTLSeconds != 0 {
		n["message_send_ttl_seconds"] = t.TTLSeconds
	}
	return n
}
