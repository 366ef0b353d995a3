package sandbox

import (
	"fmt"
	"time"
)

// idleFor is how long a template may rest before the Marketing Messages API has
// to prepare it again (Meta: Marketing Messages API).
const idleFor = 7 * 24 * time.Hour

// syncing is where the Marketing Messages API stands with a template. A restart
// forgets it.
type syncing struct {
	ready time.Time // when it is prepared
	asked time.Time // when a send last asked for it
}

// viaMarketing judges by which endpoint a template came. lite: it goes by the
// Marketing Messages API, and its statuses say so. The caller holds the lock.
func (s *Sandbox) viaMarketing(q *request, num *number, t *template, now time.Time) (lite bool, e *graphError) {
	a := num.account
	switch {
	case !q.marketing && t.Category == "MARKETING" && a.NoCloudMarketing:
		return false, refuse(131063, "Marketing messages are disabled on Cloud API for this business account; use marketing_messages")
	case !q.marketing:
		return false, nil
	case t.Category != "MARKETING":
		return false, refuse(131055, "marketing_messages: template (%s) is not of category MARKETING", t.Name)
	case a.NotOnboarded && q.Policy == "STRICT":
		return false, refuse(134102, "the business account is not onboarded to Marketing Messages API")
	case a.NotOnboarded:
		return false, nil // silently by the Cloud API
	}
	if s.profile.MarketingSync > 0 {
		if t.sync.asked.IsZero() || now.Sub(t.sync.asked) > idleFor {
			t.sync.ready = now.Add(s.profile.MarketingSync)
		}
		t.sync.asked = now
		if now.Before(t.sync.ready) {
			return false, refuse(134101, "template (%s) is syncing for marketing messages; try again in up to 10 minutes", t.Name)
		}
	}
	return true, nil
}

// priced is the category as statuses name it.
func (r *record) priced(category string) string {
	if category == "marketing" && r.flags&flagLite != 0 {
		return "marketing_lite"
	}
	return category
}

// AccountChange is what becomes of a business account. Nil fields
// stay as they are.
type AccountChange struct {
	ID        string `json:"id"`                  // empty: the first business account
	Onboarded *bool  `json:"onboarded,omitempty"` // to the Marketing Messages API
	OnCloud   *bool  `json:"on_cloud,omitempty"`  // marketing may also go by the Cloud API

	Subscribed *bool `json:"subscribed,omitempty"` // to the app: without it no callbacks
}

// SetAccount changes an account. It posts no webhook, and a restart forgets it.
func (s *Sandbox) SetAccount(c AccountChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ID == "" {
		c.ID = s.byIndex[0].account.ID
	}
	a := s.accounts[c.ID]
	if a == nil {
		return fmt.Errorf("sandbox: business account %s is not configured", c.ID)
	}
	if c.Onboarded != nil {
		a.NotOnboarded = !*c.Onboarded
	}
	if c.OnCloud != nil {
		a.NoCloudMarketing = !*c.OnCloud
	}
	if c.Subscribed != nil {
		a.subscribed = *c.Subscribed
	}
	return nil
}

// onboarding is the account's status as Meta writes it.
func (a *account) onboarding() string {
	if a.NotOnboarded {
		return "ELIGIBLE"
	}
	return "ONBOARDED"
}
