package webhook

import (
	"encoding/json"
	"strings"

	"janela/internal/whatsapp"
)

// value is what callbacks about people have in common.
type value struct {
	Metadata struct {
		DisplayPhone text `json:"display_phone_number"`
		NumberID     text `json:"phone_number_id"`
	} `json:"metadata"`
	Contacts    list[contact]         `json:"contacts"`
	Statuses    list[statusBody]      `json:"statuses"`
	Messages    list[json.RawMessage] `json:"messages"`
	Errors      list[errorBody]       `json:"errors"`
	Preferences list[preferenceBody]  `json:"user_preferences"`
	UserIDs     list[userIDBody]      `json:"user_id_update"`
}

type contact struct {
	WaID    text `json:"wa_id"`
	UserID  text `json:"user_id"`
	Parent  text `json:"parent_user_id"`
	Profile struct {
		Name     text `json:"name"`
		Username text `json:"username"`
	} `json:"profile"`
}

// scope is where the elements of one value stand.
type scope struct {
	waba, number, display, field string
	contacts                     []contact
	several                      bool // several statuses: one contact need not be everybody's
}

func (s scope) unknown(reason string) Unknown {
	return Unknown{WABA: s.waba, NumberID: s.number, Field: s.field, Reason: reason}
}

// decodePeople reads the fields messages, user_preferences and user_id_update.
func decodePeople(events []Event, waba, field string, raw json.RawMessage) []Event {
	var v value
	if !loose(raw, &v) {
		return append(events, unread(waba, field))
	}
	s := scope{waba: waba, number: string(v.Metadata.NumberID), display: string(v.Metadata.DisplayPhone), field: field, contacts: v.Contacts.items}
	before := len(events)
	s.several = len(v.Statuses.items) > 1
	for i := range v.Statuses.items {
		events = append(events, s.status(&v.Statuses.items[i]))
	}
	s.several = false
	for _, raw := range v.Messages.items {
		events = append(events, s.inbound(raw))
	}
	for _, b := range v.Preferences.items {
		events = append(events, s.preference(b))
	}
	for _, b := range v.UserIDs.items {
		events = append(events, s.userID(b))
	}
	if len(v.Errors.items) > 0 {
		events = append(events, AccountError{WABA: s.waba, NumberID: s.number, Errors: errorDetails(v.Errors.items)})
	}
	if v.Statuses.odd || v.Messages.odd || v.Preferences.odd || v.UserIDs.odd || v.Errors.odd {
		events = append(events, s.unknown("a part of the value is no list"))
	}
	if len(events) == before {
		events = append(events, s.unknown("the value holds nothing known"))
	}
	return events
}

// complete fills in what the contacts of the value know of the person, and
// returns that contact.
func (s scope) complete(p identity) (identity, contact) {
	for _, c := range s.contacts {
		q := person(c.WaID, c.UserID, c.Parent)
		same := p.waID != "" && p.waID == q.waID || p.user != "" && p.user == q.user || p.parent != "" && p.parent == q.parent
		if p.contradicts(q) || !same && (s.several || len(s.contacts) != 1) {
			continue
		}
		if p.waID == "" {
			p.waID = q.waID
		}
		if p.user == "" {
			p.user = q.user
		}
		if p.parent == "" {
			p.parent = q.parent
		}
		return p, c
	}
	return p, contact{}
}

type statusBody struct {
	ID            text                `json:"id"`
	Status        text                `json:"status"`
	At            instant             `json:"timestamp"`
	Recipient     text                `json:"recipient_id"`
	RecipientUser text                `json:"recipient_user_id"`
	Parent        text                `json:"recipient_parent_user_id"`
	Parent2       text                `json:"parent_recipient_user_id"`
	RecipientType text                `json:"recipient_type"`
	Callback      text                `json:"biz_opaque_callback_data"`
	KeyHash       text                `json:"recipient_identity_key_hash"`
	Conversation  *statusConversation `json:"conversation"`
	Pricing       *statusPricing      `json:"pricing"`
	Errors        list[errorBody]     `json:"errors"`
}

type statusConversation struct {
	ID     text `json:"id"`
	Origin struct {
		Type text `json:"type"`
	} `json:"origin"`
	Expires instant `json:"expiration_timestamp"`
}

type statusPricing struct {
	Model    text    `json:"pricing_model"`
	Type     text    `json:"type"`
	Category text    `json:"category"`
	Billable boolean `json:"billable"`
}

func (s *scope) status(b *statusBody) Event {
	switch {
	case b.RecipientType == "group":
		return s.unknown("a group's status")
	case b.ID == "" && b.Callback == "":
		return s.unknown("a status names no message")
	case b.Status == "":
		return s.unknown("a status without its status")
	}
	p, _ := s.complete(person(b.Recipient, b.RecipientUser, text(first(b.Parent, b.Parent2))))
	status := Status{
		WABA: s.waba, NumberID: s.number, Wamid: whatsapp.Wamid(b.ID), Status: statusWord(b.Status), At: b.At.Time,
		RecipientID: p.waID, RecipientUserID: p.user, ParentUserID: p.parent,
		Callback: string(b.Callback), IdentityKeyHash: string(b.KeyHash), Errors: errorDetails(b.Errors.items),
	}
	if c := b.Conversation; c != nil && (c.ID != "" || c.Origin.Type != "") {
		status.Conversation = &Conversation{ID: string(c.ID), Origin: string(c.Origin.Type), ExpiresAt: c.Expires.Time}
	}
	if c := b.Pricing; c != nil && (c.Model != "" || c.Type != "" || c.Category != "" || c.Billable.value != nil) {
		status.Pricing = &Pricing{Model: string(c.Model), Type: string(c.Type), Category: string(c.Category), Billable: c.Billable.value}
	}
	return status
}

func statusWord(t text) string {
	switch word := strings.ToLower(trim(t)); word {
	case StatusSent, StatusDelivered, StatusRead, StatusPlayed, StatusFailed:
		return word
	default: // deleted and warning of older versions, and what is to come
		return StatusOther
	}
}

type preferenceBody struct {
	WaID     text    `json:"wa_id"`
	UserID   text    `json:"user_id"`
	Parent   text    `json:"parent_user_id"`
	Category text    `json:"category"`
	Value    text    `json:"value"`
	Detail   text    `json:"detail"`
	At       instant `json:"timestamp"`
}

func (s scope) preference(b preferenceBody) Event {
	p, _ := s.complete(person(b.WaID, b.UserID, b.Parent))
	if !p.known() || b.Value == "" {
		return s.unknown("a preference without person or value")
	}
	return Preference{
		WABA: s.waba, NumberID: s.number, WaID: p.waID, UserID: p.user, ParentUserID: p.parent,
		Category: strings.ToLower(trim(b.Category)), Value: strings.ToLower(trim(b.Value)), Detail: string(b.Detail), At: b.At.Time,
	}
}

type idChange struct {
	Previous text `json:"previous"`
	Current  text `json:"current"`
}

type userIDBody struct {
	WaID   text     `json:"wa_id"`
	User   idChange `json:"user_id"`
	Parent idChange `json:"parent_user_id"`
	At     instant  `json:"timestamp"`
}

func (s scope) userID(b userIDBody) Event {
	if b.User.Current == "" && b.Parent.Current == "" {
		return s.unknown("a user id update without the new id")
	}
	return UserIDUpdate{
		WABA: s.waba, NumberID: s.number, WaID: person(b.WaID, "", "").waID,
		Previous: whatsapp.BSUID(b.User.Previous), Current: whatsapp.BSUID(b.User.Current),
		PreviousParent: whatsapp.BSUID(b.Parent.Previous), CurrentParent: whatsapp.BSUID(b.Parent.Current), At: b.At.Time,
	}
}

type errorBody struct {
	Code    *number         `json:"code"`
	Title   text            `json:"title"`
	Message text            `json:"message"`
	Data    json.RawMessage `json:"error_data"`
}

// noCode stands for a missing code: 0 is one of Meta's, and means that the
// token is gone.
const noCode = -1

func errorDetails(bodies []errorBody) []ErrorDetail {
	var all []ErrorDetail
	for _, b := range bodies {
		code := noCode
		if b.Code != nil {
			code = int(*b.Code)
		}
		if code == noCode && b.Title == "" && b.Message == "" {
			continue
		}
		var data struct {
			Details text `json:"details"`
		}
		if !loose(b.Data, &data) {
			_ = json.Unmarshal(b.Data, &data.Details) // a plain string in some callbacks
		}
		all = append(all, ErrorDetail{Code: code, Title: string(b.Title), Message: string(b.Message), Details: string(data.Details)})
	}
	return all
}
