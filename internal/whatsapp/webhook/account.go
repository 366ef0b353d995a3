package webhook

import (
	"encoding/json"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// TemplateStatus is a change of a template. Event is Meta's word; FLAGGED,
// LOCKED, REINSTATED and UNARCHIVED are events without being statuses, so the
// template is best read again.
type TemplateStatus struct {
	WABA        string
	At          time.Time
	TemplateID  string
	Name        string
	Language    string // pt_BR, although Meta writes pt-BR here
	Category    string
	Event       string // APPROVED, PAUSED, REJECTED, …
	Reason      string
	Title       string // FIRST_PAUSE, RATE_LIMITING_PAUSE, …
	Description string
	DisableDate string
}

// TemplateCategory tells that Meta moves a template to another category, or
// (Done) has moved it. Until then Current holds and Correct is announced.
type TemplateCategory struct {
	WABA        string
	At          time.Time
	TemplateID  string
	Name        string
	Language    string
	Done        bool
	Previous    string // when done
	Current     string
	Correct     string    // when announced
	EffectiveAt time.Time // when announced; zero when not told
}

// TemplateQuality is a change of how people receive a template.
type TemplateQuality struct {
	WABA       string
	At         time.Time
	TemplateID string
	Name       string
	Language   string
	Previous   string // GREEN, YELLOW, RED, UNKNOWN
	Current    string
}

// TemplateComponents tells that a template's content changed: read it again.
type TemplateComponents struct {
	WABA       string
	At         time.Time
	TemplateID string
	Name       string
	Language   string
}

// NumberQuality is a change of a number's throughput or state. Meta names the
// number by its display form only.
type NumberQuality struct {
	WABA         string
	At           time.Time
	DisplayPhone string
	Event        string // ONBOARDING, THROUGHPUT_UPGRADE, …
	Limit        string // TIER_2K, or a number; "" when not told
}

// Capability is a change of the portfolio's limits.
type Capability struct {
	WABA  string
	At    time.Time
	Limit string // people per rolling 24 h: TIER_2K, a number, or -1 for no limit; "" when not told
}

// AccountUpdate is a change of the account: violation, restriction, ban, …
type AccountUpdate struct {
	WABA         string
	At           time.Time
	Event        string
	Restrictions []Restriction
	BanState     string
	BanDate      string
	Violation    string
}

// Restriction is one thing the account may not do for a time.
type Restriction struct {
	Type  string    // RESTRICTED_BIZ_INITIATED_MESSAGING, …
	Until time.Time // zero when not told
}

// AccountAlert is a notice about the account, a number or a business.
type AccountAlert struct {
	WABA        string
	At          time.Time
	EntityType  string
	EntityID    string
	Severity    string
	Status      string
	Type        string
	Description string
}

// AccountReview is the outcome of Meta's review of the account.
type AccountReview struct {
	WABA     string
	At       time.Time
	Decision string
}

// UsernameUpdate is a change of the business's own username.
type UsernameUpdate struct {
	WABA         string
	At           time.Time
	DisplayPhone string
	Username     string // "" when deleted
	Status       string // approved, reserved, deleted
}

func (TemplateStatus) event()     {}
func (TemplateCategory) event()   {}
func (TemplateQuality) event()    {}
func (TemplateComponents) event() {}
func (NumberQuality) event()      {}
func (Capability) event()         {}
func (AccountUpdate) event()      {}
func (AccountAlert) event()       {}
func (AccountReview) event()      {}
func (UsernameUpdate) event()     {}

// templateValue holds the keys of all four template fields. Meta's own sample
// of a quality update names the field of a status update, so the keys decide.
type templateValue struct {
	ID          text `json:"message_template_id"`
	Name        text `json:"message_template_name"`
	Language    text `json:"message_template_language"`
	Category    text `json:"message_template_category"`
	Event       text `json:"event"`
	Reason      text `json:"reason"`
	DisableInfo struct {
		Date text `json:"disable_date"`
	} `json:"disable_info"`
	Other struct {
		Title       text `json:"title"`
		Description text `json:"description"`
	} `json:"other_info"`
	Rejection struct {
		Reason         text `json:"reason"`
		Recommendation text `json:"recommendation"`
	} `json:"rejection_info"`
	PreviousCategory text    `json:"previous_category"`
	NewCategory      text    `json:"new_category"`
	CorrectCategory  text    `json:"correct_category"`
	CategoryAt       instant `json:"category_update_timestamp"`
	PreviousQuality  text    `json:"previous_quality_score"`
	NewQuality       text    `json:"new_quality_score"`
}

func decodeTemplate(waba string, at time.Time, field string, raw json.RawMessage) Event {
	var v templateValue
	if !loose(raw, &v) {
		return unread(waba, field)
	}
	name, language := string(v.Name), whatsapp.Language(string(v.Language))
	switch {
	case v.ID == "" && name == "":
		return Unknown{WABA: waba, Field: field, Reason: "no template is named"}
	case v.NewQuality != "":
		return TemplateQuality{waba, at, string(v.ID), name, language, upper(v.PreviousQuality), upper(v.NewQuality)}
	case v.NewCategory != "" || v.CorrectCategory != "":
		return TemplateCategory{
			WABA: waba, At: at, TemplateID: string(v.ID), Name: name, Language: language,
			Done:     v.PreviousCategory != "" && v.CorrectCategory == "",
			Previous: upper(v.PreviousCategory), Current: upper(v.NewCategory), Correct: upper(v.CorrectCategory), EffectiveAt: v.CategoryAt.Time,
		}
	case v.Event != "":
		s := TemplateStatus{
			WABA: waba, At: at, TemplateID: string(v.ID), Name: name, Language: language, Category: upper(v.Category),
			Event: upper(v.Event), Reason: string(v.Reason), Title: string(v.Other.Title), Description: string(v.Other.Description),
			DisableDate: string(v.DisableInfo.Date),
		}
		if s.Reason == "" || s.Reason == "NONE" {
			s.Reason = string(v.Rejection.Reason)
		}
		if s.Description == "" {
			s.Description = string(v.Rejection.Recommendation)
		}
		return s
	case field == "message_template_components_update":
		return TemplateComponents{waba, at, string(v.ID), name, language}
	default:
		return Unknown{WABA: waba, Field: field, Reason: "the change is not named"}
	}
}

func decodeAccount(waba string, at time.Time, field string, raw json.RawMessage) Event {
	var v struct {
		Event        text `json:"event"`
		DisplayPhone text `json:"display_phone_number"`
		Limit        text `json:"max_daily_conversations_per_business"`
		OldLimit     text `json:"max_daily_conversation_per_phone"`
		CurrentLimit text `json:"current_limit"`
		Restrictions []struct {
			Type  text    `json:"restriction_type"`
			Until instant `json:"expiration"`
		} `json:"restriction_info"`
		Ban struct {
			State text `json:"waba_ban_state"`
			Date  text `json:"waba_ban_date"`
		} `json:"ban_info"`
		Violation struct {
			Type text `json:"violation_type"`
		} `json:"violation_info"`
		EntityType text `json:"entity_type"`
		EntityID   text `json:"entity_id"`
		Alert      struct {
			Severity    text `json:"alert_severity"`
			Status      text `json:"alert_status"`
			Type        text `json:"alert_type"`
			Description text `json:"alert_description"`
		} `json:"alert_info"`
		Decision text `json:"decision"`
		Username text `json:"username"`
		Status   text `json:"status"`
	}
	if !loose(raw, &v) {
		return unread(waba, field)
	}
	limit := first(v.Limit, v.CurrentLimit, v.OldLimit)
	switch field {
	case "phone_number_quality_update":
		return NumberQuality{waba, at, string(v.DisplayPhone), upper(v.Event), limit}
	case "business_capability_update":
		return Capability{waba, at, limit}
	case "account_update":
		u := AccountUpdate{WABA: waba, At: at, Event: upper(v.Event), BanState: upper(v.Ban.State), BanDate: string(v.Ban.Date), Violation: upper(v.Violation.Type)}
		for _, r := range v.Restrictions {
			u.Restrictions = append(u.Restrictions, Restriction{upper(r.Type), r.Until.Time})
		}
		return u
	case "account_alerts":
		return AccountAlert{waba, at, upper(v.EntityType), string(v.EntityID), upper(v.Alert.Severity), upper(v.Alert.Status), upper(v.Alert.Type), string(v.Alert.Description)}
	case "account_review_update":
		return AccountReview{waba, at, upper(v.Decision)}
	default:
		return UsernameUpdate{waba, at, string(v.DisplayPhone), strings.TrimPrefix(string(v.Username), "@"), strings.ToLower(string(v.Status))}
	}
}

func unread(waba, field string) Unknown {
	return Unknown{WABA: waba, Field: field, Reason: "the value is no object"}
}

func upper(t text) string { return strings.ToUpper(strings.TrimSpace(string(t))) }

func first(texts ...text) string {
	for _, t := range texts {
		if t != "" {
			return string(t)
		}
	}
	return ""
}
