package cloudapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
)

// Number is what Meta says of one sending number (Meta: Business phone
// numbers). Enum values are Meta's, in upper case; new ones pass through.
type Number struct {
	ID                     string // phone_number_id; the only safe key
	DisplayPhone           string // as Meta writes it, perhaps without Brazil's ninth digit
	VerifiedName           string
	Status                 string // CONNECTED, else it cannot send
	QualityRating          string // GREEN, YELLOW, RED, NA, UNKNOWN
	Throughput             string // STANDARD (80 messages a second), HIGH (1,000), NOT_APPLICABLE
	MessagingLimit         string // TIER_2K …: people per rolling 24 h; of the whole portfolio from v24.0 on
	NameStatus             string
	CodeVerificationStatus string
	PlatformType           string
	AccountMode            string // LIVE or SANDBOX
	OnBizApp               bool   // also used in the WhatsApp Business app: 20 messages a second
	Health                 Health
}

const numberFields = "id,display_phone_number,verified_name,status,quality_rating,throughput,name_status,code_verification_status," +
	"platform_type,account_mode,is_on_biz_app,health_status,"

// numberQuery asks for the fields the version knows; an unknown one would fail
// the whole call with code 100.
func (c *Client) numberQuery() url.Values {
	limit := "messaging_limit_tier"
	if c.modern {
		limit = "whatsapp_business_manager_messaging_limit"
	}
	return url.Values{"fields": {numberFields + limit}}
}

// Numbers lists the numbers of a business account.
func (c *Client) Numbers(ctx context.Context, waba string) ([]Number, error) {
	const op = "list numbers"
	query := c.numberQuery()
	query.Set("limit", "100")
	var all []Number
	seen := map[string]bool{}
	err := c.list(ctx, op, "/"+url.PathEscape(waba)+"/phone_numbers", query, func(raw json.RawMessage) error {
		n, err := decodeNumber(raw)
		if err != nil || n.ID == "" {
			return elementFault(op, len(seen))
		}
		if !seen[n.ID] {
			seen[n.ID] = true
			all = append(all, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Number reads one number by its phone_number_id.
func (c *Client) Number(ctx context.Context, id string) (Number, error) {
	var n Number
	err := c.get(ctx, "read number", "/"+url.PathEscape(id), c.numberQuery(), func(body []byte) (err error) {
		if n, err = decodeNumber(body); err == nil && n.ID == "" {
			err = errors.New("the answer names no number")
		}
		return err
	})
	if err != nil {
		return Number{}, err
	}
	return n, nil
}

func decodeNumber(raw []byte) (Number, error) {
	var b struct {
		ID            text `json:"id"`
		DisplayPhone  text `json:"display_phone_number"`
		VerifiedName  text `json:"verified_name"`
		Status        text `json:"status"`
		QualityRating text `json:"quality_rating"`
		Throughput    struct {
			Level text `json:"level"`
		} `json:"throughput"`
		Limit                  text       `json:"whatsapp_business_manager_messaging_limit"`
		OldLimit               text       `json:"messaging_limit_tier"`
		NameStatus             text       `json:"name_status"`
		CodeVerificationStatus text       `json:"code_verification_status"`
		PlatformType           text       `json:"platform_type"`
		AccountMode            text       `json:"account_mode"`
		OnBizApp               bool       `json:"is_on_biz_app"`
		Health                 healthBody `json:"health_status"`
	}
	if err := decodeLoosely(raw, &b); err != nil {
		return Number{}, err
	}
	if b.Limit == "" {
		b.Limit = b.OldLimit
	}
	return Number{
		ID: string(b.ID), DisplayPhone: string(b.DisplayPhone), VerifiedName: string(b.VerifiedName),
		Status: upper(b.Status), QualityRating: upper(b.QualityRating), Throughput: upper(b.Throughput.Level),
		MessagingLimit: upper(b.Limit), NameStatus: upper(b.NameStatus), CodeVerificationStatus: upper(b.CodeVerificationStatus),
		PlatformType: upper(b.PlatformType), AccountMode: upper(b.AccountMode), OnBizApp: b.OnBizApp, Health: b.Health.health(),
	}, nil
}
