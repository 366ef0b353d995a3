package sandbox

import "encoding/json"

// The template object of a send (Meta: Messages API, template object).
type templateSend struct {
	Name       string          `json:"name"`
	Namespace  string          `json:"namespace"`
	Language   languageSend    `json:"language"`
	Components []componentSend `json:"components"`
}

type languageSend struct {
	Code   string `json:"code"`
	Policy string `json:"policy"`
}

type componentSend struct {
	Type       string          `json:"type"`
	SubType    string          `json:"sub_type"`
	Index      json.RawMessage `json:"index"` // "0" and 0 both stand in Meta's samples
	Parameters []paramSend     `json:"parameters"`
	Cards      []cardSend      `json:"cards"`
}

type cardSend struct {
	Index      *int            `json:"card_index"`
	Components []componentSend `json:"components"`
}

type paramSend struct {
	Type          string          `json:"type"`
	ParameterName *string         `json:"parameter_name"`
	Text          *string         `json:"text"`
	Payload       *string         `json:"payload"`
	CouponCode    *string         `json:"coupon_code"`
	Currency      *fallback       `json:"currency"`
	DateTime      *fallback       `json:"date_time"`
	Image         *mediaSend      `json:"image"`
	Video         *mediaSend      `json:"video"`
	Document      *mediaSend      `json:"document"`
	Location      *locationSend   `json:"location"`
	Offer         *offerSend      `json:"limited_time_offer"`
	Action        json.RawMessage `json:"action"`
}

// locationSend has its degrees as text, as Meta wants them.
type locationSend struct {
	Latitude  string `json:"latitude"`
	Longitude string `json:"longitude"`
	Name      string `json:"name"`
	Address   string `json:"address"`
}

type offerSend struct {
	ExpirationTimeMS *int64 `json:"expiration_time_ms"`
}

type fallback struct {
	Value  string      `json:"fallback_value"`
	Code   string      `json:"code"`
	Amount json.Number `json:"amount_1000"`
}

type mediaSend struct {
	ID       string `json:"id"`
	Link     string `json:"link"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
	Voice    bool   `json:"voice"`
}
