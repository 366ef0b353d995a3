package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// Inbound is a message from a person to a number.
type Inbound struct {
	From     string `json:"from"`   // E.164 or digits; becomes the person's wa_id
	WaID     string `json:"wa_id"`  // the wa_id to write instead, exactly so
	NumberID string `json:"number"` // phone_number_id; empty: the first number
	Name     string `json:"name"`   // of the profile; empty: "Pessoa"

	// Type is text, button, interactive, image, audio, video, document,
	// sticker, location, contacts, reaction, system or unsupported. Empty: button
	// when there is a ButtonPayload, else text.
	Type          string `json:"type"`
	Text          string `json:"text"`           // body, caption, button text, emoji; for system the new wa_id
	ButtonPayload string `json:"button_payload"` // of a button, or the id of an interactive reply
	ReplyTo       string `json:"reply_to"`       // wamid of the message answered
	Referral      bool   `json:"referral"`       // came by an ad (Click to WhatsApp)
	BSUIDOnly     bool   `json:"bsuid_only"`     // with a username and without any phone number
}

// opens reports whether a message of the type opens the service window.
func opens(typ string) bool { return typ != "system" && typ != "reaction" && typ != "unsupported" }

// Inbound posts the webhook of a person's message, opens the service window
// where such a message does, and returns the message's wamid.
func (s *Sandbox) Inbound(in Inbound) (string, error) {
	if in.Type == "" {
		in.Type = "text"
		if in.ButtonPayload != "" {
			in.Type = "button"
		}
	}
	wa := in.WaID
	if wa == "" {
		wa = s.who(in.From)
	}
	if wa == "" || isBSUID(wa) {
		return "", errors.New("sandbox: inbound needs from, a telephone number with its country code")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	num, err := s.numberOrFirst(in.NumberID)
	if err != nil {
		return "", err
	}
	now := time.Now()
	// Windows are kept under the id that sends to this person arrive at.
	key := waID(s.cfg.Seed, wa)
	nth := s.person(key).written + 1
	h := digest(s.cfg.Seed, "inbound", wa, num.ID, strconv.Itoa(int(nth)))
	userID := bsuid(s.cfg.Seed, key)
	who := wa
	if in.BSUIDOnly {
		who = userID
	}
	id := wamid(who, h[:10], true)
	content, err := in.content(h)
	if err != nil {
		return "", err
	}
	m := map[string]any{"id": id, "timestamp": seconds(now.UnixMilli()), "type": in.Type}
	for k, v := range content {
		m[k] = v
	}
	from := contact{Profile: &profileValue{Name: in.Name}, WaID: wa}
	if in.Name == "" {
		from.Profile.Name = "Pessoa"
	}
	if num.IdentityCheck {
		from.IdentityKeyHash = s.identityOf(key)
	}
	if in.BSUIDOnly || s.userID(key) != "" {
		m["from_user_id"], from.UserID = userID, userID
	}
	if in.BSUIDOnly {
		from.WaID, from.Profile.Username = "", "pessoa."+userID[len(userID)-4:]
	} else {
		m["from"] = wa
	}
	if in.ReplyTo != "" {
		m["context"] = map[string]any{"from": digitsOf(num.Display), "id": in.ReplyTo}
	}
	if in.Referral {
		m["referral"] = referral(h)
	}
	v := messagesValue{Product: "whatsapp", Metadata: num.metadata(), Messages: []map[string]any{m}}
	if in.Type != "system" { // Meta: system messages have no contacts
		v.Contacts = []contact{from}
	}
	heard := heardLine{WaID: key, Number: num.ID, At: now.UnixMilli(), Ad: in.Referral, Window: opens(in.Type)}
	if err := s.note(line{Heard: &heard}); err != nil {
		return "", err
	}
	s.person(key).written++
	s.remember(Heard{WaID: key, NumberID: num.ID, At: now, Wamid: id, Type: in.Type, Text: in.Text})
	if heard.Window {
		s.hear(key, num.index, heard.At, heard.Ad)
	}
	err = s.queueChange(num.account, "messages", v, now)
	s.log.Info("sandbox: inbound", "from", whatsapp.Mask(who), "type", in.Type)
	return id, err
}

func (s *Sandbox) numberOrFirst(id string) (*number, error) {
	if id == "" {
		return s.byIndex[0], nil
	}
	if n := s.numbers[id]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("sandbox: number %s is not configured", id)
}

// queueChange queues a webhook with one change. The caller holds the lock.
func (s *Sandbox) queueChange(a *account, field string, value any, now time.Time) error {
	e := entry{ID: a.ID, Changes: []change{{Value: value, Field: field}}}
	if field != "messages" {
		e.Time = now.Unix()
	}
	body, err := asciiJSON(notification{Object: "whatsapp_business_account", Entry: []entry{e}})
	if err != nil {
		return fmt.Errorf("sandbox: webhook: %w", err)
	}
	if err := s.addHook(a.ID, body, now); err != nil {
		return fmt.Errorf("sandbox: webhook: %w", err)
	}
	s.kick()
	return nil
}

// content returns the part of the message that depends on its type.
func (in *Inbound) content(h [32]byte) (map[string]any, error) {
	file := func(mime string) map[string]any {
		id := decimal(0, 16, "media", string(h[:]))
		f := map[string]any{"id": id, "mime_type": mime, "sha256": fmt.Sprintf("%x", h), "url": "https://lookaside.example/whatsapp_business/attachments/?mid=" + id}
		if in.Text != "" {
			f["caption"] = in.Text
		}
		return f
	}
	switch in.Type {
	case "text":
		return map[string]any{"text": map[string]any{"body": in.Text}}, nil
	case "button":
		return map[string]any{"button": map[string]any{"payload": in.ButtonPayload, "text": in.Text}}, nil
	case "interactive":
		return map[string]any{"interactive": map[string]any{
			"type": "button_reply", "button_reply": map[string]any{"id": in.ButtonPayload, "title": in.Text},
		}}, nil
	case "reaction":
		r := map[string]any{"message_id": in.ReplyTo}
		if in.Text != "" { // absent: the reaction was taken back
			r["emoji"] = in.Text
		}
		return map[string]any{"reaction": r}, nil
	case "image":
		return map[string]any{"image": file("image/jpeg")}, nil
	case "video":
		return map[string]any{"video": file("video/mp4")}, nil
	case "audio":
		f := file("audio/ogg; codecs=opus")
		delete(f, "caption")
		f["voice"] = true
		return map[string]any{"audio": f}, nil
	case "document":
		f := file("application/pdf")
		f["filename"] = "documento.pdf"
		return map[string]any{"document": f}, nil
	case "sticker":
		return map[string]any{"sticker": file("image/webp")}, nil
	case "location":
		return map[string]any{"location": map[string]any{"latitude": -23.55, "longitude": -46.63, "name": in.Text}}, nil
	case "contacts":
		return map[string]any{"contacts": []any{map[string]any{"name": map[string]any{"formatted_name": in.Text}}}}, nil
	case "system":
		if digitsOf(in.Text) == "" {
			return nil, errors.New("sandbox: inbound system needs text, the new wa_id")
		}
		return map[string]any{"system": map[string]any{
			"body": "User changed their number", "wa_id": digitsOf(in.Text), "type": "user_changed_number",
		}}, nil
	case "unsupported":
		e := failure(131051)
		e.ErrorData.Details = "Message type is currently not supported."
		return map[string]any{"errors": []any{e}, "unsupported": map[string]any{"type": "unknown"}}, nil
	default:
		return nil, fmt.Errorf("sandbox: inbound messages of type %q are not emulated", in.Type)
	}
}

func referral(h [32]byte) map[string]any {
	return map[string]any{
		"source_url": "https://fb.example/ad", "source_id": decimal(0, 15, "ad", string(h[:])), "source_type": "ad",
		"headline": "Natal na loja", "body": "Fale com a gente", "media_type": "image",
		"image_url": "https://fb.example/ad.jpg", "ctwa_clid": strings.ToUpper(fmt.Sprintf("%x", h[:12])),
	}
}
