package httpapi

import (
	"time"

	"janela/internal/whatsapp"
)

// What the bodies are that are read by hand (otpbody.go, messagesbody.go,
// optinsbody.go): for the description. A test compares.

type codeBody struct {
	To       string            `json:"to" doc:"Phone number in E.164." example:"+5511900000001"`
	Purpose  string            `json:"purpose" doc:"One of the configuration's." example:"login"`
	Locale   string            `json:"locale,omitempty" example:"pt_BR"`
	ClientIP string            `json:"client_ip,omitempty" doc:"Of the person, as your server saw it. Required unless the configuration says otherwise." example:"203.0.113.7"`
	Binding  string            `json:"binding,omitempty" doc:"Anything of your session, at most 256 bytes; the same must come with the guess."`
	Trusted  bool              `json:"trusted,omitempty" doc:"The person was verified on this device before."`
	Decoy    bool              `json:"decoy,omitempty" doc:"Answer as if it were real, and send nothing."`
	Device   string            `json:"device,omitempty" enum:"android,ios,web" doc:"android takes the purpose's android_template."`
	Consent  *codeConsentBody  `json:"consent,omitempty" doc:"Evidence that the person agreed to codes."`
	Metadata map[string]string `json:"metadata,omitempty" maxProperties:"10" doc:"Returned by GET, never logged."`
}

type codeConsentBody struct {
	Source string    `json:"source,omitempty" example:"login_form"`
	Text   string    `json:"text,omitempty" doc:"What the person was shown."`
	At     time.Time `json:"at,omitzero"`
}

type guessBody struct {
	Code     string `json:"code" doc:"What the person typed."`
	Binding  string `json:"binding,omitempty"`
	ClientIP string `json:"client_ip,omitempty"`
}

type resendBody struct {
	Channel string `json:"channel,omitempty" enum:"whatsapp,sms" default:"whatsapp"`
	Code    string `json:"code,omitempty" enum:"auto,new" default:"auto"`
}

type nothingBody struct{}

type messageBody struct {
	To         string           `json:"to,omitempty" doc:"Phone number in E.164, an id as Meta writes it, or a business-scoped user id. Either to or contact." example:"+5511900000001"`
	Contact    int64            `json:"contact,omitempty" minimum:"1" doc:"Instead of to: the id of a contact."`
	Number     string           `json:"number,omitempty" doc:"Which of your numbers sends, by its name."`
	Text       *messageText     `json:"text,omitempty" doc:"Either text or template. Free-form: inside the service window only."`
	Template   *messageTemplate `json:"template,omitempty"`
	ReplyTo    string           `json:"reply_to,omitempty" doc:"The wamid of something this person wrote to this number: it is quoted."`
	SendAt     time.Time        `json:"send_at,omitzero" doc:"Not before; at most 90 days ahead."`
	ExpiresAt  time.Time        `json:"expires_at,omitzero" doc:"Not after; at most 30 days after send_at."`
	ExternalID string           `json:"external_id,omitempty" maxLength:"128" doc:"Your own name for it. No personal data."`
}

type messageText struct {
	Body string `json:"body" minLength:"1" maxLength:"4096"`
}

type messageTemplate struct {
	Name       string            `json:"name" example:"shipping_update"`
	Language   string            `json:"language" example:"en_US"`
	Parameters messageParameters `json:"parameters,omitempty" doc:"What fills its variables, exactly."`
}

type messageParameters struct {
	Header  any               `json:"header,omitempty" doc:"A text; of a file {\"link\"} or {\"id\"}; of a place latitude, longitude, name, address."`
	Body    any               `json:"body,omitempty" doc:"A list, in order; with named variables an object."`
	Buttons map[string]string `json:"buttons,omitempty" doc:"By place over all buttons, 0 is the first."`
	Offer   *offerParameters  `json:"limited_time_offer,omitempty"`
	Cards   []cardParameters  `json:"cards,omitempty" doc:"Of a carousel: one for each card."`
}

type offerParameters struct {
	ExpiresAt time.Time `json:"expires_at"`
}

type cardParameters struct {
	Header  any               `json:"header,omitempty"`
	Body    any               `json:"body,omitempty"`
	Buttons map[string]string `json:"buttons,omitempty"`
}

type grantBody struct {
	To         string              `json:"to" doc:"Phone number in E.164." example:"+5511900000001"`
	Categories []whatsapp.Category `json:"categories" minItems:"1" doc:"What the person agreed to get."`
	Scope      string              `json:"scope,omitempty" doc:"*, the name of a number or of a business unit."`
	Purpose    string              `json:"purpose,omitempty"`
	Source     string              `json:"source" doc:"Where the person agreed." example:"web_form"`
	Text       string              `json:"text" doc:"What the person was shown."`
	Version    string              `json:"text_version"`
	At         time.Time           `json:"at" doc:"When the person agreed."`
	URL        string              `json:"url,omitempty"`
	IP         string              `json:"ip,omitempty" example:"203.0.113.7"`
	UserAgent  string              `json:"user_agent,omitempty"`
	Reference  string              `json:"reference,omitempty"`
	Confirm    bool                `json:"confirm,omitempty" doc:"The person has to confirm it."`
	Anew       bool                `json:"after_forgetting,omitempty" doc:"The person agreed anew after they had been forgotten."`
}

type confirmationBody struct {
	At        time.Time `json:"at" doc:"When the person confirmed."`
	Text      string    `json:"text,omitempty"`
	URL       string    `json:"url,omitempty"`
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
}

type revocationBody struct {
	To         string              `json:"to" example:"+5511900000001"`
	Categories []whatsapp.Category `json:"categories,omitempty" doc:"Left out: marketing."`
	All        bool                `json:"all,omitempty" doc:"Instead of categories: marketing and utility."`
	Scope      string              `json:"scope,omitempty"`
	Reason     string              `json:"reason,omitempty"`
}

type consentLookBody struct {
	To    string `json:"to" example:"+5511900000001"`
	After int64  `json:"after,omitempty" minimum:"0" doc:"next of the page before."`
	Limit int64  `json:"limit,omitempty" minimum:"1" maximum:"500" default:"500"`
}

type windowBody struct {
	To string `json:"to" example:"+5511900000001"`
}

// And the queries.

type consentQuery struct {
	Contact int64 `json:"contact" minimum:"1"`
	After   int64 `json:"after,omitempty" minimum:"0" doc:"next of the page before."`
	Limit   int64 `json:"limit,omitempty" minimum:"1" maximum:"500" default:"500"`
}

type conversationQuery struct {
	Number     string `json:"number,omitempty" doc:"By its name."`
	Contact    int64  `json:"contact,omitempty" minimum:"1"`
	Category   string `json:"category,omitempty" enum:"marketing,utility,authentication,service"`
	Origin     string `json:"origin,omitempty" enum:"business,user"`
	OpenedFrom string `json:"opened_from,omitempty" doc:"A date, or a time in RFC 3339: those that opened then or later."`
	OpenedTo   string `json:"opened_to,omitempty" doc:"Those that opened before."`
	Open       bool   `json:"open,omitempty" doc:"Only those that are open now."`
	After      string `json:"after,omitempty" doc:"next of the page before."`
	Limit      int64  `json:"limit,omitempty" minimum:"1" maximum:"500" default:"100"`
}
