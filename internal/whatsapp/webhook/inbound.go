package webhook

import (
	"encoding/json"
	"strings"

	"janela/internal/whatsapp"
)

// inboundBody is one element of messages[]; one object is filled, named after
// type.
type inboundBody struct {
	ID      text    `json:"id"`
	From    text    `json:"from"`
	User    text    `json:"from_user_id"`
	Parent  text    `json:"from_parent_user_id"`
	At      instant `json:"timestamp"`
	Type    text    `json:"type"`
	GroupID text    `json:"group_id"`
	Context struct {
		ID text `json:"id"`
	} `json:"context"`
	Text struct {
		Body text `json:"body"`
	} `json:"text"`
	Button *struct {
		Payload text `json:"payload"`
		Text    text `json:"text"`
	} `json:"button"`
	Interactive *struct {
		Type   text  `json:"type"`
		Button reply `json:"button_reply"`
		List   reply `json:"list_reply"`
		Flow   struct {
			Name text `json:"name"`
			Body text `json:"body"`
		} `json:"nfm_reply"`
	} `json:"interactive"`
	Image    caption `json:"image"`
	Video    caption `json:"video"`
	Document caption `json:"document"`
	Referral *struct {
		URL      text `json:"source_url"`
		ID       text `json:"source_id"`
		Type     text `json:"source_type"`
		Headline text `json:"headline"`
		ClickID  text `json:"ctwa_clid"`
	} `json:"referral"`
	Reaction *struct {
		MessageID text `json:"message_id"`
		Emoji     text `json:"emoji"`
	} `json:"reaction"`
	System *struct {
		Type   text `json:"type"`
		WaID   text `json:"wa_id"`
		NewID  text `json:"new_wa_id"` // older form
		User   text `json:"user_id"`
		Parent text `json:"parent_user_id"`
	} `json:"system"`
	Errors list[errorBody] `json:"errors"`
}

type reply struct {
	ID    text `json:"id"`
	Title text `json:"title"`
}

type caption struct {
	Caption text `json:"caption"`
}

func (s scope) inbound(raw json.RawMessage) Event {
	var b inboundBody
	if !loose(raw, &b) {
		return s.unknown("a message is no object")
	}
	p, c := s.complete(person(b.From, b.User, b.Parent))
	switch {
	case b.GroupID != "":
		return s.unknown("a group's message")
	case b.ID == "":
		return s.unknown("a message without an id")
	case !p.known():
		return s.unknown("a message without a sender")
	}
	m := Inbound{
		WABA: s.waba, NumberID: s.number, DisplayPhone: s.display, Wamid: whatsapp.Wamid(b.ID),
		From: p.waID, UserID: p.user, ParentUserID: p.parent,
		Username: strings.TrimPrefix(trim(c.Profile.Username), "@"), ProfileName: string(c.Profile.Name),
		At: b.At.Time, Type: strings.ToLower(trim(b.Type)), ReplyTo: whatsapp.Wamid(b.Context.ID),
		Text:   first(b.Text.Body, b.Image.Caption, b.Video.Caption, b.Document.Caption),
		Errors: errorDetails(b.Errors.items), Raw: raw,
	}
	if x := b.Button; x != nil {
		m.Button = &Button{Payload: string(x.Payload), Text: string(x.Text)}
		m.Text = first(text(m.Text), x.Text)
	}
	if x := b.Interactive; x != nil {
		m.Interactive = &Interactive{
			Kind:  string(x.Type),
			ID:    first(x.Button.ID, x.List.ID, x.Flow.Name),
			Title: first(x.Button.Title, x.List.Title, x.Flow.Body),
		}
		m.Text = first(text(m.Text), text(m.Interactive.Title))
	}
	if x := b.Referral; x != nil {
		m.Referral = &Referral{SourceURL: string(x.URL), SourceID: string(x.ID), SourceType: string(x.Type), Headline: string(x.Headline), ClickID: string(x.ClickID)}
	}
	if x := b.Reaction; x != nil {
		m.Reaction = &Reaction{Wamid: whatsapp.Wamid(x.MessageID), Emoji: string(x.Emoji)}
	}
	if x := b.System; x != nil {
		changed := person(text(first(x.WaID, x.NewID)), x.User, x.Parent)
		m.System = &System{Kind: string(x.Type), NewWaID: changed.waID, UserID: changed.user, ParentUserID: changed.parent}
	}
	return m
}
