package cloudapi

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// Template is what Meta says of one template (Meta: Message templates). Enum
// values are Meta's, in upper case; new ones pass through.
type Template struct {
	ID                    string
	Name                  string
	Language              string // pt_BR
	Status                whatsapp.TemplateStatus
	Category              string // MARKETING, UTILITY, AUTHENTICATION, or one of before 2023
	SubCategory           string
	Components            json.RawMessage // JSON array as Meta keeps it; nil when absent
	ParameterFormat       string          // POSITIONAL or NAMED
	QualityScore          QualityScore
	RejectedReason        string
	CorrectCategory       string // not "": Meta announced that it will move the template there
	PreviousCategory      string
	MessageSendTTLSeconds int // 0 when not set, -1 for 30 days
	Health                Health
	LastUpdated           string // as Meta writes it
}

// QualityScore is how people receive a template.
type QualityScore struct {
	Score   string    // GREEN, YELLOW, RED, UNKNOWN
	At      time.Time // zero when not told
	Reasons []string
}

const templateFields = "id,name,language,status,category,sub_category,components,parameter_format,quality_score,rejected_reason," +
	"correct_category,previous_category,message_send_ttl_seconds,health_status,last_updated_time"

// Templates lists every template of a business account once, in Meta's order.
// It ends when a page names no next one. An error of each ends it and is
// returned as it is.
func (c *Client) Templates(ctx context.Context, waba string, each func(Template) error) error {
	const op = "list templates"
	query := url.Values{"fields": {templateFields}, "limit": {"100"}}
	seen := map[string]bool{}
	return c.list(ctx, op, "/"+url.PathEscape(waba)+"/message_templates", query, func(raw json.RawMessage) error {
		t, err := decodeTemplate(raw)
		if err != nil || t.ID == "" || t.Name == "" {
			// Left out, it would look like a deleted template.
			return elementFault(op, len(seen))
		}
		if seen[t.ID] {
			return nil
		}
		seen[t.ID] = true
		return each(t)
	})
}

func decodeTemplate(raw []byte) (Template, error) {
	var b struct {
		ID              text            `json:"id"`
		Name            text            `json:"name"`
		Language        text            `json:"language"`
		Status          text            `json:"status"`
		Category        text            `json:"category"`
		SubCategory     text            `json:"sub_category"`
		Components      json.RawMessage `json:"components"`
		ParameterFormat text            `json:"parameter_format"`
		Quality         struct {
			Score   text   `json:"score"`
			Date    number `json:"date"`
			Reasons []text `json:"reasons"`
		} `json:"quality_score"`
		RejectedReason   text       `json:"rejected_reason"`
		CorrectCategory  text       `json:"correct_category"`
		PreviousCategory text       `json:"previous_category"`
		TTL              number     `json:"message_send_ttl_seconds"`
		Health           healthBody `json:"health_status"`
		LastUpdated      text       `json:"last_updated_time"`
	}
	if err := decodeLoosely(raw, &b); err != nil {
		return Template{}, err
	}
	t := Template{
		ID: string(b.ID), Name: string(b.Name), Language: whatsapp.Language(string(b.Language)),
		Status: whatsapp.TemplateStatus(upper(b.Status)), Category: upper(b.Category), SubCategory: upper(b.SubCategory),
		Components: b.Components, ParameterFormat: upper(b.ParameterFormat),
		QualityScore:   QualityScore{Score: upper(b.Quality.Score)},
		RejectedReason: upper(b.RejectedReason), CorrectCategory: upper(b.CorrectCategory), PreviousCategory: upper(b.PreviousCategory),
		MessageSendTTLSeconds: int(b.TTL.value), Health: b.Health.health(), LastUpdated: string(b.LastUpdated),
	}
	if string(t.Components) == "null" {
		t.Components = nil
	}
	if b.Quality.Date.value > 0 {
		t.QualityScore.At = time.Unix(b.Quality.Date.value, 0).UTC()
	}
	for _, r := range b.Quality.Reasons {
		t.QualityScore.Reasons = append(t.QualityScore.Reasons, string(r))
	}
	return t, nil
}

func upper(t text) string { return strings.ToUpper(strings.TrimSpace(string(t))) }
