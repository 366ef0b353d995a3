package sandbox

import (
	"errors"
	"fmt"
	"time"
)

// Preference is a person's choice, in WhatsApp's own settings, about marketing
// from this business.
type Preference struct {
	From     string `json:"from"`   // E.164, digits
	NumberID string `json:"number"` // phone_number_id; empty: the first number
	Value    string `json:"value"`  // stop or resume
}

// Preference posts the user_preferences webhook. After a stop, marketing to
// the person is accepted and then fails with 131050, until a resume.
func (s *Sandbox) Preference(p Preference) error {
	var detail string
	switch p.Value {
	case "stop":
		detail = "User requested to stop marketing messages"
	case "resume":
		detail = "User requested to resume marketing messages"
	default:
		return fmt.Errorf("sandbox: preference %q; write stop or resume", p.Value)
	}
	wa := s.who(p.From)
	if wa == "" || isBSUID(wa) {
		return errors.New("sandbox: preference needs from, a telephone number with its country code")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	num, err := s.numberOrFirst(p.NumberID)
	if err != nil {
		return err
	}
	now := time.Now()
	userID := s.userID(wa)
	choice := map[string]any{
		"wa_id": wa, "detail": detail, "category": "marketing_messages", "value": p.Value,
		"timestamp": now.Unix(), // a number here, other than anywhere else
	}
	if userID != "" {
		choice["user_id"] = userID
	}
	value := map[string]any{
		"messaging_product": "whatsapp",
		"metadata":          num.metadata(),
		"contacts":          []contact{{Profile: &profileValue{Name: "Pessoa"}, WaID: wa, UserID: userID}},
		"user_preferences":  []any{choice},
	}
	stopped := p.Value == "stop"
	if err := s.note(line{Preference: &preferenceLine{wa, stopped}}); err != nil {
		return err
	}
	s.person(wa).Stopped = stopped
	return s.queueChange(num.account, "user_preferences", value, now)
}
